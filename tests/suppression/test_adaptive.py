"""The adaptive rule decides in fractions of the video, as BMN's code does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.suppression import soft_nms

RULE: dict[str, Any] = {"method": "adaptive", "sigma": 0.4, "t1": 0.5, "t2": 0.9}


def bmn_soft_nms(
    fractions: list[tuple[float, float]], scores: list[float], sigma: float, t1: float, t2: float
) -> tuple[list[int], list[float]]:
    """Its loop, in its order of rounding; scores as products."""
    current, left = list(scores), list(range(len(scores)))
    taken, decayed = [], []
    while left:
        best = max(left, key=lambda i: current[i])
        left.remove(best)
        taken.append(best)
        decayed.append(current[best])
        best_min, best_max = fractions[best]
        for i in left:
            i_min, i_max = fractions[i]
            inter = max(min(i_max, best_max) - max(i_min, best_min), 0.0)
            union = i_max - i_min - inter + best_max - best_min
            iou = inter / union if union > 0 else 0.0
            if iou > t1 + (t2 - t1) * (best_max - best_min):
                current[i] *= math.exp(-(iou**2) / sigma)
    return taken, decayed


@pytest.mark.parametrize("duration_sec", [0.37, 1.0, 3.0, 7.7, 123.456, 5400.1])
def test_a_tie_falls_alike_at_every_duration(duration_sec: float) -> None:
    # tIoU .7 is not above .5 + .4·.5.
    boxes = np.array([[0, 0.5], [0, 0.35]]) * duration_sec
    indices, decayed = soft_nms(boxes, [0.9, 0.8], **RULE, duration_sec=duration_sec)
    assert indices.tolist() == [0, 1]
    assert decayed.tolist() == [0.9, 0.8]


hundredths = st.tuples(st.integers(0, 100), st.integers(0, 100)).filter(lambda row: row[0] < row[1])


@given(
    st.sampled_from([100, 50, 64, 128]),
    st.lists(hundredths, min_size=1, max_size=12),
    st.floats(0.01, 1e4),
    st.sampled_from([(0.5, 0.9), (0.65, 0.9), (0.2, 0.2), (0.3, 0.7)]),
    st.integers(0, 10**6),
)
@settings(deadline=None, max_examples=400)
def test_on_a_grid_it_is_the_published_loop_at_every_duration(
    steps: int,
    rows: list[tuple[int, int]],
    duration_sec: float,
    thresholds: tuple[float, float],
    seed: int,
) -> None:
    fractions = [(start / steps, end / steps) for start, end in rows]
    # Scores so far apart in their logarithms that rounding never decides the order.
    scores = np.random.default_rng(seed).uniform(0.1, 1, len(rows))
    t1, t2 = thresholds
    expected = bmn_soft_nms(fractions, scores.tolist(), 0.4, t1, t2)
    for length in (1.0, duration_sec):
        indices, decayed = soft_nms(
            np.array(fractions) * length,
            scores,
            method="adaptive",
            sigma=0.4,
            t1=t1,
            t2=t2,
            duration_sec=length,
        )
        assert indices.tolist() == expected[0]
        np.testing.assert_allclose(decayed, expected[1], rtol=1e-11)


@given(st.integers(0, 10**6), st.floats(0.01, 1e4))
@settings(deadline=None, max_examples=100)
def test_scale_changes_no_decision(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    fractions = np.sort(rng.uniform(0, 1, (20, 2)), axis=1)
    scores = rng.uniform(size=20)
    indices, decayed = soft_nms(fractions, scores, **RULE, duration_sec=1.0)
    scaled, same = soft_nms(fractions * factor, scores, **RULE, duration_sec=factor)
    assert scaled.tolist() == indices.tolist()
    np.testing.assert_allclose(same, decayed, rtol=1e-9)
