"""Detections: what a detector says happens when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attentad.core.arrays import Floats, Ints
from attentad.core.segments import Segments

NO_LABEL = "action"


@dataclass(frozen=True)
class VideoDetections:
    """Detections of one video, or class-agnostic proposals (label −1).

    Args:
        segments: (N, 2) start and end in seconds, start ≤ end, unless they were read for an
            evaluation, whose protocol says what to make of the others.
        scores: (N,) float64, larger is surer.
        labels: (N,) int64 class indices; −1 where no class has been given yet.
    """

    segments: Segments
    scores: Floats
    labels: Ints

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: Any) -> VideoDetections:
        """The detections at `rows` (indices, mask or slice), in that order."""
        return VideoDetections(self.segments[rows], self.scores[rows], self.labels[rows])

    def rows(self) -> Iterator[tuple[list[float], float, int]]:
        """Each detection as plain [start, end], score and class index."""
        columns = (self.segments, self.scores, self.labels)
        return zip(*(column.tolist() for column in columns), strict=True)


def no_detections() -> VideoDetections:
    """An empty set of detections."""
    return VideoDetections(np.zeros((0, 2)), np.zeros(0), np.zeros(0, dtype=np.int64))


def concatenate(parts: Sequence[VideoDetections]) -> VideoDetections:
    """One set of detections after the other; none at all gives an empty set."""
    if not parts:
        return no_detections()
    return VideoDetections(
        np.concatenate([part.segments for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


@dataclass(frozen=True)
class Detections:
    """Video id → detections; the class names; and where they come from (model, protocol, …)."""

    videos: Mapping[str, VideoDetections]
    classes: tuple[str, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)


def label_name(label: int, classes: tuple[str, ...]) -> str:
    """Class name of a label index; `action` for −1, a proposal without a class."""
    return classes[label] if label >= 0 else NO_LABEL
