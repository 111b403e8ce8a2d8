"""Reading video files: what they are, and their pictures by time.

Time is counted from where players count it, the start of the file's clock; a video stream may
begin later. The picture on screen at a given time is the last one whose timestamp has passed, up
to the rounding of the file's own clock; before the first one comes, it is the first.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from attentad.core.errors import AttentadError, UnreadableError
from attentad.video.length import (
    estimated_end_sec,
    nominal_rate,
    stated_end_sec,
    time_base,
    zero_ticks,
)
from attentad.video.notes import notes
from attentad.video.open import OpenVideo, opened, shown_name
from attentad.video.orientation import Orientation, orientation
from attentad.video.pictures import Pictures

Picture = NDArray[np.uint8]

# A timestamp was rounded to the file's clock by at most half a tick; a coarse clock (AVI counts
# in frames) is not rounded, so the slack ends at a millisecond.
_MOST_SLACK_SEC = Fraction(1, 1000)


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself.

    Args:
        fps: mean frames per second.
        duration_sec: when the pictures end, whatever the sound. An estimate: only reading the
            pictures tells (`Frames.duration_sec`).
        width_px, height_px: the picture as shown, after rotation.
        rotation_deg: clockwise turn from the stored to the shown picture: 0, 90, 180 or 270.
        codec: name of the coding, such as `h264`.
        frames: number of pictures where the file says it, otherwise None.
        start_sec: when the first picture comes; sound may begin before it.
    """

    fps: float
    duration_sec: float
    width_px: int
    height_px: int
    rotation_deg: int
    codec: str
    frames: int | None
    start_sec: float = 0.0


class Shape(NamedTuple):
    """Side of a square, or None, and whether what is beside it is kept; see `frames`."""

    size_px: int | None
    whole: bool


class Frames(Iterator[Picture]):
    """The pictures of a video, in order; see `frames`.

    Attributes:
        duration_sec: when the last picture stops being on screen; None until all are read.
    """

    def __init__(self, path: Path, fps: float | None, shape: Shape, threads: int) -> None:
        # The generator must not hold this object: an abandoned one closes its file at once.
        self._length = _Length()
        self._pictures = _frames(path, fps, shape, threads, self._length)

    def __next__(self) -> Picture:
        return next(self._pictures)

    @property
    def duration_sec(self) -> float | None:
        return self._length.duration_sec


@dataclass
class _Length:
    duration_sec: float | None = None


def frame_count(duration_sec: float, fps: float) -> int:
    """Number of pictures that `frames` gives at `fps`: at least 1."""
    return max(1, round(duration_sec * fps))


def probe(path: str | Path) -> VideoInfo:
    """Look at a video file; decodes one picture.

    Raises:
        AttentadError: the file is missing, is no video, or holds no picture.
    """
    path = Path(path)
    with opened(path) as video:
        stated = stated_end_sec(video.container, video.stream)
        zero_sec = (zero_ticks(video.container, video.stream) or 0) * time_base(video.stream)
        rate = nominal_rate(video.stream)
        codec, counted = video.stream.codec_context.name, video.stream.frames or None
        pictures = Pictures(video)
        _, first = _first(video, pictures)
    end = None if stated is None else stated - zero_sec
    if end is None or end <= pictures.start_sec:
        with opened(path) as video:
            end = estimated_end_sec(video.container, video.stream)
    turn = orientation(first)
    width, height = turn.shown(first.width, first.height)
    return VideoInfo(
        fps=float(rate),
        duration_sec=float(end),
        width_px=width,
        height_px=height,
        rotation_deg=turn.rotation_deg,
        codec=codec,
        frames=counted,
        start_sec=float(pictures.start_sec),
    )


