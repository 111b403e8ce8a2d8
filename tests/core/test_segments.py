"""Segments and their temporal intersection over union."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import as_segments, tiou

segment = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted)


def slow_tiou(a: list[float], b: list[float]) -> float:
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - inter
    return inter / union if union > 0 else 0.0


@given(st.lists(segment, max_size=6), st.lists(segment, max_size=6))
@settings(deadline=None, max_examples=100)
def test_tiou_of_every_pair(a: list[list[float]], b: list[list[float]]) -> None:
    fast = tiou(as_segments(a), as_segments(b))
    assert fast.shape == (len(a), len(b))
    for i, first in enumerate(a):
        for j, second in enumerate(b):
            assert fast[i, j] == slow_tiou(first, second)


def test_known_values_and_points() -> None:
    boxes = as_segments([[0, 10], [0, 3], [5, 15], [20, 21], [4, 4]])
    np.testing.assert_array_equal(tiou(boxes[:1], boxes)[0], [1.0, 0.3, 1 / 3, 0.0, 0.0])
    assert tiou(boxes[4:], boxes[4:])[0, 0] == 0.0


def test_empty_and_misshapen() -> None:
    assert as_segments([]).shape == (0, 2)
    with pytest.raises(ValueError, match=r"expected \(N, 2\)"):
        as_segments([1.0, 2.0])
