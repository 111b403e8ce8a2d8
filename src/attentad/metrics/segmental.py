"""Segments of a label sequence, and what a predicted one makes of them: edit score and F1's counts.

The segmental edit score (Lea et al., ICRA 2016) and the counts behind the segmental F1 (Lea et al.,
CVPR 2017).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from attentad.core.arrays import Floats, Ints


class Runs(NamedTuple):
    """The N segments of a label sequence: maximal runs of one label.

    Args:
        label: (N,) their labels.
        start: (N,) their first frames.
        end: (N,) one past their last frames.
    """

    label: Ints
    start: Ints
    end: Ints


def label_runs(labels: Ints, background: Collection[int] = ()) -> Runs:
    """The segments of a label sequence (T,) in order, without those of the background."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    start = np.concatenate([[0], edges]).astype(np.int64)[: len(labels)]
    end = np.append(start[1:], len(labels)).astype(np.int64)[: len(start)]
    kept = ~np.isin(labels[start], list(background))
    return Runs(labels[start][kept], start[kept], end[kept])


def edit_score(truth: Ints, predicted: Ints, background: Collection[int] = ()) -> float:
    """1 − d/max(m, n) in 0..1: the order of the segments, whatever their length.

    d is the Levenshtein distance of the labels of the m segments of `predicted` and the n of
    `truth`, both (T,). 1 where neither has a segment.
    """
    return edit_of_runs(label_runs(truth, background), label_runs(predicted, background))


def overlap_counts(
    truth: Ints, predicted: Ints, tiou: Sequence[float], background: Collection[int] = ()
) -> Ints:
    """True positives, false positives and false negatives among the segments, (J, 3).

    A predicted segment asks for the one of its label that it overlaps most (the first on a tie);
    with tIoU ≥ threshold it is a true positive if none before it has that one, and else a false
    positive: unlike in detection, it does not go on to the next.

    Args:
        truth: (T,) labels.
        predicted: (T,) labels.
        tiou: J thresholds, above 0.
        background: labels whose segments are ignored.
    """
    return counts_of_runs(label_runs(truth, background), label_runs(predicted, background), tiou)


def edit_of_runs(truth: Runs, predicted: Runs) -> float:
    """See `edit_score`."""
    longest = max(len(truth.label), len(predicted.label))
    return 1.0 - _levenshtein(truth.label, predicted.label) / longest if longest else 1.0


def _levenshtein(a: Ints, b: Ints) -> int:
    """Insertions, deletions and substitutions that turn `a` into `b`, row by row of the table."""
    steps = np.arange(len(b) + 1)
    row = steps
    for number, label in enumerate(a, start=1):
        kept = np.minimum(row[1:] + 1, row[:-1] + (b != label))
        # An insertion costs 1 more than the cell before it: a running minimum over what is left.
        row = np.minimum.accumulate(np.append(number, kept) - steps) + steps
    return int(row[-1])


def counts_of_runs(truth: Runs, predicted: Runs, tiou: Sequence[float]) -> Ints:
    """See `overlap_counts`."""
    found, asking = np.zeros(len(tiou), dtype=np.int64), len(predicted.label)
    if asking and len(truth.label):
        inter = np.minimum(predicted.end[:, None], truth.end) - np.maximum(
            predicted.start[:, None], truth.start
        )
        # Of segments that overlap the hull is the union.
        hull = np.maximum(predicted.end[:, None], truth.end) - np.minimum(
            predicted.start[:, None], truth.start
        )
        overlap = np.where(predicted.label[:, None] == truth.label, inter / hull, 0.0)
        best = overlap.argmax(axis=1)
        value = overlap.max(axis=1)
        found = np.array([len(np.unique(best[value >= threshold])) for threshold in tiou])
    return np.stack([found, asking - found, len(truth.label) - found], axis=1)


def f1_score(true: Ints, false: Ints, missed: Ints) -> Floats:
    """2·TP / (2·TP + FP + FN); 1 where there is nothing to find and nothing was found."""
    whole = 2 * true + false + missed
    return np.where(whole > 0, 2 * true / np.maximum(whole, 1), 1.0)
