"""3×3 convolution of listed cells of a map by minimal filtering (Lavin & Gray, CVPR 2016, §4).

F(4×4, 3×3) cuts the map into tiles of 4×4 outputs. A tile reads 6×6 inputs d, and with a kernel g

    Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A,

summed over the input channels within the brackets: 36 multiplications for 16 outputs, not 144.

Only tiles in which an output is asked for are computed, a block of them at a time: what is made of
the tiles is more than twice as large as their cells, and a block stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

TILE, KERNEL = 4, 3
POINTS = TILE + KERNEL - 1
# Enough tiles for fast products with the kernels, few enough for little memory.
BLOCK_TILES = 64
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


def tile_corners(written: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First row and first column of each tile in which a cell of `written` (H, W) is true."""
    row, column = np.nonzero(written)
    corners = np.unique(np.stack([row, column], axis=1) // TILE, axis=0) * TILE
    return corners[:, 0], corners[:, 1]


class Block(NamedTuple):
    """Where the cells of n tiles are in the lists.

    Args:
        read: (POINTS² · n,), the row of the input that is at (row, column, tile), 0 if none is.
        empty: where none is.
        asked: which of the outputs (TILE² · n,), (row, column, tile), are asked for.
        written: the row of the output of each of them.
    """

    read: Tensor
    empty: Tensor
    asked: Tensor
    written: Tensor

    @property
    def tiles(self) -> int:
        """n."""
        return len(self.read) // POINTS**2


def blocks(read: NDArray[np.int64], written: NDArray[np.int64]) -> list[Block]:
    """The tiles of a convolution, see `CellConv`."""
    top, left = tile_corners(written >= 0)
    inputs = np.pad(read, (1, POINTS), constant_values=-1)
    outputs = np.pad(written, (0, TILE), constant_values=-1)
    found = []
    for first in range(0, len(top), BLOCK_TILES):
        tiles = slice(first, first + BLOCK_TILES)
        corners = top[tiles], left[tiles]
        source, result = _window(inputs, corners, POINTS), _window(outputs, corners, TILE)
        empty, asked = np.flatnonzero(source < 0), np.flatnonzero(result >= 0)
        indices = (source.clip(min=0), empty, asked, result[asked])
        found.append(Block(*map(torch.from_numpy, indices)))
    return found


def _window(
    rows: NDArray[np.int64], corners: tuple[NDArray[np.int64], NDArray[np.int64]], size: int
) -> NDArray[np.int64]:
    """What a map has in size × size cells from each corner on, (size · size · tiles,)."""
    offset = np.arange(size)
    window = rows[corners[0] + offset[:, None, None], corners[1] + offset[:, None]]
    return window.ravel()


class CellConv(nn.Module):
    """ReLU(3×3 convolution) from listed cells (B, rows, C_in) to listed cells (B, rows, C_out).

    On a processor.

    Args:
        read: (H, W), the row of each cell in the input; −1 is a cell of zeros, as all are outside
            the map.
        written: (H, W), the row of each cell in the output; −1 is a cell that is not asked for.
    """

    def __init__(self, read: NDArray[np.int64], written: NDArray[np.int64]) -> None:
        super().__init__()
        self.rows = int(written.max()) + 1
        self.blocks = blocks(read, written)

    def forward(self, cells: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """With the weight (C_out, C_in, 3, 3) and bias (C_out,) of a convolution."""
        g = torch.from_numpy(G).to(weight)
        kernels = torch.einsum("pi,qj,ocij->pqco", g, g, weight).flatten(0, 1)
        result: Tensor = _TiledConv.apply(cells, kernels, bias, self.rows, self.blocks)
        return result


class _TiledConv(torch.autograd.Function):
    """ReLU(Aᵀ[U ⊙ (Bᵀ d B)]A + bias) with the transformed kernels U (points, C_in, C_out).

    Item by item, and with the transformed inputs made again for the gradient: what is kept is as
    small as the cells.
    """

    @staticmethod
    def forward(
        ctx: Any, cells: Tensor, kernels: Tensor, bias: Tensor, rows: int, blocks: Sequence[Block]
    ) -> Tensor:
        a_t, b_t = (torch.from_numpy(matrix).to(cells) for matrix in (A_T, B_T))
        result = cells.new_empty(len(cells), rows, kernels.shape[2])
        for item, cell in zip(result, cells, strict=True):
            for block in blocks:
                products = _on_both_sides(b_t, _read(cell, block)) @ kernels
                outputs = _on_both_sides(a_t, products).flatten(0, 1).index_select(0, block.asked)
                item.index_copy_(0, block.written, outputs.add_(bias).relu_())
        ctx.save_for_backward(cells, kernels, result)
        ctx.blocks = blocks
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        cells, kernels, result = ctx.saved_tensors
        a, b_t = (torch.from_numpy(matrix).to(cells) for matrix in (A_T.T, B_T))
        grad_cells, grad_kernels = torch.zeros_like(cells), torch.zeros_like(kernels)
        grad_bias = kernels.new_zeros(kernels.shape[2])
        for item, cell, out, grad in zip(grad_cells, cells, result, grads[0], strict=True):
            for block in ctx.blocks:
                grad_asked, asked = (each.index_select(0, block.written) for each in (grad, out))
                grad_asked = torch.ops.aten.threshold_backward(grad_asked, asked, 0)
                grad_bias += grad_asked.sum(0)
                outputs = grad.new_zeros(TILE**2 * block.tiles, grad.shape[1])
                outputs.index_copy_(0, block.asked, grad_asked)
                grad_products = _on_both_sides(a, outputs.unflatten(0, (TILE**2, -1)))
                points = _on_both_sides(b_t, _read(cell, block))
                grad_kernels.baddbmm_(points.mT, grad_products)
                torch.bmm(grad_products, kernels.mT, out=points)
                grad_read = _on_both_sides(b_t.t(), points).flatten(0, 1)
                item.index_add_(0, block.read, grad_read.index_fill_(0, block.empty, 0))
        return grad_cells, grad_kernels, grad_bias, None, None


def _read(cells: Tensor, block: Block) -> Tensor:
    """d, (points, tiles, C), of the cells (rows, C) of an item."""
    read = cells.index_select(0, block.read).index_fill_(0, block.empty, 0)
    return read.unflatten(0, (POINTS**2, -1))


def _on_both_sides(matrix: Tensor, tiles: Tensor) -> Tensor:
    """M X Mᵀ of each tile's X: (size · size, tiles, C) → (points · points, tiles, C)."""
    size = matrix.shape[1]
    by_row = (matrix @ tiles.view(size, -1)).view(len(matrix), size, -1)
    return (matrix @ by_row).view(len(matrix) ** 2, *tiles.shape[1:])
