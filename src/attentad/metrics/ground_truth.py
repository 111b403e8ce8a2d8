"""The ground truth that is evaluated: flat, with what was left out of it counted and named."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attentad.core import Annotations, AttentadError, VideoAnnotation, as_segments
from attentad.core.annotations import AMBIGUOUS
from attentad.core.arrays import Ints
from attentad.core.names import check_choice
from attentad.metrics.matching import Instances

# The test videos of THUMOS14 that a set leaves out: 270 has segments behind its end, 1292 only
# Ambiguous ones, and the video-level label of 1496 contradicts its segments.
_THUMOS14_LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "full": ("video_test_0001292",),
    "opentad211": ("video_test_0000270", "video_test_0001292"),
    "gtad210": ("video_test_0000270", "video_test_0001292", "video_test_0001496"),
}

GROUND_TRUTH_SETS: Mapping[str, str] = {
    "all": "every annotated video",
    "full": "THUMOS14 test, the 212 videos with an instance (3,358 instances)",
    "opentad211": "full without video 270, as OpenTAD (211 videos, 3,329 instances)",
    "gtad210": "full without videos 270 and 1496, as G-TAD (210 videos, 3,311 instances)",
}

# OpenTAD takes two instances of a class for one when both ends agree this closely.
_SAME_SEC = 1e-3


@dataclass(frozen=True)
class GroundTruth:
    """What there is to find.

    Args:
        instances: in the order of the annotations.
        ambiguous: segments of the class Ambiguous, whose label counts for nothing; empty for
            protocols that know no such class.
        videos: ids; `instances.video` and `ambiguous.video` index them.
        left_out: ids of annotated videos that the ground-truth set leaves out.
        blocked: ids that are left out of the detections, too.
        classes: those that occur, in the order of the annotations.
        facts: counts, and what was dropped and why; see `DetectionResult.ground_truth`.
    """

    instances: Instances
    ambiguous: Instances
    videos: tuple[str, ...]
    left_out: frozenset[str]
    blocked: frozenset[str]
    classes: tuple[str, ...]
    facts: Mapping[str, Any]


def collect_ground_truth(
    annotations: Annotations,
    *,
    subset: str | Iterable[str] | None = None,
    ground_truth_set: str = "all",
    use_ambiguous: bool = False,
    deduplicate: bool = False,
    drop_empty: bool = False,
    blocked: Collection[str] = (),
) -> GroundTruth:
    """Flatten annotations; see `detection_map` for the options.

    With `use_ambiguous` the segments of the class Ambiguous are kept apart from the instances;
    otherwise they are dropped and counted.

    Raises:
        AttentadError: subset or set are unknown, a time is not finite, or no instance is left.
    """
    check_choice(ground_truth_set, GROUND_TRUTH_SETS, "ground-truth set")
    names = subset if subset is None or isinstance(subset, str) else ",".join(subset)
    chosen = annotations.videos if names is None else annotations.subset(names).videos
    blocked = frozenset(blocked)
    kept, dropped, dropped_videos = _kept_videos(chosen, ground_truth_set, blocked)
    instances, ambiguous, classes = _flat(kept, annotations.classes)
    dropped["ambiguous"] = 0 if use_ambiguous else len(ambiguous)
    instances = _cleaned(instances, dropped, drop_empty, deduplicate)
    if not len(instances):
        where = "the annotations" if names is None else f"the annotations of subset {names}"
        raise AttentadError(f"{where} hold no instance to find, so there is nothing to evaluate.")
    # A class that lost all its instances leaves the mean, as if it had never been annotated.
    left, label = np.unique(instances.label, return_inverse=True)
    instances = Instances(instances.segments, instances.video, label.astype(np.int64))
    notes = []
    if use_ambiguous and not len(ambiguous):
        notes.append(
            f"The annotations hold no segment of the class {AMBIGUOUS}, so no detection is "
            "discarded for lying on one; read them with these segments kept if there are any."
        )
    if _THUMOS14_LEFT_OUT[ground_truth_set] and not dropped["set_videos"]:
        notes.append(
            f"None of the videos that the ground-truth set {ground_truth_set} leaves out is among "
            "those annotated."
        )
    facts = {
        "subset": names,
        "ground_truth_set": ground_truth_set,
        "videos": len(kept),
        "videos_with_instances": len(np.unique(instances.video)),
        "instances": len(instances),
        "classes": len(left),
        "ambiguous": len(ambiguous) if use_ambiguous else 0,
        "dropped": dropped,
        "dropped_videos": dropped_videos,
        "notes": notes,
    }
    return GroundTruth(
        instances=instances,
        ambiguous=ambiguous[np.arange(len(ambiguous) if use_ambiguous else 0)],
        videos=tuple(kept),
        left_out=frozenset(dropped_videos["ground_truth_set"]),
        blocked=blocked,
        classes=tuple(classes[row] for row in left),
        facts=facts,
    )


def _kept_videos(
    chosen: Mapping[str, VideoAnnotation], ground_truth_set: str, blocked: frozenset[str]
) -> tuple[dict[str, VideoAnnotation], dict[str, int], dict[str, list[str]]]:
    """The videos that neither `blocked` nor the set leaves out; what these drop; their ids."""
    absent = set(_THUMOS14_LEFT_OUT[ground_truth_set]) - blocked
    ids = {
        "blocked": [video for video in chosen if video in blocked],
        "ground_truth_set": [video for video in chosen if video in absent],
    }
    labels = [label for video in ids["ground_truth_set"] for label in chosen[video].labels]
    dropped = {
        "blocked_videos": len(ids["blocked"]),
        "set_videos": len(ids["ground_truth_set"]),
        "set_instances": sum(label != AMBIGUOUS for label in labels),
    }
    gone = absent | blocked
    return {video: item for video, item in chosen.items() if video not in gone}, dropped, ids


def _flat(
    videos: Mapping[str, VideoAnnotation], names: tuple[str, ...]
) -> tuple[Instances, Instances, tuple[str, ...]]:
    """Instances, Ambiguous segments (label −1), and the classes that occur, ordered as `names`."""
    parts = [item.segments for item in videos.values()]
    segments = np.concatenate(parts) if parts else as_segments([])
    if not np.isfinite(segments).all():
        raise AttentadError("the ground truth holds a start or end that is not finite.")
    texts = [label for item in videos.values() for label in item.labels]
    video = np.repeat(np.arange(len(parts)), [len(part) for part in parts]).astype(np.int64)
    occurring = set(texts) - {AMBIGUOUS}
    classes = tuple(name for name in names if name in occurring)
    classes += tuple(sorted(occurring - set(classes)))
    index = {name: number for number, name in enumerate(classes)}
    label = np.array([index.get(text, -1) for text in texts], dtype=np.int64)
    everything = Instances(segments, video, label)
    return everything[label >= 0], everything[label < 0], classes


def _cleaned(
    instances: Instances, dropped: dict[str, int], drop_empty: bool, deduplicate: bool
) -> Instances:
    """The instances without empty and repeated ones as asked; counts them in `dropped`."""
    dropped |= {"empty": 0, "duplicates": 0}
    if drop_empty:
        proper = instances.segments[:, 1] > instances.segments[:, 0]
        dropped["empty"] = int((~proper).sum())
        instances = instances[proper]
    if deduplicate:
        unique = _without_duplicates(instances)
        dropped["duplicates"] = len(instances) - len(unique)
        instances = instances[unique]
    return instances


def _without_duplicates(truth: Instances) -> Ints:
    """Indices of the instances that repeat no earlier kept one of their video and class."""
    kept: dict[tuple[int, int], list[int]] = {}
    for row, group in enumerate(zip(truth.video.tolist(), truth.label.tolist(), strict=True)):
        earlier = kept.setdefault(group, [])
        apart = np.abs(truth.segments[earlier] - truth.segments[row]) > _SAME_SEC
        if apart.any(axis=1).all():
            earlier.append(row)
    return np.array(sorted(row for rows in kept.values() for row in rows), dtype=np.int64)
