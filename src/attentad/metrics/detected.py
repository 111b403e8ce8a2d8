"""The detections that are evaluated: flat, with what does not match counted and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from attentad.core import AttentadError, Detections, Segments
from attentad.core.arrays import Floats, Ints
from attentad.core.detections import concatenate, label_name
from attentad.core.segments import forwards, reversed_segments
from attentad.core.wording import and_more, first_few, number_of
from attentad.metrics.ground_truth import GroundTruth
from attentad.metrics.matching import Instances


@dataclass(frozen=True)
class Detected:
    """Detections of the evaluated classes, in the order of the file.

    Args:
        instances: labels as in the ground truth; videos index `videos`.
        scores: (N,).
        videos: ids: those of the ground truth, then the others.
        facts: see `DetectionResult.detections`.
    """

    instances: Instances
    scores: Floats
    videos: tuple[str, ...]
    facts: Mapping[str, Any]


class FlatDetections(NamedTuple):
    """Detections of many videos one after the other, and how their videos fit the ground truth.

    Args:
        sizes: video id → number of detections; blocked videos are not among them.
        segments: (N, 2) seconds.
        scores: (N,).
        labels: (N,) class indices of the file.
        outside: video without ground truth → number of detections, where there are any.
        undetected: videos of the ground truth with instances, but without a detection.
    """

    sizes: Mapping[str, int]
    segments: Segments
    scores: Floats
    labels: Ints
    outside: Mapping[str, int]
    undetected: Sequence[str]

    def video(self, index: Mapping[str, int]) -> Ints:
        """The `index` of each detection's video, (N,)."""
        numbers = np.array([index[name] for name in self.sizes], dtype=np.int64)
        return np.repeat(numbers, np.array(list(self.sizes.values()), dtype=np.int64))


def flat_detections(
    detections: Detections, truth: GroundTruth, *, strict: bool, restrict_to_gt_videos: bool = False
) -> FlatDetections:
    """The detections of all videos but the blocked ones, and the others if so restricted.

    Raises:
        AttentadError: a score or time is not finite; `strict` and a video is unknown, or has
            instances and no detection.
    """
    annotated = set(truth.videos)
    items = {name: item for name, item in detections.videos.items() if name not in truth.blocked}
    outside = {name: len(item) for name, item in items.items() if name not in annotated}
    outside = {name: count for name, count in sorted(outside.items()) if count}
    unheard = [name for name in items if name in outside and name not in truth.left_out]
    if strict and unheard:
        raise AttentadError(
            f"the evaluated ground truth lacks {len(unheard)} of the detected videos, the first "
            f"being {unheard[0]}; evaluate the right subset, or do without strict."
        )
    holding = [truth.videos[row] for row in np.unique(truth.instances.video)]
    undetected = [name for name in holding if not len(items.get(name, ()))]
    if strict and undetected:
        raise AttentadError(
            f"{len(undetected)} of {number_of(holding, 'annotated video')} with an instance have "
            f"no detection: {first_few(undetected)}; detect in these too, evaluate the right "
            "subset, or do without strict."
        )
    if restrict_to_gt_videos:
        items = {name: item for name, item in items.items() if name in annotated}
    everything = concatenate(list(items.values()))
    if not (np.isfinite(everything.scores).all() and np.isfinite(everything.segments).all()):
        raise AttentadError("the detections hold a score or time that is not finite.")
    sizes = {name: len(item) for name, item in items.items()}
    return FlatDetections(
        sizes, everything.segments, everything.scores, everything.labels, outside, undetected
    )


def collect_detections(
    detections: Detections,
    truth: GroundTruth,
    *,
    strict: bool,
    restrict_to_gt_videos: bool,
    sort_times: bool = False,
) -> Detected:
    """Flatten detections and match their videos and classes by name; see `detection_map`.

    Those that end before they start are taken from the earlier to the later time with `sort_times`;
    otherwise they stay, and overlap nothing.

    Raises:
        AttentadError: a score or time is not finite; `strict` and a video or class is unknown, or
            never detected.
    """
    flat = flat_detections(
        detections, truth, strict=strict, restrict_to_gt_videos=restrict_to_gt_videos
    )
    label, strange = _matched_labels(flat.labels, detections.classes, truth.classes)
    if strict and strange:
        raise AttentadError(
            f"the evaluated ground truth has no class {next(iter(strange))!r}, yet "
            f"{sum(strange.values())} detections name such classes; correct the labels, or do "
            "without strict."
        )
    undetected = [name for row, name in enumerate(truth.classes) if not (label == row).any()]
    if strict and undetected:
        raise AttentadError(
            f"no detection names the annotated class {undetected[0]!r}{and_more(undetected)}; "
            "correct the labels, or do without strict."
        )
    videos = tuple(dict.fromkeys((*truth.videos, *flat.sizes)))
    video = flat.video({name: row for row, name in enumerate(videos)})
    evaluated = label >= 0
    segments = flat.segments[evaluated]
    facts = {
        "total": sum(map(len, detections.videos.values())),
        "evaluated": int(evaluated.sum()),
        "videos": len(detections.videos),
        "blocked_videos": sum(name in truth.blocked for name in detections.videos),
        "unknown_labels": dict(sorted(strange.items())),
        "videos_outside_ground_truth": dict(flat.outside),
        "undetected_videos": list(flat.undetected),
        "undetected_classes": undetected,
        "outside_counts_as": "left out" if restrict_to_gt_videos else "false positives",
        "reversed": int(reversed_segments(flat.segments).sum()),
        "reversed_count_as": (
            "segments from the earlier to the later time" if sort_times else "false positives"
        ),
    }
    if sort_times:
        segments = forwards(segments)
    instances = Instances(segments, video[evaluated], label[evaluated])
    return Detected(instances, flat.scores[evaluated], videos, facts)


def _matched_labels(
    given: Ints, names: tuple[str, ...], classes: tuple[str, ...]
) -> tuple[Ints, Counter[str]]:
    """Indices into `classes`, −1 where the name is not among them, and those names counted."""
    index = {name: row for row, name in enumerate(classes)}
    # Label −1, a proposal without a class, reads the last entry.
    names = (*names, label_name(-1, ()))
    label = np.array([index.get(name, -1) for name in names], dtype=np.int64)[given]
    strange: Counter[str] = Counter()
    for row, count in zip(*np.unique(given[label < 0], return_counts=True), strict=True):
        strange[names[row]] += int(count)
    return label, strange
