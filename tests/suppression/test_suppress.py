"""Suppression of a video's detections: classes, methods, box voting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.suppression.test_soft import PUBLISHED

from attentad.core import AttentadError, VideoDetections, as_segments, no_detections, tiou
from attentad.suppression import METHODS, nms, soft_nms, suppress, vote_segments

Array = NDArray[np.float64]


def labelled(seed: int, count: int = 60) -> VideoDetections:
    rng = np.random.default_rng(seed)
    centre, length = rng.uniform(0, 100, count), rng.uniform(0.5, 60, count)
    segments = np.stack([centre - length / 2, centre + length / 2], axis=1)
    return VideoDetections(segments, rng.uniform(0, 1, count), rng.integers(-1, 3, count))


def assert_same(a: VideoDetections, b: VideoDetections) -> None:
    np.testing.assert_array_equal(a.segments, b.segments)
    np.testing.assert_array_equal(a.scores, b.scores)
    np.testing.assert_array_equal(a.labels, b.labels)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("voting_tiou", [None, 0.6])
def test_classes_do_not_suppress_one_another(method: str, voting_tiou: float | None) -> None:
    items = labelled(5)
    options: dict[str, Any] = {"method": method, "duration_sec": 100.0, "keep": 7}
    options |= {"score_floor": 0.05, "voting_tiou": voting_tiou}
    whole = suppress(items, **options)
    assert np.all(np.diff(whole.scores) <= 0)
    for label in (-1, 0, 1, 2):
        alone = suppress(items[items.labels == label], **options)
        assert len(alone) <= 7
        assert_same(whole[whole.labels == label], alone)
    assert_same(suppress(items, keep_total=5, **options), whole[:5])


def test_all_classes_together() -> None:
    items = labelled(6)
    agnostic = suppress(items, per_class=False, sigma=0.4)
    indices, scores = soft_nms(items.segments, items.scores, sigma=0.4)
    np.testing.assert_array_equal(agnostic.scores, scores)
    np.testing.assert_array_equal(agnostic.labels, items.labels[indices])
    hard = suppress(items, per_class=False, method="hard", tiou_threshold=0.3)
    assert_same(hard, items[nms(items.segments, items.scores, 0.3)])


def test_options_reach_the_methods() -> None:
    items = VideoDetections(
        as_segments([[0, 10], [1, 11], [20, 30], [30.5, 31]]),
        np.array([0.5, 0.5, 0.5, 0.4]),
        np.zeros(4, dtype=np.int64),
    )
    last = suppress(items, method="hard", ties="last")
    assert last.segments.tolist() == [[20, 30], [1, 11], [30.5, 31]]
    near = suppress(items, method="hard", tiou_threshold=0.01, plus_one=True)
    assert near.segments.tolist() == [[0, 10], [20, 30]]
    linear = suppress(items, method="linear", tiou_threshold=0.9)
    assert linear.scores.tolist() == [0.5, 0.5, 0.5, 0.4]
    for method in METHODS:
        above = suppress(items, method=method, score_floor=0.45, duration_sec=40.0)
        assert above.scores.tolist() == [0.5] * (3 if method == "none" else 2)
        short = suppress(items, method=method, max_length_sec=10.0, duration_sec=40.0)
        assert short.segments.tolist() == [[30.5, 31]]


@pytest.mark.parametrize("options", PUBLISHED.values(), ids=PUBLISHED)
def test_as_published(options: dict[str, Any]) -> None:
    items = labelled(7)
    items = items[items.labels == 1]
    kept = suppress(items, **options)
    indices, scores = soft_nms(items.segments, items.scores, **options)
    rank = np.argsort(-scores, kind="stable")
    np.testing.assert_array_equal(kept.scores, scores[rank])
    np.testing.assert_array_equal(kept.segments, items.segments[indices[rank]])


def slow_vote(kept: Array, segments: Array, scores: Array, threshold: float) -> list[list[float]]:
    voted = []
    for box in kept:
        total, start, end = 0.0, 0.0, 0.0
        for (other_start, other_end), score in zip(segments, scores, strict=True):
            inter = max(0.0, min(box[1], other_end) - max(box[0], other_start))
            union = (box[1] - box[0]) + (other_end - other_start) - inter
            if union > 0 and inter / union >= threshold and score > 0:
                total += score
                start += score * other_start
                end += score * other_end
        voted.append([start / total, end / total] if total > 0 else box.tolist())
    return voted


grid_segment = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted)


@given(
    st.lists(st.tuples(grid_segment, st.sampled_from([-0.5, 0.0, 0.25, 1.0])), max_size=10),
    st.sampled_from([0.2, 0.5, 2 / 3, 1.0]),
    st.integers(0, 10),
)
@settings(deadline=None, max_examples=150)
def test_votes_are_the_reference(
    rows: list[tuple[list[int], float]], threshold: float, kept: int
) -> None:
    segments = as_segments([row for row, _ in rows])
    scores = np.array([score for _, score in rows])
    voted = vote_segments(segments[:kept], segments, scores, threshold)
    expected = slow_vote(segments[:kept], segments, scores, threshold)
    np.testing.assert_allclose(voted, as_segments(expected), rtol=1e-12)


def test_votes_in_parts_are_votes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    items = labelled(8)
    whole = vote_segments(items.segments, items.segments, items.scores, 0.5)
    monkeypatch.setattr("attentad.suppression.methods._PAIRS", 130)
    parts = vote_segments(items.segments, items.segments, items.scores, 0.5)
    np.testing.assert_allclose(parts, whole, rtol=1e-14)


def test_box_voting() -> None:
    items = VideoDetections(
        as_segments([[0, 100], [2, 100], [1, 101], [40, 60], [0, 98]]),
        np.array([0.6, 0.3, 0.1, 0.5, 0.9]),
        np.array([0, 0, 0, 0, 1]),
    )
    options: dict[str, Any] = {"method": "hard", "tiou_threshold": 0.5}
    voted = suppress(items, voting_tiou=0.95, **options)
    # Its own class votes, what was suppressed included; scores and labels stay.
    np.testing.assert_allclose(voted.segments, [[0, 98], [0.7, 100.1], [40, 60]], rtol=1e-12)
    assert voted.scores.tolist() == [0.9, 0.6, 0.5]
    assert voted.labels.tolist() == [1, 0, 0]
    assert_same(suppress(items, **options), suppress(items, voting_tiou=None, **options))
    # Scores vote as they went in, not as decayed.
    soft = suppress(items, voting_tiou=0.95, sigma=0.1)
    assert soft.scores[0] == 0.9
    np.testing.assert_allclose(soft.segments[1], [0.7, 100.1], rtol=1e-12)
    # Together, the classes vote together; what is too long does not.
    both = suppress(items, voting_tiou=0.95, per_class=False, **options)
    assert tiou(both.segments[:1], as_segments([[0, 98]]))[0, 0] < 1
    cut = suppress(items, voting_tiou=0.95, per_class=False, max_length_sec=99.0, **options)
    expected = (0.9 * np.array([0, 98]) + 0.3 * np.array([2, 100])) / 1.2
    np.testing.assert_allclose(cut.segments[0], expected, rtol=1e-12)


def test_votes_weigh_as_in_actionformer() -> None:
    # Spec actionformer §12: [0, 10] at .9 and [1, 11] at .8, tIoU 9/11, voting .7.
    segments, scores = as_segments([[0, 10], [1, 11], [2, 6]]), np.array([0.9, 0.8, 0.7])
    by_tiou = vote_segments(segments[:1], segments, scores, 0.7, "score_tiou")
    shift = 0.8 * 9 / 11 / (0.9 + 0.8 * 9 / 11)
    np.testing.assert_allclose(by_tiou, [[shift, 10 + shift]], rtol=1e-14)
    np.testing.assert_allclose(by_tiou, [[0.421053, 10.421053]], atol=5e-7)
    by_score = vote_segments(segments[:1], segments, scores, 0.7)
    np.testing.assert_allclose(by_score, [[0.470588, 10.470588]], atol=5e-7)
    items = VideoDetections(segments, scores, np.zeros(3, dtype=np.int64))
    options: dict[str, Any] = {"method": "hard", "voting_tiou": 0.7}
    whole = suppress(items, voting_weight="score_tiou", **options)
    np.testing.assert_allclose(whole.segments[0], by_tiou[0], rtol=1e-14)
    assert whole.scores.tolist() == [0.9, 0.7]
    assert_same(suppress(items, voting_weight="score", **options), suppress(items, **options))
    with pytest.raises(AttentadError, match="choose one of score, score_tiou"):
        suppress(items, voting_weight="tiou", **options)


def test_nothing_to_suppress_and_wrong_options() -> None:
    for method in METHODS:
        for threshold in (None, 0.95):
            kept = suppress(no_detections(), method=method, duration_sec=1.0, voting_tiou=threshold)
            assert len(kept) == 0
    with pytest.raises(AttentadError, match="choose one of gauss, adaptive, linear, hard, none"):
        suppress(no_detections(), method="soft")
    for wrong in (0.0, 1.1):
        with pytest.raises(AttentadError, match="voting_tiou must lie above 0"):
            suppress(no_detections(), voting_tiou=wrong)
    for method in ("gauss", "hard"):
        with pytest.raises(TypeError, match="argument 'sigmaa'"):
            suppress(no_detections(), method=method, **{"sigmaa": 1})  # type: ignore[arg-type]
