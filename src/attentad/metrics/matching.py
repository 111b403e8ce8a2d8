"""Overlapping pairs of detections and ground truth, and who gets whom, without loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attentad.core import Segments
from attentad.core.arrays import Bools, Floats, Ints

# Pairs of one video and class are looked at in blocks of about this many, to bound memory.
_BLOCK_PAIRS = 2_000_000

_LEAST_OVERLAP = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Instances:
    """Segments of many videos in flat arrays: ground truth, or detections.

    Args:
        segments: (N, 2) seconds.
        video: (N,) index of the video; −1 for one without ground truth.
        label: (N,) index of the class, not negative.
    """

    segments: Segments
    video: Ints
    label: Ints

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: NDArray) -> Instances:
        """The instances at `rows` (indices or mask), in that order."""
        return Instances(self.segments[rows], self.video[rows], self.label[rows])

    def classless(self) -> Instances:
        """The same, all of class 0."""
        return Instances(self.segments, self.video, np.zeros_like(self.label))


@dataclass(frozen=True)
class Pairs:
    """Overlapping pairs of a detection and an instance of the same video and class.

    Sorted by `detection`, and for one detection by falling tIoU (on a tie the later instance
    first). All arrays are (P,).
    """

    detection: Ints
    truth: Ints
    tiou: Floats


def rank(scores: Floats, label: Ints) -> Ints:
    """Order of evaluation, (N,) indices: by class, then by falling score, ties later entry first.

    This is a stable ascending sort read backwards, which is what the public evaluator's
    unstable sort gives for short lists.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    return order[np.argsort(label[order], kind="stable")]


def paired_tiou(a: Segments, b: Segments) -> Floats:
    """tIoU of row i of `a` with row i of `b`, (N,); 0 where the union is empty."""
    inter = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
    np.maximum(inter, 0.0, out=inter)
    union = (a[:, 1] - a[:, 0]) + (b[:, 1] - b[:, 0]) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def overlapping_pairs(
    detected: Instances,
    truth: Instances,
    minimum: float,
    overlap: Callable[[Segments, Segments], Floats] = paired_tiou,
) -> Pairs:
    """All pairs of one video and class that overlap by `minimum` > 0; see `Pairs` for their order.

    Args:
        detected: usually in order of evaluation.
        truth: in the order of the annotations.
        minimum: pairs with less are left out.
        overlap: of row i of (N, 2) with row i of (N, 2), (N,).
    """
    if not len(detected) or not len(truth):
        nothing = np.zeros(0, dtype=np.int64)
        return Pairs(nothing, nothing, np.zeros(0))
    classes = int(max(detected.label.max(), truth.label.max())) + 1
    truth_key = truth.video * classes + truth.label
    # Backwards within a group, so that a stable sort by tIoU leaves the later instance first.
    by_key = np.argsort(truth_key, kind="stable")[::-1]
    groups, first, size = np.unique(-truth_key[by_key], return_index=True, return_counts=True)
    detection_key = -(detected.video * classes + detected.label)
    slot = np.minimum(np.searchsorted(groups, detection_key), len(groups) - 1)
    candidates = np.flatnonzero(groups[slot] == detection_key)
    slot = slot[candidates]
    blocks = []
    for part in _blocks(size[slot]):
        counts = size[slot[part]]
        detection = np.repeat(candidates[part], counts)
        within = np.arange(len(detection)) - np.repeat(np.cumsum(counts) - counts, counts)
        instance = by_key[np.repeat(first[slot[part]], counts) + within]
        value = overlap(detected.segments[detection], truth.segments[instance])
        enough = value >= minimum
        blocks.append((detection[enough], instance[enough], value[enough]))
    detection, instance, value = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
    order = np.lexsort((-value, detection))
    return Pairs(detection[order], instance[order], value[order])


def touching(detected: Instances, segments: Instances) -> Bools:
    """Whether each detection overlaps any of `segments` of its video, whatever the class, (N,)."""
    pairs = overlapping_pairs(detected.classless(), segments.classless(), _LEAST_OVERLAP)
    touched = np.zeros(len(detected), dtype=bool)
    touched[pairs.detection] = True
    return touched


def choose_in_turn(chooser: Ints, wanted: Ints, count: int) -> tuple[Ints, Ints]:
    """Choosers in ascending order each take the first item on their list that is still free.

    All choose at once: every free chooser asks for its next choice, every item stays with the
    first-ranked that ever asked, and who is turned away asks for the next. As all items rank
    the choosers alike, this deferred acceptance (Gale and Shapley 1962) ends at the one stable
    matching, which is that of choosing in turn.

    Args:
        chooser: (P,) indices, ascending; the rows of one chooser are its list, dearest first.
        wanted: (P,) indices of items, below `count`.
        count: number of items.

    Returns:
        The choosers that got something, ascending, and what each got; both (M,).
    """
    if not len(chooser):
        return chooser, wanted
    cursor = np.flatnonzero(np.diff(chooser, prepend=-1))
    stop = np.append(cursor[1:], len(chooser))
    choosers = chooser[cursor]
    nobody = len(cursor)
    holder = np.full(count, nobody)
    asking = np.arange(nobody)
    while len(asking):
        choice = wanted[cursor[asking]]
        before = holder[choice]
        np.minimum.at(holder, choice, asking)
        after = holder[choice]
        refused = asking[after != asking]
        displaced = np.unique(before[(before != after) & (before != nobody)])
        losers = np.concatenate([refused, displaced])
        cursor[losers] += 1
        asking = losers[cursor[losers] < stop[losers]]
    taken = np.flatnonzero(holder != nobody)
    order = np.argsort(holder[taken])
    return choosers[holder[taken][order]], taken[order]


def _blocks(counts: Ints) -> Iterator[slice]:
    """Slices of consecutive detections with about `_BLOCK_PAIRS` pairs each; at least one."""
    total = np.cumsum(counts)
    start = 0
    while True:
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + _BLOCK_PAIRS, side="right")))
        yield slice(start, stop)
        if stop >= len(counts):
            return
        start = stop
