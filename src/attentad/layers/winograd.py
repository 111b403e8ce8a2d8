"""3×3 convolution of listed cells of a map by minimal filtering (Lavin & Gray, CVPR 2016, §4).

F(4×4, 3×3) cuts the map into tiles of 4×4 outputs. A tile reads 6×6 inputs d, and with a kernel g

    Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A,

summed over the input channels within the brackets: 36 multiplications for 16 outputs, not 144.

Only tiles in which an output is asked for are computed, some rows of tiles at a time: what is made
of a tile is more than twice its size, and a block of tiles stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.layers.sparse_rows import SparseProduct, from_entries

TILE, KERNEL = 4, 3
POINTS = TILE + KERNEL - 1
# Tiles of a block, at least: enough for fast products with the kernels.
BLOCK_TILES = 48
# Where the polynomials are evaluated, besides infinity. With these single precision loses least: a
# third of the rounding error of 0, ±1, ±2.
EVALUATED_AT = (0.0, 0.75, -0.75, 1.5, -1.5)


def minimal_filter(
    points: Sequence[float] = EVALUATED_AT,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Aᵀ (TILE, POINTS), G (POINTS, KERNEL) and Bᵀ (POINTS, POINTS) of F(TILE, KERNEL).

    By Toom and Cook: filtering is the transpose of multiplying polynomials, which is done on their
    values at `points` and, last, at infinity.
    """
    apart = np.subtract.outer(points, points)
    np.fill_diagonal(apart, 1)
    scale = np.append(apart.prod(axis=1), 1)[:, None]
    to_coefficients = np.linalg.inv(_values_at(points, POINTS))
    # Rounding restores the zeros, and spoils no weight: all are short binary fractions.
    b_t = (to_coefficients.T * scale).round(12)
    return _values_at(points, TILE).T, _values_at(points, KERNEL) / scale, b_t


def _values_at(points: Sequence[float], degree: int) -> NDArray[np.float64]:
    """Powers 0 .. degree − 1 of the points; at infinity only the highest counts."""
    powers = np.vander(points, degree, increasing=True)
    return np.vstack([powers, np.eye(degree)[-1]])


A_T, G, B_T = minimal_filter()


class TileRow(NamedTuple):
    """Tiles side by side: `count` of them, the first one's corner at (top, left)."""

    top: int
    left: int
    count: int


