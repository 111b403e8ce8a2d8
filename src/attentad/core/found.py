"""What passes between data, detectors and pages: Truth, Found, Curve, Profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attentad.core.arrays import Floats, Ints
from attentad.core.detections import VideoDetections
from attentad.core.segments import Segments

CurveKind = Literal["class scores", "boundaries", "attention", "curves"]


@dataclass(frozen=True)
class Truth:
    """What is known of a video, or of a view of it, in training.

    Args:
        segments: (N, 2) actions in seconds; (0, 2) where only the video's classes are known.
        labels: (N,) class indices of the segments, −1 for an action that is none of the classes.
            Where only the video's classes are known: those, ascending, each once.
        classes: K.
    """

    segments: Segments
    labels: Ints
    classes: int


@dataclass(frozen=True)
class Curve:
    """A quantity along one video, drawn under its timeline.

    Args:
        name: what the legend says; of `class scores` the class, whose colour it gets.
        time_sec: (N,) seconds, ascending.
        value: (N,) any range; a value that is not finite leaves a gap in the line.
        kind: curves of one kind share a panel and its axis.
        label: class index, of `class scores` that are yet to get the class's name.

    Raises:
        ValueError: the two arrays differ in length or are not one-dimensional.
    """

    name: str
    time_sec: NDArray[np.floating[Any]]
    value: NDArray[np.floating[Any]]
    kind: CurveKind = "curves"
    label: int | None = None

    def __post_init__(self) -> None:
        time, value = np.shape(self.time_sec), np.shape(self.value)
        if len(time) != 1 or time != value:
            raise ValueError(f"curve {self.name}: times have shape {time} and values {value}")


@dataclass(frozen=True)
class Profile:
    """A quantity of each channel, whatever the time.

    Args:
        name: what the page says above it.
        value: (C,).
    """

    name: str
    value: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Found:
    """What a detector says of a video, or of a view of it.

    Args:
        detections: in seconds, best first; label −1 is a proposal that a labeller is to name.
        class_probabilities: (K,) how surely the video holds each class, of detectors that say so.
        curves: attention, boundary probabilities and the like, to look at.
        profiles: gates of channels and the like, to look at.
    """

    detections: VideoDetections
    class_probabilities: Floats | None = None
    curves: Sequence[Curve] = ()
    profiles: Sequence[Profile] = ()
