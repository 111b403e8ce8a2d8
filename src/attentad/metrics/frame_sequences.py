"""Segments as a label for every frame: what frame-wise scores compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError, Timeline, VideoAnnotation, VideoDetections
from attentad.core.arrays import Ints
from attentad.core.segments import Segments, forwards


def annotated_labels(
    video: VideoAnnotation, classes: Sequence[str], timeline: Timeline, background: int
) -> Ints:
    """The class index of each step of a timeline, (T,): of the instance that holds its middle.

    Args:
        video: instances, all of them of `classes`.
        classes: the names that indices count.
        timeline: of T steps.
        background: the index of steps in no instance.

    Raises:
        AttentadError: a step lies in instances of two classes, so that it has no one label.
    """
    index = {name: row for row, name in enumerate(classes)}
    labels = np.full(timeline.length, background, dtype=np.int64)
    taken = np.zeros(timeline.length, dtype=bool)
    bounds = _steps(video.segments, timeline)
    for name, (first, last) in zip(video.labels, bounds.tolist(), strict=True):
        part = slice(first, last)
        if (taken[part] & (labels[part] != index[name])).any():
            raise AttentadError(
                f"an instance of {name} overlaps one of another class, but a frame has one label "
                "here; score such annotations as detections."
            )
        labels[part], taken[part] = index[name], True
    return labels


def detected_labels(detections: VideoDetections, timeline: Timeline, background: int) -> Ints:
    """The label of each step of a timeline, (T,): that of the surest detection over its middle.

    On a tie in score the earlier entry has it; `background` where there is none.

    Of detections that end before they start the times are put in order.
    """
    labels = np.full(timeline.length, background, dtype=np.int64)
    bounds = _steps(forwards(detections.segments), timeline)
    # The surest is painted last.
    for row in np.argsort(-detections.scores, kind="stable")[::-1]:
        labels[slice(*bounds[row])] = detections.labels[row]
    return labels


def indexed(sequences: Mapping[str, NDArray[np.str_]], classes: Sequence[str]) -> dict[str, Ints]:
    """Video → (T,) names of `classes` as their indices."""
    order = np.argsort(classes)
    names = np.asarray(classes)[order]
    return {
        video: order[np.searchsorted(names, labels)].astype(np.int64)
        for video, labels in sequences.items()
    }


def _steps(segments: Segments, timeline: Timeline) -> Ints:
    """(N, 2) first step whose middle is in a segment, and one past the last."""
    # Computed times carry a rounding error.
    first = np.ceil(np.round(timeline.grid(segments) - 0.5, 6))
    return first.clip(0, timeline.length).astype(np.int64)
