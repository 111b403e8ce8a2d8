"""Labels for proposals: means over fractional cells against a loop over cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from attentad.core import AttentadError, Timeline, VideoDetections, as_segments, no_detections
from attentad.suppression import label_by_snippets, label_by_video

Array = NDArray[np.float64]


def proposals(
    segments: Array | list[list[float]], scores: list[float] | None = None
) -> VideoDetections:
    rows = as_segments(segments)
    given_scores = np.ones(len(rows)) if scores is None else np.array(scores)
    return VideoDetections(rows, given_scores, np.full(len(rows), -1))


def slow_sum(values: Array, start: float, end: float) -> tuple[Array, float]:
    total, covered = np.zeros(values.shape[1]), 0.0
    for cell in range(len(values)):
        part = max(0.0, min(end, cell + 1) - max(start, cell))
        total, covered = total + part * values[cell], covered + part
    return total, covered


def slow_mean(values: Array, start: float, end: float, contrast: float) -> Array:
    total, covered = slow_sum(values, start, end)
    nearest = min(max(math.floor((start + end) / 2), 0), len(values) - 1)
    inside = total / covered if covered > 0 else values[nearest]
    if contrast == 0:
        return inside
    flank = contrast * (end - start)
    left, left_covered = slow_sum(values, start - flank, start)
    right, right_covered = slow_sum(values, end, end + flank)
    around = left_covered + right_covered
    return inside - (left + right) / around if around > 1e-6 else inside


# Eighths of a second: the grid of these timelines is exact, so that edges are edges.
eighths = st.integers(-24, 120).map(lambda n: n / 8)


@given(
    st.integers(1, 9),
    st.integers(1, 4),
    st.lists(st.tuples(eighths, eighths).map(sorted), max_size=8),
    st.sampled_from([0.0, 0.25, 1.0]),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.integers(0, 10_000),
)
@settings(deadline=None, max_examples=200)
def test_mean_scores_over_fractional_cells(
    length: int, classes: int, segments: list[list[float]], contrast: float, step: float, seed: int
) -> None:
    timeline = Timeline(length, 16.0, 16 * step, 16 * step, length * step)
    values = np.random.default_rng(seed).uniform(size=(length, classes))
    items = proposals(segments)
    found = label_by_snippets(items, values, timeline, topk=classes, contrast=contrast)
    assert len(found) == len(items) * classes
    assert np.all(np.diff(found.scores) <= 0)
    expected = {}
    for start, end in segments:
        mean = slow_mean(values, start / step, end / step, contrast)
        for label in range(classes):
            expected[start, end, label] = max(0.0, mean[label])
    for segment, score, label in zip(found.segments, found.scores, found.labels, strict=True):
        assert score == pytest.approx(expected[segment[0], segment[1], int(label)], abs=1e-12)


@given(
    st.floats(1, 60),
    st.floats(1, 40),
    st.floats(-20, 20),
    st.lists(st.tuples(st.floats(-20, 300), st.floats(0, 100)), min_size=1, max_size=6),
)
@settings(deadline=None, max_examples=100)
def test_any_timeline_gives_means_between_the_extremes(
    fps: float, stride: float, offset: float, rows: list[tuple[float, float]]
) -> None:
    timeline = Timeline(50, fps, stride, stride, 100.0, offset)
    values = np.random.default_rng(0).uniform(0.2, 0.7, size=(50, 3))
    items = proposals([[start, start + length] for start, length in rows])
    found = label_by_snippets(items, values, timeline, topk=3)
    assert found.scores.min() >= 0.2 - 1e-9
    assert found.scores.max() <= 0.7 + 1e-9
    constant = label_by_snippets(items, np.full((50, 1), 0.4), timeline)
    np.testing.assert_allclose(constant.scores, 0.4, rtol=1e-9)


TIMELINE = Timeline(4, 1.0, 1, 1, 4.0)
VALUES = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.3, 0.2]])


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ([0, 4], 0.45),
        ([0.5, 1.5], 0.75),
        ([1.25, 1.75], 0.5),  # within one cell
        ([1.3, 1.3 + 1e-13], 0.5),  # thinner than rounding
        ([0.0, 5e-324], 1.0),  # the thinnest there is
        ([2.0, 2.0], 0.0),  # a point belongs to the cell that starts there
        ([-9, -5], 1.0),  # before the features: the first cell
        ([7, 9], 0.3),  # after them: the last
        ([4, 4], 0.3),
        ([-2, 1], 1.0),  # only the covered part counts
    ],
)
def test_known_means(segment: list[float], expected: float) -> None:
    found = label_by_snippets(proposals([segment]), VALUES, TIMELINE, topk=2)
    assert found.scores[found.labels == 0][0] == pytest.approx(expected, abs=1e-12)


def test_topk_ties_and_fusion() -> None:
    items = proposals([[1, 2], [2, 3]], [0.5, 0.9])
    one = label_by_snippets(items, VALUES, TIMELINE, topk=1)
    assert one.labels.tolist() == [1, 0]  # .9·1 before .5·.5, where class 0 wins the tie
    np.testing.assert_allclose(one.scores, [0.9, 0.25])
    both = label_by_snippets(items, VALUES, TIMELINE, topk=7)
    np.testing.assert_allclose(both.scores, [0.9, 0.25, 0.25, 0.0])
    root = label_by_snippets(items, VALUES, TIMELINE, topk=1, fuse="sqrt")
    np.testing.assert_allclose(root.scores, np.sqrt([0.9, 0.25]))
    alone = label_by_snippets(items, VALUES, TIMELINE, topk=1, fuse="none")
    np.testing.assert_allclose(alone.scores, [0.9, 0.5])
    assert alone.labels.dtype == np.int64


def test_contrast_subtracts_the_surroundings() -> None:
    items = proposals([[2, 3]])
    found = label_by_snippets(items, VALUES, TIMELINE, topk=1, contrast=0.5)
    # inside 1, around: half of 0.5 and half of 0.2
    assert found.labels.tolist() == [1]
    assert found.scores[0] == pytest.approx(1 - 0.35)
    # Nothing lies around the whole; what is negative counts as 0.
    whole = label_by_snippets(proposals([[0, 4]]), VALUES, TIMELINE, topk=1, contrast=0.5)
    assert whole.scores[0] == pytest.approx(0.45)
    low = label_by_snippets(proposals([[3, 4]]), VALUES[:, 1:], TIMELINE, topk=1, contrast=1.0)
    assert low.scores[0] == 0.0


def test_video_level_scores() -> None:
    items = proposals([[0, 1], [2, 9]], [0.8, 0.2])
    found = label_by_video(items, [0.1, 0.5, 0.4, 0.5])
    assert found.labels.tolist() == [1, 3, 1, 3]
    np.testing.assert_allclose(found.scores, [0.4, 0.4, 0.1, 0.1])
    np.testing.assert_array_equal(found.segments, [[0, 1], [0, 1], [2, 9], [2, 9]])
    raw = label_by_video(items, [0.1, 0.5], topk=1, fuse="none")
    np.testing.assert_allclose(raw.scores, [0.8, 0.2])


def test_no_proposals_one_frame_one_class() -> None:
    single = Timeline(1, 25.0, 8, 8, 0.32)
    assert len(label_by_snippets(no_detections(), [[0.5]], single)) == 0
    assert len(label_by_video(no_detections(), [0.5])) == 0
    found = label_by_snippets(proposals([[0, 0.32]]), [[0.5]], single)
    assert found.labels.tolist() == [0]
    assert found.scores.tolist() == [0.5]


def test_batch_equals_one_by_one() -> None:
    items = proposals([[0.2, 1.9], [1, 3.3], [2.5, 9]], [0.3, 0.9, 0.5])
    together = label_by_snippets(items, VALUES, TIMELINE, topk=2, contrast=0.25)
    for row in range(3):
        alone = label_by_snippets(items[[row]], VALUES, TIMELINE, topk=2, contrast=0.25)
        mine = together[together.segments[:, 0] == items.segments[row, 0]]
        np.testing.assert_array_equal(mine.scores, alone.scores)
        np.testing.assert_array_equal(mine.labels, alone.labels)


def test_wrong_input() -> None:
    items = proposals([[0, 1]])
    with pytest.raises(AttentadError, match=r"shape \(3, 2\) do not fit a timeline of 4"):
        label_by_snippets(items, VALUES[:3], TIMELINE)
    with pytest.raises(AttentadError, match="do not fit"):
        label_by_snippets(items, VALUES[:, 0], TIMELINE)
    with pytest.raises(AttentadError, match="NaN"):
        label_by_snippets(items, np.full((4, 2), np.nan), TIMELINE)
    with pytest.raises(AttentadError, match="no way to fuse scores 'mean'"):
        label_by_snippets(items, VALUES, TIMELINE, fuse="mean")
    with pytest.raises(AttentadError, match="topk must be at least 1"):
        label_by_video(items, [0.5], topk=0)
    with pytest.raises(AttentadError, match="contrast"):
        label_by_snippets(items, VALUES, TIMELINE, contrast=-1.0)
    with pytest.raises(AttentadError, match="vector of finite numbers"):
        label_by_video(items, [[0.5]])
    with pytest.raises(AttentadError, match="vector of finite numbers"):
        label_by_video(items, [0.5, math.inf])


def test_logits_are_refused_unless_they_only_rank() -> None:
    items = proposals([[1, 2]], [0.5])
    with pytest.raises(AttentadError, match=r"as low as -0\.5 cannot be multiplied"):
        label_by_snippets(items, VALUES - 0.5, TIMELINE)
    with pytest.raises(AttentadError, match="as low as -1 cannot be multiplied"):
        label_by_video(items, [-1.0, 0.5])
    found = label_by_video(items, [-1.0, -0.5], topk=1, fuse="none")
    assert found.labels.tolist() == [1]
    assert found.scores.tolist() == [0.5]
