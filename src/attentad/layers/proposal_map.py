"""2-D convolutions over the proposal map, of which only the valid triangle is of interest."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.core import AttentadError
from attentad.layers.boundary_matching import valid_cells

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


class ProposalMapConvs(nn.Module):
    """3×3 convolutions with ReLU over the proposal map, zero padding: (B, cells, C) → the same.

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

    def forward(self, cells: Tensor, background: Tensor) -> Tensor:
        """`background` (C,) is what the published network has in every invalid cell."""
        batch, _, dim = cells.shape
        height, width = self.shape
        filled = background.expand(batch, height * width, dim).index_copy(1, self.positions, cells)
        # Channels last in memory, which is how the cells come.
        image = filled.view(batch, height, width, dim).permute(0, 3, 1, 2)
        for conv in self.convs:
            image = torch.relu(conv(image))
        return image.permute(0, 2, 3, 1).reshape(batch, height * width, dim)[:, self.positions]
