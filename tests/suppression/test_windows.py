"""Merging of windows: each, then all; or all at once."""

from __future__ import annotations

import numpy as np
import pytest

from attentad.core import AttentadError, VideoDetections, as_segments
from attentad.core.detections import concatenate
from attentad.suppression import merge_windows, soft_nms, suppress


def window(seed: int, count: int) -> VideoDetections:
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 50, count)
    segments = np.stack([start, start + rng.uniform(1, 30, count)], axis=1)
    return VideoDetections(segments, rng.uniform(size=count), np.full(count, -1))


WINDOWS = [window(0, 12), window(1, 0), window(2, 9)]


def assert_same(a: VideoDetections, b: VideoDetections) -> None:
    np.testing.assert_array_equal(a.segments, b.segments)
    np.testing.assert_array_equal(a.scores, b.scores)
    np.testing.assert_array_equal(a.labels, b.labels)


def test_per_window_decays_twice() -> None:
    options = {"method": "gauss", "sigma": 0.46, "keep": 8}
    merged = merge_windows(WINDOWS, how="per_window", **options)
    parts = []
    for item in WINDOWS:
        indices, scores = soft_nms(item.segments, item.scores, sigma=0.46, keep=8)
        parts.append(VideoDetections(item.segments[indices], scores, item.labels[indices]))
    union = concatenate(parts)
    indices, scores = soft_nms(union.segments, union.scores, sigma=0.46, keep=8)
    np.testing.assert_array_equal(merged.scores, scores)
    np.testing.assert_array_equal(merged.segments, union.segments[indices])


def test_global_is_one_pass_over_all() -> None:
    merged = merge_windows(WINDOWS, how="global", method="gauss", sigma=0.46, keep=10)
    assert_same(merged, suppress(concatenate(WINDOWS), sigma=0.46, keep=10))
    assert len(merged) == 10


def test_long_segments_are_left_out() -> None:
    item = VideoDetections(
        as_segments([[0, 10], [0, 9.99], [5, 30]]), np.array([0.9, 0.5, 0.8]), np.full(3, -1)
    )
    merged = merge_windows([item], max_length_sec=10.0, method="gauss")
    np.testing.assert_array_equal(merged.segments, [[0, 9.99]])
    assert merged.scores.tolist() == [0.5]  # what was left out suppresses nothing


def test_without_a_method_windows_are_joined_and_sorted() -> None:
    merged = merge_windows(WINDOWS)
    union = concatenate(WINDOWS)
    assert_same(merged, union[np.argsort(-union.scores, kind="stable")])


def test_no_windows_and_unknown_merging() -> None:
    assert len(merge_windows([])) == 0
    assert len(merge_windows([window(0, 0)], method="gauss")) == 0
    with pytest.raises(AttentadError, match="per_window or global, not 'union'"):
        merge_windows(WINDOWS, how="union")


def test_gtad_as_published() -> None:
    options = {"method": "gauss", "sigma": 0.46, "max_length_sec": 20.0, "keep": 6}
    merged = merge_windows(WINDOWS, how="per_window", **options)
    short = [item[np.diff(item.segments, axis=1)[:, 0] < 20.0] for item in WINDOWS]
    assert sum(map(len, short)) < sum(map(len, WINDOWS))
    assert_same(merged, merge_windows(short, method="gauss", sigma=0.46, keep=6))


def test_box_voting_in_both_passes() -> None:
    options = {"method": "hard", "voting_tiou": 0.7}
    merged = merge_windows(WINDOWS, how="per_window", **options)
    union = concatenate([suppress(item, **options) for item in WINDOWS])
    assert_same(merged, suppress(union, **options))
    once = merge_windows(WINDOWS, how="global", **options)
    assert_same(once, suppress(concatenate(WINDOWS), **options))
    assert not np.isin(once.segments, concatenate(WINDOWS).segments).all()
