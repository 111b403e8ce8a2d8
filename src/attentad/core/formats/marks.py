"""Detections or annotations as another program is given them: instances of each video, in lanes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attentad.core.annotations import Annotations
from attentad.core.arrays import Floats
from attentad.core.detections import Detections, label_name
from attentad.core.errors import AttentadError
from attentad.core.segments import Segments

# Two days at 25 a second; a table of so many rows is as much as memory should be asked for.
MOST_FRAMES = 5_000_000


@dataclass(frozen=True)
class Marks:
    """What is marked in one video.

    Args:
        segments: (N, 2) seconds.
        labels: N class names.
        scores: (N,) of detections; None of annotations.
        duration_sec: length of the video, or None.
        fps: frames per second, or None.
        frames: number of frames, or None.
    """

    segments: Segments
    labels: tuple[str, ...]
    scores: Floats | None = None
    duration_sec: float | None = None
    fps: float | None = None
    frames: int | None = None

    def lanes(self) -> list[tuple[str, int, list[int]]]:
        """Instances sorted into lanes of one label in which none overlaps another.

        Returns:
            (label, number of the lane from 1, indices of its instances by their start), the first
            lane of each label first.
        """
        lanes: dict[str, list[list[int]]] = {}
        for row in np.lexsort((self.segments[:, 1], self.segments[:, 0])).tolist():
            of_label = lanes.setdefault(self.labels[row], [])
            start = self.segments[row, 0]
            free = (lane for lane in of_label if self.segments[lane[-1], 1] <= start)
            lane = next(free, None)
            if lane is None:
                of_label.append([row])
            else:
                lane.append(row)
        numbered = [
            (label, number, lane)
            for label, of_label in lanes.items()
            for number, lane in enumerate(of_label, start=1)
        ]
        return sorted(numbered, key=lambda item: item[1])

    def told(self, row: int) -> str:
        """`score 0.2500`, or nothing where there is no score."""
        return "" if self.scores is None else f"score {self.scores[row]:.4f}"


def of_detections(detections: Detections, fps: float | None = None) -> dict[str, Marks]:
    """Video id → its detections, in videos of so many frames per second if that is known."""
    return {
        video: Marks(
            items.segments,
            tuple(label_name(label, detections.classes) for label in items.labels.tolist()),
            items.scores,
            fps=fps,
        )
        for video, items in detections.videos.items()
    }


def of_annotations(annotations: Annotations) -> dict[str, Marks]:
    """Video id → its instances."""
    return {
        video: Marks(item.segments, item.labels, None, item.duration_sec, item.fps, item.frames)
        for video, item in annotations.videos.items()
    }


def check_frames(path: Path, video: str, marks: Marks, fps: float) -> None:
    """Make sure that a video's frames can be counted.

    Raises:
        AttentadError: they are more than `MOST_FRAMES`.
    """
    last = max(float(marks.segments.max(initial=0.0)), marks.duration_sec or 0.0) * fps
    if last > MOST_FRAMES or (marks.frames or 0) > MOST_FRAMES:
        raise AttentadError(f"{path}: video {video} would have {last:g} frames; correct its times.")
