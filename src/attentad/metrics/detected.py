"""The detections that are evaluated: flat, with what does not match counted and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError, Detections
from attentad.core.detections import label_name
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
    scores: NDArray[np.float64]
    videos: tuple[str, ...]
    facts: Mapping[str, Any]


def collect_detections(
    detections: Detections,
    truth: GroundTruth,
    *,
    restrict_to_gt_videos: bool = False,
    strict: bool = False,
    blocked: Collection[str] = (),
) -> Detected:
    """Flatten detections and match their videos and classes by name; see `detection_map`.

    Raises:
        AttentadError: a score or time is not finite; `strict` and a video or class is unknown.
    """
    items = {name: item for name, item in detections.videos.items() if name not in blocked}
    known_videos = set(truth.videos)
    outside = {
        name: len(item) for name, item in items.items() if name not in known_videos and len(item)
    }
    unheard = [name for name in outside if name not in truth.left_out]
    if strict and unheard:
        raise AttentadError(
            f"the evaluated ground truth lacks {len(unheard)} of the detected videos, the first "
            f"being {unheard[0]}; evaluate the right subset, or do without strict."
        )
    if restrict_to_gt_videos:
        items = {name: item for name, item in items.items() if name in known_videos}
    scores = np.concatenate([np.zeros(0), *(item.scores for item in items.values())])
    segments = np.concatenate([np.zeros((0, 2)), *(item.segments for item in items.values())])
    if not (np.isfinite(scores).all() and np.isfinite(segments).all()):
        raise AttentadError("the detections hold a score or time that is not finite.")
    given = np.concatenate([np.zeros(0, dtype=np.int64), *(item.labels for item in items.values())])
    label, strange = _matched_labels(given, detections.classes, truth.classes)
    if strict and strange:
        raise AttentadError(
            f"the evaluated ground truth has no class {next(iter(strange))!r}, yet "
            f"{sum(strange.values())} detections name such classes; correct the labels, or do "
            "without strict."
        )
    videos = truth.videos + tuple(name for name in items if name not in known_videos)
    index = {name: row for row, name in enumerate(videos)}
    video = np.repeat(
        np.array([index[name] for name in items], dtype=np.int64),
        np.array([len(item) for item in items.values()], dtype=np.int64),
    )
    known = label >= 0
    facts = {
        "total": sum(len(item) for item in detections.videos.values()),
        "evaluated": int(known.sum()),
        "videos": len(detections.videos),
        "blocked_videos": sum(name in blocked for name in detections.videos),
        "unknown_labels": dict(sorted(strange.items())),
        "videos_outside_ground_truth": dict(sorted(outside.items())),
        "outside_counts_as": "left out" if restrict_to_gt_videos else "false positives",
    }
    flat = Instances(segments[known], video[known], label[known])
    return Detected(flat, scores[known], videos, facts)


def _matched_labels(
    given: NDArray[np.int64], names: tuple[str, ...], classes: tuple[str, ...]
) -> tuple[NDArray[np.int64], Counter[str]]:
    """Indices into `classes`, −1 where the name is not among them, and those names counted."""
    index = {name: row for row, name in enumerate(classes)}
    # Label −1, a proposal without a class, reads the last entry.
    names = (*names, label_name(-1, ()))
    label = np.array([index.get(name, -1) for name in names], dtype=np.int64)[given]
    strange: Counter[str] = Counter()
    for row, count in zip(*np.unique(given[label < 0], return_counts=True), strict=True):
        strange[names[row]] += int(count)
    return label, strange
