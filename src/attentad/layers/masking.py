"""Steps without video are zero after every layer, so that padding acts like the end of a video."""

from __future__ import annotations

from torch import Tensor


def masked(feature: Tensor, valid: Tensor | None) -> Tensor:
    """(B, C, T) with zeros, even for NaN, where `valid` (B, T) is false; None keeps everything."""
    return feature if valid is None else feature.masked_fill(~valid[:, None], 0)
