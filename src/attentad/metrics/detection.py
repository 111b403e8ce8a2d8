"""Detection mAP in every protocol, and the result that names everything it did."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attentad.core import Annotations, Detections
from attentad.core.arrays import Floats, Ints
from attentad.core.names import check_choice
from attentad.metrics.detected import collect_detections
from attentad.metrics.ground_truth import collect_ground_truth
from attentad.metrics.protocols import PROTOCOL_RULES, PROTOCOLS
from attentad.metrics.ranking import Ranking, average_precisions, class_precisions
from attentad.metrics.thresholds import by_threshold, parse_tiou


@dataclass(frozen=True)
class DetectionResult:
    """Average precision per class and tIoU threshold, and what went into it.

    Args:
        protocol: a key of `PROTOCOLS`.
        tiou: the J thresholds.
        classes: the K classes of the evaluated ground truth, in the order of the annotations.
        average_precision: (K, J) in 0..1; 0 for a class that was never detected.
        recall: (K, J) in 0..1: share of the class's instances that were found at all.
        truth_count: (K,) instances per class.
        detection_count: (K,) detections per class, discarded ones included.
        ground_truth: subset, ground-truth set, counts; `dropped`, how many and why;
            `dropped_videos`, their ids; `notes`, sentences that a reader should see.
        detections: counts, unknown labels and videos outside the ground truth, by name and
            what these count as; `reversed`, how many end before they start, and what these count
            as; `undetected_videos` and `undetected_classes`, the names of those
            with instances; `discarded_ambiguous`, how many at each threshold.
        ranking: what the average precision was computed from; not in `to_dict`.
    """

    protocol: str
    tiou: tuple[float, ...]
    classes: tuple[str, ...]
    average_precision: Floats
    recall: Floats
    truth_count: Ints
    detection_count: Ints
    ground_truth: Mapping[str, Any]
    detections: Mapping[str, Any]
    ranking: Ranking = field(repr=False)

    @property
    def mean_ap(self) -> Floats:
        """mAP at each threshold, (J,): the mean over classes."""
        return self.average_precision.mean(axis=0)

    @property
    def average_map(self) -> float:
        """The mean of mAP over the thresholds."""
        return float(self.mean_ap.mean())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; thresholds become keys such as "0.3"."""
        per_class = {
            name: {
                "AP": by_threshold(self.tiou, self.average_precision[row]),
                "average_AP": float(self.average_precision[row].mean()),
                "recall": by_threshold(self.tiou, self.recall[row]),
                "ground_truth": int(self.truth_count[row]),
                "detections": int(self.detection_count[row]),
            }
            for row, name in enumerate(self.classes)
        }
        return {
            "protocol": self.protocol,
            "tiou": list(self.tiou),
            "mAP": by_threshold(self.tiou, self.mean_ap),
            "average_mAP": self.average_map,
            "per_class": per_class,
            "ground_truth": dict(self.ground_truth),
            "detections": dict(self.detections),
        }


