"""How each protocol judges detections: their order, and which are true positives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attentad.core import Segments
from attentad.core.arrays import Bools, Floats, Ints
from attentad.metrics.detected import Detected
from attentad.metrics.ground_truth import GroundTruth
from attentad.metrics.matching import Instances, choose_in_turn, overlapping_pairs, rank, touching
from attentad.metrics.thresholds import Spacing, parse_tiou

ACTIVITYNET_RANGE = "0.5:0.95:0.05"
ACTIVITYNET_TIOU = parse_tiou(ACTIVITYNET_RANGE)

# Features of W-TALC: one snippet for 16 frames at 25 frames per second.
_SNIPPETS_PER_SEC = 25 / 16


class Judgement(NamedTuple):
    """A protocol's verdict on N detections at J thresholds.

    Args:
        order: (N,) indices of the detections, by class and then in order of evaluation.
        hit: (J, N) whether the detection at that place of `order` is a true positive.
        counted: (J, N) false where the protocol discards it.
    """

    order: Ints
    hit: Bools
    counted: Bools


def judge_activitynet(truth: GroundTruth, detected: Detected, tiou: Sequence[float]) -> Judgement:
    """Each detection, best first, takes the best-overlapping instance that is still free.

    tIoU = threshold is enough. On a tie in score the later entry comes first, on a tie in tIoU
    the later instance is taken. The ActivityNet evaluation (Caba Heilbron et al. 2015; spec csa
    §7.1).
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
    return Judgement(order, hit, np.broadcast_to(np.True_, hit.shape))


def judge_official(truth: GroundTruth, detected: Detected, tiou: Sequence[float]) -> Judgement:
    """Each instance, in the order of the file, takes the best-overlapping free detection.

    The overlap has to exceed the threshold; on a tie in overlap the higher score is taken. What
    is left over and overlaps any Ambiguous segment of its video is discarded. On a tie in score
    the video whose name sorts first comes first, and within a video the earlier entry. The
    official THUMOS14 toolkit (spec hamnet_sta_recognition §6.B).
    """
    alphabetical = np.argsort(np.array(detected.videos, dtype=object), kind="stable")
    place = np.empty(len(alphabetical), dtype=np.int64)
    place[alphabetical] = np.arange(len(alphabetical))
    instances = detected.instances
    order = np.lexsort((place[instances.video], -detected.scores, instances.label))
    ranked = instances[order]
    pairs = overlapping_pairs(ranked, truth.instances, min(tiou), _hull_overlap)
    # From the instances' point of view: a list of detections for each, best first.
    turn = np.lexsort((pairs.detection, -pairs.tiou, pairs.truth))
    instance, wanted, overlap = pairs.truth[turn], pairs.detection[turn], pairs.tiou[turn]
    hit = np.zeros((len(tiou), len(order)), dtype=bool)
    for row, threshold in enumerate(tiou):
        enough = overlap > threshold
        _, taken = choose_in_turn(instance[enough], wanted[enough], len(order))
        hit[row, taken] = True
    return Judgement(order, hit, hit | ~touching(ranked, truth.ambiguous))


def judge_wtalc(truth: GroundTruth, detected: Detected, tiou: Sequence[float]) -> Judgement:
    """Each detection, best first, takes the first instance of the file that it fits.

    Times are rounded to whole snippets (halves to the even one) and tIoU is that of the sets of
    snippets; tIoU = threshold is enough. Detections that share a snippet with an Ambiguous
    segment are removed beforehand. On a tie in score the earlier entry of the file comes first.
    W-TALC's evaluation (spec hamnet_sta_recognition §6.C).
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
    return Judgement(order, hit, np.broadcast_to(stays, hit.shape))


def _hull_overlap(a: Segments, b: Segments) -> Floats:
    # The toolkit's union runs from first start to last end. For segments that overlap this is the
    # same but for rounding, which a strict comparison of times with one decimal notices.
    inter = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
    hull = np.maximum(a[:, 1], b[:, 1]) - np.minimum(a[:, 0], b[:, 0])
    return np.divide(inter, hull, out=np.zeros_like(inter), where=inter > 0)


def _in_snippets(instances: Instances) -> Instances:
    """The same with [first, one past the last] snippet for start and end."""
    snippets = np.rint(instances.segments * _SNIPPETS_PER_SEC)
    return Instances(snippets, instances.video, instances.label)


@dataclass(frozen=True)
class Protocol:
    """One row of the table of protocols.

    Args:
        about: one line for help texts.
        judge: which detections are true positives.
        tiou_range: its own thresholds, as `parse_tiou` takes them.
        interpolated: said of the precision that AP sums.
        ground_truth_set: the one that it is evaluated on unless another is named.
        use_ambiguous: whether it needs the segments of the class Ambiguous.
        spacing: how it makes ranges of thresholds, its own and a user's; see `parse_tiou`.
        sorts_times: a detection that ends before it starts is taken from the earlier to the later
            time. Otherwise it overlaps nothing.
    """

    about: str
    judge: Callable[[GroundTruth, Detected, Sequence[float]], Judgement]
    tiou_range: str
    interpolated: bool
    ground_truth_set: str = "all"
    use_ambiguous: bool = False
    spacing: Spacing = "linspace"
    sorts_times: bool = False

    @property
    def tiou(self) -> tuple[float, ...]:
        """Its own thresholds, J values."""
        return parse_tiou(self.tiou_range, self.spacing)


PROTOCOL_RULES: Mapping[str, Protocol] = {
    "activitynet": Protocol(
        "classes of the evaluated ground truth; by falling score (on a tie the later entry first) "
        "each detection takes the free instance of largest tIoU ≥ threshold (on a tie the later); "
        "Ambiguous segments are dropped; all-point interpolation",
        judge_activitynet,
        ACTIVITYNET_RANGE,
        interpolated=True,
    ),
    "thumos14": Protocol(
        "the rules and ties of activitynet on THUMOS14's ground-truth set gtad210, opentad211 or "
        "full, so that a detection on an Ambiguous segment is a false positive",
        judge_activitynet,
        "0.3:0.7:0.1",
        interpolated=True,
        ground_truth_set="gtad210",
    ),
    "thumos14-official": Protocol(
        "per class and video each instance, in file order, takes the free detection of largest "
        "tIoU > threshold (on a tie the higher score); others on an Ambiguous segment are "
        "discarded; ties in score by the video's name, then the earlier entry; no interpolation",
        judge_official,
        "0.1:0.5:0.1",
        interpolated=False,
        use_ambiguous=True,
        # The toolkit takes one threshold a call; W-TALC lists its own.
        spacing="decimal",
        sorts_times=True,
    ),
    "wtalc": Protocol(
        "tIoU of whole snippets of 16/25 s; detections on an Ambiguous segment are removed; by "
        "falling score (on a tie the earlier entry first) each other one takes the first free "
        "instance in file order with tIoU ≥ threshold; no interpolation",
        judge_wtalc,
        "0.1:0.7:0.1",
        interpolated=False,
        use_ambiguous=True,
        spacing="decimal",
    ),
}

PROTOCOLS: Mapping[str, str] = {name: rules.about for name, rules in PROTOCOL_RULES.items()}
