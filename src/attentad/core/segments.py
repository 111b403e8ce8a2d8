"""Segments: an (N, 2) float64 array of [start, end] in seconds."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from attentad.core.arrays import Bools, Floats, ratio
from attentad.core.errors import AttentadError

Segments: TypeAlias = Floats


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


def checked_times(start: Any, end: Any, where: str) -> tuple[float, float]:
    """Two numbers as seconds, in whatever order.

    Raises:
        AttentadError: one is no finite number; `where`, file and video, begins the error.
    """
    try:
        if isinstance(start, bool) or isinstance(end, bool):
            raise TypeError
        start, end = float(start), float(end)
    except (TypeError, ValueError, OverflowError):
        raise AttentadError(
            f"{where}: start {start!r} and end {end!r} must be numbers of seconds."
        ) from None
    if not (math.isfinite(start) and math.isfinite(end)):
        raise AttentadError(f"{where}: start {start} and end {end} must be finite seconds.")
    return start, end


def checked_segment(start: Any, end: Any, where: str) -> tuple[float, float]:
    """Two numbers as a segment in seconds.

    Raises:
        AttentadError: as `checked_times`, or it ends before it starts.
    """
    start, end = checked_times(start, end, where)
    if end < start:
        raise AttentadError(
            f"{where}: a segment ends at {end:g} s, before it starts at {start:g} s; swap or "
            "remove it."
        )
    return start, end


def broken_segments(segments: Segments) -> Bools:
    """Which of (N, 2) are not finite or end before they start, (N,)."""
    forward: Bools = segments[:, 1] >= segments[:, 0]
    return ~(forward & np.isfinite(segments).all(axis=1))


def reversed_segments(segments: Segments) -> Bools:
    """Which of (N, 2) end before they start, (N,)."""
    backwards: Bools = segments[:, 1] < segments[:, 0]
    return backwards


def forwards(segments: Segments) -> Segments:
    """Each of (N, 2) from its earlier to its later time."""
    return np.sort(segments, axis=1)


def tiou(a: Segments, b: Segments) -> Floats:
    """Temporal intersection over union of every pair: (N, 2), (M, 2) → (N, M) in 0..1.

    A pair whose union is empty (two points at one instant) has tIoU 0.
    """
    start = np.maximum(a[:, None, 0], b[None, :, 0])
    end = np.minimum(a[:, None, 1], b[None, :, 1])
    intersection = np.maximum(end - start, 0.0)
    lengths_a, lengths_b = a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]
    union = lengths_a[:, None] + lengths_b[None, :] - intersection
    return ratio(intersection, union, empty=0.0)
