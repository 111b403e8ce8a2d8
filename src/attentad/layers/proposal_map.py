"""2-D convolutions over the proposal map, of which only the valid triangle is of interest.

About half of the map's cells are proposals that reach beyond the grid. Their values matter only
next to a valid cell, so on a processor the map is convolved in bands of rows, each as wide as its
valid cells need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.core import AttentadError
from attentad.layers.boundary_matching import valid_cells

Layout = Literal["dur_start", "start_end"]
BAND_ROWS = 20


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


class Band(NamedTuple):
    """A rectangle of the map: rows top:bottom, columns left:right."""

    top: int
    bottom: int
    left: int
    right: int


def bands(needed: NDArray[np.bool_], rows: int) -> list[Band]:
    """Rectangles of at most `rows` rows that together cover the true cells of `needed` (H, W)."""
    parts = []
    for top in range(0, len(needed), rows):
        part = needed[top : top + rows]
        columns = np.flatnonzero(part.any(axis=0))
        if len(columns):
            parts.append(Band(top, top + len(part), int(columns[0]), int(columns[-1]) + 1))
    return parts


def dilated(cells: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """The cells with all those that `steps` 3×3 convolutions reach from them."""
    for _ in range(steps):
        padded = np.pad(cells, 1)
        rows = padded[:-2] | padded[1:-1] | padded[2:]
        cells = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return cells


class _BandedConv(torch.autograd.Function):
    """ReLU(3×3 convolution) of (B, C, H + 2, W + 2), framed by zeros, in the bands; zero elsewhere.

    The result has the same frame. A gradient outside the bands is ignored.
    """

    @staticmethod
    def forward(
        ctx: Any, framed: Tensor, weight: Tensor, bias: Tensor, where: list[Band]
    ) -> Tensor:
        result = torch.zeros_like(framed)
        for band in where:
            _inner(result, band).copy_(nn.functional.conv2d(_halo(framed, band), weight, bias))
        result.relu_()
        ctx.save_for_backward(framed, weight, result)
        ctx.where = where
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        framed, weight, result = ctx.saved_tensors
        grad_result = torch.where(result > 0, grads[0], 0.0)
        grad_framed = torch.zeros_like(framed)
        grad_weight, grad_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
        for band in ctx.where:
            by_input, by_weight, by_bias = torch.ops.aten.convolution_backward(
                _inner(grad_result, band),
                _halo(framed, band),
                weight,
                [len(weight)],
                stride=[1, 1],
                padding=[0, 0],
                dilation=[1, 1],
                transposed=False,
                output_padding=[0, 0],
                groups=1,
                output_mask=[True, True, True],
            )
            _halo(grad_framed, band).add_(by_input)
            grad_weight += by_weight
            grad_bias += by_bias
        return grad_framed, grad_weight, grad_bias, None


def _inner(framed: Tensor, band: Band) -> Tensor:
    return framed[:, :, band.top + 1 : band.bottom + 1, band.left + 1 : band.right + 1]


def _halo(framed: Tensor, band: Band) -> Tensor:
    return framed[:, :, band.top : band.bottom + 2, band.left : band.right + 2]


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
    inside: Tensor

    def __init__(
        self, dim: int, count: int, length: int, max_duration: int, layout: Layout
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1) for _ in range(count))
        self.shape, positions = cell_positions(length, max_duration, layout)
        height, width = self.shape
        valid = np.zeros((height, width), dtype=bool)
        valid.flat[positions] = True
        # A convolution is needed where the later ones look from the valid cells.
        self.bands = [bands(dilated(valid, count - 1 - i), BAND_ROWS) for i in range(count)]
        # The map is kept in a frame of zeros, one cell wide.
        row, column = np.divmod(positions, width)
        framed = torch.from_numpy((row + 1) * (width + 2) + column + 1)
        inside = torch.from_numpy(np.pad(np.ones((height, width)), 1).reshape(-1, 1)).float()
        self.register_buffer("positions", framed, persistent=False)
        self.register_buffer("inside", inside, persistent=False)

    def forward(self, cells: Tensor, background: Tensor) -> Tensor:
        """`background`, (C,) or (B, C), is what the published network has in every invalid cell."""
        batch, _, dim = cells.shape
        height, width = self.shape
        inside = self.inside.to(background.dtype)
        empty = (background.unsqueeze(-2) * inside).expand(batch, -1, dim)
        filled = empty.index_copy(1, self.positions, cells)
        # Channels last in memory, which is how the cells come.
        framed = filled.view(batch, height + 2, width + 2, dim).permute(0, 3, 1, 2)
        if framed.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            for conv, where in zip(self.convs, self.bands, strict=True):
                framed = _BandedConv.apply(framed, conv.weight, conv.bias, where)
        else:
            image = framed[:, :, 1:-1, 1:-1]
            for conv in self.convs:
                image = conv(image).relu_()
            framed = nn.functional.pad(image, (1, 1, 1, 1))
        return framed.permute(0, 2, 3, 1).reshape(batch, -1, dim)[:, self.positions]
