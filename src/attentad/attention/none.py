"""No attention: the detector as published."""

from __future__ import annotations

from torch import Tensor, nn


class NoAttention(nn.Module):
    """Returns the feature as it is."""

    def forward(self, feature: Tensor, context: Tensor, valid: Tensor | None = None) -> Tensor:
        return feature
