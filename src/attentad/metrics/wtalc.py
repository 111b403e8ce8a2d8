"""How W-TALC's evaluation judges detections (spec hamnet_sta_recognition §6.C)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attentad.metrics.detected import Detected
from attentad.metrics.ground_truth import GroundTruth
from attentad.metrics.judgement import Judgement
from attentad.metrics.matching import Instances, choose_in_turn, overlapping_pairs, touching

# Its features: one snippet for 16 frames at 25 frames per second.
SNIPPETS_PER_SEC = 25 / 16


def judge(truth: GroundTruth, detected: Detected, tiou: Sequence[float]) -> Judgement:
    """Each detection, best first, takes the first instance of the file that it fits.

    Times are rounded to whole snippets (halves to the even one) and tIoU is that of the sets of
    snippets; tIoU = threshold is enough. Detections that share a snippet with an Ambiguous
    segment are removed beforehand. On a tie in score the earlier entry of the file comes first.
    """
    order = np.lexsort((-detected.scores, detected.instances.label))
    ranked = _in_snippets(detected.instances[order])
    instances = _in_snippets(truth.instances)
    stays = ~touching(ranked, _in_snippets(truth.ambiguous))
    rows = np.flatnonzero(stays)
    pairs = overlapping_pairs(ranked[rows], instances, min(tiou))
    in_file_order = np.lexsort((pairs.truth, pairs.detection))
    detection, wanted = pairs.detection[in_file_order], pairs.truth[in_file_order]
    overlap = pairs.tiou[in_file_order]
    hit = np.zeros((len(tiou), len(order)), dtype=bool)
    for row, threshold in enumerate(tiou):
        enough = overlap >= threshold
        taking, _ = choose_in_turn(detection[enough], wanted[enough], len(instances))
        hit[row, rows[taking]] = True
    return Judgement(order, hit, np.broadcast_to(stays, hit.shape), interpolated=False)


def _in_snippets(instances: Instances) -> Instances:
    """The same with [first, one past the last] snippet for start and end."""
    snippets = np.rint(instances.segments * SNIPPETS_PER_SEC)
    return Instances(snippets, instances.video, instances.label)
