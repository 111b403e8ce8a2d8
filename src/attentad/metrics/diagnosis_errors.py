"""What kind of error each false positive is, normalised AP, and what every kind costs.

After DETAD (Alwassel et al., ECCV 2018); rules in specs/amnet_afsd_gaf.md §5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attentad.core.arrays import Bools, Floats, Ints
from attentad.metrics.matching import Instances, Pairs, choose_in_turn, overlapping_pairs

ERROR_TYPES = ("double detection", "wrong label", "localization", "confusion", "background")
"""Error type of verdict 1, 2, … 5; verdict 0 is a true positive."""

VERDICTS = ("true positive", *ERROR_TYPES)

_TRUE, _DOUBLE, _WRONG, _LOCALIZATION, _CONFUSION, _BACKGROUND = range(6)


@dataclass(frozen=True)
class Judged:
    """Ranked detections and their verdict at each of J thresholds.

    Args:
        label: (N,) class index, ascending; within a class the rows are in order of evaluation.
        place: (N,) place in the ranking of the class, from 0.
        verdict: (J, N) int8, index into `VERDICTS`.
        hits: J arrays of the rows of the true positives, ascending.
        found: J arrays, the instance that each of `hits` found.
        truth_count: (K,) instances per class, at least 1.
    """

    label: Ints
    place: Ints
    verdict: NDArray[np.int8]
    hits: tuple[Ints, ...]
    found: tuple[Ints, ...]
    truth_count: Ints

    @property
    def mean_instances(self) -> float:
        """N̄: instances per class on average, what AP_N is normalised to."""
        return float(self.truth_count.mean())


def judge(
    ranked: Instances, truth: Instances, thresholds: Sequence[float], low_tiou: float
) -> Judged:
    """Match detections to instances at each threshold, and say what is wrong with the others.

    A false positive of class c is judged by one instance alone: that of its video, of whatever
    class, with the largest tIoU u; where several share it, one of class c if there is one.

    | type | u | its class |
    |---|---|---|
    | double detection | ≥ threshold | c, so another detection has it |
    | wrong label | ≥ threshold | another |
    | localization | low … threshold | c |
    | confusion | low … threshold | another |
    | background | < low, or the video has no instance | |

    Args:
        ranked: detections sorted by class, then in order of evaluation.
        truth: ground truth, at least one instance of each class.
        thresholds: in (0, 1].
        low_tiou: above 0 and at most the smallest threshold.
    """
    pairs = overlapping_pairs(ranked.classless(), truth.classless(), low_tiou)
    same_class = ranked.label[pairs.detection] == truth.label[pairs.truth]
    near, best, own = _best_overlap(pairs, same_class)
    verdict = np.full((len(thresholds), len(ranked)), _BACKGROUND, dtype=np.int8)
    hits, instances = [], []
    for row, threshold in enumerate(thresholds):
        enough = best >= threshold
        verdict[row, near[enough]] = np.where(own, _DOUBLE, _WRONG)[enough]
        verdict[row, near[~enough]] = np.where(own, _LOCALIZATION, _CONFUSION)[~enough]
        usable = same_class & (pairs.tiou >= threshold)
        taker, taken = choose_in_turn(pairs.detection[usable], pairs.truth[usable], len(truth))
        verdict[row, taker] = _TRUE
        in_rank = np.argsort(taker)
        hits.append(taker[in_rank])
        instances.append(taken[in_rank])
    truth_count = np.bincount(truth.label)
    start = np.searchsorted(ranked.label, np.arange(len(truth_count)))
    place = np.arange(len(ranked)) - start[ranked.label]
    return Judged(ranked.label, place, verdict, tuple(hits), tuple(instances), truth_count)


def error_shares(judged: Judged, slots: int) -> tuple[Floats, Ints]:
    """The false-positive profile: which share of the detections deserves which verdict.

    Slot k = 1, 2, … of a class with G instances holds its detections of ranks (k−1)·G + 1 to
    k·G; the slots of all classes are pooled.

    Returns:
        (slots, 6) shares in 0..1 by `VERDICTS`, the mean over thresholds, 0 in an empty slot;
        and (slots,) the number of detections in each.
    """
    slot = judged.place // judged.truth_count[judged.label]
    within = slot < slots
    kinds = len(VERDICTS)
    counts = np.zeros((slots, kinds))
    for verdict in judged.verdict:
        cell = slot[within] * kinds + verdict[within]
        counts += np.bincount(cell, minlength=slots * kinds).reshape(slots, kinds)
    total = np.bincount(slot[within], minlength=slots)
    seen = np.maximum(total, 1) * len(judged.verdict)
    return counts / seen[:, None], total


def gains(judged: Judged, slots: int) -> tuple[float, Floats]:
    """Average-mAP_N of the first slots, and what it gains if a type of error disappears, (5,).

    The detections of the type are deleted, not corrected. They were unmatched, so the matching
    of the others stands, and no gain is negative.
    """
    values = np.zeros((len(judged.verdict), 1 + len(ERROR_TYPES)))
    for row, hits in enumerate(judged.hits):
        label = judged.label[hits]
        within = judged.place[hits] < slots * judged.truth_count[label]
        # Column 0 removes nothing, as no false positive has the verdict 0.
        for removed in range(len(VERDICTS)):
            before = false_before(judged, row, removed)[within]
            values[row, removed] = mean_normalised_ap(
                label[within], before, judged.truth_count, judged.mean_instances
            )
    means = values.mean(axis=0)
    return float(means[0]), means[1:] - means[0]


def false_before(judged: Judged, row: int, removed: int = _TRUE) -> Ints:
    """False positives that rank above each of `judged.hits[row]` in its class, (M,).

    Those of the verdict `removed` are left out.
    """
    verdict, hits = judged.verdict[row], judged.hits[row]
    false = (verdict != _TRUE) & (verdict != removed)
    before = np.concatenate([[0], np.cumsum(false)])
    return before[hits] - before[hits - judged.place[hits]]


def normalised_precision(false: Ints, truth_count: int, mean_instances: float) -> Floats:
    """P_N = R·N̄ / (R·N̄ + FP) at each true positive of a class, (M,) in 0..1.

    Precision as if the class had N̄ instances, the mean, so that frequent and rare classes, or
    buckets of them, compare. R is the share of its instances found up to each true positive, FP
    the (M,) `false` positives above each.
    """
    expected = np.arange(1, len(false) + 1) / truth_count * mean_instances
    return expected / (expected + false)


def mean_normalised_ap(label: Ints, false: Ints, truth_count: Ints, mean_instances: float) -> float:
    """AP_N in 0..1, the area under P_N against R interpolated at all points, averaged over classes;
    NaN if there is no instance at all.

    Args:
        label: (M,) class of each true positive, ascending; within a class by rank.
        false: (M,) false positives of its class above it.
        truth_count: (K,) instances to find; a class with none has no part in the mean.
        mean_instances: N̄.
    """
    cuts = np.searchsorted(label, np.arange(len(truth_count) + 1))
    classes = np.flatnonzero(truth_count)
    areas = np.zeros(len(classes))
    for row, name in enumerate(classes):
        part = false[cuts[name] : cuts[name + 1]]
        precision = normalised_precision(part, int(truth_count[name]), mean_instances)
        # Between two true positives P_N falls, so its running maximum needs only these.
        areas[row] = np.maximum.accumulate(precision[::-1]).sum() / truth_count[name]
    return float(areas.mean()) if len(areas) else float("nan")


def _best_overlap(pairs: Pairs, same_class: Bools) -> tuple[Ints, Floats, Bools]:
    """The detections in `pairs`, their largest tIoU, and whether their own class reaches it."""
    starts = np.diff(pairs.detection, prepend=-1) > 0
    owner = np.cumsum(starts) - 1
    best = pairs.tiou[starts]
    own = np.zeros(len(best), dtype=bool)
    own[owner[same_class & (pairs.tiou == best[owner])]] = True
    return pairs.detection[starts], best, own
