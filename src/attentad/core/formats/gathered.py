"""What a file says of its videos, gathered row by row, whatever the format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attentad.core.annotations import VideoAnnotation
from attentad.core.errors import AttentadError
from attentad.core.segments import as_segments, checked_segment

_UNITS = {"duration": " s", "fps": " frames per second", "frames": " frames"}


@dataclass
class _Video:
    segments: list[tuple[float, float]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    facts: dict[str, tuple[Any, str]] = field(default_factory=dict)


class Gathered:
    """Videos with their instances and facts, in the order in which they first occur."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._videos: dict[str, _Video] = {}

    def __contains__(self, video: str) -> bool:
        return video in self._videos

    def video(self, video: str, where: str, **facts: Any) -> None:
        """Name a video, and what the row says of it; None and empty text say nothing.

        Args:
            video: its id.
            where: the row, for errors.
            facts: `subset`, `duration` (seconds), `fps` and `frames`.

        Raises:
            AttentadError: the id is empty, or another row says something else.
        """
        if not video.strip():
            raise AttentadError(f"{where}: the video is empty; name one.")
        told = self._videos.setdefault(video, _Video()).facts
        for name, value in facts.items():
            if value is None or value == "":
                continue
            earlier, line = told.setdefault(name, (value, where))
            if not _same(earlier, value):
                unit = _UNITS.get(name, "")
                raise AttentadError(
                    f"{where}: video {video} has {name} {value}{unit} here and {earlier}{unit} in "
                    f"{line.removeprefix(f'{self._path}, ')}; give one."
                )

    def instance(self, video: str, segment: Iterable[Any], label: Any, where: str) -> None:
        """Add an instance, from start to end in seconds, of a video that was named.

        Raises:
            AttentadError: the segment is none, or the label names no class.
        """
        of_video = where if f"video {video}" in where else f"{where}: video {video}"
        item = self._videos[video]
        start, end = segment
        item.segments.append(checked_segment(start, end, of_video))
        item.labels.append(class_name(label, of_video))

    def annotations(self) -> dict[str, VideoAnnotation]:
        """Video id → its annotation.

        Raises:
            AttentadError: a duration, frame rate or number of frames is no positive number.
        """
        return {
            video: VideoAnnotation.checked(
                as_segments(item.segments),
                item.labels,
                {name: value for name, (value, _) in item.facts.items()},
                f"{self._path}: {video}",
            )
            for video, item in self._videos.items()
        }


@dataclass(frozen=True)
class Contents:
    """What a reader found in a file of annotations.

    Args:
        videos: video id → its annotation.
        class_ids: the numbers that the file gives its classes → their names.
        marks_ambiguous: whether the layout itself says that `Ambiguous` is THUMOS14's mark.
    """

    videos: Mapping[str, VideoAnnotation]
    class_ids: Mapping[int, str] = field(default_factory=dict)
    marks_ambiguous: bool = False


def class_name(label: Any, where: str) -> str:
    """A label as text: a name, or the number of a class.

    Raises:
        AttentadError: it is empty, or something else.
    """
    if type(label) is int:
        return str(label)
    if not isinstance(label, str):
        raise AttentadError(f"{where}: the label {label!r} is no class name; correct it.")
    if not label.strip():
        raise AttentadError(f"{where} has a segment without a label; write one.")
    return label


def _same(one: Any, other: Any) -> bool:
    if one == other:
        return True
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-9)
    except (TypeError, ValueError):
        return False
