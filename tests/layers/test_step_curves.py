"""Curves of steps, and of the shorter levels of a pyramid, lie where their steps do."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from attentad.core import Timeline
from attentad.layers.step_curves import level_stride, step_curves

LINE = Timeline(length=8, fps=1.0, stride_frames=2.0, window_frames=2.0, duration_sec=16.0)


def test_a_level_is_drawn_at_the_times_of_its_steps() -> None:
    valid = torch.arange(8)[None] < 5
    values = {"full": torch.arange(8.0)[None], "level 3": torch.tensor([[5.0, 6.0]])}
    ((full, level),) = step_curves(values, [LINE], valid, "attention")
    assert full.time_sec.tolist() == [1, 3, 5, 7, 9]
    assert level.time_sec.tolist() == [4, 12], "the second of them begins within the video"
    assert level.value.tolist() == [5, 6]


@given(st.integers(1, 300), st.integers(0, 8))
def test_halved_lengths_keep_their_stride(length: int, halvings: int) -> None:
    shorter = length
    for _ in range(halvings):
        shorter = math.ceil(shorter / 2)
    stride = level_stride(length, shorter)
    assert math.ceil(length / stride) == shorter
    assert stride <= 2**halvings
    if shorter > 1:
        assert stride == 2**halvings


def test_other_lengths_divide_the_steps_evenly() -> None:
    assert np.isclose(level_stride(10, 4), 2.5)
    assert level_stride(4, 8) == 0.5
