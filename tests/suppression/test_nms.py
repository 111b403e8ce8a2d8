"""Hard NMS against a slow reference, and its invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from attentad.core import AttentadError, as_segments
from attentad.suppression import TIES, nms

Array = NDArray[np.float64]


def slow_tiou(a: Array, b: Array, plus: float) -> float:
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]) + plus)
    union = (a[1] - a[0] + plus) + (b[1] - b[0] + plus) - inter
    return float(inter / union) if union > 0 else 0.0


def slow_nms(
    segments: Array, scores: Array, threshold: float, ties: str = "first", plus: float = 0.0
) -> list[int]:
    left = sorted(range(len(scores)), key=lambda i: (-scores[i], i if ties == "first" else -i))
    kept: list[int] = []
    for i in left:
        if all(slow_tiou(segments[i], segments[j], plus) <= threshold for j in kept):
            kept.append(i)
    return kept


# Coarse values, so that ties in time and score are common.
grid_segment = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted)
grid_case = st.lists(st.tuples(grid_segment, st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=10)


@given(
    grid_case,
    st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.75, 1.0]),
    st.sampled_from(TIES),
    st.booleans(),
)
@settings(deadline=None, max_examples=200)
def test_hard_nms_is_the_reference_and_idempotent(
    rows: list[tuple[list[int], float]], threshold: float, ties: str, plus_one: bool
) -> None:
    segments = as_segments([row for row, _ in rows])
    scores = np.array([score for _, score in rows])
    kept = nms(segments, scores, threshold, ties=ties, plus_one=plus_one)
    assert kept.tolist() == slow_nms(segments, scores, threshold, ties, float(plus_one))
    again = nms(segments[kept], scores[kept], threshold, plus_one=plus_one)
    assert again.tolist() == list(range(len(kept)))
    cut = nms(segments, scores, threshold, keep=2, ties=ties, plus_one=plus_one)
    assert cut.tolist() == kept[:2].tolist()


def test_ties_go_to_the_first_or_to_the_last() -> None:
    boxes, scores = [[0, 10], [1, 11], [20, 30]], [0.5, 0.5, 0.5]
    assert nms(boxes, scores, 0.5).tolist() == [0, 2]
    assert nms(boxes, scores, 0.5, ties="last").tolist() == [2, 1]
    with pytest.raises(AttentadError, match="first or the last, not 'random'"):
        nms(boxes, scores, 0.5, ties="random")


def test_a_second_more_makes_neighbours_overlap() -> None:
    boxes, scores = [[0, 1], [1.5, 2.5]], [0.9, 0.8]  # half a second apart: tIoU 0.5/3.5
    assert nms(boxes, scores, 0.0).tolist() == [0, 1]
    assert nms(boxes, scores, 0.1, plus_one=True).tolist() == [0]
    assert nms(boxes, scores, 0.15, plus_one=True).tolist() == [0, 1]


def test_points_lone_segments_and_nothing_at_all() -> None:
    assert nms([[3, 3], [3, 3]], [0.5, 0.5], 0.0).tolist() == [0, 1]
    assert nms([[1.0, 2.0]], [0.0], 0.5).tolist() == [0]
    empty = nms([], [], 0.5)
    assert empty.shape == (0,)
    assert empty.dtype == np.int64


def test_wrong_options_and_broken_numbers() -> None:
    box, score = [[0.0, 1.0]], [0.5]
    with pytest.raises(AttentadError, match="finite"):
        nms([[0.0, math.inf]], score, 0.5)
    with pytest.raises(AttentadError, match="finite"):
        nms(box, [math.nan], 0.5)
    with pytest.raises(AttentadError, match="tiou_threshold"):
        nms(box, score, 1.5)
    with pytest.raises(AttentadError, match="must not be negative, as -1"):
        nms(box, score, 0.5, keep=-1)
    with pytest.raises(ValueError, match="scores of shape"):
        nms(box, [0.5, 0.5], 0.5)
