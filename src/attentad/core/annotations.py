"""Annotations: which actions happen when, in which videos."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from attentad.core.errors import AttentadError
from attentad.core.segments import Segments

# THUMOS14's mark for segments that are neither action nor background.
AMBIGUOUS = "Ambiguous"


@dataclass(frozen=True)
class VideoAnnotation:
    """The instances of one video.

    Args:
        segments: (N, 2) start and end in seconds, in the order of the file.
        labels: N class names.
        subset: the part of the data set that the video belongs to, such as `training`.
        duration_sec: length of the video; None where the source does not say.
        fps: frames per second, or None.
        frames: number of frames, or None.
    """

    segments: Segments
    labels: tuple[str, ...]
    subset: str = ""
    duration_sec: float | None = None
    fps: float | None = None
    frames: int | None = None

    @classmethod
    def checked(
        cls, segments: Segments, labels: Sequence[str], facts: Mapping[str, Any], where: str
    ) -> VideoAnnotation:
        """With the `subset`, `duration`, `fps` and `frames` of a file, where it gives them.

        Raises:
            AttentadError: one of the last three is no positive number; `where` begins the error.
        """
        duration_sec, fps, frames = (
            _positive(facts.get(name), f"{where} {name}") for name in ("duration", "fps", "frames")
        )
        subset, frame_count = str(facts.get("subset", "")), None if frames is None else int(frames)
        return cls(segments, tuple(labels), subset, duration_sec, fps, frame_count)

    def without(self, label: str) -> VideoAnnotation:
        """The other instances."""
        if label not in self.labels:
            return self
        kept = [row for row, name in enumerate(self.labels) if name != label]
        labels = tuple(self.labels[row] for row in kept)
        return replace(self, segments=self.segments[kept], labels=labels)


@dataclass(frozen=True)
class Annotations:
    """What happens in which videos.

    Args:
        videos: video id → its instances.
        classes: the class names in their order: label index i is classes[i].
        class_ids: the numbers that the source itself gives its classes → their names, with which
            peers' detectors label: `label_id` in annotations made for ActionFormer and its heirs
            (from 0), `detclasslist.txt` in a folder of THUMOS14 text (from 1). Empty where the
            source numbers none.
    """

    videos: Mapping[str, VideoAnnotation]
    classes: tuple[str, ...] = field(default=())
    class_ids: Mapping[int, str] = field(default_factory=dict)

    def subset(self, names: str | Iterable[str]) -> Annotations:
        """Keep the videos of the named subsets (`"a"`, `"a,b"` or a list); classes stay.

        Raises:
            AttentadError: no video is in any of them.
        """
        parts = names.split(",") if isinstance(names, str) else names
        wanted = [part.strip() for part in parts]
        kept = {video: item for video, item in self.videos.items() if item.subset in wanted}
        if not kept:
            named = {item.subset for item in self.videos.values()} - {""}
            raise AttentadError(
                f"no video is in subset {','.join(wanted)}; the subsets are: "
                f"{', '.join(sorted(named)) or 'none'}."
            )
        return Annotations(kept, self.classes, self.class_ids)

    def label_ids(self, video: str) -> np.ndarray:
        """Class indices of one video's instances, (N,) int64."""
        index = {name: i for i, name in enumerate(self.classes)}
        return np.array([index[name] for name in self.videos[video].labels], dtype=np.int64)


def _positive(value: Any, where: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise AttentadError(f"{where} must be a number, not {value!r}.") from None
    if not (math.isfinite(number) and number > 0):
        raise AttentadError(f"{where} must be a positive number, not {value!r}.")
    return number
