"""Segments: an (N, 2) float64 array of [start, end] in seconds."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Segments: TypeAlias = NDArray[np.float64]


def as_segments(values: ArrayLike) -> Segments:
    """Return `values` as an (N, 2) float64 array; an empty input gives shape (0, 2).

    Raises:
        ValueError: the shape is not (N, 2).
    """
    segments = np.asarray(values, dtype=np.float64)
    if segments.size == 0:
        return np.zeros((0, 2))
    if segments.ndim != 2 or segments.shape[1] != 2:
        raise ValueError(f"segments have shape {segments.shape}, expected (N, 2)")
    return segments


def tiou(a: Segments, b: Segments) -> NDArray[np.float64]:
    """Temporal intersection over union of every pair: (N, 2), (M, 2) → (N, M) in 0..1.

    A pair whose union is empty (two points at one instant) has tIoU 0.
    """
    start = np.maximum(a[:, None, 0], b[None, :, 0])
    end = np.minimum(a[:, None, 1], b[None, :, 1])
    intersection = np.maximum(end - start, 0.0)
    lengths_a, lengths_b = a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]
    union = lengths_a[:, None] + lengths_b[None, :] - intersection
    overlap: NDArray[np.float64] = np.divide(
        intersection, union, out=np.zeros_like(intersection), where=union > 0
    )
    return overlap
