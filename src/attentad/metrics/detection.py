"""Detection mAP: the ActivityNet protocol, and the result that names everything it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attentad.core import Annotations, AttentadError, Detections, as_segments
from attentad.core.detections import label_name
from attentad.metrics.matching import (
    Instances,
    average_precision,
    match,
    overlapping_pairs,
    rank,
)

PROTOCOLS: Mapping[str, str] = {
    "activitynet": "classes of the evaluated ground truth, greedy matching by score with fall-back "
    "to the next instance, all-point interpolation",
}

ACTIVITYNET_TIOU = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)

# OpenTAD takes two instances of a class for one when both ends agree this closely.
_SAME_SEC = 1e-3


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
        detection_count: (K,) detections per class.
        ground_truth: subset, counts, and what was dropped and why.
        detections: counts, unknown labels and videos outside the ground truth, by name.
    """

    protocol: str
    tiou: tuple[float, ...]
    classes: tuple[str, ...]
    average_precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    truth_count: NDArray[np.int64]
    detection_count: NDArray[np.int64]
    ground_truth: Mapping[str, Any]
    detections: Mapping[str, Any]

    @property
    def mean_ap(self) -> NDArray[np.float64]:
        """mAP at each threshold, (J,): the mean over classes."""
        return self.average_precision.mean(axis=0)

    @property
    def average_map(self) -> float:
        """The mean of mAP over the thresholds."""
        return float(self.mean_ap.mean())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; thresholds become keys such as "0.3"."""
        keys = [tiou_key(value) for value in self.tiou]
        per_class = {
            name: {
                "AP": dict(zip(keys, self.average_precision[row].tolist(), strict=True)),
                "average_AP": float(self.average_precision[row].mean()),
                "recall": dict(zip(keys, self.recall[row].tolist(), strict=True)),
                "ground_truth": int(self.truth_count[row]),
                "detections": int(self.detection_count[row]),
            }
            for row, name in enumerate(self.classes)
        }
        return {
            "protocol": self.protocol,
            "tiou": list(self.tiou),
            "mAP": dict(zip(keys, self.mean_ap.tolist(), strict=True)),
            "average_mAP": self.average_map,
            "per_class": per_class,
            "ground_truth": dict(self.ground_truth),
            "detections": dict(self.detections),
        }


def tiou_key(value: float) -> str:
    """A threshold as text: 0.3 → "0.3"."""
    return f"{value:.10g}"


def detection_map(
    annotations: Annotations,
    detections: Detections,
    *,
    tiou: Sequence[float] = ACTIVITYNET_TIOU,
    protocol: str = "activitynet",
    subset: str | Iterable[str] | None = None,
    strict: bool = False,
    deduplicate: bool = False,
    drop_empty: bool = False,
    blocked: Collection[str] = (),
) -> DetectionResult:
    """Mean average precision of detections (Caba Heilbron et al. 2015, ActivityNet evaluation).

    Per class, the detections of all videos are ranked by score (on a tie the later entry
    first, entries being counted through the videos in order). Each takes the best-overlapping
    instance of its video and class that has tIoU ≥ threshold and is still free, and is a true
    positive; else it is a false one, as is any detection in a video without ground truth of
    its class. A class without detections counts with 0.

    Args:
        annotations: ground truth; videos without instances may be among them.
        detections: class names are matched by name; label −1 is the name `action`.
        tiou: thresholds in (0, 1].
        protocol: a key of `PROTOCOLS`.
        subset: evaluate these subsets of the annotations; None for all. Detections in other
            videos count as false positives.
        strict: make it an error when a detection has a label or a video that the evaluated
            ground truth lacks. Otherwise such labels are left out and such videos count as
            false positives, and the result names them.
        deduplicate: merge instances of one class whose ends agree to 1 ms, as OpenTAD does.
        drop_empty: leave out instances that do not end after they start.
        blocked: video ids left out of both sides, such as those no longer to be had.

    Raises:
        AttentadError: the protocol or subset is unknown, a threshold is out of range, no
            instance is left to find, a score or time is not finite, or `strict` finds something.
    """
    if protocol not in PROTOCOLS:
        raise AttentadError(
            f"there is no evaluation protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}."
        )
    thresholds = _checked_tiou(tiou)
    truth, videos, classes, truth_facts = _ground_truth(
        annotations, subset, deduplicate, drop_empty, frozenset(blocked)
    )
    found, scores, detection_facts = _detected(
        detections, videos, classes, frozenset(blocked), strict
    )
    order = rank(scores, found.label)
    ranked = found[order]
    pairs = overlapping_pairs(ranked, truth, min(thresholds))
    detection_count = np.bincount(ranked.label, minlength=len(classes))
    truth_count = np.bincount(truth.label, minlength=len(classes))
    class_start = np.concatenate([[0], np.cumsum(detection_count)])
    ap = np.zeros((len(classes), len(thresholds)))
    recall = np.zeros_like(ap)
    for column, threshold in enumerate(thresholds):
        hits = match(pairs, threshold, len(truth))
        cuts = np.searchsorted(hits, class_start)
        recall[:, column] = np.diff(cuts) / truth_count
        for row in np.flatnonzero(np.diff(cuts)):
            places = hits[cuts[row] : cuts[row + 1]] - class_start[row]
            ap[row, column] = average_precision(places, int(truth_count[row]))
    return DetectionResult(
        protocol=protocol,
        tiou=thresholds,
        classes=classes,
        average_precision=ap,
        recall=recall,
        truth_count=truth_count,
        detection_count=detection_count,
        ground_truth=truth_facts,
        detections=detection_facts,
    )


def _checked_tiou(tiou: Sequence[float]) -> tuple[float, ...]:
    thresholds = tuple(float(value) for value in tiou)
    if not thresholds or not all(0 < value <= 1 for value in thresholds):
        given = ", ".join(tiou_key(value) for value in thresholds) or "none"
        raise AttentadError(f"tIoU thresholds must lie above 0 and up to 1; given: {given}.")
    if len(set(thresholds)) < len(thresholds):
        raise AttentadError("a tIoU threshold is given twice; name each once.")
    return thresholds


def _ground_truth(
    annotations: Annotations,
    subset: str | Iterable[str] | None,
    deduplicate: bool,
    drop_empty: bool,
    blocked: frozenset[str],
) -> tuple[Instances, dict[str, int], tuple[str, ...], dict[str, Any]]:
    """Flat ground truth, video id → index, the classes that occur in it, and the facts."""
    names = subset if subset is None or isinstance(subset, str) else ",".join(subset)
    chosen = annotations if names is None else annotations.subset(names)
    kept = {video: item for video, item in chosen.videos.items() if video not in blocked}
    parts = [item.segments for item in kept.values()]
    segments = np.concatenate(parts) if parts else as_segments([])
    texts = [label for item in kept.values() for label in item.labels]
    video = np.repeat(np.arange(len(kept)), [len(part) for part in parts]).astype(np.int64)
    occurring = set(texts)
    classes = tuple(name for name in annotations.classes if name in occurring)
    classes += tuple(sorted(occurring - set(classes)))
    index = {name: number for number, name in enumerate(classes)}
    label = np.array([index[text] for text in texts], dtype=np.int64)
    truth = Instances(segments, video, label)
    if not np.isfinite(segments).all():
        raise AttentadError("the ground truth holds a start or end that is not finite.")
    dropped = {"blocked_videos": len(chosen.videos) - len(kept), "empty": 0, "duplicates": 0}
    if drop_empty:
        proper = segments[:, 1] > segments[:, 0]
        dropped["empty"] = int((~proper).sum())
        truth = truth[proper]
    if deduplicate:
        unique = _without_duplicates(truth)
        dropped["duplicates"] = len(truth) - len(unique)
        truth = truth[unique]
    if not len(truth):
        where = "the annotations" if names is None else f"the annotations of subset {names}"
        raise AttentadError(f"{where} hold no instance to find, so there is nothing to evaluate.")
    # A class that lost all its instances leaves the mean, as if it had never been annotated.
    left, label = np.unique(truth.label, return_inverse=True)
    truth = Instances(truth.segments, truth.video, label.astype(np.int64))
    classes = tuple(classes[row] for row in left)
    facts = {
        "subset": names,
        "videos": len(kept),
        "videos_with_instances": len(np.unique(truth.video)),
        "instances": len(truth),
        "classes": len(classes),
        "dropped": dropped,
    }
    return truth, {name: row for row, name in enumerate(kept)}, classes, facts


def _without_duplicates(truth: Instances) -> NDArray[np.int64]:
    """Indices of the instances that repeat no earlier kept one of their video and class."""
    kept: dict[tuple[int, int], list[int]] = {}
    for row, group in enumerate(zip(truth.video.tolist(), truth.label.tolist(), strict=True)):
        earlier = kept.setdefault(group, [])
        apart = np.abs(truth.segments[earlier] - truth.segments[row]) > _SAME_SEC
        if apart.any(axis=1).all():
            earlier.append(row)
    return np.array(sorted(row for rows in kept.values() for row in rows), dtype=np.int64)


def _detected(
    detections: Detections,
    videos: Mapping[str, int],
    classes: tuple[str, ...],
    blocked: frozenset[str],
    strict: bool,
) -> tuple[Instances, NDArray[np.float64], dict[str, Any]]:
    """Flat detections of the evaluated classes, their scores, and the facts."""
    items = {name: item for name, item in detections.videos.items() if name not in blocked}
    sizes = [len(item) for item in items.values()]
    outside = {name: n for name, n in zip(items, sizes, strict=True) if name not in videos and n}
    if strict and outside:
        raise AttentadError(
            f"the evaluated ground truth lacks {len(outside)} of the detected videos, the first "
            f"being {next(iter(outside))}; evaluate the right subset, or do without strict."
        )
    scores = np.concatenate([np.zeros(0), *(item.scores for item in items.values())])
    segments = np.concatenate([np.zeros((0, 2)), *(item.segments for item in items.values())])
    if not (np.isfinite(scores).all() and np.isfinite(segments).all()):
        raise AttentadError("the detections hold a score or time that is not finite.")
    given = np.concatenate([np.zeros(0, dtype=np.int64), *(item.labels for item in items.values())])
    index = {name: row for row, name in enumerate(classes)}
    names = [*detections.classes, label_name(-1, ())]
    # Label −1, a proposal without a class, reads the last entry.
    label = np.array([index.get(name, -1) for name in names], dtype=np.int64)[given]
    known = label >= 0
    strange: Counter[str] = Counter()
    for row, n in zip(*np.unique(given[~known], return_counts=True), strict=True):
        strange[names[row]] += int(n)
    if strict and strange:
        raise AttentadError(
            f"the evaluated ground truth has no class {next(iter(strange))!r}, yet "
            f"{sum(strange.values())} detections name such classes; correct the labels, or do "
            "without strict."
        )
    video = np.repeat(
        np.array([videos.get(name, -1) for name in items], dtype=np.int64),
        np.array(sizes, dtype=np.int64),
    )
    facts = {
        "total": sum(len(item) for item in detections.videos.values()),
        "evaluated": int(known.sum()),
        "videos": len(detections.videos),
        "blocked_videos": len(detections.videos) - len(items),
        "unknown_labels": dict(sorted(strange.items())),
        "videos_outside_ground_truth": dict(sorted(outside.items())),
    }
    return Instances(segments[known], video[known], label[known]), scores[known], facts
