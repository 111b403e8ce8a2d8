"""DBG's proposal feature generation (Lin et al., AAAI 2020; spec csa §4.1): project, then sample.

A *cell* is a proposal of the steps start..end, inclusive, n = end − start + 1 of them; the cells
with start ≤ end come row by row of the map [start, end]. DBG samples each at 8 points around its
start, 16 inside and 8 around its end, and a Conv3d runs over the points. Both are linear, so each
point's slice W_k of the kernel can be applied to the T features and every cell then adds up the
two projected features beside each of its points:

    out[cell] = bias + Σ_k (1 − f_k)·W_k x[⌊u_k⌋] + f_k·W_k x[⌊u_k⌋ + 1],   f_k = u_k − ⌊u_k⌋,

instead of sampling C_in·points·T² values. Where there is no cell nothing is computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.layers.sparse_rows import SparseProduct, from_entries, projected_steps

POINTS = (8, 16, 8)


def proposal_cells(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last step of every cell, row by row of the map [start, end]."""
    starts, ends = np.triu_indices(length)
    return starts.astype(np.int64), ends.astype(np.int64)


def sampling_points(
    starts: NDArray[np.int64], ends: NDArray[np.int64], points: Sequence[int] = POINTS
) -> NDArray[np.float64]:
    """Where each cell is sampled, in feature indices (integer t = feature t): (cells, Σ points).

    The points around the start lie evenly in start ± n/5, those inside in start..end, those around
    the end in end ± n/5, all with both ends included; they may lie outside the grid.
    """
    around, inside, behind = (np.arange(count) / max(1, count - 1) for count in points)
    start, end = starts[:, None].astype(np.float64), ends[:, None].astype(np.float64)
    fifth = (end - start + 1) / 5
    parts = [
        start - fifth + 2 * fifth * around,
        start + (end - start) * inside,
        end - fifth + 2 * fifth * behind,
    ]
    return np.concatenate(parts, axis=1)


def repeat_last(feature: Tensor, valid: Tensor | None) -> Tensor:
    """Steps of padding replaced by the last step of video before them: (B, ..., T), valid (B, T).

    Sampling beyond the video then repeats its last feature, as it does beyond the grid.
    """
    if valid is None:
        return feature
    steps = torch.arange(feature.shape[-1], device=feature.device)
    last = torch.where(valid, steps, 0).cummax(dim=1).values
    index = last.view(len(last), *[1] * (feature.ndim - 2), -1).expand_as(feature)
    return feature.gather(-1, index)


class ProposalFeatures(nn.Module):
    """Features (B, C_in, T) → features of the cells (B, cells, C_out), before any ReLU.

    Equals proposal feature generation followed by Conv3d(C_in, C_out, (points, 1, 1)) where
    start ≤ end. Beyond the grid the first or the last feature counts.

    Args:
        in_dim: C_in.
        out_dim: C_out.
        length: T, steps of the grid.
        points: how many around the start, inside, and around the end.

    The parameter `weight` is (Σ points, C_out, C_in): a Conv3d kernel (C_out, C_in, points, 1, 1)
    with its points in front; Xavier-uniform as that kernel, `bias` zero.
    """

    def __init__(
        self, in_dim: int, out_dim: int, length: int, points: Sequence[int] = POINTS
    ) -> None:
        super().__init__()
        count = sum(points)
        self.weight = nn.Parameter(torch.empty(count, out_dim, in_dim))
        self.bias = nn.Parameter(torch.zeros(out_dim))
        bound = (6 / (count * (in_dim + out_dim))) ** 0.5
        nn.init.uniform_(self.weight, -bound, bound)
        position = sampling_points(*proposal_cells(length), points).clip(0, length - 1)
        below = np.floor(position).astype(np.int64)
        # The last feature has no right neighbour and needs none: its weight there is 0.
        steps = np.stack([below, np.minimum(below + 1, length - 1)], axis=-1)
        taps = np.stack([below + 1 - position, position - below], axis=-1)
        cell, point, _ = used = np.nonzero(taps)
        steps, taps = steps[used], taps[used]
        cells = len(position)
        matrix = from_entries(cell, steps * count + point, taps, (cells, length * count))
        self.sampling = SparseProduct(matrix)
        matrix = from_entries(cell * count + point, steps, taps, (cells * count, length))
        self.interpolation = SparseProduct(matrix)

    def forward(self, feature: Tensor, then: nn.Linear | None = None) -> Tensor:
        """(B, C_in, T) → (B, cells, C_out), or with `then` that layer of it."""
        return self.sample(self.project(feature, then))

    def project(self, feature: Tensor, then: nn.Linear | None = None) -> Tensor:
        """W_k x for every step and point k: (B, C_in, T) → (B, T·points, C).

        With `then`, a layer that follows the Conv3d without anything between, both are merged into
        one kernel first, which is cheaper than applying it to every cell.
        """
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if then is not None:
            weight, bias = then.weight @ weight, then(bias)
        # A cell's taps of one point add up to 1: the shares of the bias come together again.
        shares = (bias / len(weight)).repeat(len(weight))
        return projected_steps(feature, weight, shares)

    def sample(self, projected: Tensor) -> Tensor:
        """(B, T·points, C) → (B, cells, C)."""
        sampled: Tensor = self.sampling(projected)
        return sampled

    def values(self, score: Tensor) -> Tensor:
        """The samples themselves of one channel: (B, T) → (B, cells, points).

        With one channel sampling is less work than any convolution after it.
        """
        sampled: Tensor = self.interpolation(score.t()[None])[0]
        return sampled.t().unflatten(1, (-1, len(self.weight)))
