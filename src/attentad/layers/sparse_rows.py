"""Sparse matrices by rows and their product with features: how fixed sampling is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# Rows of a large matrix that are made at once: what they are made from is many times larger.
BLOCK_ROWS = 1024


class SparseRows(NamedTuple):
    """A sparse matrix by rows (CSR): row r has the entries row_starts[r]:row_starts[r + 1]."""

    columns: NDArray[np.int32]
    row_starts: NDArray[np.int64]
    values: NDArray[np.float64]
    column_count: int

    @property
    def rows(self) -> NDArray[np.int64]:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.row_starts) - 1), np.diff(self.row_starts))


def from_entries(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.float64],
    shape: tuple[int, int],
) -> SparseRows:
    """The matrix (R, K) with these entries; several of the same row and column are added up."""
    key = rows * shape[1] + columns
    order = np.argsort(key, kind="stable")
    key, value = key[order], values[order]
    distinct = np.flatnonzero(np.diff(key, prepend=-1))
    summed = np.add.reduceat(value, distinct) if len(distinct) else value
    row, column = np.divmod(key[distinct], shape[1])
    starts = _row_starts(row, shape[0])
    return SparseRows(column.astype(np.int32), starts, summed, shape[1])


def stacked(blocks: Sequence[SparseRows]) -> SparseRows:
    """The rows of the blocks, one block below the other."""
    ends = np.cumsum([len(block.columns) for block in blocks])
    later = [
        block.row_starts[1:] + end - len(block.columns)
        for block, end in zip(blocks, ends, strict=True)
    ]
    return SparseRows(
        np.concatenate([block.columns for block in blocks]),
        np.concatenate([np.zeros(1, dtype=np.int64), *later]),
        np.concatenate([block.values for block in blocks]),
        blocks[0].column_count,
    )


def transposed(matrix: SparseRows) -> SparseRows:
    """The same matrix by columns."""
    order = np.argsort(matrix.columns, kind="stable")
    starts = _row_starts(matrix.columns[order], matrix.column_count)
    rows = matrix.rows.astype(np.int32)[order]
    return SparseRows(rows, starts, matrix.values[order], len(matrix.row_starts) - 1)


def _row_starts(rows: NDArray[Any], count: int) -> NDArray[np.int64]:
    return np.searchsorted(rows, np.arange(count + 1))


class SparseProduct(nn.Module):
    """A fixed sparse matrix (R, K) times features (B, K, C) → (B, R, C). Not in the state dict.

    Attributes:
        shape: (R, K).
    """

    def __init__(self, matrix: SparseRows) -> None:
        super().__init__()
        self.shape = (len(matrix.row_starts) - 1, matrix.column_count)
        for name, part in (("forward", matrix), ("backward", transposed(matrix))):
            self._register(f"{name}_columns", torch.from_numpy(part.columns).int())
            self._register(f"{name}_row_starts", torch.from_numpy(part.row_starts).int())
            self._register(f"{name}_values", torch.from_numpy(part.values).float())

    def _register(self, name: str, tensor: Tensor) -> None:
        self.register_buffer(name, tensor, persistent=False)

    def forward(self, dense: Tensor) -> Tensor:
        """(B, K, C) in any precision → (B, R, C) in the matrix's."""
        product: Tensor = _SparseTimesDense.apply(dense.to(self.forward_values.dtype), self)
        return product

    def times(self, dense: Tensor) -> Tensor:
        """One item, without a gradient: (K, C) → (R, C)."""
        return _times(self.forward_columns, self.forward_row_starts, self.forward_values, dense)

    def transposed_times(self, dense: Tensor) -> Tensor:
        """The transposed matrix times one item, without a gradient: (R, C) → (K, C)."""
        return _times(self.backward_columns, self.backward_row_starts, self.backward_values, dense)

    forward_columns: Tensor
    forward_row_starts: Tensor
    forward_values: Tensor
    backward_columns: Tensor
    backward_row_starts: Tensor
    backward_values: Tensor


def _times(columns: Tensor, row_starts: Tensor, values: Tensor, dense: Tensor) -> Tensor:
    # A weighted bag of rows is a sparse times dense product, and the fastest one torch has.
    return nn.functional.embedding_bag(
        columns, dense, row_starts, mode="sum", per_sample_weights=values, include_last_offset=True
    )


class _SparseTimesDense(torch.autograd.Function):
    """A sparse matrix times dense (B, K, C) → (B, R, C).

    Item by item, because the rows of one item fit the processor's cache.
    """

    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: SparseProduct) -> Tensor:
        ctx.matrix = matrix
        return _stacked([matrix.times(item) for item in dense])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _stacked([ctx.matrix.transposed_times(item) for item in grads[0].contiguous()]), None


def _stacked(items: list[Tensor]) -> Tensor:
    # Stacking one item would copy it; a view may not leave an autograd function.
    return torch.stack(items) if len(items) > 1 else items[0].resize_(1, *items[0].shape)


def sampled_kernel(points: int, out_dim: int, in_dim: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weight (points, C_out, C_in) and bias (C_out,) of a convolution over sampled points.

    A convolution kernel with its points in front, drawn as torch draws a convolution's.
    """
    weight = nn.Parameter(torch.empty(points, out_dim, in_dim))
    bias = nn.Parameter(torch.empty(out_dim))
    bound = 1 / math.sqrt(in_dim * points)
    nn.init.uniform_(weight, -bound, bound)
    nn.init.uniform_(bias, -bound, bound)
    return weight, bias


def projected_steps(feature: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W_p x of each step and point, before sampling: (B, C_in, T) → (B, T·points, C_out).

    Args:
        feature: x.
        weight: W, (points, C_out, C_in).
        bias: (points · C_out,).
    """
    projected = nn.functional.linear(feature.transpose(1, 2), weight.flatten(0, 1), bias)
    return projected.reshape(len(feature), -1, weight.shape[1])
