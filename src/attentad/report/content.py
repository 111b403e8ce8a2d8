"""What a report holds, before any of it is laid out: Report and VideoPage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attentad.core import VideoAnnotation
from attentad.core.found import Found
from attentad.report.tables import Table


@dataclass(frozen=True)
class VideoPage:
    """One video of a report.

    Args:
        video: its id, as in the detections.
        duration_sec: length of its time axis; where it is not positive, the last end that occurs.
        source: the video file, or None where there is none (features only).
        found: what each detector says of it, by the detector's name; the label indices are of
            the same classes.
        ground_truth: None where nobody annotated the video, which differs from no instances.
    """

    video: str
    duration_sec: float
    source: Path | None
    found: Mapping[str, Found]
    ground_truth: VideoAnnotation | None = None


@dataclass(frozen=True)
class Report:
    """Everything that one page shows.

    Args:
        title: heading of the page.
        classes: class names; label index i is classes[i].
        videos: in the order of the list.
        evaluations: what `metrics.DetectionResult.to_dict` returns, by detector.
        losses: by detector, loss term → its value per epoch; a name that begins with `val_` goes
            into a chart of its own.
        facts: name → text, such as model, recipe, versions, command.
        figures: title → SVG, as `figure_svg` gives it.
        tables: title → table of text.

    Raises:
        ValueError: one of several detectors has no name.
    """

    title: str
    classes: Sequence[str]
    videos: Sequence[VideoPage]
    evaluations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    losses: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.detectors) > 1 and "" in self.detectors:
            raise ValueError(f"{self.title}: each of several detectors needs a name")

    @property
    def detectors(self) -> list[str]:
        """Names of the detectors in order of appearance; "" is one that nobody named."""
        names = [name for video in self.videos for name in video.found]
        return list(dict.fromkeys([*names, *self.evaluations, *self.losses]))


def plain_facts(origins: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Where detections are from, for a page's facts; of several detectors under their names.

    Args:
        origins: detector → `Detections.meta`.
    """
    return {
        (f"{detector}: " if len(origins) > 1 else "") + key.replace("_", " "): _plain(value)
        for detector, meta in origins.items()
        for key, value in meta.items()
        if key != "classes" and value not in (None, "", [])
    }


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)
