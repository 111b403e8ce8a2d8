"""3×3 convolution of listed cells of a map by minimal filtering (Lavin & Gray, CVPR 2016, §4).

F(4×4, 3×3) cuts the map into tiles of 4×4 outputs. A tile reads 6×6 inputs d, and with a kernel g

    Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A,

summed over the input channels within the brackets: 36 multiplications for 16 outputs, not 144.

Only tiles in which an output is asked for are computed. d → Bᵀ d B and M → Aᵀ M A are sparse
products from and to lists of cells; the map itself is never built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.layers.sparse_rows import SparseProduct, SparseRows, from_entries

TILE, KERNEL = 4, 3
POINTS = TILE + KERNEL - 1
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


def input_transform(
    read: NDArray[np.int64], rows: int, corners: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> SparseRows:
    """d → Bᵀ d B: from the rows of a list to (points, tiles), point (p, q) of each tile.

    Args:
        read: (H, W), which row of the list each cell is; −1 is a cell of zeros, as all are outside
            the map.
        rows: of the list.
        corners: of the tiles, see `tile_corners`.
    """
    framed = np.pad(read, (1, POINTS), constant_values=-1)
    weight = np.einsum("pi,qj->pqij", B_T, B_T)
    p, q, i, j = used = np.nonzero(weight)
    top, left = (corner[:, None] for corner in corners)
    row = (p * POINTS + q) * len(top) + np.arange(len(top))[:, None]
    column = framed[top + i, left + j]
    value = np.broadcast_to(weight[used], column.shape)
    there = column >= 0
    shape = (POINTS**2 * len(top), rows)
    return from_entries(row[there], column[there], value[there], shape)


def output_transform(
    written: NDArray[np.int64], corners: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> SparseRows:
    """M → Aᵀ M A: from (points, tiles) to the rows of a list.

    Args:
        written: (H, W), which row of the list each cell is; −1 is a cell that is not asked for.
        corners: of the tiles, see `tile_corners`.
    """
    framed = np.pad(written, (0, TILE), constant_values=-1)
    weight = np.einsum("ip,jq->ijpq", A_T, A_T)
    i, j, p, q = used = np.nonzero(weight)
    top, left = (corner[:, None] for corner in corners)
    row = framed[top + i, left + j]
    column = np.broadcast_to((p * POINTS + q) * len(top) + np.arange(len(top))[:, None], row.shape)
    value = np.broadcast_to(weight[used], row.shape)
    there = row >= 0
    shape = (int(written.max()) + 1, POINTS**2 * len(top))
    return from_entries(row[there], column[there], value[there], shape)


class CellConv(nn.Module):
    """ReLU(3×3 convolution) from listed cells (B, rows, C_in) to listed cells (B, rows, C_out).

    Args:
        read: (H, W), the row of each cell in the input; −1 is a cell of zeros.
        rows: of the input.
        written: (H, W), the row of each cell in the output; −1 is a cell that is not asked for.
    """

    def __init__(self, read: NDArray[np.int64], rows: int, written: NDArray[np.int64]) -> None:
        super().__init__()
        corners = tile_corners(written >= 0)
        self.to_tiles = SparseProduct(input_transform(read, rows, corners))
        self.from_tiles = SparseProduct(output_transform(written, corners))

    def forward(self, cells: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """With the weight (C_out, C_in, 3, 3) and bias (C_out,) of a convolution."""
        g = torch.from_numpy(G).to(weight)
        kernels = torch.einsum("pi,qj,ocij->pqco", g, g, weight).flatten(0, 1)
        result: Tensor = _TiledConv.apply(cells, kernels, bias, self.to_tiles, self.from_tiles)
        return result


class _TiledConv(torch.autograd.Function):
    """ReLU(Aᵀ[U ⊙ (Bᵀ d B)]A + bias) with the transformed kernels U (points, C_in, C_out).

    Item by item, and with the transformed inputs made again for the gradient: what is kept is as
    small as the cells.
    """

    @staticmethod
    def forward(
        ctx: Any,
        cells: Tensor,
        kernels: Tensor,
        bias: Tensor,
        to_tiles: SparseProduct,
        from_tiles: SparseProduct,
    ) -> Tensor:
        result = cells.new_empty(len(cells), from_tiles.shape[0], kernels.shape[2])
        for item, cell in zip(result, cells, strict=True):
            products = _by_point(to_tiles.times(cell)) @ kernels
            torch.add(from_tiles.times(products.flatten(0, 1)), bias, out=item)
        result.relu_()
        ctx.save_for_backward(cells, kernels, result)
        ctx.transforms = to_tiles, from_tiles
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        cells, kernels, result = ctx.saved_tensors
        to_tiles, from_tiles = ctx.transforms
        grad_cells, grad_kernels = torch.empty_like(cells), torch.zeros_like(kernels)
        grad_bias = kernels.new_zeros(kernels.shape[2])
        for item, cell, out, grad in zip(grad_cells, cells, result, grads[0], strict=True):
            grad_out = torch.where(out > 0, grad, 0.0)
            grad_bias += grad_out.sum(0)
            grad_products = _by_point(from_tiles.transposed_times(grad_out))
            grad_kernels.baddbmm_(_by_point(to_tiles.times(cell)).mT, grad_products)
            grad_points = grad_products @ kernels.mT
            item.copy_(to_tiles.transposed_times(grad_points.flatten(0, 1)))
        return grad_cells, grad_kernels, grad_bias, None, None


def _by_point(rows: Tensor) -> Tensor:
    return rows.unflatten(0, (POINTS**2, -1))
