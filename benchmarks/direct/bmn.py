"""BMN computed as published: sample first, convolve over the whole map.

The features are multiplied with a dense sampling mask, T × (N·D·T), and a Conv3d with kernel
(N, 1, 1) and 2-d convolutions run over every cell of the map, D × T, valid or not. Same parameters
and state dict as ours.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attentad.detection.bmn import BMN
from attentad.layers.boundary_matching import sampling_weights, valid_cells
from attentad.layers.masking import masked
from attentad.layers.network_ends import probability


class DirectBMN(BMN):
    """BMN with the same parameters and the direct proposal maps.

    Args:
        feature_dim: C_in.
        length: T.
        max_duration: D; T by default.
    """

    mask: Tensor
    cells: Tensor

    def __init__(self, feature_dim: int, length: int, *, max_duration: int | None = None) -> None:
        super().__init__(feature_dim, length, max_duration=max_duration)
        mask = dense_mask(length, self.max_duration, len(self.matching.weight))
        self.register_buffer("mask", mask.flatten(1), persistent=False)
        cells = torch.from_numpy(valid_cells(length, self.max_duration))
        self.register_buffer("cells", cells, persistent=False)

    def _proposals(self, feature: Tensor, valid: Tensor | None) -> Tensor:
        feature = masked(torch.relu(self.pem_conv(feature)), valid)
        bins = len(self.matching.weight)
        sampled = feature @ self.mask.to(feature.dtype)
        sampled = sampled.unflatten(2, (bins, *self.cells.shape))
        kernel = self.matching.weight.permute(1, 2, 0)[..., None, None]
        image = functional.conv3d(sampled, kernel, self.matching.bias, stride=(bins, 1, 1))
        image = torch.relu(_pointwise(self.map_in, torch.relu(image.squeeze(2))))
        for conv in self.map_convs.convs:
            image = torch.relu(conv(image))
        maps = probability(_pointwise(self.map_out, image), self.map_out.weight)
        return maps * self.cells


def _pointwise(layer: nn.Linear, image: Tensor) -> Tensor:
    return functional.conv2d(image, layer.weight[..., None, None], layer.bias)


def dense_mask(length: int, max_duration: int, bins: int) -> Tensor:
    """The sampling mask (T, N, D, T), zero where a proposal leaves the grid."""
    matrix = sampling_weights(length, max_duration, bins)
    cells = np.flatnonzero(valid_cells(length, max_duration))
    position = np.repeat(cells, np.diff(matrix.row_starts))
    step, sample = np.divmod(matrix.columns, bins)
    mask = torch.zeros(length, bins, max_duration * length)
    mask[step, sample, position] = torch.from_numpy(matrix.values).float()
    return mask.unflatten(2, (max_duration, length))
