"""Reading video files: what they are, and their pictures by time.

Time is counted from the first picture. The picture on screen at a given time is the last one
whose timestamp has passed, up to the rounding of the file's own clock.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from attentad.core.errors import AttentadError
from attentad.video.open import duration_sec, nominal_rate, opened
from attentad.video.orientation import Orientation, orientation
from attentad.video.pictures import Pictures

Picture = NDArray[np.uint8]

# A timestamp was rounded to the file's clock by at most half a tick; a coarse clock (AVI counts
# in frames) is not rounded, so the slack ends at a millisecond.
_MOST_SLACK_SEC = Fraction(1, 1000)


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Args:
        fps: mean frames per second.
        duration_sec: length of the video stream, whatever the sound's.
        width_px, height_px: the picture as shown, after rotation.
        rotation_deg: clockwise turn from the stored to the shown picture: 0, 90, 180 or 270.
        codec: name of the coding, such as `h264`.
        frames: number of pictures where the file says it, otherwise None.
    """

    fps: float
    duration_sec: float
    width_px: int
    height_px: int
    rotation_deg: int
    codec: str
    frames: int | None


def frame_count(duration_sec: float, fps: float) -> int:
    """Number of pictures that `frames` gives at `fps` for an intact file: at least 1."""
    return max(1, round(duration_sec * fps))


def probe(path: str | Path) -> VideoInfo:
    """Look at a video file; decodes one picture.

    Raises:
        AttentadError: the file is missing, is no video, or holds no picture.
    """
    path = Path(path)
    with opened(path) as (container, stream):
        length = duration_sec(path, container, stream)
        rate = nominal_rate(stream)
        codec, counted = stream.codec_context.name, stream.frames or None
        _, first = _first(path, Pictures(container, stream))
    turn = orientation(first)
    width, height = turn.shown(first.width, first.height)
    return VideoInfo(
        fps=float(rate),
        duration_sec=float(length),
        width_px=width,
        height_px=height,
        rotation_deg=turn.rotation_deg,
        codec=codec,
        frames=counted,
    )


def frames(
    path: str | Path, fps: float | None = None, *, size_px: int | None = None
) -> Iterator[Picture]:
    """The pictures of a video, upright, in order, one in memory at a time.

    Args:
        path: video file.
        fps: pictures a second: number k is the one on screen k / fps seconds after the first,
            and the last is held to the end of the video, so that there are
            `frame_count(duration_sec, fps)`. None gives each picture of the file once.
        size_px: side of a square: the short side is scaled to it and the centre is cropped.
            None keeps the size. Pixels are taken as square.

    Returns:
        An iterator over (H, W, 3) uint8 RGB arrays, each an array of its own.

    Raises:
        AttentadError: an argument is out of range; when the first picture is asked for: the
            file is missing, is no video, or holds no picture.

    Warns:
        UserWarning: the file is cut off or damaged; what can be decoded is given.
    """
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise AttentadError(f"{path} cannot be read at {fps} frames a second; give more than 0.")
    if size_px is not None and size_px < 1:
        raise AttentadError(f"{path} cannot be read at a size of {size_px} px; give 1 or more.")
    return _frames(Path(path), fps, size_px)


def _frames(path: Path, fps: float | None, size_px: int | None) -> Iterator[Picture]:
    with opened(path) as (container, stream):
        length = duration_sec(path, container, stream)
        pictures = Pictures(container, stream)
        tick, held = _first(path, pictures)
        convert = _converter(held, size_px)
        if fps is None:
            yield convert(held)
            for _, frame in pictures:
                yield convert(frame)
            _warn(path, pictures, length)
            return
        total = frame_count(float(length), fps)
        shown_until = _last_tick_on_screen(stream.time_base or Fraction(1, 1000), fps)
        k = 0
        for tick, frame in pictures:
            if shown_until(k) < tick:
                picture = convert(held)
                yield picture
                k += 1
                while k < total and shown_until(k) < tick:
                    yield picture.copy()
                    k += 1
            if k >= total:
                return
            held = frame
        if _warn(path, pictures, length):
            total = min(total, max(k, frame_count(float(pictures.end_sec), fps)))
        if k < total:
            picture = convert(held)
            yield picture
            yield from (picture.copy() for _ in range(k + 1, total))


def _first(path: Path, pictures: Pictures) -> tuple[int, VideoFrame]:
    for tick, frame in pictures:
        return tick, frame
    raise AttentadError(f"{path} holds no picture that can be decoded; the file may be damaged.")


def _last_tick_on_screen(time_base: Fraction, fps: float) -> Callable[[int], int]:
    """k → the latest timestamp (in ticks) that counts as passed at k / fps."""
    slack = min(time_base / 2, _MOST_SLACK_SEC)
    step = 1 / (Fraction(fps) * time_base)
    offset = slack / time_base
    return lambda k: math.floor(k * step + offset)


def _converter(first: VideoFrame, size_px: int | None) -> Callable[[VideoFrame], Picture]:
    """A function from decoded frame to upright RGB array; it keeps swscale's tables."""
    turn: Orientation = orientation(first)
    # On one thread, because handing a small picture to several costs more than scaling it.
    scaler = VideoReformatter()
    whole = first.width, first.height

    def convert(frame: VideoFrame) -> Picture:
        # A stream may change its size on the way; without `size_px` the first size is kept.
        width, height = whole if size_px is None else _covering(frame.width, frame.height, size_px)
        scaled = scaler.reformat(
            frame, width=width, height=height, format="rgb24", interpolation="AREA", threads=1
        )
        picture: NDArray[Any] = scaled.to_ndarray()
        if size_px is not None:
            top, left = (height - size_px) // 2, (width - size_px) // 2
            picture = picture[top : top + size_px, left : left + size_px]
        return turn.upright(picture).copy()

    return convert


def _covering(width_px: int, height_px: int, size_px: int) -> tuple[int, int]:
    """The picture's size when its short side is `size_px`."""
    scale = size_px / min(width_px, height_px)
    return max(size_px, round(width_px * scale)), max(size_px, round(height_px * scale))


def _warn(path: Path, pictures: Pictures, length: Fraction) -> bool:
    """Warn of what could not be decoded; whether the end is missing."""
    cut, problem = pictures.is_cut_off(length), ""
    if cut:
        decoded = f"{float(pictures.end_sec):.2f} of its {float(length):.2f} s"
        problem = f"{path} is cut off: {decoded} could be decoded."
    elif pictures.lost:
        lost = f"{pictures.lost} of its packets could not be decoded"
        problem = f"{path} is damaged: {lost}, and the picture before each is held."
    if problem:
        warnings.warn(problem, UserWarning, stacklevel=3)
    return cut
