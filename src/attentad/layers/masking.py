"""Steps without video are zero after every layer, so that padding acts like the end of a video."""

from __future__ import annotations

from torch import Tensor


def masked(feature: Tensor, valid: Tensor | None) -> Tensor:
    """(B, C, T, …) with zeros, even for NaN, where `valid` (B, T) is false; None keeps all."""
    if valid is None:
        return feature
    outside = ~valid[:, None]
    return feature.masked_fill(outside[(..., *[None] * (feature.dim() - 3))], 0)


def masked_mean(steps: Tensor, valid: Tensor | None) -> Tensor:
    """(B, C, T) → (B, C), over the steps where `valid` (B, T) is true; None takes all."""
    if valid is None:
        return steps.mean(2)
    return masked(steps, valid).sum(2) / valid.sum(1, keepdim=True).clamp(min=1)
