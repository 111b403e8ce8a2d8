"""STA: a spatio-temporal attention module for 3D CNNs (Li et al.).

Five layers (Eqs. 1–7, Fig. 2, Table IV): Conv1 sums every frame up in one number, Deconv widens
that signal in time, ReLU, Conv2 turns it into one logit per frame and channel, Sigmoid. The
weights W scale the features.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from attentad.attention.gate import Gate
from attentad.core import AttentadError
from attentad.core.options import Count, checked
from attentad.layers.masking import masked

TAPS = 3  # kernel of Deconv and Conv2 in time


@checked
class STA(nn.Module):
    """Spatio-temporal attention on (B, C, L, H, W), or on (B, C, T) as L = T, H = W = 1.

    With the defaults it has C·(H·W + 4) + 5 parameters.

    Args:
        feature_dim: channels C.
        length: frames L. Only `variant="sa"` with `sa_time="conv"` depends on it.
        height, width: spatial size that Conv1 spans.
        variant: `sta` weighs frames and channels, `ta` frames only (one weight shared by all
            channels), `sa` channels only (one weight shared by all frames; Eq. 4).
        step: the step size of Deconv, which is also Conv2's, so that L frames give L weights
            again (Fig. 7; 1 is best there).
        deconv: false leaves Deconv out (Table IX); Conv2 then pads by 1 (`sta`, `ta`) or has a
            kernel of 1 (`sa`, where a pair of linear maps remains). None is true, with `sa` false:
            the paper merges all that squeezes, S_s, into Conv1, and one number has no time to
            be widened in.
        deconv_padding: 0 widens L to (L−1)·step + 3; 1 keeps the length, and Conv2 pads by 1.
        sa_time: how `sa` sums up time: `conv` (Conv1 spans the L frames) or `mean`.
        squeeze_channels: channels between Conv1 and Conv2; 1 in the paper's count.
        gate: what the logits become: `sigmoid`, `2sigmoid` or `1+sigmoid`.
        gate_bias: when given, Conv2 starts with zero weights and this bias, for instance 4 to
            start near the identity when a trained network is fine-tuned.
        on_size_mismatch: what happens to features of another size than Conv1 spans: `pool`
            averages them adaptively to it first, `error` refuses them.

    Raises:
        AttentadError: `step` or `deconv_padding` without Deconv.
    """

    def __init__(
        self,
        feature_dim: int,
        length: int = 1,
        height: int = 1,
        width: int = 1,
        *,
        variant: Literal["sta", "ta", "sa"] = "sta",
        step: Count = 1,
        deconv: bool | None = None,
        deconv_padding: Literal[0, 1] = 0,
        sa_time: Literal["conv", "mean"] = "conv",
        squeeze_channels: Count = 1,
        gate: Literal["sigmoid", "2sigmoid", "1+sigmoid"] = "sigmoid",
        gate_bias: float | None = None,
        on_size_mismatch: Literal["pool", "error"] = "pool",
    ) -> None:
        super().__init__()
        if deconv is None:
            deconv = variant != "sa"
        if not deconv and (step > 1 or deconv_padding):
            said = "step" if step > 1 else "deconv_padding"
            raise AttentadError(
                f"sta: {said} is Deconv's, which is not there: set deconv: true or leave it out."
            )
        self.variant, self.sa_time, self.gate = variant, sa_time, gate
        self.step, self.deconv_padding = step, deconv_padding
        self.on_size_mismatch = on_size_mismatch
        # What Conv1 spans; None = any number of frames, each summed up on its own.
        self.span = (length if variant == "sa" and sa_time == "conv" else None, height, width)

        squeeze, gates = squeeze_channels, 1 if variant == "ta" else feature_dim
        self.conv1 = nn.Conv3d(feature_dim, squeeze, (self.span[0] or 1, height, width))
        self.deconv: nn.ConvTranspose1d | None = None
        if deconv:
            self.deconv = nn.ConvTranspose1d(
                squeeze, squeeze, TAPS, stride=step, padding=deconv_padding
            )
            self.conv2 = nn.Conv1d(squeeze, gates, TAPS, stride=step, padding=deconv_padding)
        elif variant == "sa":
            self.conv2 = nn.Conv1d(squeeze, gates, 1)
        else:
            self.conv2 = nn.Conv1d(squeeze, gates, TAPS, padding=1)
        if gate_bias is not None and self.conv2.bias is not None:
            nn.init.zeros_(self.conv2.weight)
            nn.init.constant_(self.conv2.bias, gate_bias)

    def forward(
        self, feature: Tensor, context: Tensor | None, valid: Tensor | None = None
    ) -> Tensor:
        """Scale the features by their weights (Eq. 7).

        Args:
            feature: (B, C, L, H, W) or (B, C, T) float.
            context: not used, as the module looks at the features themselves.
            valid: (B, L) bool, true where there is video; frames outside change no weight inside.

        Returns:
            The same shape as `feature`.

        Raises:
            AttentadError: the size differs from Conv1's with `on_size_mismatch="error"`.
        """
        weights = self.weights(feature, valid)
        seen = weights.detach()
        self.last_gate = (
            Gate(channel=seen[:, :, 0]) if self.variant == "sa" else Gate(time=seen.mean(1))
        )
        if feature.ndim == 5:
            weights = weights[:, :, :, None, None]
        return feature * weights

    def weights(self, feature: Tensor, valid: Tensor | None = None) -> Tensor:
        """The attention weights W (Eq. 6): (B, C, L), with C = 1 for `ta` and L = 1 for `sa`."""
        squeezed = self._squeeze(feature, valid)
        # `sa` has summed time up already: no frame is left that could be outside the video.
        inside = None if self.variant == "sa" else valid
        # Padded frames add nothing to their neighbours, just as frames past the end.
        squeezed = masked(squeezed, inside)
        if self.deconv is not None:
            squeezed = self.deconv(squeezed)
            if inside is not None and self.deconv_padding:
                squeezed = masked(squeezed, self._inside_widened(inside))
        weights = torch.sigmoid(self.conv2(torch.relu(squeezed)))
        if self.gate == "2sigmoid":
            return 2 * weights
        return 1 + weights if self.gate == "1+sigmoid" else weights

    def _squeeze(self, feature: Tensor, valid: Tensor | None) -> Tensor:
        """Conv1: (B, C, L, H, W) → (B, S, L), or (B, S, 1) when time is summed up too."""
        if feature.ndim == 3:
            feature = feature[:, :, :, None, None]
        if self.variant == "sa":
            feature = self._without_padding(feature, valid)
        length, height, width = feature.shape[2:]
        wanted = (self.span[0] or length, self.span[1], self.span[2])
        if (length, height, width) != wanted:
            if self.on_size_mismatch == "error":
                raise AttentadError(
                    f"sta was made for {_size(self.span)} features (frames×height×width) but gets "
                    f"{length}×{height}×{width}; change the clip's size or set "
                    "on_size_mismatch: pool."
                )
            feature = functional.adaptive_avg_pool3d(feature, wanted)
        return self.conv1(feature).flatten(2)

    def _without_padding(self, feature: Tensor, valid: Tensor | None) -> Tensor:
        """For `sa`: padded frames zeroed; with `sa_time="mean"` the mean of the others."""
        feature = masked(feature, valid)
        if self.sa_time == "conv":
            return feature
        if valid is None:
            return feature.mean(dim=2, keepdim=True)
        count = valid.sum(1).clamp(min=1)
        return feature.sum(dim=2, keepdim=True) / count[:, None, None, None, None]

    def _inside_widened(self, valid: Tensor) -> Tensor:
        """(B, L) → (B, (L−1)·step + 1): a point between two frames is inside if both are."""
        points = torch.arange((valid.shape[1] - 1) * self.step + 1, device=valid.device)
        before, after = points // self.step, (points + self.step - 1) // self.step
        return valid[:, before] & valid[:, after]


def _size(span: tuple[int | None, int, int]) -> str:
    return "×".join("any" if size is None else str(size) for size in span)
