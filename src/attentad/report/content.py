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

    Raises:
        ValueError: the two arrays differ in length or are not one-dimensional.
    """

    name: str
    time_sec: NDArray[np.floating[Any]]
    value: NDArray[np.floating[Any]]
    group: str = ""

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
    """

    video: str
    duration_sec: float
    source: Path | None
    detections: VideoDetections
    ground_truth: VideoAnnotation | None = None
    curves: Sequence[Curve] = ()


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
