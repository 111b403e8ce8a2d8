"""The eight toy classes: each one is a way of moving, whatever the thing that moves looks like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Offsets:
    """What a motion adds to the path of a drifting actor, each (N,), one value a frame.

    Args:
        right_px, down_px: displacement of the actor.
        turn_rad: rotation.
        scale: size as a multiple of the actor's own.
        opacity: 0 (gone) to 1 (there).
        apart_px: distance of each of the actor's two copies from the middle; 0 = one actor.
    """

    right_px: FloatArray
    down_px: FloatArray
    turn_rad: FloatArray
    scale: FloatArray
    opacity: FloatArray
    apart_px: FloatArray


@dataclass(frozen=True)
class Motion:
    """A class of motion and the ranges from which an instance draws its pace and its reach.

    Args:
        offsets: (cycles (N,), reach, direction ±1) → Offsets.
        period_sec: shortest and longest time of one cycle.
        reach: smallest and largest amplitude, in the unit that `offsets` takes (px or a factor).
    """

    offsets: Callable[[FloatArray, float, int], Offsets]
    period_sec: tuple[float, float]
    reach: tuple[float, float]


def still(length: int) -> Offsets:
    """No motion of its own: plain drifting, `length` frames."""
    zero, one = np.zeros(length), np.ones(length)
    return Offsets(zero, zero, zero, one, one, zero)


def triangle_wave(cycles: FloatArray) -> FloatArray:
    """A wave of straight lines, -1..1, period 1, rising through 0 at 0."""
    return 4.0 * np.abs((cycles - 0.25) % 1.0 - 0.5) - 1.0


def _offsets(length: int, **changes: FloatArray) -> Offsets:
    return Offsets(**{**vars(still(length)), **changes})


def _spin(cycles: FloatArray, reach: float, direction: int) -> Offsets:
    return _offsets(len(cycles), turn_rad=direction * reach * 2.0 * np.pi * cycles)


def _bounce(cycles: FloatArray, reach: float, direction: int) -> Offsets:
    # A ball's parabola: soft turn at the top, hard turn at the bottom.
    fall = cycles % 1.0
    height = 4.0 * fall * (1.0 - fall)
    return _offsets(len(cycles), down_px=reach * (0.5 - height))


def _zigzag(cycles: FloatArray, reach: float, direction: int) -> Offsets:
    # Steady travel to and fro, three and a half teeth wide.
    travel = direction * 17.0 * triangle_wave(cycles / 3.5)
    return _offsets(len(cycles), right_px=travel, down_px=reach * triangle_wave(cycles))


def _orbit(cycles: FloatArray, reach: float, direction: int) -> Offsets:
    angle = direction * 2.0 * np.pi * cycles
    return _offsets(len(cycles), right_px=reach * np.cos(angle), down_px=reach * np.sin(angle))


def _grow_shrink(cycles: FloatArray, reach: float, direction: int) -> Offsets:
    return _offsets(len(cycles), scale=reach ** (direction * np.sin(2.0 * np.pi * cycles)))


def _shake(cycles: FloatArray, reach: float, direction: int) -> Offsets:
    return _offsets(len(cycles), right_px=direction * reach * triangle_wave(cycles))


def _split_join(cycles: FloatArray, reach: float, direction: int) -> Offsets:
    return _offsets(len(cycles), apart_px=reach * 0.5 * (1.0 - np.cos(2.0 * np.pi * cycles)))


def _blink(cycles: FloatArray, reach: float, direction: int) -> Offsets:
    return _offsets(len(cycles), opacity=(cycles % 1.0 < reach).astype(np.float64))


MOTIONS: Mapping[str, Motion] = {
    "blink": Motion(_blink, (0.5, 0.75), (0.45, 0.55)),
    "bounce": Motion(_bounce, (0.6, 0.9), (16.0, 22.0)),
    "grow-shrink": Motion(_grow_shrink, (0.7, 1.0), (1.45, 1.65)),
    "orbit": Motion(_orbit, (0.8, 1.2), (10.0, 14.0)),
    "shake": Motion(_shake, (0.3, 0.4), (4.0, 6.0)),
    "spin": Motion(_spin, (0.7, 1.1), (1.0, 1.0)),
    "split-join": Motion(_split_join, (0.8, 1.1), (12.0, 16.0)),
    "zigzag": Motion(_zigzag, (0.5, 0.7), (6.0, 9.0)),
}
"""Class name → motion, in the order of the class list."""
