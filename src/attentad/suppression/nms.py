"""Hard non-maximum suppression of temporal segments, and what it shares with Soft-NMS."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from attentad.core import AttentadError, Segments, as_segments
from attentad.core.arrays import Floats, Ints

TIES: Final = ("first", "last")

# Keeps the union of two points from being zero; vanishes beside any real length.
TINY_SEC: Final = 1e-300


def nms(
    segments: ArrayLike,
    scores: ArrayLike,
    tiou_threshold: float,
    *,
    keep: int | None = None,
    ties: str = "first",
    plus_one: bool = False,
) -> Ints:
    """Hard NMS: a segment goes when its tIoU with a kept, better one exceeds the threshold.

    Args:
        segments: (N, 2) seconds.
        scores: (N,).
        tiou_threshold: 0..1.
        keep: at most so many; None for all.
        ties: which of equal scores is the better one: the `first` in order, or the `last` (what
            an ascending sort read from its end gives, as in S-CNN's toolkit).
        plus_one: lengths and intersections count one second more, see `soft_nms`.

    Returns:
        Indices of the kept segments, best first.

    Raises:
        AttentadError: a score or a time is not finite, the threshold is outside 0..1, or `ties`
            is unknown.
    """
    if not 0 <= tiou_threshold <= 1:
        raise AttentadError(f"tiou_threshold must lie in 0..1, not {tiou_threshold}.")
    rows, values = checked(segments, scores)
    if ties not in TIES:
        raise AttentadError(f"ties go to the {' or the '.join(TIES)}, not {ties!r}.")
    order = np.argsort(-values, kind="stable")
    if ties == "last":
        order = np.argsort(values, kind="stable")[::-1]
    start, end = rows[order, 0], rows[order, 1] + float(plus_one)
    length = np.maximum(end - start, TINY_SEC)
    kept: list[int] = []
    limit = limited(keep, len(order))
    while len(order) and len(kept) < limit:
        kept.append(int(order[0]))
        inter = np.maximum(np.minimum(end, end[0]) - np.maximum(start, start[0]), 0.0)
        stays = inter / (length + length[0] - inter) <= tiou_threshold
        stays[0] = False
        order, start, end, length = order[stays], start[stays], end[stays], length[stays]
    return np.array(kept, dtype=np.int64)


def limited(keep: int | None, count: int) -> int:
    """How many of `count` are kept at most.

    Raises:
        AttentadError: `keep` is negative.
    """
    if keep is None:
        return count
    if keep < 0:
        raise AttentadError(f"the number of segments to keep must not be negative, as {keep} is.")
    return min(keep, count)


def checked(segments: ArrayLike, scores: ArrayLike) -> tuple[Segments, Floats]:
    """Segments and their scores as (N, 2) and (N,) float64, all finite."""
    rows, values = as_segments(segments), np.asarray(scores, dtype=np.float64)
    if values.shape != (len(rows),):
        raise ValueError(f"{len(rows)} segments have scores of shape {values.shape}")
    if not (np.isfinite(values).all() and np.isfinite(rows).all()):
        raise AttentadError("suppression needs finite times and scores; one is NaN or infinite.")
    return rows, values
