"""Hard non-maximum suppression of temporal segments, and what it shares with Soft-NMS."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from attentad.core import AttentadError, Segments, as_segments
from attentad.core.arrays import Bools, Floats, Ints
from attentad.suppression.greedy import TINY_SEC, Candidates, Rule, take

TIES: Final = ("first", "last")

# Larger groups, or few groups, are swept each by itself, in blocks of so many candidates.
_LARGE, _FEW, _BLOCK = 512, 4, 64


def nms(
    segments: ArrayLike,
    scores: ArrayLike,
    tiou_threshold: float,
    *,
    keep: int | None = None,
    ties: str = "first",
    plus_one: bool = False,
    groups: ArrayLike | None = None,
) -> Ints:
    """Hard NMS: a segment goes when its tIoU with a kept, better one exceeds the threshold.

    Args:
        segments: (N, 2) seconds.
        scores: (N,).
        tiou_threshold: 0..1.
        keep: at most so many, of each group; None for all.
        ties: which of equal scores is the better one: the `first` in order, or the `last` (what
            an ascending sort read from its end gives, as in S-CNN's toolkit).
        plus_one: lengths and intersections count one second more, see `soft_nms`.
        groups: as in `soft_nms`.

    Returns:
        Indices of the kept segments, best first; with groups, one after the other in ascending
        order.

    Raises:
        AttentadError: a score or a time is not finite, the threshold is outside 0..1, or `ties`
            is unknown.
    """
    if not 0 <= tiou_threshold <= 1:
        raise AttentadError(f"tiou_threshold must lie in 0..1, not {tiou_threshold}.")
    rows, values = checked(segments, scores)
    if ties not in TIES:
        raise AttentadError(f"ties go to the {' or the '.join(TIES)}, not {ties!r}.")
    members = checked_groups(groups, len(values))
    check_keep(keep)
    order = np.argsort(-values, kind="stable")
    if ties == "last":
        order = np.argsort(values, kind="stable")[::-1]
    rows, members = rows[order], members[order]
    start, end = rows[:, 0], rows[:, 1] + float(plus_one)
    _, which, sizes = np.unique(members, return_inverse=True, return_counts=True)
    alone = (sizes > _LARGE) | (len(sizes) <= _FEW)
    small = np.flatnonzero(~alone[which])
    candidates = Candidates(
        start[small], end[small], -small.astype(float), np.full(len(small), tiou_threshold)
    )
    kept = [small[take(candidates, members[small], Rule(_remove), keep)[0]]]
    for group in np.flatnonzero(alone):
        large = np.flatnonzero(which == group)
        kept.append(large[_sweep(start[large], end[large], tiou_threshold, keep)])
    found = np.concatenate(kept)
    return order[found[np.argsort(members[found], kind="stable")]]


def _remove(key: Floats, overlap: Floats) -> None:
    np.copyto(key, -np.inf, where=overlap > 0)


def _sweep(start: Floats, end: Floats, tiou_threshold: float, keep: int | None) -> Ints:
    """Positions of what is kept of segments that come best first."""
    length = np.maximum(end - start, TINY_SEC)
    # A tIoU above t asks for an intersection above t/(1 + t) of both lengths: few pairs have it,
    # and the division decides among those alone.
    share = length * (tiou_threshold / (1 + tiou_threshold) * (1 - 1e-12))

    def exceeds(better: Ints, worse: Ints) -> Bools:
        inter = np.minimum(end[better, None], end[worse])
        inter -= np.maximum(start[better, None], start[worse])
        found: Bools = inter > share[better, None] + share[worse]
        i, j = np.nonzero(found)
        overlap = inter[i, j] / (length[worse[j]] + length[better[i]] - inter[i, j])
        found[i, j] = overlap > tiou_threshold
        return found

    left, kept = np.arange(len(start)), [np.zeros(0, dtype=np.int64)]
    limit = limited(keep, len(left))
    while len(left) and sum(map(len, kept)) < limit:
        block, rest = left[:_BLOCK], left[_BLOCK:]
        stays, free = ~exceeds(block, block), np.ones(len(block), dtype=bool)
        for i in range(len(block)):
            if free[i]:
                free[i + 1 :] &= stays[i, i + 1 :]
        kept.append(block[free])
        left = rest[~exceeds(block[free], rest).any(axis=0)]
    return np.concatenate(kept)[:limit]


def limited(keep: int | None, count: int) -> int:
    """How many of `count` are kept at most."""
    return count if keep is None else min(keep, count)


def check_keep(keep: int | None) -> None:
    """Refuse a negative number of segments to keep."""
    if keep is not None and keep < 0:
        raise AttentadError(f"the number of segments to keep must not be negative, as {keep} is.")


def checked_groups(groups: ArrayLike | None, count: int) -> Ints:
    """The group of each of `count` candidates, (count,); all in one where None is given."""
    if groups is None:
        return np.zeros(count, dtype=np.int64)
    members = np.asarray(groups)
    if members.shape != (count,) or (count and members.dtype.kind not in "iu"):
        raise ValueError(f"{count} segments have groups of shape {members.shape}, {members.dtype}")
    return members.astype(np.int64)


def checked(segments: ArrayLike, scores: ArrayLike) -> tuple[Segments, Floats]:
    """Segments and their scores as (N, 2) and (N,) float64, all finite."""
    rows, values = as_segments(segments), np.asarray(scores, dtype=np.float64)
    if values.shape != (len(rows),):
        raise ValueError(f"{len(rows)} segments have scores of shape {values.shape}")
    if not (np.isfinite(values).all() and np.isfinite(rows).all()):
        raise AttentadError("suppression needs finite times and scores; one is NaN or infinite.")
    return rows, values
