"""Frame-wise scores frame by frame and cell by cell, from their definitions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

Segment = tuple[int, int, int]  # label, first frame, one past the last


def slow_segments(labels: Sequence[int], background: Sequence[int]) -> list[Segment]:
    segments: list[Segment] = []
    first = 0
    for frame in range(1, len(labels) + 1):
        if frame == len(labels) or labels[frame] != labels[first]:
            if labels[first] not in background:
                segments.append((labels[first], first, frame))
            first = frame
    return segments


def slow_edit(truth: Sequence[int], found: Sequence[int], background: Sequence[int]) -> float:
    a = [segment[0] for segment in slow_segments(truth, background)]
    b = [segment[0] for segment in slow_segments(found, background)]

    @cache
    def distance(i: int, j: int) -> int:
        """Of the first i labels of a from the first j of b."""
        if i == 0 or j == 0:
            return i + j
        changed = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(changed, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    longest = max(len(a), len(b))
    return 1 - distance(len(a), len(b)) / longest if longest else 1.0


def slow_counts(
    truth: Sequence[int], found: Sequence[int], threshold: float, background: Sequence[int]
) -> tuple[int, int, int]:
    wanted = slow_segments(truth, background)
    free = [True] * len(wanted)
    hits = misses = 0
    for label, first, last in slow_segments(found, background):
        best, best_tiou = None, 0.0
        frames = set(range(first, last))
        for row, (other, start, stop) in enumerate(wanted):
            own = set(range(start, stop))
            tiou = len(frames & own) / len(frames | own) if other == label else 0.0
            if tiou > best_tiou:
                best, best_tiou = row, tiou
        if best is not None and best_tiou >= threshold and free[best]:
            free[best] = False
            hits += 1
        else:
            misses += 1
    return hits, misses, sum(free)
