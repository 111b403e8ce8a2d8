"""How the official THUMOS14 toolkit judges detections (spec hamnet_sta_recognition §6.B)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attentad.core import Segments
from attentad.metrics.detected import Detected
from attentad.metrics.ground_truth import GroundTruth
from attentad.metrics.judgement import Judgement
from attentad.metrics.matching import choose_in_turn, overlapping_pairs, touching


def judge(truth: GroundTruth, detected: Detected, tiou: Sequence[float]) -> Judgement:
    """Each instance, in the order of the file, takes the best-overlapping free detection.

    The overlap has to exceed the threshold; on a tie in overlap the higher score is taken. What
    is left over and overlaps any Ambiguous segment of its video is discarded. On a tie in score
    the video whose name sorts first comes first, and within a video the earlier entry.
    """
    order = _rank(detected)
    ranked = detected.instances[order]
    pairs = overlapping_pairs(ranked, truth.instances, min(tiou), _hull_overlap)
    # From the instances' point of view: a list of detections for each, best first.
    turn = np.lexsort((pairs.detection, -pairs.tiou, pairs.truth))
    instance, wanted, overlap = pairs.truth[turn], pairs.detection[turn], pairs.tiou[turn]
    hit = np.zeros((len(tiou), len(order)), dtype=bool)
    for row, threshold in enumerate(tiou):
        enough = overlap > threshold
        _, taken = choose_in_turn(instance[enough], wanted[enough], len(order))
        hit[row, taken] = True
    counted = hit | ~touching(ranked, truth.ambiguous)
    return Judgement(order, hit, counted, interpolated=False)


def _rank(detected: Detected) -> NDArray[np.int64]:
    """Order of evaluation, (N,): by class, falling score, name of the video, entry."""
    alphabetical = np.argsort(np.array(detected.videos, dtype=object), kind="stable")
    place = np.empty(len(alphabetical), dtype=np.int64)
    place[alphabetical] = np.arange(len(alphabetical))
    found = detected.instances
    return np.lexsort((place[found.video], -detected.scores, found.label))


def _hull_overlap(a: Segments, b: Segments) -> NDArray[np.float64]:
    """tIoU with the union taken from first start to last end, as the toolkit does, (N,).

    For segments that overlap this is the same but for rounding, which a strict comparison of
    times with one decimal notices.
    """
    inter = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
    hull = np.maximum(a[:, 1], b[:, 1]) - np.minimum(a[:, 0], b[:, 0])
    return np.divide(inter, hull, out=np.zeros_like(inter), where=inter > 0)
