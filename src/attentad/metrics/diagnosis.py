"""Error diagnosis: what goes wrong, what it costs, and which instances are hard.

After DETAD (Alwassel, Caba Heilbron, Escorcia and Ghanem, ECCV 2018); rules in
specs/amnet_afsd_gaf.md §5, with three of the public tool's slips mended: in a video without ground
truth every false positive is background, sensitivity matches anew at each threshold, and of two
instances that a false positive overlaps alike one of its own class is blamed, not the file's first.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attentad.core import Annotations, AttentadError, Detections
from attentad.core.arrays import Floats, Ints
from attentad.core.names import check_choice
from attentad.metrics.detected import collect_detections
from attentad.metrics.diagnosis_attributes import (
    COUNTED_INSTANCES,
    DIAGNOSIS_BUCKETS,
    AttributeProfile,
    attribute_profiles,
)
from attentad.metrics.diagnosis_errors import ERROR_TYPES, VERDICTS, error_shares, gains, judge
from attentad.metrics.ground_truth import GroundTruth, collect_ground_truth
from attentad.metrics.matching import Instances, rank
from attentad.metrics.protocols import ACTIVITYNET_TIOU
from attentad.metrics.thresholds import parse_tiou, tiou_key

DIAGNOSIS_TIOU: Mapping[str, tuple[float, ...]] = {
    "thumos14": (0.5,),
    "activitynet": ACTIVITYNET_TIOU,
}
"""The thresholds that go with each key of `DIAGNOSIS_BUCKETS`."""


@dataclass(frozen=True)
class Diagnosis:
    """Error profile of detections; every number is the mean over the thresholds.

    Args:
        tiou: the J thresholds.
        low_tiou: below it an overlap counts as none.
        buckets: key of `DIAGNOSIS_BUCKETS`.
        counted_instances: key of `COUNTED_INSTANCES`.
        classes: the K classes of the evaluated ground truth.
        mean_instances: N̄, instances per class on average.
        shares: (top, 6) shares in 0..1 by slot and verdict (`VERDICTS`): slot k holds, of a
            class with G instances, the detections of ranks (k−1)·G + 1 to k·G. 0 where empty.
        slot_count: (top,) detections in each slot.
        top_map_n: average-mAP_N of the detections in these slots, 0..1.
        gain: error type → what `top_map_n` gains without it.
        map_n: average-mAP_N of all detections, 0..1.
        false_negative_rate: share of all instances that are missed, 0..1.
        attributes: misses and sensitivity by attribute.
        ground_truth: subset, counts, and what was dropped and why.
        detections: counts, unknown labels and videos outside the ground truth, by name.
        notes: what a reader should know, one sentence each.
    """

    tiou: tuple[float, ...]
    low_tiou: float
    buckets: str
    counted_instances: str
    classes: tuple[str, ...]
    mean_instances: float
    shares: Floats
    slot_count: Ints
    top_map_n: float
    gain: Mapping[str, float]
    map_n: float
    false_negative_rate: float
    attributes: tuple[AttributeProfile, ...]
    ground_truth: Mapping[str, Any]
    detections: Mapping[str, Any]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        slots = [
            {"slot": f"{k + 1}G", "detections": int(count)}
            | dict(zip(VERDICTS, self.shares[k].tolist(), strict=True))
            for k, count in enumerate(self.slot_count)
        ]
        return {
            "method": "DETAD",
            "tiou": list(self.tiou),
            "low_tiou": self.low_tiou,
            "mean_instances_per_class": self.mean_instances,
            "false_positives": {
                "average_mAP_N": self.top_map_n,
                "gain": dict(self.gain),
                "slots": slots,
            },
            "false_negatives": {"rate": self.false_negative_rate},
            "sensitivity": {"average_mAP_N": self.map_n},
            "buckets": self.buckets,
            "counted_instances": self.counted_instances,
            "attributes": {item.name: item.to_dict() for item in self.attributes},
            "classes": list(self.classes),
            "ground_truth": dict(self.ground_truth),
            "detections": dict(self.detections),
            "notes": list(self.notes),
        }


def diagnose(
    annotations: Annotations,
    detections: Detections,
    *,
    tiou: str | Sequence[float] | None = None,
    subset: str | Iterable[str] | None = None,
    buckets: str = "thumos14",
    counted_instances: str = "class",
    low_tiou: float = 0.1,
    top: int = 10,
    ground_truth_set: str = "all",
    restrict_to_gt_videos: bool = False,
    strict: bool = False,
    blocked: Collection[str] = (),
) -> Diagnosis:
    """Profile of false positives, false negatives and sensitivity (DETAD).

    Detections are matched as in the protocol `activitynet`; an unmatched one gets its type from
    the instance it overlaps most, of whatever class (see `diagnosis_errors.judge`). Instances
    that are not longer than 0 or longer than their video are dropped, as is the class Ambiguous.

    Args:
        annotations: ground truth. Coverage needs the duration of every video with an instance;
            where one is unknown, the attribute is left out and a note says so.
        detections: class names are matched by name.
        tiou: thresholds in (0, 1], as `parse_tiou`; None for those that go with `buckets`, which
            is 0.5 for thumos14 and 0.5 to 0.95 for activitynet.
        subset, ground_truth_set, restrict_to_gt_videos, strict, blocked: as in `detection_map`,
            the set by default all; detections in other videos are background errors.
        buckets: a key of `DIAGNOSIS_BUCKETS`: which values of an attribute are small or large.
        counted_instances: what the attribute `instances` counts, a key of `COUNTED_INSTANCES`:
            those of the same `class` in the video, or all of the `video`, as the authors' tool.
        low_tiou: a false positive below this is background; at most the smallest threshold.
        top: slots of the false-positive profile: it looks at the first top·G detections of a
            class with G instances. Misses and sensitivity look at all.

    Raises:
        AttentadError: an option is unknown or out of range, no instance is left to find, a score
            or time is not finite, or `strict` finds something.
    """
    check_choice(buckets, DIAGNOSIS_BUCKETS, "set of buckets")
    check_choice(counted_instances, COUNTED_INSTANCES, "count of instances")
    thresholds = parse_tiou(DIAGNOSIS_TIOU[buckets] if tiou is None else tiou)
    if not 0 < low_tiou <= min(thresholds):
        raise AttentadError(
            f"low_tiou must lie above 0 and up to the smallest tIoU threshold, "
            f"{tiou_key(min(thresholds))}, not at {tiou_key(low_tiou)}."
        )
    if top < 1:
        raise AttentadError(
            f"top, the slots of the false-positive profile, must be 1 or more: {top}."
        )
    truth = collect_ground_truth(
        annotations,
        subset=subset,
        ground_truth_set=ground_truth_set,
        drop_empty=True,
        blocked=blocked,
    )
    duration_sec = _durations(annotations, truth.videos)
    truth = _within_video(truth, duration_sec)
    detected = collect_detections(
        detections, truth, strict=strict, restrict_to_gt_videos=restrict_to_gt_videos
    )
    ranked = detected.instances[rank(detected.scores, detected.instances.label)]
    judged = judge(ranked, truth.instances, thresholds, low_tiou)
    shares, slot_count = error_shares(judged, top)
    top_map_n, gain = gains(judged, top)
    profiles, miss_rate, map_n = attribute_profiles(
        judged, truth.instances, duration_sec, buckets, counted_instances
    )
    return Diagnosis(
        tiou=thresholds,
        low_tiou=float(low_tiou),
        buckets=buckets,
        counted_instances=counted_instances,
        classes=truth.classes,
        mean_instances=judged.mean_instances,
        shares=shares,
        slot_count=slot_count,
        top_map_n=top_map_n,
        gain=dict(zip(ERROR_TYPES, gain.tolist(), strict=True)),
        map_n=map_n,
        false_negative_rate=miss_rate,
        attributes=profiles,
        ground_truth=truth.facts,
        detections=detected.facts,
        notes=tuple(_notes(truth, duration_sec)),
    )


def _durations(annotations: Annotations, videos: Sequence[str]) -> Floats:
    """Length of each video in seconds, (V,); NaN where it is unknown or makes no sense."""
    given = [annotations.videos[video].duration_sec for video in videos]
    return np.array(
        [math.nan if value is None or not 0 < value < math.inf else value for value in given]
    )


def _within_video(truth: GroundTruth, duration_sec: Floats) -> GroundTruth:
    """The ground truth without instances longer than their video; they are counted."""
    items = truth.instances
    length = items.segments[:, 1] - items.segments[:, 0]
    # An unknown duration (NaN) is no reason to drop anything.
    kept = items[~(length > duration_sec[items.video])]
    if not len(kept):
        raise AttentadError(
            "every instance of the ground truth is longer than its video; correct the durations."
        )
    left, label = np.unique(kept.label, return_inverse=True)
    facts = {
        **truth.facts,
        "videos_with_instances": len(np.unique(kept.video)),
        "instances": len(kept),
        "classes": len(left),
        "dropped": {**truth.facts["dropped"], "longer_than_video": len(items) - len(kept)},
    }
    return replace(
        truth,
        instances=Instances(kept.segments, kept.video, label.astype(np.int64)),
        classes=tuple(truth.classes[row] for row in left),
        facts=facts,
    )


def _notes(truth: GroundTruth, duration_sec: Floats) -> list[str]:
    used = np.unique(truth.instances.video)
    unknown = [truth.videos[row] for row in used if math.isnan(duration_sec[row])]
    if not unknown:
        return []
    return [
        f"Coverage is left out, as the annotations do not say how long {len(unknown)} of the "
        f"{len(used)} videos with instances are, the first being {unknown[0]}."
    ]