def frames(
    path: str | Path,
    fps: float | None = None,
    *,
    size_px: int | None = None,
    whole: bool = False,
    threads: int = 0,
) -> Frames:
    """The pictures of a video, upright, in order, one or two in memory at a time.

    Args:
        path: video file.
        fps: pictures a second: number k is the one on screen k / fps seconds after the file's
            clock starts, and the last is held to the end of the video, so that there are
            `frame_count(duration_sec, fps)`. None gives each picture of the file once.
        size_px: side of a square: the short side is scaled to it and the centre is cropped.
            None keeps the size. Pixels are taken as square.
        whole: leave the picture uncropped; its short side is `size_px` then.
        threads: of the decoder; 0 is as many as there are cores.

    Returns:
        An iterator over (H, W, 3) uint8 RGB arrays, each an array of its own. Once it is
        exhausted it knows `duration_sec`: the pictures decide the length, not the header.

    Raises:
        AttentadError: an argument is out of range; when the first picture is asked for: the
            file is missing, is no video, or holds no picture.

    Warns:
        UserWarning: the file is cut off or damaged, its clock breaks, its rate is assumed, or it
            holds several videos; one sentence each, at the end.
    """
    path = Path(path)
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise AttentadError(
            f"{shown_name(path)} cannot be read at {fps} frames a second; give more than 0."
        )
    if size_px is not None and size_px < 1:
        raise AttentadError(
            f"{shown_name(path)} cannot be read at a size of {size_px} px; give 1 or more."
        )
    return Frames(path, fps, Shape(size_px, whole), threads)


def _frames(
    path: Path, fps: float | None, shape: Shape, threads: int, length: _Length
) -> Iterator[Picture]:
    with opened(path) as video:
        video.stream.codec_context.thread_count = threads
        pictures = Pictures(video)
        if fps is None:
            yield from _each(video, pictures, shape)
        else:
            yield from _at_rate(video, pictures, fps, shape)
        length.duration_sec = float(pictures.end_sec)
        for note in notes(path, video, pictures):
            warnings.warn(note, UserWarning, stacklevel=3)


def _each(video: OpenVideo, pictures: Pictures, shape: Shape) -> Iterator[Picture]:
    _, frame = _first(video, pictures)
    convert = _converter(frame, shape)
    yield convert(frame)
    for _, frame in pictures:
        yield convert(frame)


def _at_rate(video: OpenVideo, pictures: Pictures, fps: float, shape: Shape) -> Iterator[Picture]:
    _, held = _first(video, pictures)
    convert = _converter(held, shape)
    shown_until = _last_tick_on_screen(time_base(video.stream), fps)
    # Number k is given when k + 1 is on screen too: only then is the video long enough for it.
    k = 0
    due: Picture | None = None
    for tick, frame in pictures:
        latest = None
        while shown_until(k) < tick:
            latest = convert(held) if latest is None else latest.copy()
            if due is not None:
                yield due
            due = latest
            k += 1
        held = frame
    total = frame_count(float(pictures.end_sec), fps)
    if due is not None and k <= total:
        yield due
    if k < total:
        picture = convert(held)
        yield picture
        yield from (picture.copy() for _ in range(k + 1, total))


def _first(video: OpenVideo, pictures: Pictures) -> tuple[int, VideoFrame]:
    for tick, frame in pictures:
        return tick, frame
    raise UnreadableError(
        f"{video.name} holds no picture that can be decoded; the file may be damaged."
    )


def _last_tick_on_screen(time_base: Fraction, fps: float) -> Callable[[int], int]:
    """k → the latest timestamp (in ticks) that counts as passed at k / fps."""
    slack = min(time_base / 2, _MOST_SLACK_SEC)
    step = 1 / (Fraction(fps) * time_base)
    offset = slack / time_base
    return lambda k: math.floor(k * step + offset)


def _converter(first: VideoFrame, shape: Shape) -> Callable[[VideoFrame], Picture]:
    """A function from decoded frame to upright RGB array; it keeps swscale's tables."""
    turn: Orientation = orientation(first)
    # On one thread, because handing a small picture to several costs more than scaling it.
    scaler = VideoReformatter()
    kept = first.width, first.height
    if shape.size_px is not None:
        kept = _covering(*kept, shape.size_px)
    crop_px = None if shape.whole else shape.size_px

    def convert(frame: VideoFrame) -> Picture:
        # A stream may change its size on the way; what is not cropped keeps the first size.
        width, height = kept if crop_px is None else _covering(frame.width, frame.height, crop_px)
        scaled = scaler.reformat(
            frame, width=width, height=height, format="rgb24", interpolation="AREA", threads=1
        )
        picture: NDArray[Any] = scaled.to_ndarray()
        if crop_px is not None:
            top, left = (height - crop_px) // 2, (width - crop_px) // 2
            picture = picture[top : top + crop_px, left : left + crop_px]
        return turn.upright(picture).copy()

    return convert


def _covering(width_px: int, height_px: int, size_px: int) -> tuple[int, int]:
    """The picture's size when its short side is `size_px`."""
    scale = size_px / min(width_px, height_px)
    return max(size_px, round(width_px * scale)), max(size_px, round(height_px * scale))
