"""CBAM: convolutional block attention (Woo et al., ECCV 2018), a baseline of CSA.

    channel: F' = F ⊙ σ(MLP(mean F) + MLP(max F))             over every position, one shared MLP
    time:    F_A = F' ⊙ σ(conv_{2→1}([mean F' ; max F']))     over the channels

On sequences the second gate runs over time (spec csa §1.3), on clips over time and space.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attentad.attention.gate import Gate
from attentad.core.options import Count, OddCount, checked
from attentad.layers.masking import masked, masked_mean


@checked
class CBAM(nn.Module):
    """Gates (B, C, T) or (B, C, T, H, W) by channel, then by position. Padding changes nothing.

    Args:
        feature_dim: C.
        height: H at the site, 1 for sequences.
        width: W at the site, 1 for sequences. The position gate's kernel reaches over a side only
            where it is longer than 1.
        reduction: the MLP's inner width is max(1, C // reduction); C = 256 gives 16.
        kernel_size: of the position gate's convolution.
    """

    def __init__(
        self,
        feature_dim: int,
        height: int = 1,
        width: int = 1,
        *,
        reduction: Count = 16,
        kernel_size: OddCount = 7,
    ) -> None:
        super().__init__()
        inner = max(1, feature_dim // reduction)
        self.mlp = nn.Sequential(
            nn.Linear(feature_dim, inner), nn.ReLU(), nn.Linear(inner, feature_dim)
        )
        kernel = (kernel_size, kernel_size if height > 1 else 1, kernel_size if width > 1 else 1)
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.position_conv = nn.Conv3d(2, 1, kernel, padding=padding)

    def channel_gate(self, feature: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, C, T) or (B, C, T, H, W) → (B, C) in 0..1."""
        # One number per step first, so that clips are masked along T too.
        steps = feature.reshape(*feature.shape[:3], -1)
        mean, largest = masked_mean(steps.mean(3), valid), steps.amax(3)
        if valid is not None:
            largest = largest.masked_fill(~valid[:, None], -torch.inf)
        largest = largest.amax(2)
        if valid is not None:
            largest = largest.masked_fill(~valid.any(1, keepdim=True), 0)
        return torch.sigmoid(self.mlp(mean) + self.mlp(largest))

    def position_gate(self, feature: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, C, T) → (B, 1, T), (B, C, T, H, W) → (B, 1, T, H, W), in 0..1."""
        pooled = torch.cat([feature.mean(1, keepdim=True), feature.amax(1, keepdim=True)], dim=1)
        # The padding looks like what lies beyond the end.
        pooled = masked(pooled, valid)
        sequence = pooled.dim() == 3
        logits = self.position_conv(pooled[..., None, None] if sequence else pooled)
        return torch.sigmoid(logits[..., 0, 0] if sequence else logits)

    def forward(
        self, feature: Tensor, context: Tensor | None, valid: Tensor | None = None
    ) -> Tensor:
        """(B, C, T) or (B, C, T, H, W), valid (B, T) → the same shape; `context` is not used."""
        channel = self.channel_gate(feature, valid)
        feature = feature * channel.reshape(*channel.shape, *[1] * (feature.dim() - 2))
        position = self.position_gate(feature, valid)
        by_step = position.detach().reshape(len(feature), feature.shape[2], -1).mean(2)
        self.last_gate = Gate(by_step, channel.detach())
        return feature * position
