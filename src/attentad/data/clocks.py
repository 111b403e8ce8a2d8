"""When features were taken, where no sidecar says so for each video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from pydantic import TypeAdapter

from attentad.core import AttentadError, Timeline, VideoAnnotation
from attentad.core.validation import Number, PositiveNumber, validated
from attentad.data.features import Sidecar


@dataclass(frozen=True)
class FrameClock:
    """Features taken every so many frames of videos that each have their own frame rate.

    The frames are counted as in a `Timeline`.
    """

    stride_frames: PositiveNumber
    window_frames: PositiveNumber
    offset_frames: Number = 0.0

    def to_clock(self) -> dict[str, Any]:
        """Plain values, for `read_clock`."""
        return asdict(self)


@dataclass(frozen=True)
class RescaledClock:
    """Features whose rows, however many, divide the duration of their video evenly."""

    def to_clock(self) -> dict[str, Any]:
        """Plain values, for `read_clock`."""
        return {"rescaled": True}


def frame_rate(item: VideoAnnotation) -> float | None:
    """Frames per second of an annotated video; None where neither that nor its frames are told."""
    if item.fps is None and item.frames is not None and item.duration_sec is not None:
        return item.frames / item.duration_sec
    return item.fps


# A sidecar of no video in particular: one frame rate for all.
Clock = Sidecar | FrameClock | RescaledClock


_FRAME_CLOCK: Final = TypeAdapter(FrameClock)
_SIDECAR: Final = TypeAdapter(Sidecar)


def read_clock(values: Mapping[str, Any], where: str) -> Clock:
    """The clock that `to_clock` described; `where`, the file, begins the error.

    Raises:
        AttentadError: the values describe none.
    """
    if values.get("rescaled"):
        return RescaledClock()
    if "fps" in values:
        return validated(_SIDECAR, values, where)
    return validated(_FRAME_CLOCK, values, where)


def video_timeline(
    video: str,
    length: int,
    sidecar: Sidecar | None,
    clock: Clock | None,
    duration_sec: float | None,
    fps: float | None = None,
) -> Timeline:
    """The timeline of one video's features, from its sidecar or else the recipe's clock.

    Args:
        video: its id, for error sentences.
        length: n, its number of features.
        sidecar: what stands beside its features; goes before `clock`.
        clock: what the recipe says of all features.
        duration_sec: of the video, as annotated; for a `RescaledClock`, the time that the
            features cover.
        fps: frames per second of the video, as annotated; only a `FrameClock` uses it.

    Raises:
        AttentadError: nothing says when the features were taken.
    """
    told = clock if sidecar is None else sidecar
    if told is None:
        raise AttentadError(
            f"nothing says when the features of video {video} were taken; put a sidecar "
            f"{video}.json with fps, stride_frames and window_frames beside them or set data.clock."
        )
    if isinstance(told, RescaledClock):
        if duration_sec is None:
            raise AttentadError(
                f"the features of video {video} span its whole duration, which nothing says; "
                "annotate its duration or put a sidecar beside the features."
            )
        step = duration_sec / length
        return Timeline(length, 1.0, step, step, duration_sec)
    if isinstance(told, FrameClock):
        if fps is None:
            raise AttentadError(
                f"the features of video {video} are counted in its frames, but nothing says how "
                "many a second it has; annotate its fps or set data.clock.fps."
            )
        told = Sidecar(fps=fps, **told.to_clock())
    return told.timeline(length, duration_sec)
