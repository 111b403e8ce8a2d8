"""From decoded pictures to what a network takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def normalised(clip: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 RGB pictures (L, H, W, 3) → float32 (3, L, H, W), (x / 255 − mean) / std."""
    scale = torch.tensor([1 / (255 * s) for s in std], device=clip.device)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=clip.device)
    # Multiplying in the pictures' own layout and permuting afterwards spares strided reads.
    return torch.addcmul(shift, clip.float(), scale).permute(3, 0, 1, 2).contiguous()


def resized(clip: Tensor, size_px: int) -> Tensor:
    """float (3, L, H, W) → (3, L, size_px, size_px), bilinear, smoothed when it shrinks."""
    if clip.shape[-2:] == (size_px, size_px):
        return clip
    pictures = functional.interpolate(
        clip.transpose(0, 1), (size_px, size_px), mode="bilinear", antialias=True
    )
    return pictures.transpose(0, 1).contiguous()
