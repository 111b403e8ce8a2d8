"""Views of a track, rescaling and windows against slow references."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError, Timeline
from attentad.data.random_snippets import SAMPLINGS, Sampling, sample_snippets
from attentad.data.tracks import Track
from attentad.data.views import (
    VIEWS,
    Rescaled,
    Snippets,
    Views,
    Whole,
    Windows,
    rescale,
    take_window,
    window_starts,
)
from attentad.models.build import build_views, check_detector
from attentad.recipes.load import DetectionRecipe, parse_recipe


def timeline(n: int, fps: float = 30.0, stride: float = 16) -> Timeline:
    return Timeline(n, fps, stride, stride, duration_sec=n * stride / fps)


def reference_rescale(features: np.ndarray, st_sec: float, length: int) -> np.ndarray:
    """Spec csa §5.1, one number at a time."""
    n, width = features.shape
    if n == 1:
        return np.repeat(features, length, axis=0)
    x = (np.arange(n) + 0.5) * st_sec
    covered = n * st_sec
    out = np.zeros((length, width))
    for j in range(length):
        lo = max(x[0] + 1e-4, j * covered / length)
        hi = min(x[-1] - 1e-4, (j + 1) * covered / length)
        if hi < x[0] or lo > x[-1]:
            continue
        for c in range(width):
            points = [np.interp(at, x, features[:, c]) for at in (lo, (lo + hi) / 2, hi)]
            out[j, c] = np.mean(points)
    return out


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(2, 50), st.floats(0.1, 3.0), st.integers(0, 2**31))
def test_rescale_equals_the_reference(n: int, length: int, step: float, seed: int) -> None:
    features = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    clock = timeline(n, fps=16 / step)
    rescaled, rescaled_timeline = rescale(features, clock, length)
    # A part that ends on the first centre, or begins on the last, is zero or not by a rounding.
    edges = np.arange(length + 1) * n / length
    sure = (np.abs(edges[1:] - 0.5) > 1e-9) & (np.abs(edges[:-1] - (n - 0.5)) > 1e-9)
    reference = reference_rescale(features, clock.step_sec, length)
    np.testing.assert_allclose(rescaled[sure], reference[sure], atol=1e-4)
    assert rescaled_timeline.length == length
    np.testing.assert_allclose(rescaled_timeline.start_sec, clock.start_sec, atol=1e-9)
    np.testing.assert_allclose(rescaled_timeline.end_sec, clock.end_sec)


def test_short_videos_have_zero_columns_at_the_ends() -> None:
    rescaled, _ = rescale(np.ones((10, 1), np.float32), timeline(10), 100)
    assert (rescaled[0] == 0).all()
    assert (rescaled[-1] == 0).all()
    assert (rescaled[10:90] == 1).all()


def test_linear_rescaling_keeps_a_line_and_the_ends() -> None:
    features = np.arange(10, dtype=np.float32)[:, None]
    same, _ = rescale(features, timeline(10), 10, mode="linear")
    np.testing.assert_allclose(same, features)
    twice, _ = rescale(features, timeline(10), 20, mode="linear")
    np.testing.assert_allclose(twice[1:-1, 0], np.arange(18) * 0.5 + 0.25)
    assert twice[0, 0] == 0
    assert twice[-1, 0] == 9


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(2, 50), st.integers(0, 2**31))
def test_linear_rescaling_is_torchs(n: int, length: int, seed: int) -> None:
    features = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(features.T[None].copy()), length, mode="linear", align_corners=False
    )
    rescaled, _ = rescale(features, timeline(n), length, mode="linear")
    np.testing.assert_allclose(rescaled.T, expected[0], atol=2e-5)


def test_rows_that_are_rescaled_already_stay() -> None:
    features = np.arange(10, dtype=np.float32)[:, None]
    same, clock = rescale(features, timeline(10), 10, mode="as_is")
    np.testing.assert_array_equal(same, features)
    np.testing.assert_allclose(clock.centres_sec(), timeline(10).centres_sec())
    with pytest.raises(AttentadError, match=r"has 10 rows and view\.length is 12"):
        rescale(features, timeline(10), 12, mode="as_is")


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 60))
def test_windows_cover_every_step(n: int, length: int, stride: int) -> None:
    starts = window_starts(n, length, min(stride, length))
    seen = np.zeros(max(n, length), int)
    for start in starts:
        seen[start : start + length] += 1
        assert start + length <= max(n, length)
    assert (seen[:n] > 0).all()
    assert starts == sorted(set(starts))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3000))
def test_without_cover_tail_the_rule_of_gtad_holds(n: int) -> None:
    starts = window_starts(n, 256, 128, cover_tail=False)
    if n < 256:
        assert starts == [0]
        return
    expected = [128 * i for i in range((n - 128) // 128)]
    if n - (expected[-1] + 256) > 51:
        expected.append(n - 256)
    assert starts == expected


def test_a_window_past_the_end_is_zero_and_invalid() -> None:
    features = np.ones((5, 2), np.float32)
    window, valid, clock = take_window(features, timeline(5), 0, 8)
    assert valid.tolist() == [True] * 5 + [False] * 3
    assert (window[5:] == 0).all()
    assert clock.length == 8
    assert clock.duration_sec == timeline(5).duration_sec


def test_a_window_keeps_the_time_of_its_features() -> None:
    whole = timeline(20)
    _, _, clock = take_window(np.ones((20, 1), np.float32), whole, 7, 6)
    np.testing.assert_allclose(clock.centres_sec(), whole.centres_sec()[7:13])


def track(n: int) -> Track:
    """A video whose features tell the step."""
    features = np.stack([np.arange(n), -np.arange(n)], axis=1).astype(np.float32)
    return Track(features, timeline(n), timeline(n).duration_sec)


RNG = np.random.default_rng


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("n", [1, 9, 10, 11, 47])
def test_every_view_has_steps_a_mask_and_a_timeline(name: str, n: int) -> None:
    views = VIEWS[name](length=10)
    assert views == VIEWS[name](length=10)
    for rng in (None, RNG(0)):
        for features, valid, clock in views.take(track(n), rng):
            assert features.shape == (clock.length, 2)
            assert features.dtype == np.float32
            assert valid.shape == (clock.length,)
            assert valid.dtype == bool
            assert valid.any()
            assert not features[~valid].any()
            assert clock.duration_sec == timeline(n).duration_sec


def test_a_rescaled_view_and_windows_are_alike_in_training_and_detection() -> None:
    for views in (Rescaled(10, "linear"), Windows(10, 3, cover_tail=False)):
        assert not views.random
        for mine, theirs in zip(
            views.take(track(47), RNG(0)), views.take(track(47), None), strict=True
        ):
            np.testing.assert_array_equal(mine.features, theirs.features)
            assert mine.timeline == theirs.timeline


def test_windows_lie_half_a_window_apart_unless_told_otherwise() -> None:
    def starts(views: Windows) -> list[int]:
        return [int(view.features[0, 0]) for view in views.take(track(21), None)]

    assert starts(Windows(8)) == [0, 4, 8, 12, 13]
    assert starts(Windows(8, cover_tail=False)) == [0, 4, 8, 12]
    assert starts(Windows(8, 6)) == [0, 6, 12, 13]
    assert starts(Windows(1)) == list(range(21))


@pytest.mark.parametrize("views", [Snippets(10), Whole(10)])
@pytest.mark.parametrize("n", [3, 30])
def test_detection_sees_the_whole_video(views: Views, n: int) -> None:
    (view,) = views.take(track(n), None)
    np.testing.assert_array_equal(view.features, track(n).array)
    assert view.valid.all()
    assert view.timeline == timeline(n)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("n", [3, 30])
def test_snippets_are_a_sample_in_training(sampling: Sampling, n: int) -> None:
    (view,) = Snippets(10, sampling).take(track(n), RNG(7))
    features, valid = sample_snippets(track(n).array, 10, sampling, RNG(7))
    np.testing.assert_array_equal(view.features, features)
    np.testing.assert_array_equal(view.valid, valid)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 40), st.integers(0, 2**31))
def test_a_crop_is_a_run_of_steps_with_their_times(n: int, length: int, seed: int) -> None:
    (view,) = Whole(length).take(track(n), RNG(seed))
    steps = view.features[:, 0].astype(int)
    assert len(steps) == min(n, length)
    assert (np.diff(steps) == 1).all()
    assert view.valid.all()
    np.testing.assert_allclose(view.timeline.centres_sec(), timeline(n).centres_sec()[steps])


def test_crops_begin_everywhere() -> None:
    starts = {int(Whole(3).take(track(7), RNG(seed))[0].features[0, 0]) for seed in range(200)}
    assert starts == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"name": "rescaled", "length": 7, "mode": "linear"}, Rescaled(7, "linear")),
        (
            {"name": "windows", "length": 7, "stride_steps": 2, "cover_tail": False},
            Windows(7, 2, False),
        ),
        ({"name": "snippets", "length": 7, "sampling": "pad"}, Snippets(7, "pad")),
        ({"name": "whole", "length": 7}, Whole(7)),
        *(({"name": name}, VIEWS[name]()) for name in VIEWS),
    ],
)
def test_a_recipe_chooses_a_view_by_name(options: dict[str, Any], expected: Views) -> None:
    assert build_views(recipe_with(options)) == expected


def test_a_network_of_one_length_takes_no_whole_videos() -> None:
    with pytest.raises(AttentadError, match=r"bmn takes views of one length; set view.name to"):
        check_detector(recipe_with({"name": "whole"}))


def recipe_with(view: dict[str, Any]) -> DetectionRecipe:
    recipe = parse_recipe(
        {
            "task": "detection",
            "data": {"features": "f", "annotations": "a.json", "test": ["test"]},
            "detector": {"name": "bmn"},
            "training": {"epochs": 1},
            "view": view,
        },
        "recipe.yaml",
    )
    assert isinstance(recipe, DetectionRecipe)
    return recipe


def test_a_stretched_view_shows_the_same_time() -> None:
    n = 30
    ramp = np.arange(n, dtype=np.float32)[:, None]
    track = Track(ramp, timeline(n), timeline(n).duration_sec)
    lengths = set()
    for seed in range(40):
        (view,) = Whole(length=40, stretch=2.0).take(track, np.random.default_rng(seed))
        lengths.add(len(view.features))
        assert view.valid.all()
        assert view.timeline.length == len(view.features)
        assert view.timeline.start_sec == pytest.approx(track.timeline.start_sec)
        assert view.timeline.end_sec == pytest.approx(track.timeline.end_sec)
        # The ramp says where each step lies.
        said = track.timeline.seconds(view.features[1:-1, 0] + 0.5)
        assert view.timeline.centres_sec()[1:-1] == pytest.approx(said, rel=1e-4)
    assert 15 <= min(lengths) < 22
    assert 42 < max(lengths) <= 60


def test_detection_is_never_stretched_and_one_step_stays_one() -> None:
    track = Track(np.ones((1, 2), np.float32), timeline(1), 1.0)
    views = Whole(length=10, stretch=3.0)
    assert len(views.take(track, None)[0].features) == 1
    for seed in range(5):
        (view,) = views.take(track, np.random.default_rng(seed))
        assert 1 <= len(view.features) <= 3
        assert (view.features == 1).all()


def test_stretch_of_one_is_the_view_as_it_was() -> None:
    track = Track(np.random.default_rng(9).random((50, 3), np.float32), timeline(50), 1.0)
    for seed in range(3):
        (view,) = Whole(length=20).take(track, np.random.default_rng(seed))
        start = int(np.random.default_rng(seed).integers(0, 30, endpoint=True))
        assert (view.features == track.array[start : start + 20]).all()
