"""What a report holds, before any of it is laid out: Report, VideoPage, Curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attentad.core import VideoAnnotation, VideoDetections
from attentad.report.tables import Table


@dataclass(frozen=True)
class Curve:
    """A quantity along one video, drawn under its timeline.

    Args:
        name: what the legend says; a curve named as a class gets that class's colour.
        time_sec: (N,) seconds, ascending.
        value: (N,) any range; a value that is not finite leaves a gap in the line.
        group: curves of one group share a panel and its axis. Without one, curves named as a
            class become `class scores`, `start` and `end` become `boundaries`, what is named a
            gate or attention becomes `attention`, and the rest `curves`.
        detector: whose curve it is, in a page that compares several: its panels are named after
            the detector, are its alone, and go when it is switched off.

    Raises:
        ValueError: the two arrays differ in length or are not one-dimensional.
    """

    name: str
    time_sec: NDArray[np.floating[Any]]
    value: NDArray[np.floating[Any]]
    group: str = ""
    detector: str = ""

    def __post_init__(self) -> None:
        time, value = np.shape(self.time_sec), np.shape(self.value)
        if len(time) != 1 or time != value:
            raise ValueError(f"curve {self.name}: times have shape {time} and values {value}")


@dataclass(frozen=True)
class VideoPage:
    """One video of a report.

    Args:
        video: its id, as in the detections.
        duration_sec: length of its time axis; where it is not positive, the last end that occurs.
        source: the video file, or None where there is none (features only).
        detections: in seconds; label −1 is a proposal without a class.
        ground_truth: None where nobody annotated the video, which differs from no instances.
        curves: attention gate, boundary probabilities, class scores and the like.
        detector: name of what made `detections`; needed where others are compared with it.
        compared: other detectors' detections of the same video by the detector's name; the label
            indices are of the same classes.

    Raises:
        ValueError: a detector that is compared has no name, or two have the same.
    """

    video: str
    duration_sec: float
    source: Path | None
    detections: VideoDetections
    ground_truth: VideoAnnotation | None = None
    curves: Sequence[Curve] = ()
    detector: str = ""
    compared: Mapping[str, VideoDetections] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.compared and ("" in self.by_detector or self.detector in self.compared):
            raise ValueError(f"video {self.video}: each of several detectors needs a name")

    @property
    def by_detector(self) -> dict[str, VideoDetections]:
        """Name → detections of every detector, its own first."""
        return {self.detector: self.detections, **self.compared}


@dataclass(frozen=True)
class Report:
    """Everything that one page shows.

    Args:
        title: heading of the page.
        classes: class names; label index i is classes[i].
        videos: in the order of the list.
        evaluation: what `metrics.DetectionResult.to_dict` returns, or None.
        losses: loss term → its value per epoch; a name that begins with `val_` goes into a
            chart of its own.
        evaluations: the same as `evaluation` by detector, where a page compares several.
        detector_losses: the same as `losses` by detector.
        facts: name → text, such as model, recipe, versions, command.
        figures: title → SVG, as `figure_svg` gives it.
        tables: title → table of text.
    """

    title: str
    classes: Sequence[str]
    videos: Sequence[VideoPage]
    evaluation: Mapping[str, Any] | None = None
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    evaluations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    detector_losses: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)

    @property
    def detectors(self) -> list[str]:
        """Names of the detectors in order of appearance; "" is one that nobody named."""
        return list(dict.fromkeys(name for video in self.videos for name in video.by_detector))
