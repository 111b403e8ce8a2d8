"""DBG with its proposal maps computed as published: sample first, convolve over the whole map.

32 points of 128 channels are sampled for every cell of the map, T × T, and a Conv3d and 1×1
convolutions with ReLU and dropout run over all of it. Same parameters and state dict as ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attentad.detection.dbg import DBG
from attentad.layers.network_ends import probability
from attentad.layers.proposal_features import POINTS

MASK_LENGTH = 128


def proposal_features(feature: Tensor, points: Sequence[int] = POINTS) -> Tensor:
    """Proposal feature generation: (B, C, T) → (B, C, points, T, T), zero where start > end."""
    batch, channels, length = feature.shape
    position, inside = _positions(length, points, feature.device)
    below = position.floor()
    right = (position - below).to(feature.dtype)
    left = below.long().clamp(0, length - 1)
    after = (below.long() + 1).clamp(0, length - 1)
    sampled = feature.index_select(2, left.flatten()).mul_(((1 - right) * inside).flatten())
    sampled += feature.index_select(2, after.flatten()) * (right * inside).flatten()
    return sampled.view(batch, channels, sum(points), length, length)


def _positions(length: int, points: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Sampling positions (points, T, T) and the mask (T, T) of the cells with start ≤ end."""
    grid = torch.arange(length, dtype=torch.float64, device=device)
    start, end = grid[:, None].expand(length, length), grid.expand(length, length)
    fifth = (end - start + 1) / 5
    first, middle, last = (
        (torch.arange(count, device=device) / max(1, count - 1)).double()[:, None, None]
        for count in points
    )
    parts = [
        start - fifth + 2 * fifth * first,
        start + (end - start) * middle,
        end - fifth + 2 * fifth * last,
    ]
    return torch.cat(parts), end >= start


class DirectDBG(DBG):
    """DBG with the same parameters and the direct proposal maps; arguments as DBG's.

    Sampling is a product with a dense mask, T × points·T², which is the faster way on a processor
    as long as the mask fits: it has 128 MB at T = 100.
    """

    mask: Tensor | None

    def __init__(self, feature_dim: int, length: int, **options: Any) -> None:
        super().__init__(feature_dim, length, **options)
        mask = None
        if length <= MASK_LENGTH:
            mask = proposal_features(torch.eye(length)[None], self.points)[0].flatten(1)
        self.register_buffer("mask", mask, persistent=False)

    def _sample(self, feature: Tensor) -> Tensor:
        """(B, C, T) → (B, C, points, T, T)."""
        if self.mask is None:
            return proposal_features(feature, self.points)
        shape = (sum(self.points), self.length, self.length)
        return (feature @ self.mask.to(feature.dtype)).unflatten(2, shape)

    def _proposals(self, feature: Tensor, score: Tensor) -> Tensor:
        count = len(self.pfg.weight)
        kernel = self.pfg.weight.permute(1, 2, 0)[..., None, None]
        sampled = self._sample(feature)
        image = nn.functional.conv3d(sampled, kernel, self.pfg.bias, stride=(count, 1, 1))
        image = image.squeeze(2)
        if self.tf_relu:
            image = torch.relu(image)
        boundaries = self._convolve(self.tbc, image)
        completeness = self._convolve(self.acr, self._sample(score[:, None])[:, 0])
        maps = probability(torch.cat([completeness, boundaries], dim=1), self.pfg.weight)
        return maps.triu()

    def _convolve(self, layers: Any, image: Tensor) -> Tensor:
        for layer in layers[:2]:
            image = torch.relu(_pointwise(layer, image))
            image = nn.functional.dropout(image, self.dropout, self.training)
        return _pointwise(layers[2], image)


def _pointwise(layer: nn.Linear, image: Tensor) -> Tensor:
    return nn.functional.conv2d(image, layer.weight[..., None, None], layer.bias)
