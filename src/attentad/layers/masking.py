"""Steps without video are zero after every layer, so that padding acts like the end of a video."""

from __future__ import annotations

from torch import Tensor


def masked(feature: Tensor, valid: Tensor | None) -> Tensor:
    """(B, C, T, …) with zeros, even for NaN, where `valid` (B, T) is false; None keeps all."""
    if valid is None:
        return feature
    outside = ~valid[:, None]
    return feature.masked_fill(outside[(..., *[None] * (feature.dim() - 3))], 0)
