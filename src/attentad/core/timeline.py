"""Timeline: the only place where feature index, frame and second are converted."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from attentad.core.arrays import Floats, Ints
from attentad.core.errors import AttentadError

CROPS = (1, 3)


@dataclass(frozen=True)
class Timeline:
    """Where the features of one video lie in time.

    Feature i is computed from the frames [offset + i·stride, offset + i·stride + window) and
    stands for the stride-wide *cell* around the middle of that window. A *grid* coordinate x is
    continuous: cell i spans [i, i + 1), so an edge between cells is an integer.

    Args:
        length: number of feature steps T, at least 1.
        fps: frames per second, of the sampled frames.
        stride_frames: frames from one feature to the next (a rescaled view has a fraction).
        window_frames: frames that one feature sees.
        duration_sec: length of the video.
        offset_frames: first frame of feature 0's window; negative when the video was padded.

    Raises:
        AttentadError: a quantity that must be a positive number is not.
    """

    length: int
    fps: float
    stride_frames: float
    window_frames: float
    duration_sec: float
    offset_frames: float = 0.0

    def __post_init__(self) -> None:
        for name in ("length", "fps", "stride_frames", "window_frames", "duration_sec"):
            _check_number("timeline", name, getattr(self, name))
        if self.length != int(self.length):
            raise AttentadError(f"a timeline needs a whole length, not {self.length}.")
        _check_number("timeline", "offset_frames", self.offset_frames, positive=False)

    @property
    def step_sec(self) -> float:
        """Seconds from one feature to the next."""
        return self.stride_frames / self.fps

    @property
    def start_sec(self) -> float:
        """Time of the left edge of cell 0 (grid coordinate 0)."""
        middle_frame = self.offset_frames + self.window_frames / 2
        return (middle_frame - self.stride_frames / 2) / self.fps

    @property
    def end_sec(self) -> float:
        """Time of the right edge of the last cell (grid coordinate `length`)."""
        return self.start_sec + self.length * self.step_sec

    def seconds(self, grid: ArrayLike) -> Floats:
        """Grid coordinates → seconds, any shape; not clipped to the video."""
        return self.start_sec + np.asarray(grid, dtype=np.float64) * self.step_sec

    def grid(self, seconds: ArrayLike) -> Floats:
        """Seconds → grid coordinates, any shape; not clipped to 0..length."""
        return (np.asarray(seconds, dtype=np.float64) - self.start_sec) / self.step_sec

    def centres_sec(self) -> Floats:
        """Time of the middle of each cell, (length,)."""
        return self.seconds(np.arange(self.length) + 0.5)

    def clip(self, seconds: ArrayLike) -> Floats:
        """Seconds limited to the video, 0..duration_sec."""
        return np.clip(np.asarray(seconds, dtype=np.float64), 0.0, self.duration_sec)

    def rescaled(self, length: int) -> Timeline:
        """The timeline of the same stretch of video divided into `length` equal cells."""
        stride, offset = self.length * self.stride_frames / length, self.start_sec * self.fps
        return replace(
            self, length=length, stride_frames=stride, window_frames=stride, offset_frames=offset
        )

    def window(self, start_index: int, length: int) -> Timeline:
        """The timeline of `length` features from `start_index` on; may reach past the video."""
        offset = self.offset_frames + start_index * self.stride_frames
        return replace(self, length=length, offset_frames=offset)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON sidecar."""
        return asdict(self)


@dataclass(frozen=True)
class Sampling:
    """How video becomes snippets: part of the contract that travels in a model.

    Args:
        fps: frames per second at which the video is read, whatever its own rate.
        window_frames: frames per snippet.
        stride_frames: frames from one snippet to the next.
        size_px: height and width of the square that the encoder sees: the short side is scaled
            to it and the centre is cropped.
        crops: squares along the long side whose features are averaged: 1, the centre, or 3, both
            ends and the centre.

    Raises:
        AttentadError: a quantity is not a positive number, or there are other crops.
    """

    fps: float
    window_frames: int
    stride_frames: int
    size_px: int
    crops: int = 1

    def __post_init__(self) -> None:
        for name in ("fps", "window_frames", "stride_frames", "size_px"):
            _check_number("sampling", name, getattr(self, name))
        if self.crops not in CROPS:
            raise AttentadError(f"a sampling has 1 or 3 crops, not {self.crops!r}.")

    @property
    def first_frame(self) -> int:
        """First frame of snippet 0's window, mostly negative: windows are centred on strides."""
        return (self.stride_frames - self.window_frames) // 2

    def timeline(self, frame_count: int, duration_sec: float) -> Timeline:
        """The timeline of the snippets of a video of `frame_count` sampled frames.

        Every stride gets one snippet, its window centred on it; first and last frame are
        repeated beyond the ends, so that the snippets cover the whole video.
        """
        return Timeline(
            length=max(1, math.ceil(frame_count / self.stride_frames)),
            fps=self.fps,
            stride_frames=self.stride_frames,
            window_frames=self.window_frames,
            duration_sec=duration_sec,
            offset_frames=self.first_frame,
        )

    def frame_indices(self, length: int, frame_count: int) -> Ints:
        """Indices of the sampled frames of each snippet, (length, window_frames), clamped."""
        starts = self.first_frame + self.stride_frames * np.arange(length)[:, None]
        return np.clip(starts + np.arange(self.window_frames)[None, :], 0, frame_count - 1)


def _check_number(owner: str, name: str, value: Any, *, positive: bool = True) -> None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and (value > 0 or not positive)):
        kind = "positive" if positive else "finite"
        raise AttentadError(f"a {owner} needs a {kind} {name}, not {value!r}.")
