"""2-D convolutions over the proposal map, of which only the valid triangle is of interest.

About half of the map's cells are proposals that reach beyond the grid. Their values matter only
next to a valid cell, so on a processor only those are computed, in tiles that cover the triangle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.core import AttentadError
from attentad.layers.boundary_matching import valid_cells
from attentad.layers.winograd import CellConv

Layout = Literal["dur_start", "start_end"]


def cell_positions(
    length: int, max_duration: int, layout: Layout
) -> tuple[tuple[int, int], NDArray[np.int64]]:
    """Height and width of the map, and the flat position in it of each valid cell.

    The cells come in (d, s) row-major order. `dur_start` puts cell (d, s) at row d, column s;
    `start_end` at row s, column s + d.

    Raises:
        AttentadError: `start_end` with max_duration other than length.
    """
    durations, starts = np.nonzero(valid_cells(length, max_duration))
    if layout == "dur_start":
        return (max_duration, length), durations * length + starts
    if max_duration != length:
        raise AttentadError(
            f"layout start_end needs max_duration = length = {length}, not {max_duration}."
        )
    return (length, length), starts * length + starts + durations


def by_items(score: Callable[..., Tensor], inputs: tuple[Tensor, ...], cpu_items: int) -> Tensor:
    """`score` of inputs (B, …), on a processor of `cpu_items` at a time.

    Its caches hold no more, and fresh memory for a larger block is slow to get.
    """
    items = cpu_items if inputs[0].device.type == "cpu" else len(inputs[0])
    parts = zip(*(each.split(items) for each in inputs), strict=True)
    return torch.cat([score(*part) for part in parts])


class CellMap(nn.Module):
    """Scores of cells (B, cells, K) in their places of the map (B, K, H, W), zeros elsewhere.

    Args:
        cells: (H, W), which cells there are.
    """

    positions: Tensor

    def __init__(self, cells: NDArray[np.bool_]) -> None:
        super().__init__()
        self.shape = cells.shape
        positions = torch.from_numpy(np.flatnonzero(cells))
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, scores: Tensor) -> Tensor:
        maps = scores.new_zeros(len(scores), scores.shape[2], self.shape[0] * self.shape[1])
        maps = maps.index_copy(2, self.positions, scores.transpose(1, 2))
        return maps.unflatten(2, self.shape)


def dilated(cells: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """The cells with all those that `steps` 3×3 convolutions reach from them."""
    for _ in range(steps):
        padded = np.pad(cells, 1)
        rows = padded[:-2] | padded[1:-1] | padded[2:]
        cells = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return cells


class ProposalMapConvs(nn.Module):
    """3×3 convolutions with ReLU over the proposal map, zero padding.

    Args:
        dim: C.
        count: how many convolutions.
        length: T.
        max_duration: D.
        layout: what the rows and columns of the map are, see `cell_positions`.
    """

    positions: Tensor

    def __init__(
        self, dim: int, count: int, length: int, max_duration: int, layout: Layout
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1) for _ in range(count))
        self.shape, positions = cell_positions(length, max_duration, layout)
        self.register_buffer("positions", torch.from_numpy(positions), persistent=False)
        valid = np.zeros(self.shape, dtype=bool)
        valid.flat[positions] = True
        # A convolution is needed where the later ones look from the valid cells.
        needed = [np.flatnonzero(dilated(valid, later)) for later in range(count - 1, 0, -1)]
        outputs = [_listed(self.shape, cells) for cells in [*needed, positions]]
        # What is in the invalid cells is the row after the valid ones.
        inputs = [_listed(self.shape, positions, elsewhere=len(positions)), *outputs[:-1]]
        self.on_cells = nn.ModuleList(map(CellConv, inputs, outputs))

    def forward(self, cells: Tensor) -> Tensor:
        """(B, cells + 1, C) → (B, cells, C).

        The last row is what the published network has in every invalid cell.
        """
        batch, _, dim = cells.shape
        if cells.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            for conv, on_cells in zip(self.convs, self.on_cells, strict=True):
                cells = on_cells(cells, conv.weight, conv.bias)
            return cells
        height, width = self.shape
        empty = cells[:, -1:].expand(-1, height * width, -1)
        filled = empty.index_copy(1, self.positions, cells[:, :-1])
        # Channels last in memory, which is how the cells come.
        image = filled.view(batch, height, width, dim).permute(0, 3, 1, 2)
        for conv in self.convs:
            image = conv(image).relu_()
        return image.permute(0, 2, 3, 1).reshape(batch, -1, dim)[:, self.positions]


def _listed(
    shape: tuple[int, int], positions: NDArray[np.int64], elsewhere: int = -1
) -> NDArray[np.int64]:
    """A map of the places in a list of the cells at these flat positions."""
    rows = np.full(shape, elsewhere, dtype=np.int64)
    rows.flat[positions] = np.arange(len(positions))
    return rows