def detection_map(
    annotations: Annotations,
    detections: Detections,
    *,
    tiou: str | Sequence[float] | None = None,
    protocol: str = "activitynet",
    subset: str | Iterable[str] | None = None,
    ground_truth_set: str | None = None,
    restrict_to_gt_videos: bool = False,
    strict: bool = False,
    deduplicate: bool = False,
    drop_empty: bool = False,
    blocked: Collection[str] = (),
) -> DetectionResult:
    """Mean average precision of detections, by the rules of a named protocol.

    Per class the detections of all videos are ranked by score, and each is a true positive or a
    false one, as `PROTOCOLS` says; a detection in a video without ground truth of its class is a
    false one. A class without detections counts with 0. Sources: ActivityNet evaluation (Caba
    Heilbron et al. 2015), spec csa §7.1 and §7.3; the THUMOS14 toolkit and W-TALC, spec
    hamnet_sta_recognition §6.

    Args:
        annotations: ground truth in file order; videos without instances may be among them.
            The protocols thumos14-official and wtalc need the segments of the class Ambiguous,
            which readers keep on request; the others drop them.
        detections: class names are matched by name; label −1 is the name `action`. One that ends
            before it starts is a false positive, as in ActivityNet's and W-TALC's tools; in
            thumos14-official it is taken from the earlier to the later time, as in that toolkit.
        tiou: thresholds in (0, 1], as `parse_tiou`, a range spaced as the protocol's own are;
            None for these.
        protocol: a key of `PROTOCOLS`.
        subset: evaluate these subsets of the annotations; None for all. Detections in other
            videos count as false positives.
        ground_truth_set: a key of `GROUND_TRUTH_SETS`; None for gtad210 in the protocol
            thumos14 and all in the others. Detections in the videos that the set leaves out
            count as false positives.
        restrict_to_gt_videos: leave out detections in videos outside the evaluated ground
            truth instead of counting them as false positives.
        strict: make it an error when a detection has a label that the evaluated ground truth
            lacks, or a video that neither it nor the list of a ground-truth set has, and when a
            class, or a video with instances, is never detected. Otherwise such labels are left out,
            such videos count as false positives, what is never detected as missed, and the result
            names them.
        deduplicate: merge instances of one class whose ends agree to 1 ms, as OpenTAD does.
        drop_empty: leave out instances that do not end after they start.
        blocked: video ids left out of both sides, such as those no longer to be had.

    Raises:
        AttentadError: the protocol, set or subset is unknown, a threshold is out of range, no
            instance is left to find, a score or time is not finite, or `strict` finds something.
    """
    check_choice(protocol, PROTOCOLS, "evaluation protocol")
    rules = PROTOCOL_RULES[protocol]
    thresholds = parse_tiou(rules.tiou_range if tiou is None else tiou, rules.spacing)
    truth = collect_ground_truth(
        annotations,
        subset=subset,
        ground_truth_set=rules.ground_truth_set if ground_truth_set is None else ground_truth_set,
        use_ambiguous=rules.use_ambiguous,
        deduplicate=deduplicate,
        drop_empty=drop_empty,
        blocked=blocked,
    )
    detected = collect_detections(
        detections,
        truth,
        strict=strict,
        restrict_to_gt_videos=restrict_to_gt_videos,
        sort_times=rules.sorts_times,
    )
    order, hit, counted = rules.judge(truth, detected, thresholds)
    shape = (len(detected.videos), len(truth.classes))
    cell = truth.instances.video * shape[1] + truth.instances.label
    ranking = Ranking(
        videos=detected.videos,
        video=detected.instances.video[order],
        label=detected.instances.label[order],
        score=detected.scores[order],
        hit=hit,
        counted=counted,
        truth_count=np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape),
        interpolated=rules.interpolated,
    )
    ap, recall = average_precisions(ranking)
    discarded = by_threshold(thresholds, (~counted).sum(axis=1)) if rules.use_ambiguous else {}
    return DetectionResult(
        protocol=protocol,
        tiou=thresholds,
        classes=truth.classes,
        average_precision=ap,
        recall=recall,
        truth_count=ranking.truth_count.sum(axis=0),
        detection_count=np.bincount(ranking.label, minlength=len(truth.classes)),
        ground_truth=truth.facts,
        detections={**detected.facts, "discarded_ambiguous": discarded},
        ranking=ranking,
    )


def precision_recall(
    result: DetectionResult, class_index: int | None, tiou_index: int
) -> tuple[Floats, Floats]:
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
    precisions = class_precisions(result.ranking, tiou_index)
    curves = [
        (np.arange(1, len(precision) + 1) / count, precision)
        for precision, count in zip(precisions, result.truth_count, strict=True)
    ]
    if class_index is not None:
        return curves[class_index]
    grid = np.unique(np.concatenate([recall for recall, _ in curves]))
    total = np.zeros(len(grid))
    for recall, precision in curves:
        # Beyond the class's largest recall its precision is 0.
        total += np.append(precision, 0.0)[np.searchsorted(recall, grid)]
    return grid, total / len(curves)
