"""Hard and Soft-NMS against slow references, golden values and their invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from attentad.core import AttentadError, VideoDetections, as_segments, no_detections, tiou
from attentad.suppression import METHODS, TIES, nms, soft_nms, suppress

Array = NDArray[np.float64]


def slow_nms(segments: Array, scores: Array, threshold: float, ties: str = "first") -> list[int]:
    left = sorted(range(len(scores)), key=lambda i: (-scores[i], i if ties == "first" else -i))
    kept: list[int] = []
    for i in left:
        if all(tiou(segments[[i]], segments[[j]])[0, 0] <= threshold for j in kept):
            kept.append(i)
    return kept


def slow_soft_nms(
    segments: Array,
    scores: Array,
    sigma: float,
    *,
    adaptive: tuple[float, float] | None = None,
    duration_sec: float = 1.0,
) -> tuple[list[int], list[float]]:
    """The definition, product form, one pair after the other."""
    current = scores.tolist()
    left = list(range(len(current)))
    taken: list[int] = []
    decayed: list[float] = []
    while left:
        best = max(left, key=lambda i: (current[i], -i))
        left.remove(best)
        taken.append(best)
        decayed.append(current[best])
        threshold = 0.0
        if adaptive is not None:
            width = (segments[best, 1] - segments[best, 0]) / duration_sec
            threshold = adaptive[0] + (adaptive[1] - adaptive[0]) * width
        for other in left:
            overlap = tiou(segments[[best]], segments[[other]])[0, 0]
            if overlap > threshold:
                current[other] *= math.exp(-(overlap**2) / sigma)
    return taken, decayed


def random_case(seed: int, count: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    centre, length = rng.uniform(0, 100, count), rng.uniform(0.5, 60, count)
    segments = np.stack([centre - length / 2, centre + length / 2], axis=1)
    return segments, rng.uniform(0, 1, count)


# Coarse values, so that ties in time and score are common.
grid_segment = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted)
grid_case = st.lists(st.tuples(grid_segment, st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=10)


def as_case(rows: list[tuple[list[int], float]]) -> tuple[Array, Array]:
    return as_segments([row for row, _ in rows]), np.array([score for _, score in rows])


@given(grid_case, st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.75, 1.0]), st.sampled_from(TIES))
@settings(deadline=None, max_examples=150)
def test_hard_nms_is_the_reference_and_idempotent(
    rows: list[tuple[list[int], float]], threshold: float, ties: str
) -> None:
    segments, scores = as_case(rows)
    kept = nms(segments, scores, threshold, ties=ties)
    assert kept.tolist() == slow_nms(segments, scores, threshold, ties)
    again = nms(segments[kept], scores[kept], threshold)
    assert again.tolist() == list(range(len(kept)))
    assert nms(segments, scores, threshold, keep=2, ties=ties).tolist() == kept[:2].tolist()


def test_ties_go_to_the_first_or_to_the_last() -> None:
    boxes, scores = [[0, 10], [1, 11], [20, 30]], [0.5, 0.5, 0.5]
    assert nms(boxes, scores, 0.5).tolist() == [0, 2]
    assert nms(boxes, scores, 0.5, ties="last").tolist() == [2, 1]
    items = VideoDetections(as_segments(boxes), np.array(scores), np.zeros(3, dtype=np.int64))
    kept = suppress(items, method="hard", ties="last")
    assert kept.segments.tolist() == [[20, 30], [1, 11]]
    with pytest.raises(AttentadError, match="first or the last, not 'random'"):
        nms(boxes, scores, 0.5, ties="random")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("sigma", [0.3, 0.46, 0.75])
@pytest.mark.parametrize("adaptive", [None, (0.5, 0.9), (0.65, 0.9)])
def test_soft_nms_is_the_reference(
    seed: int, sigma: float, adaptive: tuple[float, float] | None
) -> None:
    # 150 candidates: enough for the arrays to be compacted on the way.
    segments, scores = random_case(seed, 150 if seed == 0 else 25)
    expected, expected_scores = slow_soft_nms(
        segments, scores, sigma, adaptive=adaptive, duration_sec=130.0
    )
    rule = {"method": "gauss"}
    if adaptive is not None:
        rule = {"method": "adaptive", "t1": adaptive[0], "t2": adaptive[1], "duration_sec": 130.0}
    indices, decayed = soft_nms(segments, scores, sigma=sigma, **rule)
    assert indices.tolist() == expected
    np.testing.assert_allclose(decayed, expected_scores, rtol=1e-12)


@given(grid_case, st.floats(0.1, 2.0), st.integers(0, 12))
@settings(deadline=None, max_examples=150)
def test_invariants_of_soft_nms_with_ties(
    rows: list[tuple[list[int], float]], sigma: float, keep: int
) -> None:
    segments, scores = as_case(rows)
    indices, decayed = soft_nms(segments, scores, sigma=sigma)
    assert sorted(indices.tolist()) == list(range(len(rows)))
    assert np.all(decayed <= scores[indices])
    assert np.all(np.diff(decayed) <= 1e-12)
    # Ties aside (rounding decides there), the scores are the reference's.
    _, expected = slow_soft_nms(segments, scores, sigma)
    np.testing.assert_allclose(decayed, expected, rtol=1e-9, atol=1e-300)
    first, cut = soft_nms(segments, scores, sigma=sigma, keep=keep)
    np.testing.assert_array_equal(first, indices[:keep])
    np.testing.assert_array_equal(cut, decayed[:keep])
    above, floored = soft_nms(segments, scores, sigma=sigma, score_floor=0.2)
    assert len(above) == int((decayed >= 0.2).sum())
    np.testing.assert_array_equal(floored, decayed[: len(above)])


def test_soft_nms_of_known_boxes() -> None:
    boxes, scores = as_segments([[0, 10], [20, 30], [40, 50]]), np.array([0.2, 0.9, 0.5])
    indices, same = soft_nms(boxes, scores, sigma=0.5)
    assert indices.tolist() == [1, 2, 0]
    np.testing.assert_array_equal(same, [0.9, 0.5, 0.2])  # disjoint: unchanged to the last bit
    indices, decayed = soft_nms([[3, 7], [3, 7]], [0.8, 0.8], sigma=0.4)
    assert indices.tolist() == [0, 1]  # the first in order on a tie
    np.testing.assert_allclose(decayed, [0.8, 0.8 * math.exp(-1 / 0.4)], rtol=1e-14)
    # tIoU 1/3 decays by exp(−1/9/σ) ...
    _, decayed = soft_nms([[0, 10], [5, 15]], [1.0, 1.0], sigma=0.5)
    assert decayed[1] == pytest.approx(math.exp(-1 / 9 / 0.5), rel=1e-14)
    # ... but not under a threshold of .5 + .4·10/100 = .54.
    rule = {"method": "adaptive", "t1": 0.5, "t2": 0.9, "duration_sec": 100.0}
    _, decayed = soft_nms([[0, 10], [5, 15]], [1.0, 1.0], sigma=0.5, **rule)
    np.testing.assert_array_equal(decayed, [1.0, 1.0])
    # A tIoU of exactly the threshold does not exceed it.
    rule = {"method": "adaptive", "t1": 0.5, "t2": 0.5, "duration_sec": 100.0}
    _, decayed = soft_nms([[0, 10], [0, 5]], [1.0, 1.0], sigma=0.5, **rule)
    np.testing.assert_array_equal(decayed, [1.0, 1.0])


@pytest.mark.parametrize("score", [0.0, 1e-300, 0.37, 1.0, 25.0])
def test_a_lone_detection_survives_unchanged(score: float) -> None:
    indices, scores = soft_nms([[1.0, 2.0]], [score], score_floor=min(score, 0.37))
    assert indices.tolist() == [0]
    assert scores.tolist() == [score]
    assert nms([[1.0, 2.0]], [score], 0.5).tolist() == [0]


def test_scale_and_shift_of_time_change_nothing() -> None:
    segments, scores = random_case(3, 80)
    indices, decayed = soft_nms(segments, scores)
    moved, same = soft_nms(segments * 8 + 1024, scores)
    np.testing.assert_array_equal(indices, moved)
    np.testing.assert_allclose(decayed, same, rtol=1e-9)


def test_many_copies_do_not_underflow_their_order() -> None:
    scores = np.linspace(1, 0.5, 300)
    indices, decayed = soft_nms(np.tile([2.0, 4.0], (300, 1)), scores, sigma=0.1)
    assert indices.tolist() == list(range(300))
    assert decayed[1] > 0
    assert decayed[-1] == 0.0  # e^−2990


def test_points_and_nothing_at_all() -> None:
    indices, scores = soft_nms([[3, 3], [3, 3], [0, 5]], [0.5, 0.5, 0.4])
    assert indices.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(scores, [0.5, 0.5, 0.4])
    assert nms([[3, 3], [3, 3]], [0.5, 0.5], 0.0).tolist() == [0, 1]
    for empty in (soft_nms([], [])[0], nms([], [], 0.5)):
        assert empty.shape == (0,)
        assert empty.dtype == np.int64


def test_wrong_options_and_broken_numbers() -> None:
    box, score = [[0.0, 1.0]], [0.5]
    with pytest.raises(AttentadError, match="choose gauss or adaptive"):
        soft_nms(box, score, method="linear")
    with pytest.raises(AttentadError, match="needs the video's duration"):
        soft_nms(box, score, method="adaptive")
    with pytest.raises(AttentadError, match="sigma"):
        soft_nms(box, score, sigma=0.0)
    with pytest.raises(AttentadError, match="must not be negative, as -1"):
        soft_nms(box, score, keep=-1)
    with pytest.raises(AttentadError, match="not negative, not -2"):
        soft_nms(box, [-2.0])
    with pytest.raises(AttentadError, match="finite"):
        soft_nms(box, [math.nan])
    with pytest.raises(AttentadError, match="finite"):
        nms([[0.0, math.inf]], score, 0.5)
    with pytest.raises(AttentadError, match="tiou_threshold"):
        nms(box, score, 1.5)
    with pytest.raises(ValueError, match="scores of shape"):
        nms(box, [0.5, 0.5], 0.5)
    with pytest.raises(AttentadError, match="choose one of gauss, adaptive, hard, none"):
        suppress(no_detections(), method="soft")


def labelled(seed: int, count: int = 60) -> VideoDetections:
    segments, scores = random_case(seed, count)
    return VideoDetections(segments, scores, np.random.default_rng(seed).integers(-1, 3, count))


@pytest.mark.parametrize("method", METHODS)
def test_classes_do_not_suppress_one_another(method: str) -> None:
    items = labelled(5)
    options = {"method": method, "duration_sec": 100.0, "keep": 7, "score_floor": 0.05}
    whole = suppress(items, **options)
    assert np.all(np.diff(whole.scores) <= 0)
    for label in (-1, 0, 1, 2):
        alone = suppress(items[items.labels == label], **options)
        part = whole[whole.labels == label]
        assert len(part) <= 7
        np.testing.assert_array_equal(part.segments, alone.segments)
        np.testing.assert_array_equal(part.scores, alone.scores)
    top = suppress(items, keep_total=5, **options)
    np.testing.assert_array_equal(top.segments, whole.segments[:5])


def test_all_classes_together() -> None:
    items = labelled(6)
    agnostic = suppress(items, per_class=False, sigma=0.4)
    indices, scores = soft_nms(items.segments, items.scores, sigma=0.4)
    np.testing.assert_array_equal(agnostic.scores, scores)
    np.testing.assert_array_equal(agnostic.labels, items.labels[indices])
    hard = suppress(items, per_class=False, method="hard", tiou_threshold=0.3)
    kept = nms(items.segments, items.scores, 0.3)
    np.testing.assert_array_equal(hard.segments, items.segments[kept])


def test_nothing_to_suppress() -> None:
    for method in METHODS:
        assert len(suppress(no_detections(), method=method, duration_sec=1.0)) == 0
