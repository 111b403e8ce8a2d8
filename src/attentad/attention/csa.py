"""CSA: class-semantics-based attention (arXiv 2109.02613, §3.2).

Two branches read R, what the recogniser says, and gate F, what the detector makes of it: one says
which channels of F matter for the classes present, the other which time steps.

    channel: A_C = σ(W_c · mean_t CB_c(R) + b_c)      CB_c: C_in → C_out
    time:    A_T = σ(W_t · mean   CB_t(R) + b_t)      CB_t: C_in → C_out, mean over channels
    fuse:    F_A = ReLU(conv([A_T ⊙ F ; A_C ⊙ F]))

CB is a stack of convolutions, each followed by a ReLU: it learns from a step's neighbourhood, and
the paper's Table 5 asks what else could stand in its place (`context`). The paper leaves several
points open; the options below name the readings (spec csa §1.2, §1.3).

A_T above is not as printed: Eq. 1 averages CB_t over time, T channels of it (`time_pool`). A
convolution and a mean over time after it cannot tell *when* something happens, and the paper says
of A_T that it weighs time points.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attentad.attention.gate import Gate
from attentad.attention.transformer import Transformer
from attentad.core import AttentadError
from attentad.core.options import Count, DropRate, OddCount, checked, shared_options
from attentad.layers.masking import masked, masked_mean

Context = Literal["local", "feed_forward", "global", "local_global"]
TemporalMode = Literal["channel_pool", "time_pool", "one_channel"]
Fusion = Literal["concat", "add", "mean", "add_conv"]
Branches = Literal["both", "channel", "temporal"]
ConvWidth = Literal["output", "feature", "context"]
SQUEEZE = 16
"""SE's reduction, which FF-CSA inherits."""

# Options that a kind of context has no use for.
_TRANSFORMER = ("transformer_dim", "heads", "ffn_dim", "dropout")
_UNUSED: dict[str, tuple[str, ...]] = {
    "local": _TRANSFORMER,
    "feed_forward": (
        *("kernel_size", "convs", "temporal_mode", "conv_width", "channel_width"),
        *_TRANSFORMER,
    ),
    "global": ("kernel_size", "convs", "conv_width"),
    "local_global": ("convs", "conv_width"),
}


