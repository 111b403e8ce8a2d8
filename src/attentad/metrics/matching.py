"""Matching detections to ground truth, and the average precision that follows, without loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attentad.core import Segments

# Pairs of one video and class are looked at in blocks of about this many, to bound memory.
_BLOCK_PAIRS = 2_000_000


@dataclass(frozen=True)
class Instances:
    """Segments of many videos in flat arrays: ground truth, or detections in ranked order.

    Args:
        segments: (N, 2) seconds.
        video: (N,) index of the video; −1 for a video without ground truth.
        label: (N,) index of the class.
    """

    segments: Segments
    video: NDArray[np.int64]
    label: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: NDArray) -> Instances:
        """The instances at `rows` (indices or mask), in that order."""
        return Instances(self.segments[rows], self.video[rows], self.label[rows])


@dataclass(frozen=True)
class Pairs:
    """Overlapping pairs of a detection and an instance of the same video and class.

    Sorted by `detection`, and for one detection by falling tIoU (on a tie the later instance
    first). All arrays are (P,).
    """

    detection: NDArray[np.int64]
    truth: NDArray[np.int64]
    tiou: NDArray[np.float64]


def rank(scores: NDArray[np.float64], label: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order of evaluation, (N,) indices: by class, then by falling score, ties later entry first.

    This is a stable ascending sort read backwards, which is what the public evaluator's
    unstable sort gives for short lists.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    return order[np.argsort(label[order], kind="stable")]


def overlapping_pairs(ranked: Instances, truth: Instances, minimum: float) -> Pairs:
    """All pairs of one video and class with tIoU ≥ `minimum` > 0; see `Pairs` for their order."""
    if not len(ranked) or not len(truth):
        nothing = np.zeros(0, dtype=np.int64)
        return Pairs(nothing, nothing, np.zeros(0))
    classes = int(max(ranked.label.max(), truth.label.max())) + 1
    truth_key = truth.video * classes + truth.label
    # Backwards within a group, so that a stable sort by tIoU leaves the later instance first.
    by_key = np.argsort(truth_key, kind="stable")[::-1]
    groups, first, size = np.unique(-truth_key[by_key], return_index=True, return_counts=True)
    detection_key = -(ranked.video * classes + ranked.label)
    slot = np.minimum(np.searchsorted(groups, detection_key), len(groups) - 1)
    candidates = np.flatnonzero((groups[slot] == detection_key) & (ranked.video >= 0))
    slot = slot[candidates]
    found = []
    for part in _blocks(size[slot]):
        counts = size[slot[part]]
        detection = np.repeat(candidates[part], counts)
        within = np.arange(len(detection)) - np.repeat(np.cumsum(counts) - counts, counts)
        instance = by_key[np.repeat(first[slot[part]], counts) + within]
        overlap = _paired_tiou(ranked.segments[detection], truth.segments[instance])
        enough = overlap >= minimum
        found.append((detection[enough], instance[enough], overlap[enough]))
    detection, instance, overlap = (np.concatenate(columns) for columns in zip(*found, strict=True))
    order = np.lexsort((-overlap, detection))
    return Pairs(detection[order], instance[order], overlap[order])


def match(pairs: Pairs, threshold: float, truth_count: int) -> NDArray[np.int64]:
    """Detections that are true positives at tIoU ≥ `threshold`, ascending indices.

    The rule: detections in ranked order, each takes the best-overlapping instance that is still
    free. All classes and videos are matched at once: every free detection asks for its next
    choice, every instance stays with the best-ranked that ever asked, and who is turned away
    asks for the next. As all instances rank the detections alike, this deferred acceptance
    (Gale and Shapley 1962) ends at the one stable matching, which is the greedy one.
    """
    enough = pairs.tiou >= threshold
    detection, wanted = pairs.detection[enough], pairs.truth[enough]
    if not len(detection):
        return detection
    cursor = np.flatnonzero(np.diff(detection, prepend=-1))
    stop = np.append(cursor[1:], len(detection))
    detections = detection[cursor]
    nobody = len(cursor)
    holder = np.full(truth_count, nobody)
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
    return detections[np.sort(holder[holder != nobody])]


def average_precision(places: NDArray[np.int64], truth_count: int) -> float:
    """Area under the precision-recall curve, interpolated at all points, 0..1.

    Args:
        places: of the true positives in the ranking of their class, ascending from 0.
        truth_count: instances of the class, at least 1.
    """
    precision = np.arange(1, len(places) + 1) / (places + 1)
    # Between two true positives precision falls, so its running maximum needs only these.
    interpolated = np.maximum.accumulate(precision[::-1])
    return float(interpolated.sum() / truth_count)


def _blocks(counts: NDArray[np.int64]) -> Iterator[slice]:
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


def _paired_tiou(a: Segments, b: Segments) -> NDArray[np.float64]:
    """tIoU of row i of `a` with row i of `b`, (N,); 0 where the union is empty."""
    inter = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
    np.maximum(inter, 0.0, out=inter)
    union = (a[:, 1] - a[:, 0]) + (b[:, 1] - b[:, 0]) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