def tile_rows(written: NDArray[np.bool_]) -> list[TileRow]:
    """The tiles in which cells of `written` (H, W) are true, and those between them in their row."""
    row, column = (index // TILE for index in np.nonzero(written))
    found = []
    for each in np.unique(row):
        first, last = column[row == each].min(), column[row == each].max()
        found.append(TileRow(int(each) * TILE, int(first) * TILE, int(last - first) + 1))
    return found


def blocks(rows: Sequence[TileRow]) -> list[list[TileRow]]:
    """The rows in turn, together where they are short."""
    found: list[list[TileRow]] = [[]]
    for row in rows:
        if sum(each.count for each in found[-1]) >= BLOCK_TILES:
            found.append([])
        found[-1].append(row)
    return found


class Framed(nn.Module):
    """Between a list of cells (rows, C) and a map in whole tiles, flat: (height · width, C).

    Args:
        listed: (H, W), the row of each cell in the list; −1 is a cell of zeros.
        rows: of the list.
        margin: rows and columns of zeros before the map and after it.
    """

    def __init__(self, listed: NDArray[np.int64], rows: int, margin: int) -> None:
        super().__init__()
        framed = np.pad(
            listed, [(margin, margin + -size % TILE) for size in listed.shape], constant_values=-1
        )
        self.shape, self.margin = framed.shape, margin
        place = np.flatnonzero(framed >= 0)
        row = framed.flat[place]
        self.cells = SparseProduct(
            from_entries(place, row, np.ones(len(place)), (framed.size, rows))
        )

    def part(self, cells: Tensor, block: Sequence[TileRow]) -> Tensor:
        """The rows of the map (height, width, C) of a list that these rows of tiles touch."""
        width = self.shape[1]
        first, last = block[0].top, block[-1].top + TILE + 2 * self.margin
        rows = slice(first * width, last * width)
        return self.cells.rows_times(rows, cells).unflatten(0, (-1, width))

    def listed(self, image: Tensor) -> Tensor:
        """The list of a map, of whose cells several may be of one row, which is their sum."""
        return self.cells.transposed_times(image.flatten(0, 1))


class CellConv(nn.Module):
    """ReLU(3×3 convolution) from listed cells (B, rows, C_in) to listed cells (B, rows, C_out).

    Args:
        read: (H, W), the row of each cell in the input; −1 is a cell of zeros.
        rows: of the input.
        written: (H, W), the row of each cell in the output; −1 is a cell that is not asked for.
    """

    def __init__(self, read: NDArray[np.int64], rows: int, written: NDArray[np.int64]) -> None:
        super().__init__()
        self.source = Framed(read, rows, margin=1)
        self.result = Framed(written, int(written.max()) + 1, margin=0)
        self.blocks = blocks(tile_rows(written >= 0))

    def forward(self, cells: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """With the weight (C_out, C_in, 3, 3) and bias (C_out,) of a convolution."""
        g = torch.from_numpy(G).to(weight)
        # Points (column, row), as the transforms below leave them.
        kernels = torch.einsum("pi,qj,ocij->qpco", g, g, weight).flatten(0, 1)
        result: Tensor = _TiledConv.apply(cells, kernels, bias, self)
        return result


class _TiledConv(torch.autograd.Function):
    """ReLU(Aᵀ[U ⊙ (Bᵀ d B)]A + bias) with the transformed kernels U (points, C_in, C_out).

    Item by item, and with the transformed inputs made again for the gradient: what is kept is as
    small as the cells.
    """

    @staticmethod
    def forward(ctx: Any, cells: Tensor, kernels: Tensor, bias: Tensor, conv: CellConv) -> Tensor:
        a_t, b_t = (torch.from_numpy(matrix).to(cells) for matrix in (A_T, B_T))
        result = cells.new_empty(len(cells), conv.result.cells.shape[1], kernels.shape[2])
        for item, cell in zip(result, cells, strict=True):
            image = cells.new_zeros(*conv.result.shape, kernels.shape[2])
            for block in conv.blocks:
                products = _to_points(conv.source.part(cell, block), block, b_t) @ kernels
                _from_points(products, image, block, a_t)
            torch.add(conv.result.listed(image), bias, out=item)
        result.relu_()
        ctx.save_for_backward(cells, kernels, result)
        ctx.conv = conv
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        cells, kernels, result = ctx.saved_tensors
        conv: CellConv = ctx.conv
        a_t, b_t = (torch.from_numpy(matrix).to(cells) for matrix in (A_T, B_T))
        grad_cells, grad_kernels = torch.empty_like(cells), torch.zeros_like(kernels)
        grad_bias = kernels.new_zeros(kernels.shape[2])
        for item, cell, out, grad in zip(grad_cells, cells, result, grads[0], strict=True):
            grad_out = torch.ops.aten.threshold_backward(grad, out, 0)
            grad_bias += grad_out.sum(0)
            grad_source = cells.new_zeros(*conv.source.shape, cells.shape[2])
            for block in conv.blocks:
                grad_image = conv.result.part(grad_out, block)
                grad_products = _from_points_transposed(grad_image, block, a_t)
                points = _to_points(conv.source.part(cell, block), block, b_t)
                grad_kernels.baddbmm_(points.mT, grad_products)
                torch.bmm(grad_products, kernels.mT, out=points)
                _to_points_transposed(points, grad_source, block, b_t)
            del grad_out
            item.copy_(conv.source.listed(grad_source))
        return grad_cells, grad_kernels, grad_bias, None


def _places(block: Sequence[TileRow]) -> Iterator[tuple[TileRow, slice]]:
    """The rows of a block, each with where its tiles are among those of the block."""
    first = 0
    for row in block:
        yield row, slice(first, first + row.count)
        first += row.count


def _tiles(block: Sequence[TileRow]) -> int:
    return sum(row.count for row in block)


def _read_by(row: TileRow, source: Tensor, top: int) -> Tensor:
    """What a row of tiles reads of a framed input, of which `source` begins at row `top`: a view."""
    width = TILE * row.count + KERNEL - 1
    return source[row.top - top :][:POINTS, row.left : row.left + width]


def _written_by(row: TileRow, image: Tensor, top: int) -> Tensor:
    """What a row of tiles writes of an output, of which `image` begins at row `top`, by tile.

    (column in the tile, row in it, tiles, C), a view.
    """
    window = image[row.top - top :][:TILE, row.left : row.left + TILE * row.count]
    return window.unflatten(1, (-1, TILE)).permute(2, 0, 1, 3)


def _by_tile(columns: Tensor, shift: int, count: int) -> Tensor:
    """Column `shift` of each tile, a view: (…, width, C) → (…, tiles, C)."""
    return columns[..., shift : shift + TILE * (count - 1) + 1 : TILE, :]


def _to_points(source: Tensor, block: Sequence[TileRow], b_t: Tensor) -> Tensor:
    """d → Bᵀ d B: the block's part of the framed input → (points, tiles, C)."""
    dim = source.shape[2]
    columns = source.new_empty(POINTS, POINTS, _tiles(block), dim)
    for row, tiles in _places(block):
        window = _read_by(row, source, block[0].top)
        by_row = (b_t @ window.flatten(1)).unflatten(1, (-1, dim))
        for shift in range(POINTS):
            columns[shift, :, tiles] = _by_tile(by_row, shift, row.count)
    return (b_t @ columns.flatten(1)).view(POINTS**2, -1, dim)


def _to_points_transposed(
    points: Tensor, grad_source: Tensor, block: Sequence[TileRow], b_t: Tensor
) -> None:
    """Add to the framed input's gradient that of its points (points, tiles, C)."""
    dim = points.shape[2]
    columns = (b_t.t() @ points.view(POINTS, -1)).view(POINTS, POINTS, -1, dim)
    for row, tiles in _places(block):
        window = _read_by(row, grad_source, 0)
        by_row = points.new_zeros(POINTS, window.shape[1], dim)
        for shift in range(POINTS):
            _by_tile(by_row, shift, row.count).add_(columns[shift, :, tiles])
        window.add_((b_t.t() @ by_row.flatten(1)).view_as(window))


def _from_points(products: Tensor, image: Tensor, block: Sequence[TileRow], a_t: Tensor) -> None:
    """M → Aᵀ M A: write the tiles of (points, tiles, C) into the output (height, width, C)."""
    dim = products.shape[2]
    columns = (a_t @ products.view(POINTS, -1)).view(TILE, POINTS, -1)
    outputs = (a_t @ columns).view(TILE, TILE, -1, dim)
    for row, tiles in _places(block):
        _written_by(row, image, 0).copy_(outputs[:, :, tiles])


def _from_points_transposed(image: Tensor, block: Sequence[TileRow], a_t: Tensor) -> Tensor:
    """The gradient of the points (points, tiles, C) from that of the block's part of the output."""
    dim = image.shape[2]
    outputs = image.new_empty(TILE, TILE, _tiles(block), dim)
    for row, tiles in _places(block):
        outputs[:, :, tiles] = _written_by(row, image, block[0].top)
    columns = a_t.t() @ outputs.flatten(2)
    return (a_t.t() @ columns.flatten(1)).view(POINTS**2, -1, dim)
