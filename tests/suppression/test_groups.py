"""Many groups in one pass are as many calls, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.suppression.test_nms import slow_nms
from tests.suppression.test_soft import PUBLISHED, published, random_case

from attentad.core import AttentadError, VideoDetections, as_segments
from attentad.suppression import METHODS, TIES, nms, soft_nms, suppress, suppress_each

Array = NDArray[np.float64]

VARIANTS: dict[str, dict[str, Any]] = PUBLISHED | {
    "linear": {"method": "linear", "tiou_threshold": 0.3},
    "floored": {"sigma": 0.2, "score_floor": 0.3},
    "floored-legacy": {"sigma": 0.2, "score_floor": 0.3, "legacy_drop_last": True},
}
# Coarse values, so that ties in time and score, copies and points are common.
grid_row = st.tuples(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.sampled_from([-1, 0, 1, 5]),
)


def each_group(groups: Array, call: Any) -> list[tuple[int, float]]:
    """Rows and scores of calls of single groups."""
    found = []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        indices, scores = call(rows)
        found += list(zip(rows[indices].tolist(), scores.tolist(), strict=True))
    return found


@given(st.sampled_from(sorted(VARIANTS)), st.lists(grid_row, max_size=40), st.integers(0, 9))
@settings(deadline=None, max_examples=300)
def test_soft_groups_are_single_calls_to_the_last_digit(
    variant: str, rows: list[Any], keep: int
) -> None:
    segments, scores = as_segments([row[0] for row in rows]), np.array([row[1] for row in rows])
    groups = np.array([row[2] for row in rows], dtype=np.int64)
    options = VARIANTS[variant] | ({"keep": keep} if keep < 9 else {})
    indices, decayed = soft_nms(segments, scores, groups=groups, **options)
    expected = each_group(groups, lambda at: soft_nms(segments[at], scores[at], **options))
    assert list(zip(indices.tolist(), decayed.tolist(), strict=True)) == expected


@pytest.mark.parametrize("variant", PUBLISHED)
def test_uneven_groups_are_the_loop_as_published(variant: str) -> None:
    # Sizes in which groups go in step, alone, padded, and are cut on the way.
    sizes = [1, 2, 60, 3, 55, 40, 33, 0, 7, 1, 64, 64]
    segments, scores = random_case(4, sum(sizes))
    groups = np.random.default_rng(4).permutation(np.repeat(np.arange(len(sizes)), sizes))
    if variant == "hamnet":
        scores = scores - 0.3
    indices, decayed = soft_nms(segments, scores, groups=groups, **PUBLISHED[variant])
    assert (
        sorted(set(groups[indices].tolist()))
        == groups[indices][np.r_[True, np.diff(groups[indices]) != 0]].tolist()
    )
    for group, size in enumerate(sizes):
        rows, of_group = np.flatnonzero(groups == group), groups[indices] == group
        if size:
            expected, expected_scores = published(variant, segments[rows], scores[rows])
            assert indices[of_group].tolist() == rows[expected].tolist()
            np.testing.assert_allclose(decayed[of_group], expected_scores, rtol=1e-11)
        else:
            assert not of_group.any()


@given(
    st.lists(grid_row, max_size=40),
    st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.75, 1.0]),
    st.sampled_from(TIES),
    st.booleans(),
    st.sampled_from([None, 0, 2]),
    st.sampled_from([0, 3]),
    st.sampled_from([2, 64]),
)
@settings(deadline=None, max_examples=300)
def test_hard_groups_are_the_reference(
    rows: list[Any],
    threshold: float,
    ties: str,
    plus_one: bool,
    keep: int | None,
    few: int,
    block: int,
) -> None:
    segments, scores = as_segments([row[0] for row in rows]), np.array([row[1] for row in rows])
    groups = np.array([row[2] for row in rows], dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        # The module: its name is the function's, too.
        module = __import__("sys").modules["attentad.suppression.nms"]
        patch.setattr(module, "_FEW", few)
        patch.setattr(module, "_BLOCK", block)
        options: dict[str, Any] = {"ties": ties, "plus_one": plus_one, "keep": keep}
        found = nms(segments, scores, threshold, groups=groups, **options)
    expected: list[int] = []
    for group in np.unique(groups):
        at = np.flatnonzero(groups == group)
        kept = slow_nms(segments[at], scores[at], threshold, ties, float(plus_one))
        expected += at[kept[:keep]].tolist()
    assert found.tolist() == expected


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 0.95])
def test_large_groups_are_swept_and_small_ones_go_in_step(threshold: float) -> None:
    sizes = [600, 90, 80, 2, 70, 530]
    segments, scores = random_case(9, sum(sizes))
    segments, scores = np.round(segments), np.round(scores, 2)  # ties
    groups = np.random.default_rng(9).permutation(np.repeat(np.arange(len(sizes)), sizes))
    found = nms(segments, scores, threshold, groups=groups)
    expected = []
    for group in range(len(sizes)):
        at = np.flatnonzero(groups == group)
        expected += at[slow_nms(segments[at], scores[at], threshold)].tolist()
    assert found.tolist() == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("per_class", [True, False])
def test_each_video_is_suppressed_by_itself(method: str, per_class: bool) -> None:
    rng = np.random.default_rng(3)
    videos = []
    for count in (40, 0, 1, 90):
        segments, scores = random_case(count, count)
        videos.append(VideoDetections(segments, scores, rng.integers(-1, 4, count)))
    options: dict[str, Any] = {"method": method, "per_class": per_class, "duration_sec": 130.0}
    options |= {"keep": 6, "keep_total": 11, "score_floor": 0.02, "max_length_sec": 50.0}
    for extra in ({}, {"voting_tiou": 0.6, "voting_weight": "score_tiou"}):
        found = suppress_each(videos, **options, **extra)
        assert [len(one) for one in found][1] == 0
        for video, one in zip(videos, found, strict=True):
            alone = suppress(video, **options, **extra)
            np.testing.assert_array_equal(one.segments, alone.segments)
            np.testing.assert_array_equal(one.scores, alone.scores)
            np.testing.assert_array_equal(one.labels, alone.labels)
    assert suppress_each([], **options) == []


def test_groups_that_do_not_fit_and_broken_numbers() -> None:
    boxes = [[0.0, 1.0], [2.0, 3.0]]
    for call in (soft_nms, lambda *given, **more: nms(*given, 0.5, **more)):
        with pytest.raises(ValueError, match=r"2 segments have groups of shape \(1,\)"):
            call(boxes, [0.5, 0.5], groups=[0])
        with pytest.raises(ValueError, match="float64"):
            call(boxes, [0.5, 0.5], groups=[0.0, 1.0])
        with pytest.raises(AttentadError, match="finite"):
            call(boxes, [0.5, np.nan], groups=[0, 1])
        with pytest.raises(AttentadError, match="must not be negative, as -1"):
            call(boxes, [0.5, 0.5], groups=[0, 1], keep=-1)


def test_a_class_of_which_one_alone_is_left() -> None:
    """One of its size among classes of other sizes: everything is dropped after a few steps."""
    rng = np.random.default_rng(5)
    sizes = (300, 40, 20, 8, 3)
    starts = np.concatenate([rng.uniform(0, 1e-3, size) for size in sizes])
    segments, scores = np.stack([starts, starts + 10], axis=1), rng.uniform(size=len(starts))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    kept = nms(segments, scores, 0.5, groups=groups)
    best = [np.flatnonzero(groups == g)[scores[groups == g].argmax()] for g in range(len(sizes))]
    assert kept.tolist() == best
