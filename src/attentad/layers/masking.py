"""Steps without video are zero after every layer, so that padding acts like the end of a video."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

InputNorm = Literal["none", "video", "both"]
TINY = 1e-12  # of a variance
ROUNDING = 1e-6  # of a mean


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


def with_change(features: Tensor, valid: Tensor | None, steps: int) -> Tensor:
    """R (B, C, T) and beside it how much each channel changes, (B, 2C, T).

    The change at a step is |R_t − R_{t−1}|, 0 at the first; it is averaged over `steps` (an odd
    number) around t, those where `valid` (B, T) is true; None takes all. Zeros elsewhere.
    """
    change = masked(functional.pad(features.diff(dim=2).abs(), (1, 0)), valid)
    there = torch.ones_like(features[:, :1]) if valid is None else valid[:, None].to(features.dtype)
    total, count = (
        functional.avg_pool1d(summed, steps, 1, steps // 2) * steps for summed in (change, there)
    )
    return torch.cat([features, masked(total / count.clamp(min=1), valid)], dim=1)


def normalised_input(features: Tensor, valid: Tensor | None, norm: InputNorm) -> Tensor:
    """R (B, C, T) as a network reads it.

    Args:
        features: R.
        valid: (B, T), or None for all.
        norm: `video` brings each channel to mean 0 and deviation 1 over the view's steps, so that
            what a video shows throughout does not count; `none` leaves R as it is; `both` has R
            and then that beside it, twice as many channels.
    """
    if norm == "none":
        return features
    standard = standardised(features, valid)
    return standard if norm == "video" else torch.cat([features, standard], dim=1)


def normalised_dim(feature_dim: int, norm: InputNorm) -> int:
    """Channels of `normalised_input`."""
    return 2 * feature_dim if norm == "both" else feature_dim


def standardised(steps: Tensor, valid: Tensor | None) -> Tensor:
    """(B, C, T) with mean 0 and deviation 1 of every item's channels; 0 where one is constant.

    Over the steps where `valid` (B, T) is true; None takes all. Zeros elsewhere.
    """
    mean = masked_mean(steps, valid)[..., None]
    centred = masked(steps - mean, valid)
    variance = masked_mean(centred.square(), valid)[..., None]
    rounding = TINY + (ROUNDING * mean).square()  # what a constant channel may have
    return centred * torch.where(variance > rounding, variance.clamp(min=TINY).rsqrt(), 0.0)