@checked
class CSA(nn.Module):
    """Gates F (B, C_out, T) by channel and by time as R (B, C_in, T) suggests.

    Args:
        feature_dim: C_out, channels of F.
        context_dim: C_in, channels of R.
        length: T. The gates' FC layers tie the module to it.
        context: what CB learns from. `local`, convolutions: CSA itself. `feed_forward`, nothing:
            the FC layers read mean_t R and the mean of R over its channels (FF-CSA). `global`, a
            1×1 convolution, a Transformer layer and a 1×1 convolution to the branch's width
            (G-CSA). `local_global`, the same after a k-convolution with a ReLU in place of the
            first 1×1 (LG-CSA).
        kernel_size: k of the context convolutions.
        convs: n, convolutions per branch; the paper's headline model has 2, its ablations 1.
        temporal_mode: how R becomes T numbers. `channel_pool`: C_out conv channels, mean over
            channels, so that entry t is tied to time t. `time_pool` (as Eq. 1 is printed): T conv
            channels, mean over time; behind convolutions A_T then does not change when an event
            of R is moved, apart from the ends. `one_channel`: the last conv has one channel.
        conv_width: channels between several convs: `output`, those of the branch's last conv
            (C_out in `one_channel`); `feature`, C_out; `context`, C_in.
        channel_width: channels of the channel branch's last conv: `feature` (C_out) or `context`
            (C_in, its FC then maps C_in → C_out).
        reduction: `single`, one FC layer d → d; r, two layers d → d // r → d with a ReLU between.
            None is `single`, with `feed_forward` SE's 16.
        branches: `both`, or one of them alone.
        single_projection: whether a single branch still passes through the fusion convolution.
        fusion: `concat` (projected by a convolution and a ReLU), `add`, `mean`, or `add_conv` (sum,
            then convolution and ReLU).
        fusion_kernel: kernel of that convolution.
        masked_mean: whether means over time, and a Transformer layer, leave the padding out. By
            default it takes part as zeros of R, as in the paper's zero-padded windows.
        transformer_dim, heads, ffn_dim, dropout: of the Transformer layer, see `Transformer`.

    Raises:
        AttentadError: `context` has no use for an option.
    """

    def __init__(
        self,
        feature_dim: int,
        context_dim: int,
        length: int,
        *,
        context: Context = "local",
        kernel_size: OddCount = 3,
        convs: Count = 2,
        temporal_mode: TemporalMode = "channel_pool",
        conv_width: ConvWidth = "output",
        channel_width: Literal["feature", "context"] = "feature",
        reduction: Count | Literal["single"] | None = None,
        branches: Branches = "both",
        single_projection: bool = False,
        fusion: Fusion = "concat",
        fusion_kernel: OddCount = 1,
        masked_mean: bool = False,
        transformer_dim: Count = 256,
        heads: Count = 8,
        ffn_dim: Count = 1024,
        dropout: DropRate = 0.1,
    ) -> None:
        super().__init__()
        _check_used(shared_options(CSA, locals()))
        if context == "feed_forward":
            channel_width = "context"
            reduction = SQUEEZE if reduction is None else reduction
        squeeze = None if reduction == "single" else reduction
        transformer = partial(
            Transformer, transformer_dim, heads=heads, ffn_dim=ffn_dim, dropout=dropout
        )
        block = partial(_context_block, context, context_dim, kernel_size, transformer)
        self.length, self.feature_dim = length, feature_dim
        self.temporal_mode, self.branches = temporal_mode, branches
        self.fusion, self.masked_mean = fusion, masked_mean
        inner = {"feature": feature_dim, "context": context_dim}
        if branches != "temporal":
            last = inner[channel_width]
            widths = [inner.get(conv_width, last)] * (convs - 1) + [last]
            self.channel_convs = block(widths)
            self.channel_fc = _gate_fc(last, feature_dim, squeeze)
        if branches != "channel":
            pooled = {"time_pool": length, "channel_pool": feature_dim, "one_channel": 1}
            last = pooled[temporal_mode]
            between = feature_dim if temporal_mode == "one_channel" else last
            widths = [inner.get(conv_width, between)] * (convs - 1) + [last]
            self.temporal_convs = block(widths)
            self.temporal_fc = _gate_fc(length, length, squeeze)
        projected = fusion in ("concat", "add_conv") if branches == "both" else single_projection
        self.projection: nn.Conv1d | None = None
        if projected:
            fused = 2 * feature_dim if branches == "both" and fusion == "concat" else feature_dim
            self.projection = nn.Conv1d(
                fused, feature_dim, fusion_kernel, padding=fusion_kernel // 2
            )

    def gates(self, context: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """A_C (B, C_out) and A_T (B, T), each in 0..1; ones for a branch that is switched off."""
        self._check_length(context)
        channel = context.new_ones(len(context), self.feature_dim)
        temporal = context.new_ones(len(context), self.length)
        counted = valid if self.masked_mean else None
        if self.branches != "temporal":
            response = self._respond(self.channel_convs, context, valid)
            channel = torch.sigmoid(self.channel_fc(masked_mean(response, counted)))
        if self.branches != "channel":
            response = self._respond(self.temporal_convs, context, valid)
            over_time = self.temporal_mode == "time_pool"
            pooled = masked_mean(response, counted) if over_time else response.mean(1)
            temporal = torch.sigmoid(self.temporal_fc(pooled))
        return channel, temporal

    def forward(self, feature: Tensor, context: Tensor, valid: Tensor | None = None) -> Tensor:
        """F (B, C_out, T), R (B, C_in, T), valid (B, T) → F_A (B, C_out, T).

        Raises:
            AttentadError: T is not the `length` that the module was built for.
        """
        self._check_length(feature)
        channel, temporal = self.gates(context, valid)
        self.last_gate = Gate(
            None if self.branches == "channel" else temporal.detach(),
            None if self.branches == "temporal" else channel.detach(),
        )
        by_channel, by_time = feature * channel[:, :, None], feature * temporal[:, None, :]
        if self.branches == "channel":
            attended = by_channel
        elif self.branches == "temporal":
            attended = by_time
        elif self.fusion == "concat":
            attended = torch.cat([by_time, by_channel], dim=1)
        else:
            attended = by_time + by_channel
            if self.fusion == "mean":
                attended = attended / 2
        return attended if self.projection is None else torch.relu(self.projection(attended))

    def _check_length(self, tensor: Tensor) -> None:
        if tensor.shape[-1] != self.length:
            raise AttentadError(
                f"this CSA module was built for T = {self.length} steps and got "
                f"{tensor.shape[-1]}: use the model's own length."
            )

    def _respond(
        self, block: nn.ModuleList | GlobalContext, context: Tensor, valid: Tensor | None
    ) -> Tensor:
        """CB(R): (B, C_in, T) → (B, width, T)."""
        response = masked(context, valid)
        counted = valid if self.masked_mean else None
        if isinstance(block, GlobalContext):
            return block(response, counted)
        for conv in block:
            response = masked(torch.relu(conv(response)), counted)
        return response


class GlobalContext(nn.Module):
    """CB of G-CSA and LG-CSA: a Transformer layer between two convolutions.

    Args:
        context_dim: C_in.
        out_dim: channels of its output.
        transformer: the layer.
        local_kernel: kernel of the first convolution, which then has a ReLU; None is 1×1 without.
    """

    def __init__(
        self, context_dim: int, out_dim: int, transformer: Transformer, local_kernel: int | None
    ) -> None:
        super().__init__()
        hidden_dim = transformer.feature_dim
        self.local = local_kernel is not None
        kernel = local_kernel or 1
        self.conv_in = nn.Conv1d(context_dim, hidden_dim, kernel, padding=kernel // 2)
        self.transformer = transformer
        self.conv_out = nn.Conv1d(hidden_dim, out_dim, 1)

    def forward(self, context: Tensor, valid: Tensor | None = None) -> Tensor:
        """R (B, C_in, T), valid (B, T) → (B, out_dim, T), zeros in the padding."""
        hidden = self.conv_in(context)
        if self.local:
            hidden = torch.relu(hidden)
        return masked(self.conv_out(self.transformer(hidden, context, valid)), valid)


def _context_block(
    kind: Context,
    context_dim: int,
    kernel_size: int,
    transformer: Callable[[], Transformer],
    widths: list[int],
) -> nn.ModuleList | GlobalContext:
    """CB: C_in → widths[-1], or nothing at all."""
    if kind == "feed_forward":
        return nn.ModuleList()
    if kind == "local":
        inputs = [context_dim, *widths[:-1]]
        return nn.ModuleList(
            nn.Conv1d(before, after, kernel_size, padding=kernel_size // 2)
            for before, after in zip(inputs, widths, strict=True)
        )
    local_kernel = kernel_size if kind == "local_global" else None
    return GlobalContext(context_dim, widths[-1], transformer(), local_kernel)


def _check_used(options: Mapping[str, Any]) -> None:
    defaults, context = inspect.signature(CSA).parameters, options["context"]
    for name in _UNUSED[context]:
        if options[name] != defaults[name].default:
            raise AttentadError(f"CSA's {name} means nothing with context {context}: leave it out.")


def _gate_fc(in_dim: int, out_dim: int, reduction: int | None) -> nn.Module:
    if reduction is None:
        return nn.Linear(in_dim, out_dim)
    inner = max(1, in_dim // reduction)
    return nn.Sequential(nn.Linear(in_dim, inner), nn.ReLU(), nn.Linear(inner, out_dim))
