"""What an average precision is computed from: the ranking of detections, and its curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from attentad.metrics.detection import DetectionResult


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
    video: NDArray[np.int64]
    label: NDArray[np.int64]
    score: NDArray[np.float64]
    hit: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    truth_count: NDArray[np.int64]
    interpolated: bool


def average_precisions(ranking: Ranking) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average precision and recall of every class at every threshold, both (K, J) in 0..1.

    Each class needs at least one instance; one without detections has 0 in both.
    """
    truth_count = ranking.truth_count.sum(axis=0)
    ap = np.zeros((len(truth_count), len(ranking.hit)))
    recall = np.zeros_like(ap)
    bounds = _class_bounds(ranking)
    for column in range(len(ranking.hit)):
        hits, places = _hits_and_places(ranking, column, bounds)
        cuts = np.searchsorted(hits, bounds)
        recall[:, column] = np.diff(cuts) / truth_count
        for row in np.flatnonzero(np.diff(cuts)):
            precision = _precision(places[cuts[row] : cuts[row + 1]], ranking.interpolated)
            # Added up from the last to the first: usually the small values first.
            ap[row, column] = precision[::-1].copy().sum() / truth_count[row]
    return ap, recall


def precision_recall(
    result: DetectionResult, class_index: int | None, tiou_index: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The precision-recall curve whose area is the average precision.

    Args:
        result: of `detection_map`.
        class_index: row of `result.classes`; None for the mean over the classes at equal
            recall, whose area is the mAP.
        tiou_index: of `result.tiou`.

    Returns:
        recall: (P,) in 0..1, ascending: where it rises, up to the largest reached. Empty if
            nothing was found.
        precision: (P,) in 0..1, which holds from the recall before (0 for the first) up to this
            one, so that Σ precision·Δrecall is the AP. Interpolated if the protocol does that.
    """
    ranking = result.ranking
    bounds = _class_bounds(ranking)
    hits, places = _hits_and_places(ranking, tiou_index, bounds)
    cuts = np.searchsorted(hits, bounds)
    rows = range(len(result.classes)) if class_index is None else [class_index]
    curves = []
    for row in rows:
        precision = _precision(places[cuts[row] : cuts[row + 1]], ranking.interpolated)
        recall = np.arange(1, len(precision) + 1) / result.truth_count[row]
        curves.append((recall, precision))
    if class_index is not None:
        return curves[0]
    grid = np.unique(np.concatenate([recall for recall, _ in curves]))
    total = np.zeros(len(grid))
    for recall, precision in curves:
        # Beyond the class's largest recall its precision is 0.
        total += np.append(precision, 0.0)[np.searchsorted(recall, grid)]
    return grid, total / len(curves)


def _class_bounds(ranking: Ranking) -> NDArray[np.int64]:
    """Where each class's rows start, and the end of the last, (K + 1,)."""
    return np.searchsorted(ranking.label, np.arange(ranking.truth_count.shape[1] + 1))


def _hits_and_places(
    ranking: Ranking, column: int, bounds: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the true positives, and the place of each, from 0, in what counts of its class."""
    hits = np.flatnonzero(ranking.hit[column])
    first = bounds[ranking.label[hits]]
    if ranking.counted[column].all():
        return hits, hits - first
    before = np.concatenate([[0], np.cumsum(ranking.counted[column])])
    return hits, before[hits] - before[first]


def _precision(places: NDArray[np.int64], interpolated: bool) -> NDArray[np.float64]:
    """Precision at each true positive of a class; at `places` from 0, ascending."""
    precision = np.arange(1, len(places) + 1) / (places + 1)
    if not interpolated:
        return precision
    # Between two true positives precision falls, so its running maximum needs only these.
    return np.maximum.accumulate(precision[::-1])[::-1]
