"""Soft-NMS: every variant against the slow loop as published, golden values and invariants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from attentad.core import AttentadError, as_segments, tiou
from attentad.suppression import soft_nms

Array = NDArray[np.float64]


def slow_soft_nms(
    segments: Array,
    scores: Array,
    sigma: float = 0.5,
    *,
    adaptive: tuple[float, float] | None = None,
    linear: float | None = None,
    duration_sec: float = 1.0,
    plus: float = 0.0,
    floor: float | None = None,
    candidates_left: int = 0,
    keep: int = 10**9,
) -> tuple[list[int], list[float]]:
    """The loop as published, product form, one pair after the other."""
    lengths = [float(end - start) for start, end in segments]
    current = [float(score) for score in scores]
    left = list(range(len(current)))
    taken: list[int] = []
    decayed: list[float] = []
    while True:
        undone = [i for i in left if floor is None or current[i] >= floor]
        if len(undone) <= candidates_left or len(taken) >= keep:
            break
        best = max(undone, key=lambda i: (current[i], -i))
        left.remove(best)
        taken.append(best)
        decayed.append(current[best])
        for other in left:
            inter = min(segments[best, 1], segments[other, 1])
            inter = max(0.0, inter - max(segments[best, 0], segments[other, 0]) + plus)
            union = lengths[best] + lengths[other] + 2 * plus - inter
            overlap = inter / union if union > 0 else 0.0
            if linear is not None:
                factor = 1 - overlap if overlap > linear else 1.0
            else:
                threshold = 0.0
                if adaptive is not None:
                    width = lengths[best] / duration_sec
                    threshold = adaptive[0] + (adaptive[1] - adaptive[0]) * width
                factor = math.exp(-(overlap**2) / sigma) if overlap > threshold else 1.0
            current[other] *= factor
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
    # Rounding decides which of two equal scores is taken, and with it all that follows: so every
    # step is checked against those before it, rather than the outcome against another run.
    current = scores.tolist()
    left = list(range(len(current)))
    for best, score in zip(indices.tolist(), decayed.tolist(), strict=True):
        assert score == pytest.approx(current[best], rel=1e-9, abs=1e-300)
        assert current[best] >= max(current[i] for i in left) * (1 - 1e-9)
        left.remove(best)
        for other in left:
            overlap = tiou(segments[[best]], segments[[other]])[0, 0]
            current[other] *= math.exp(-(overlap**2) / sigma)
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
    empty = soft_nms([], [])[0]
    assert empty.shape == (0,)
    assert empty.dtype == np.int64


# Nine candidates in a video of 40 s: overlaps of all sizes, a long one, neighbours under a second
# apart, a score that decays below the floors.
BOXES = as_segments(
    [[0, 10], [1, 10.5], [12, 14], [14.5, 16], [5, 25], [13, 18], [2, 9], [30, 31], [30, 31.5]]
)
SCORES = np.array([0.9, 0.8, 0.3, 0.25, 0.7, 0.6, 0.55, 0.0015, 0.0012])
# What published code calls Soft-NMS (peers.md §3): ours, and by the slow loop.
BMN: dict[str, Any] = {
    **{"method": "adaptive", "sigma": 0.4, "t1": 0.5, "t2": 0.9},
    **{"duration_sec": 40.0, "keep": 100},
}
AFSD: dict[str, Any] = {"sigma": 0.5, "score_floor": 0.001, "keep": 5000}
PUBLISHED: dict[str, dict[str, Any]] = {
    "bmn": BMN,
    "bmn-legacy": BMN | {"legacy_drop_last": True},
    "gtad": {"sigma": 0.46, "keep": 200},
    "afsd": AFSD,
    "afsd-legacy": AFSD | {"legacy_drop_last": True},
    "hamnet": {"sigma": 0.3, "plus_one": True, "negative": "keep"},
    "actionformer": {"sigma": 0.5, "score_floor": 0.001, "keep": 200},
}
REFERENCE: dict[str, dict[str, Any]] = {
    "bmn": {"sigma": 0.4, "adaptive": (0.5, 0.9), "duration_sec": 40.0, "keep": 100},
    "gtad": {"sigma": 0.46, "keep": 200},
    "afsd": {"sigma": 0.5, "floor": 0.001, "keep": 5000},
    "hamnet": {"sigma": 0.3, "plus": 1.0},
    "actionformer": {"sigma": 0.5, "floor": 0.001, "keep": 200},
}
# From the reference; ActionFormer's with the 1e-6 s that it adds to every length.
GOLDEN: dict[str, tuple[list[int], list[float]]] = {
    "bmn": (
        [0, 4, 5, 2, 3, 6, 1, 7, 8],
        [0.9, 0.7, 0.6, 0.3, 0.25, 0.1615667351779, 0.03280353597084, 0.0015, 0.0003950315853695],
    ),
    "gtad": (
        [0, 5, 2, 3, 6, 1, 7, 8],
        [
            *(0.9, 0.6, 0.2824201910812, 0.2055745504269, 0.1895591071409, 0.04975718353491),
            *(0.0015, 0.0004566390532074),
        ],
    ),
    "afsd": (
        [0, 4, 5, 2, 3, 6, 1, 7],
        [
            *(0.9, 0.6461814424706, 0.5294981415508, 0.2781684649273, 0.2064815202047),
            *(0.194304552203, 0.05594206905706, 0.0015),
        ],
    ),
    "hamnet": (
        [0, 5, 4, 2, 3, 6, 1, 7, 8],
        [
            *(0.9, 0.6, 0.4465077237533, 0.2135020469551, 0.1293061388414, 0.08162674395757),
            *(0.00741721227669, 0.0015, 0.0001421301948166),
        ],
    ),
    "actionformer": (
        [0, 4, 5, 2, 3, 6, 1, 7],
        [
            *(0.9, 0.6461814507418, 0.5294981547882, 0.2781684763425, 0.2064815504026),
            *(0.1943046304145, 0.05594212692814, 0.0015),
        ],
    ),
}


def published(
    variant: str, segments: Array, scores: Array, **changes: Any
) -> tuple[list[int], list[float]]:
    """A variant by the slow loop."""
    name = variant.removesuffix("-legacy")
    options = REFERENCE[name] | {"candidates_left": int(variant != name)} | changes
    return slow_soft_nms(segments, scores, **options)


@pytest.mark.parametrize("variant", PUBLISHED)
def test_golden_vectors(variant: str) -> None:
    boxes, scores = BOXES, SCORES
    expected, expected_scores = GOLDEN[variant.removesuffix("-legacy")]
    if variant == "gtad":  # leaves segments of 20 s and more out
        boxes, scores = np.delete(boxes, 4, axis=0), np.delete(scores, 4)
        expected = [row - (row > 4) for row in expected]
    if variant == "bmn-legacy":  # AFSD's last candidate lies below its floor
        expected, expected_scores = expected[:-1], expected_scores[:-1]
    indices, decayed = soft_nms(boxes, scores, **PUBLISHED[variant])
    assert indices.tolist() == expected
    tolerance = 2e-6 if variant == "actionformer" else 1e-11
    np.testing.assert_allclose(decayed, expected_scores, rtol=tolerance)
    slow_indices, slow_scores = published(variant, boxes, scores)
    assert slow_indices == expected
    np.testing.assert_allclose(slow_scores, expected_scores, rtol=tolerance)


@given(
    st.sampled_from(sorted(PUBLISHED)),
    st.integers(0, 10**6),
    st.integers(0, 14),
    st.sampled_from([1, 3, 8, 10**6]),
    st.booleans(),
)
@settings(deadline=None, max_examples=400)
def test_every_variant_is_the_loop_as_published(
    variant: str, seed: int, count: int, keep: int, zeros: bool
) -> None:
    segments, scores = random_case(seed, count)
    if zeros:  # one at most: ties of zeros are a matter of rounding
        scores[:1] = 0.0
    if variant == "hamnet":
        scores = scores - 0.3
    indices, decayed = soft_nms(segments, scores, **PUBLISHED[variant] | {"keep": keep})
    expected, expected_scores = published(variant, segments, scores, keep=keep)
    assert indices.tolist() == expected
    np.testing.assert_allclose(decayed, expected_scores, rtol=1e-11)


@pytest.mark.parametrize("variant", PUBLISHED)
def test_a_lone_detection_survives_in_all_but_the_legacy_ones(variant: str) -> None:
    indices, decayed = soft_nms([[2, 5]], [0.4], **PUBLISHED[variant])
    if variant.endswith("-legacy"):
        assert len(indices) == len(decayed) == 0
    else:
        assert (indices.tolist(), decayed.tolist()) == ([0], [0.4])
    assert len(soft_nms([], [], **PUBLISHED[variant])[0]) == 0


@given(st.sampled_from(sorted(PUBLISHED)), grid_case, st.sampled_from(["own", "linear"]))
@settings(deadline=None, max_examples=150)
def test_no_variant_raises_a_positive_score(
    variant: str, rows: list[tuple[list[int], float]], rule: str
) -> None:
    segments, scores = as_case(rows)
    method = {} if rule == "own" else {"method": "linear"}
    indices, decayed = soft_nms(segments, scores, **PUBLISHED[variant] | method)
    assert np.all(decayed <= scores[indices] * (1 + 1e-14))
    assert len(set(indices.tolist())) == len(indices)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("plus_one", [False, True])
def test_linear_decay(threshold: float, plus_one: bool) -> None:
    for seed, count in ((0, 150), (1, 20), (2, 20)):
        segments, scores = random_case(seed, count)
        indices, decayed = soft_nms(
            segments, scores, method="linear", tiou_threshold=threshold, plus_one=plus_one
        )
        expected, expected_scores = slow_soft_nms(
            segments, scores, linear=threshold, plus=float(plus_one)
        )
        assert indices.tolist() == expected
        np.testing.assert_allclose(decayed, expected_scores, rtol=1e-11)
    copies, zeroed = soft_nms([[0, 4]] * 3, [0.9, 0.8, 0.7], method="linear")
    assert copies.tolist() == [0, 1, 2]
    assert zeroed.tolist() == [0.9, 0.0, 0.0]


def test_a_second_more_does_not_raise_the_adaptive_threshold() -> None:
    # tIoU 13/16 = .8125, above .5 + .4·15/20 = .8 but not above .5 + .4·16/20 = .82.
    rule: dict[str, Any] = {"method": "adaptive", "duration_sec": 20.0, "plus_one": True}
    boxes = [[0.0, 15.0], [3.0, 15.0]]
    overlap = 13 / 16
    _, decayed = soft_nms(boxes, [1.0, 1.0], sigma=0.5, **rule)
    assert decayed[1] == pytest.approx(math.exp(-(overlap**2) / 0.5), rel=1e-14)


def test_hamnet_on_its_golden_segments() -> None:
    boxes = [[0, 1.28], [1.92, 3.2], [0, 1.28], [1.92, 2.56]]
    scores = [1.314086, 1.764086, 1.314086, 3.264086]
    indices, decayed = soft_nms(boxes, scores, **PUBLISHED["hamnet"])  # spec hamnet §9
    assert indices.tolist() == [3, 0, 1, 2]
    np.testing.assert_allclose(decayed, [3.264086, 1.270048, 0.306821, 0.044212], atol=1e-6)


def test_negative_scores() -> None:
    boxes, scores = [[0, 10], [0, 10], [20, 30]], [0.5, -0.4, -0.2]
    indices, decayed = soft_nms(boxes, scores, sigma=0.5, negative="keep")
    assert indices.tolist() == [0, 1, 2]  # decay raises −.4 above −.2
    np.testing.assert_allclose(decayed, [0.5, -0.4 * math.exp(-2), -0.2], rtol=1e-14)
    indices, decayed = soft_nms(boxes, scores, negative="drop")
    assert (indices.tolist(), decayed.tolist()) == ([0], [0.5])
    # Many copies under a narrow decay: factors of 0 on scores already taken.
    _, decayed = soft_nms([[0, 1]] * 4, [1.0, 0.9, 0.8, -0.7], sigma=1e-3, negative="keep")
    np.testing.assert_array_equal(decayed, [1.0, 0.0, 0.0, 0.0])


def test_wrong_options_and_broken_numbers() -> None:
    box, score = [[0.0, 1.0]], [0.5]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"method": "cosine"}, "choose one of gauss, adaptive, linear"),
        ({"method": "adaptive"}, "needs the video's duration, not None"),
        ({"method": "adaptive", "duration_sec": 0.0}, "needs the video's duration, not 0.0"),
        ({"sigma": 0.0}, "sigma"),
        ({"keep": -1}, "must not be negative, as -1"),
        ({"tiou_threshold": 1.5}, "tiou_threshold must lie in 0..1"),
        ({"negative": "raise"}, "choose one of error, drop, keep"),
    ]
    for options, sentence in wrong:
        with pytest.raises(AttentadError, match=sentence):
            soft_nms(box, score, **options)
    with pytest.raises(AttentadError, match="not negative, not -2"):
        soft_nms(box, [-2.0])
    with pytest.raises(AttentadError, match="finite"):
        soft_nms(box, [math.nan])
    with pytest.raises(ValueError, match="scores of shape"):
        soft_nms(box, [0.5, 0.5])
