"""How the ActivityNet evaluation judges detections (Caba Heilbron et al. 2015; spec csa §7.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attentad.metrics.detected import Detected
from attentad.metrics.ground_truth import GroundTruth
from attentad.metrics.judgement import Judgement
from attentad.metrics.matching import choose_in_turn, overlapping_pairs, rank


def judge(truth: GroundTruth, detected: Detected, tiou: Sequence[float]) -> Judgement:
    """Each detection, best first, takes the best-overlapping instance that is still free.

    tIoU = threshold is enough. On a tie in score the later entry comes first, on a tie in tIoU
    the later instance is taken.
    """
    order = rank(detected.scores, detected.instances.label)
    pairs = overlapping_pairs(detected.instances[order], truth.instances, min(tiou))
    hit = np.zeros((len(tiou), len(order)), dtype=bool)
    for row, threshold in enumerate(tiou):
        enough = pairs.tiou >= threshold
        detections, _ = choose_in_turn(
            pairs.detection[enough], pairs.truth[enough], len(truth.instances)
        )
        hit[row, detections] = True
    return Judgement(order, hit, np.broadcast_to(np.True_, hit.shape), interpolated=True)
