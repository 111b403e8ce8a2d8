"""SGAlign of G-TAD (Xu et al., CVPR 2020, §3.3): project first, align after.

1-d RoI alignment divides a cell's stretched box into bins and averages a few interpolated points
in each; it is done to the features and to the means of their semantic neighbours, the context. A
1×1 convolution reads all bins of both. Alignment and convolution are linear, so one may apply each
bin's slice W_p of the kernel to the T features and add up the projected features that a cell
touches, as in `layers.boundary_matching`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.layers.boundary_matching import valid_cells
from attentad.layers.sampled_conv import Source, in_parts, relu_linear
from attentad.layers.sparse_rows import (
    BLOCK_ROWS,
    SparseProduct,
    SparseRows,
    from_entries,
    projected_steps,
    sampled_kernel,
    stacked,
)

RoiRule = Literal["gtad", "opentad"]


def regions(
    length: int, max_duration: int, rule: RoiRule
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where alignment begins and ends, in feature indices (integer t = feature t).

    The regions are those of the valid cells (d, s) in row-major order and, last, the region
    [0, 0] that stands for every invalid cell. A proposal of ℓ = d + 1 steps is stretched by ℓ/2
    on both sides; it ends at s + d (`gtad`) or s + d + 1 (`opentad`).
    """
    durations, starts = np.nonzero(valid_cells(length, max_duration))
    half = 0.5 * (durations + 1)
    ends = starts + durations + {"gtad": 0, "opentad": 1}[rule]
    return np.append(starts - half, 0.0), np.append(ends + half, 0.0)


def aligned_taps(
    position: NDArray[np.float64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Index and weight of the features interpolated at `position`, each (..., 2).

    The first and the last feature reach one step beyond the grid, to −1 and to length; further
    outside there is nothing.
    """
    inside = np.clip(position, 0, length - 1)
    low = np.floor(inside)
    weight = np.stack([low + 1 - inside, inside - low], axis=-1)
    weight[(position < -1) | (position > length)] = 0
    index = np.stack([low, np.minimum(low + 1, length - 1)], axis=-1).astype(np.int64)
    return index, weight


def align_weights(length: int, max_duration: int, bins: int, rule: RoiRule = "gtad") -> SparseRows:
    """1-d RoI alignment as a matrix: row = region (see `regions`), column = t·bins + p.

    A bin p is the mean of as many equidistant points as it is steps long, rounded up.
    """
    first, last = regions(length, max_duration, rule)
    blocks = range(BLOCK_ROWS, len(first), BLOCK_ROWS)
    parts = zip(np.split(first, blocks), np.split(last, blocks), strict=True)
    return stacked([_aligned(*part, length, bins) for part in parts])


def _aligned(
    first: NDArray[np.float64], last: NDArray[np.float64], length: int, bins: int
) -> SparseRows:
    """The rows of `align_weights` of the regions first..last."""
    bin_length = np.maximum(last - first, 1) / bins
    points = np.ceil(bin_length).astype(np.int64)
    row_parts, column_parts, value_parts = [], [], []
    for count in np.unique(points):
        rows = np.flatnonzero(points == count)
        size = bin_length[rows, None, None]
        corner = first[rows, None, None] + np.arange(bins)[:, None] * size
        position = corner + (np.arange(count) + 0.5) * size / count
        index, weight = aligned_taps(position, length)
        row, p, _, _ = used = np.nonzero(weight)
        row_parts.append(rows[row])
        column_parts.append(index[used] * bins + p)
        value_parts.append(weight[used] / count)
    return from_entries(
        np.concatenate(row_parts),
        np.concatenate(column_parts),
        np.concatenate(value_parts),
        (len(first), length * bins),
    )


def _joined(left: SparseRows, right: SparseRows, length: int) -> SparseRows:
    """Both matrices in one: a step's columns are those of the left and then those of the right."""
    bins = [each.column_count // length for each in (left, right)]
    columns = []
    for each, own, before in zip((left, right), bins, (0, bins[0]), strict=True):
        step, p = np.divmod(each.columns.astype(np.int64), own)
        columns.append(step * sum(bins) + before + p)
    return from_entries(
        np.concatenate([left.rows, right.rows]),
        np.concatenate(columns),
        np.concatenate([left.values, right.values]),
        (len(left.row_starts) - 1, length * sum(bins)),
    )


class SGAlign(nn.Module):
    """Features and context (B, C_in, T) → (B, cells + 1, C_out), before any ReLU.

    Equals alignment followed by Conv2d(C_in·(interior + context), C_out, 1) at the valid cells in
    (d, s) row-major order. The last row is what the published layer has in every invalid cell.

    Args:
        in_dim, out_dim: C_in and C_out.
        length, max_duration: T and D.
        interior, context: bins of the features and of the context.
        rule: which region is aligned, see `regions`.

    The parameter `weight` is (interior + context, C_out, C_in): a Conv2d kernel
    (C_out, C_in·(interior + context), 1, 1), whose bins vary fastest, with its bins in front.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        length: int,
        max_duration: int,
        *,
        interior: int = 32,
        context: int = 4,
        rule: RoiRule = "gtad",
    ) -> None:
        super().__init__()
        self.interior, self.context = interior, context
        self.weight, self.bias = sampled_kernel(interior + context, out_dim, in_dim)
        matrix = align_weights(length, max_duration, interior, rule)
        if interior != context:
            matrix = _joined(matrix, align_weights(length, max_duration, context, rule), length)
        self.alignment = SparseProduct(matrix)
        column = 0 if interior == context else interior
        self.sources = (Source(0, interior, 0), Source(interior, context, column))

    def forward(self, feature: Tensor, context: Tensor) -> Tensor:
        """(B, C_in, T) twice → (B, cells + 1, C_out)."""
        aligned: Tensor = self.alignment(self._project(feature, context, self.weight))
        return aligned.add_(self.bias)

    def relu_linear(self, feature: Tensor, context: Tensor, then: nn.Linear) -> Tensor:
        """`then(relu(self(feature, context)))`, (B, cells + 1, C), in less memory and time."""
        if not in_parts(feature):
            return then(self(feature, context).relu_())
        kernel = (self.weight, self.bias)
        return relu_linear(self.alignment, self.sources, (feature, context), kernel, then)

    def _project(self, feature: Tensor, context: Tensor, weight: Tensor) -> Tensor:
        """W_p x for every step t and bin p: (B, rows, C).

        A step's rows are its interior bins and then those of the context; with as many bins in
        both, which are then aligned alike, one row is the sum of both.
        """
        kernels = weight.split([self.interior, self.context])
        parts = list(map(projected_steps, (feature, context), kernels))
        if self.interior == self.context:
            return parts[0] + parts[1]
        by_step = [part.unflatten(1, (feature.shape[2], -1)) for part in parts]
        return torch.cat(by_step, dim=2).flatten(1, 2)
