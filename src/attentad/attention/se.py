"""SE: squeeze-and-excitation channel attention (Hu et al., CVPR 2018), the baseline of CSA."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attentad.attention.gate import Gate
from attentad.core.options import Count, checked
from attentad.layers.masking import masked_mean


@checked
class SE(nn.Module):
    """Scales each channel by σ(FC(ReLU(FC(mean of the channel)))).

    Args:
        feature_dim: C.
        reduction: the inner width is max(1, C // reduction); C = 256 gives the published 16.
        masked_mean: whether the mean of a feature that has `valid` leaves the padding out, so that
            padding changes nothing. False averages over all steps, zeros of the padding included.
    """

    def __init__(
        self, feature_dim: int, *, reduction: Count = 16, masked_mean: bool = True
    ) -> None:
        super().__init__()
        inner = max(1, feature_dim // reduction)
        self.masked_mean = masked_mean
        self.squeeze = nn.Linear(feature_dim, inner)
        self.excite = nn.Linear(inner, feature_dim)

    def gate(self, feature: Tensor, valid: Tensor | None = None) -> Tensor:
        """The channel gate, (B, C) in 0..1."""
        if valid is None or not self.masked_mean:
            mean = feature.flatten(2).mean(2)
        else:
            # One mean per step first, so that a (B, C, T, H, W) feature is masked along T too.
            mean = masked_mean(feature.reshape(*feature.shape[:3], -1).mean(3), valid)
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))

    def forward(self, feature: Tensor, context: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, C, T) or (B, C, T, H, W) → the same shape; `context` is not used."""
        gate = self.gate(feature, valid)
        self.last_gate = Gate(channel=gate.detach())
        return feature * gate.reshape(*gate.shape, *[1] * (feature.dim() - 2))
