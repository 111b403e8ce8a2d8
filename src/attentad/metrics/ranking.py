"""What an average precision is computed from: the ranking of detections, and its curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attentad.core.arrays import Bools, Floats, Ints


@dataclass(frozen=True)
class Ranking:
    """Every evaluated detection, judged at every threshold.

    The N rows are sorted by class, and within a class in order of evaluation.

    Args:
        videos: V ids: those of the ground truth, then those that only detections lie in.
        video: (N,) index into `videos`.
        label: (N,) class index, ascending.
        score: (N,).
        hit: (J, N) whether the detection is a true positive at each threshold.
        counted: (J, N) false where the protocol discards the detection, as it lies on an
            Ambiguous segment: neither true nor false positive, as if it had not been made.
        truth_count: (V, K) instances per video and class.
        interpolated: precision is its running maximum from the right before it is summed;
            otherwise it is taken as it is at each true positive.
    """

    videos: tuple[str, ...]
    video: Ints
    label: Ints
    score: Floats
    hit: Bools
    counted: Bools
    truth_count: Ints
    interpolated: bool


def average_precisions(ranking: Ranking) -> tuple[Floats, Floats]:
    """Average precision and recall of every class at every threshold, both (K, J) in 0..1.

    Each class needs at least one instance; one without detections has 0 in both.
    """
    truth_count = ranking.truth_count.sum(axis=0)
    ap = np.zeros((len(truth_count), len(ranking.hit)))
    recall = np.zeros_like(ap)
    for column in range(len(ranking.hit)):
        for row, precision in enumerate(class_precisions(ranking, column)):
            # Added up from the last to the first: usually the small values first.
            ap[row, column] = precision[::-1].copy().sum() / truth_count[row]
            recall[row, column] = len(precision) / truth_count[row]
    return ap, recall


def class_precisions(ranking: Ranking, tiou_index: int) -> list[Floats]:
    """Precision at each true positive of each of the K classes, best first, (H_k,) in 0..1."""
    hits, counted = np.flatnonzero(ranking.hit[tiou_index]), ranking.counted[tiou_index]
    # Where each class's rows start, and the end of the last.
    bounds = np.searchsorted(ranking.label, np.arange(ranking.truth_count.shape[1] + 1))
    first = bounds[ranking.label[hits]]
    if counted.all():
        places = hits - first
    else:
        before = np.concatenate([[0], np.cumsum(counted)])
        places = before[hits] - before[first]
    of_class = np.split(places, np.searchsorted(hits, bounds[1:-1]))
    return [_precision(part, ranking.interpolated) for part in of_class]


def _precision(places: Ints, interpolated: bool) -> Floats:
    """Precision at each true positive of a class; at `places` from 0, ascending."""
    precision = np.arange(1, len(places) + 1) / (places + 1)
    if not interpolated:
        return precision
    # Between two true positives precision falls, so its running maximum needs only these.
    return np.maximum.accumulate(precision[::-1])[::-1]
