"""The boundary-matching layer of BMN (Lin et al., ICCV 2019, §4.2): project first, sample after.

A *cell* of the proposal map is a start step s and a duration of d + 1 steps, the box
[s, s + d + 1) in grid coordinates. BMN samples every cell's stretched box at N·S points, averages
them in N bins and runs a Conv3d over the bins. Both are linear, so one may apply each bin's slice
W_n of the kernel to the T features and add up the few projected features that a cell touches:

    out[:, cell] = bias + Σ_n Σ_t m[t, n, cell] · (W_n x)[:, t],

with at most 2·S non-zero m per bin and cell. The dense m is never built.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

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

SampleRule = Literal["pd", "jj"]
Border = Literal["legacy", "zero", "clamp"]


def valid_cells(length: int, max_duration: int) -> NDArray[np.bool_]:
    """Which cells (d, s) lie inside the grid: s + d + 1 ≤ length; (max_duration, length)."""
    durations, starts = np.arange(max_duration)[:, None], np.arange(length)[None, :]
    inside: NDArray[np.bool_] = starts + durations + 1 <= length
    return inside


def sampled_interval(
    starts: NDArray[Any], durations: NDArray[Any], rule: SampleRule
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where sampling of cells (d, s) begins and ends, in feature indices (integer t = feature t).

    Both rules stretch the proposal by half its length ℓ on both sides. `pd` (authors' code):
    ℓ = d + 1, from s to s + d. `jj` (the PyTorch re-implementation): ℓ = d + 2, from s to
    s + d + 1.
    """
    extra = {"pd": 0, "jj": 1}[rule]
    half = 0.5 * (durations + 1 + extra)
    return starts - half, starts + durations + extra + half


def interpolation(
    position: NDArray[np.float64], length: int, border: Border
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The two taps of linear interpolation at `position`: index and weight, each (..., 2).

    Inside 0..length − 1 all borders agree. Outside, `zero` interpolates towards zeros, `clamp`
    repeats the first and last feature, and `legacy` does what the published code does: nothing at
    or beyond −1 and length, the full first feature in (−1, 0) because its index is truncated
    towards zero, and the fading last feature in (length − 1, length). Taps of weight 0 have
    index 0.
    """
    if border == "clamp":
        position = np.clip(position, 0, length - 1)
    floor = np.floor(position)
    index = np.stack([floor, floor + 1], axis=-1).astype(np.int64)
    weight = np.stack([floor + 1 - position, position - floor], axis=-1)
    weight[(index < 0) | (index >= length)] = 0
    if border == "legacy":
        weight[(position > -1) & (position < 0), 1] = 1
    index[weight == 0] = 0
    return index, weight


def sampling_weights(
    length: int,
    max_duration: int,
    bins: int = 32,
    samples: int = 3,
    rule: SampleRule = "pd",
    border: Border = "legacy",
) -> SparseRows:
    """The sampling matrix m of the valid cells, in (d, s) row-major order.

    Row = cell, column = t·bins + n, value = the weight of feature t in bin n of that cell. A bin
    is the mean of `samples` neighbouring points; points outside the grid count in its divisor.
    """
    durations, starts = np.nonzero(valid_cells(length, max_duration))
    first, last = sampled_interval(starts, durations, rule)
    blocks = range(BLOCK_ROWS, len(first), BLOCK_ROWS)
    parts = zip(np.split(first, blocks), np.split(last, blocks), strict=True)
    return stacked([_sampled(*part, length, bins, samples, border) for part in parts])


def _sampled(
    first: NDArray[np.float64],
    last: NDArray[np.float64],
    length: int,
    bins: int,
    samples: int,
    border: Border,
) -> SparseRows:
    """The rows of `sampling_weights` of cells sampled from first to last."""
    point = np.arange(bins * samples)
    steps = (last - first)[:, None] * point / max(1, bins * samples - 1)
    index, weight = interpolation(first[:, None] + steps, length, border)
    cell, sample, _ = used = np.nonzero(weight)
    column = index[used] * bins + sample // samples
    return from_entries(cell, column, weight[used] / samples, (len(first), length * bins))


class BoundaryMatching(nn.Module):
    """Features (B, C_in, T) → features of the valid cells (B, cells, C_out), before any ReLU.

    Equals BMN's sampling mask followed by Conv3d(C_in, C_out, (bins, 1, 1)) at the valid cells in
    (d, s) row-major order. In an invalid cell the published layer samples zeros, so its output
    there is `bias`.

    Args:
        in_dim, out_dim: C_in and C_out.
        length, max_duration: T and D, as all below see `sampling_weights`.
        bins, samples, rule, border: N and S, the interval that is sampled, and what lies outside.

    The parameter `weight` is (bins, C_out, C_in): a Conv3d kernel (C_out, C_in, bins, 1, 1) with
    its bins in front.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        length: int,
        max_duration: int,
        *,
        bins: int = 32,
        samples: int = 3,
        rule: SampleRule = "pd",
        border: Border = "legacy",
    ) -> None:
        super().__init__()
        self.weight, self.bias = sampled_kernel(bins, out_dim, in_dim)
        matrix = sampling_weights(length, max_duration, bins, samples, rule, border)
        self.sampling = SparseProduct(matrix)

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C_in, T) → (B, cells, C_out)."""
        sampled: Tensor = self.sampling(projected_steps(feature, self.weight))
        return sampled.add_(self.bias)

    def relu_linear(self, feature: Tensor, then: nn.Linear) -> Tensor:
        """`then(relu(self(feature)))`, (B, cells, C), in less memory and time."""
        if not in_parts(feature):
            return then(self(feature).relu_())
        source, kernel = Source(0, len(self.weight), 0), (self.weight, self.bias)
        return relu_linear(self.sampling, [source], [feature], kernel, then)
