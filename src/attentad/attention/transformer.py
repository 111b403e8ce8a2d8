"""Transformer: self-attention over time (Vaswani et al., NeurIPS 2017), a baseline of CSA.

One encoder layer replaces F (spec csa §1.3): sinusoidal positions, multi-head attention, a
feed-forward network, each with a residual path and a layer norm behind it (post-norm).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attentad.core import AttentadError
from attentad.core.options import Count, DropRate, checked
from attentad.layers.masking import masked


@checked
class Transformer(nn.Module):
    """One encoder layer on (B, C, T), for any T; C is the layer's width.

    Args:
        feature_dim: C.
        heads: attention heads; they must divide C.
        ffn_dim: inner width of the feed-forward network.
        dropout: rate in training.

    Raises:
        AttentadError: the heads do not divide the channels.
    """

    def __init__(
        self, feature_dim: int, *, heads: Count = 8, ffn_dim: Count = 1024, dropout: DropRate = 0.1
    ) -> None:
        super().__init__()
        if feature_dim % heads:
            raise AttentadError(
                f"the Transformer's heads = {heads} must divide its {feature_dim} channels: "
                "set heads to a divisor."
            )
        self.feature_dim = feature_dim
        self.layer = nn.TransformerEncoderLayer(
            feature_dim, heads, ffn_dim, dropout, batch_first=True
        )

    def forward(
        self, feature: Tensor, context: Tensor | None, valid: Tensor | None = None
    ) -> Tensor:
        """F (B, C, T), valid (B, T) → the same shape, zeros in the padding.

        `context` is not used. A valid step attends to valid steps only.

        Raises:
            AttentadError: F is not a sequence.
        """
        if feature.dim() != 3:
            raise AttentadError(
                "the Transformer attends over sequences (B, C, T), not over clips: "
                "use it at a detector's site."
            )
        padding = None
        if valid is not None:
            # An item without any valid step attends to all of its (zero) steps: a softmax over
            # nothing is NaN, which not every attention kernel guards against.
            padding = ~(valid | ~valid.any(1, keepdim=True))
            feature = masked(feature, valid)
        channels, length = feature.shape[1:]
        positions = sinusoidal_positions(channels, length, feature.device).to(feature.dtype)
        steps = (feature + positions).transpose(1, 2)
        attended: Tensor = self.layer(steps, src_key_padding_mask=padding).transpose(1, 2)
        return masked(attended, valid)


def sinusoidal_positions(channels: int, length: int, device: torch.device | None = None) -> Tensor:
    """(C, T) float32: sin(t / 10000^(2i/C)) in channel 2i and the cosine in channel 2i + 1."""
    even = torch.arange(0, channels, 2, device=device)
    rates = torch.exp(even * (-math.log(10_000) / channels))
    angles = rates[:, None] * torch.arange(length, device=device)
    table = torch.empty(channels, length, device=device)
    table[0::2] = angles.sin()
    table[1::2] = angles[: channels // 2].cos()
    return table
