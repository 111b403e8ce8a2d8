"""Small video files whose pictures carry their number as black and white blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

SIDE = 64
BLOCK = 16


def numbered(number: int) -> np.ndarray:
    """(64, 64, 3): bit i of the number is block i, row by row, white for 1."""
    bits = (number >> np.arange(16)) & 1
    levels = np.where(bits, 235, 20).astype(np.uint8).reshape(4, 4)
    return np.repeat(levels.repeat(BLOCK, 0).repeat(BLOCK, 1)[:, :, None], 3, axis=2)


def number_of(picture: np.ndarray) -> int:
    """The number in a picture of any square size."""
    side = picture.shape[0] / 4
    at = (np.arange(4) * side + side / 2).astype(int)
    bits = picture[at][:, at].mean(axis=2).reshape(-1) > 128
    return int((bits << np.arange(16)).sum())


def make_video(
    path: Path,
    ticks: Sequence[int],
    *,
    time_base: Fraction = Fraction(1, 25),
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    form: str | None = None,
    pictures: Sequence[np.ndarray] | None = None,
    pixel_format: str = "yuv420p",
    sound_sec: int = 0,
    prepare: Callable[[Any], None] | None = None,
) -> Path:
    """Write picture i (numbered i) at ticks[i]·time_base, in any container."""
    with av.open(str(path), "w", format=form, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(25), options=options or {})
        first = numbered(0) if pictures is None else pictures[0]
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base
        if prepare is not None:
            prepare(stream)
        sound = container.add_stream("aac", rate=16000) if sound_sec else None
        for i, tick in enumerate(ticks):
            picture = numbered(i) if pictures is None else pictures[i]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = tick, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            for second in range(sound_sec):
                silence = av.AudioFrame.from_ndarray(
                    np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
                )
                silence.rate, silence.pts = 16000, second * 16000
                container.mux(sound.encode(silence))
            container.mux(sound.encode())
    return path


@pytest.fixture(scope="session")
def make() -> Callable[..., Path]:
    return make_video


@pytest.fixture(scope="session")
def number() -> Callable[[np.ndarray], int]:
    return number_of
