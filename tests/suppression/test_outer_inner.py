"""Runs above a threshold and outer-inner scores, against loops and golden values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from attentad.core import AttentadError
from attentad.suppression import outer_inner, runs_above

Array = NDArray[np.float64]


def slow_runs(values: list[float], threshold: float) -> list[list[int]]:
    runs: list[list[int]] = []
    for t, value in enumerate(values):
        if value > threshold:
            if runs and runs[-1][1] == t - 1:
                runs[-1][1] = t
            else:
                runs.append([t, t])
    return runs


def slow_outer_inner(z: list[float], i: int, j: int, flank: float, extra: float) -> float:
    n = j - i + 1
    outside = list(range(max(0, math.floor(i - flank * n)), i))
    outside += list(range(j + 1, min(len(z) - 1, math.floor(j + flank * n)) + 1))
    inner = sum(z[i : j + 1]) / n
    outer = sum(z[t] for t in outside) / len(outside) if outside else 0.0
    return inner - outer + extra


@given(st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9]), max_size=12), st.sampled_from([0.2, 0.5]))
@settings(deadline=None, max_examples=150)
def test_runs_are_the_reference(values: list[float], threshold: float) -> None:
    runs = runs_above(values, threshold)
    assert runs.tolist() == slow_runs(values, threshold)
    assert runs.shape == (len(runs), 2)


@given(
    st.integers(1, 14),
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), max_size=6),
    st.sampled_from([0.0, 0.25, 0.3, 1.0]),
    st.integers(0, 10_000),
)
@settings(deadline=None, max_examples=200)
def test_scores_are_the_reference(
    length: int, classes: int, pairs: list[tuple[int, int]], flank: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores, whole = rng.normal(size=(length, classes)), rng.uniform(size=classes)
    runs = [sorted((a % length, b % length)) for a, b in pairs]
    found = outer_inner(scores, runs, flank=flank, video_scores=whole, video_weight=0.3)
    assert found.shape == (len(runs), classes)
    for row, (i, j) in zip(found, runs, strict=True):
        for k in range(classes):
            slow = slow_outer_inner(scores[:, k].tolist(), i, j, flank, 0.3 * whole[k])
            assert row[k] == pytest.approx(slow, rel=1e-9, abs=1e-12)


def test_golden_run() -> None:
    z = np.array([0, 0.2, 1, 2, 3, 2.5, 2, 1.5, 1, 0.5, 0.1, 0])  # spec hamnet §9
    found = outer_inner(z[:, None], [[3, 7]], video_scores=[0.6])
    assert found[0, 0] == pytest.approx(2.2 - 2.2 / 3 + 0.12, rel=1e-12)
    assert found[0, 0] == pytest.approx(1.586667, abs=1e-6)


def test_golden_video() -> None:
    # Spec hamnet §9: S = a·s, p = softmax of the mean of the 2 best over time, ζ = .2.
    attention = np.array([0.9, 0.5, 0.1, 1, 0.15, 0.05])
    logits = np.array([[2, 0, -1], [1, 0.5, 0], [-1, 0, 2], [3, -1, 0], [0, 1, 1], [-2, 0.5, 3]])
    scores = attention[:, None] * logits
    pooled = np.sort(scores, axis=0)[-2:].mean(axis=0)
    whole = (np.exp(pooled) / np.exp(pooled).sum())[:2]
    np.testing.assert_allclose(whole, [0.820432, 0.090906], atol=1e-6)
    for threshold, runs, expected in (
        (0.12, [[0, 1], [3, 4]], [1.314086, 1.764086]),
        (0.4, [[0, 1], [3, 3]], [1.314086, 3.264086]),
    ):
        found = runs_above(attention, threshold)
        assert found.tolist() == runs
        psi = outer_inner(scores[:, :2], found, video_scores=whole)
        np.testing.assert_allclose(psi[:, 0], expected, atol=1e-6)


def test_one_snippet_has_a_left_flank_only() -> None:
    assert outer_inner([[5.0], [1.0], [7.0]], [[1, 1]]).tolist() == [[-4.0]]
    assert outer_inner([[5.0]], [[0, 0]]).tolist() == [[5.0]]
    assert outer_inner(np.zeros((3, 2)), []).shape == (0, 2)


def test_wrong_input() -> None:
    scores = np.zeros((4, 2))
    with pytest.raises(AttentadError, match="not shape"):
        outer_inner(np.zeros(4), [[0, 1]])
    with pytest.raises(AttentadError, match="finite"):
        outer_inner([[math.nan]], [[0, 0]])
    for run in ([2, 1], [-1, 2], [0, 4]):
        with pytest.raises(AttentadError, match=f"run {run[0]} to {run[1]} is not one of 4"):
            outer_inner(scores, [[0, 3], run])
    for runs in ([[0.0, 1.0]], [0, 1]):
        with pytest.raises(AttentadError, match="pairs of snippet indices"):
            outer_inner(scores, runs)
    with pytest.raises(AttentadError, match="flank"):
        outer_inner(scores, [[0, 1]], flank=-0.1)
    with pytest.raises(AttentadError, match="one per class"):
        outer_inner(scores, [[0, 1]], video_scores=[0.1])
