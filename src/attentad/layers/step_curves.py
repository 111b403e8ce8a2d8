"""What a network says of every step, as curves to look at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attentad.core import Timeline
from attentad.core.found import Curve, CurveKind


def step_curves(
    values: Mapping[str, Tensor],
    timelines: Sequence[Timeline],
    valid: Tensor | None,
    kind: CurveKind,
) -> list[list[Curve]]:
    """A curve of each view and name, at the middles of the view's valid steps.

    Args:
        values: name → (B, T), or (B, fewer) at a level of a pyramid, each of whose steps stands
            for as many of the view's.
        timelines: of the B views.
        valid: (B, T), the valid steps of a view first.
        kind: of all curves.
    """
    arrays: dict[str, NDArray[np.float32]] = {
        name: value.detach().float().cpu().numpy() for name, value in values.items()
    }
    curves = []
    for item, timeline in enumerate(timelines):
        steps = timeline.length if valid is None else int(valid[item].sum())
        named = []
        for name, rows in arrays.items():
            stride = level_stride(timeline.length, rows.shape[1])
            used = min(rows.shape[1], math.ceil(steps / stride))
            times = timeline.seconds((np.arange(used) + 0.5) * stride)
            named.append(Curve(name, times, rows[item, :used], kind))
        curves.append(named)
    return curves


def level_stride(length: int, level_length: int) -> float:
    """How many of T steps one step of a pyramid's level stands for.

    Levels halve, and round up: of 9 steps 5, 3 and 2 are left. Any other length is taken to divide
    the T steps evenly.
    """
    for stride in (2**halvings for halvings in range(length.bit_length() + 1)):
        if math.ceil(length / stride) == level_length:
            return float(stride)
    return length / level_length
