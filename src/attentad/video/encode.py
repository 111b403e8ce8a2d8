"""Writing H.264 files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from attentad.core.errors import AttentadError
from attentad.core.files import atomic_path

# The same pictures give the same bytes. One thread also spares short files the start of several;
# macroblock trees came out differently from run to run.
_SAME_BYTES = {"threads": "1", "x264-params": "mbtree=0"}


def write_video(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    *,
    crf: int = 23,
    preset: str = "veryfast",
    group: int = 25,
) -> int:
    """Write frames as H.264 (yuv420p, constant rate), whole or not at all.

    Args:
        path: file to write; its suffix chooses the container (`.mp4`).
        frames: pictures (H, W, 3) uint8 RGB, all of one size, H and W even.
        fps: frames per second.
        crf: x264's quality, lower is better and larger.
        preset: x264's speed.
        group: frames from one key frame to the next.

    Returns:
        The number of frames written.

    Raises:
        AttentadError: there are no frames, `fps` is not positive, or the file cannot be written.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise AttentadError(f"{path} cannot be written at {fps} frames a second; give more than 0.")
    rate = Fraction(fps).limit_denominator(1001)
    count = 0
    converter = VideoReformatter()
    with atomic_path(path) as temporary:
        try:
            with av.open(str(temporary), "w") as container:
                options = {"crf": str(crf), "preset": preset, "g": str(group), **_SAME_BYTES}
                stream = None
                for picture in frames:
                    if stream is None:
                        stream = container.add_stream("libx264", rate=rate, options=options)
                        stream.height, stream.width = picture.shape[:2]
                        stream.pix_fmt = "yuv420p"
                    frame = converter.reformat(
                        av.VideoFrame.from_ndarray(picture, format="rgb24"),
                        format="yuv420p",
                        threads=1,
                    )
                    frame.pts, frame.time_base = count, 1 / rate
                    container.mux(stream.encode(frame))
                    count += 1
                if stream is None:
                    raise AttentadError(f"{path} cannot be written: there are no frames.")
                container.mux(stream.encode())
        except av.error.FFmpegError as error:
            raise AttentadError(
                f"{path} could not be written as H.264 ({error.strerror})."
            ) from error
    return count
