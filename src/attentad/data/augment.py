"""Crops and pieces of clips, drawn at random in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Of RGB in 0..1. The ActivityNet ones were made for 0..255 and no division.
KINETICS_MEAN, KINETICS_STD = (0.4345, 0.4051, 0.3775), (0.2768, 0.2713, 0.2737)
ACTIVITYNET_MEAN = (114.7748 / 255, 107.7354 / 255, 99.4750 / 255)
ACTIVITYNET_STD = (1 / 255, 1 / 255, 1 / 255)

# 1, 2^-1/4, 2^-1/2, 2^-3/4, 1/2 of the short side (spec hamnet_sta_recognition §3.6)
MULTI_SCALES = tuple(2 ** (-i / 4) for i in range(5))


def crop_box(
    height_px: int, width_px: int, scales: Sequence[float], rng: np.random.Generator
) -> tuple[int, int, int]:
    """A random multi-scale crop in the centre or one of the corners: top, left, side of a square.

    `scales` are sides as fractions of the short side, of which one is drawn.
    """
    side = max(1, round(min(height_px, width_px) * scales[int(rng.integers(len(scales)))]))
    down, right = height_px - side, width_px - side
    places = ((down // 2, right // 2), (0, 0), (0, right), (down, 0), (down, right))
    top, left = places[int(rng.integers(len(places)))]
    return top, left, side


def random_start(count: int, length: int, rng: np.random.Generator) -> int:
    """First frame of a training clip; anywhere in a video that must be looped anyway."""
    return int(rng.integers(count - length if count > length else count))


def looped_indices(start: int, length: int, count: int) -> NDArray[np.int64]:
    """Frames start, start + 1, … of a video of `count` frames; past the end start..end repeats."""
    return start + np.arange(length) % (count - start)


def clip_starts(count: int, length: int) -> NDArray[np.int64]:
    """Starts of the non-overlapping test clips; the remainder is dropped, a short video has one."""
    return np.arange(max(1, count // length)) * length
