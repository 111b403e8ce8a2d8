"""Timeline and Sampling: conversions invert one another, and views agree about the seconds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError, Sampling, Timeline

number = st.floats(0.1, 1000, allow_nan=False)
timelines = st.builds(
    Timeline,
    length=st.integers(1, 500),
    fps=st.floats(1, 120),
    stride_frames=st.floats(0.25, 64),
    window_frames=st.floats(1, 128),
    duration_sec=number,
    offset_frames=st.floats(-100, 1000),
)


@given(timelines, st.lists(st.floats(-50, 600), max_size=8))
@settings(deadline=None, max_examples=100)
def test_seconds_and_grid_invert_each_other(timeline: Timeline, grid: list[float]) -> None:
    back = timeline.grid(timeline.seconds(grid))
    np.testing.assert_allclose(back, np.array(grid), atol=1e-6)


@given(timelines)
@settings(deadline=None, max_examples=100)
def test_cell_centres_are_the_middles_of_the_windows(timeline: Timeline) -> None:
    index = np.arange(timeline.length)
    first = timeline.offset_frames + index * timeline.stride_frames
    expected = (first + timeline.window_frames / 2) / timeline.fps
    np.testing.assert_allclose(timeline.centres_sec(), expected, atol=1e-6)
    assert timeline.seconds(timeline.length) == pytest.approx(timeline.end_sec)
    assert timeline.seconds(0) == pytest.approx(timeline.start_sec)


@given(timelines, st.integers(1, 300), st.integers(1, 300))
@settings(deadline=None, max_examples=100)
def test_rescaling_keeps_the_stretch_and_composes(timeline: Timeline, t: int, u: int) -> None:
    scaled = timeline.rescaled(t)
    assert scaled.length == t
    assert scaled.start_sec == pytest.approx(timeline.start_sec, abs=1e-6)
    assert scaled.end_sec == pytest.approx(timeline.end_sec, abs=1e-6)
    np.testing.assert_allclose(
        scaled.rescaled(u).centres_sec(), timeline.rescaled(u).centres_sec(), atol=1e-6
    )
    # A coordinate as a fraction of the stretch is the same in both.
    seconds = timeline.seconds(np.linspace(0, timeline.length, 5))
    np.testing.assert_allclose(
        scaled.grid(seconds) / t, timeline.grid(seconds) / timeline.length, atol=1e-6
    )


@given(timelines, st.integers(-20, 400), st.integers(1, 100))
@settings(deadline=None, max_examples=100)
def test_a_window_tells_the_same_time_as_the_whole(timeline: Timeline, at: int, t: int) -> None:
    window = timeline.window(at, t)
    assert window.length == t
    np.testing.assert_allclose(
        window.centres_sec(), timeline.seconds(at + np.arange(t) + 0.5), atol=1e-6
    )
    assert window.duration_sec == timeline.duration_sec


def test_clip_limits_to_the_video_and_sidecar_values_restore_it() -> None:
    timeline = Timeline(10, 25.0, 8, 16, 3.0, -4)
    np.testing.assert_array_equal(timeline.clip([-1.0, 1.5, 9.0]), [0.0, 1.5, 3.0])
    assert Timeline(**timeline.to_dict()) == timeline
    assert timeline.step_sec == 8 / 25


@pytest.mark.parametrize("name", ["length", "fps", "stride_frames", "window_frames"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "7", None, True])
def test_a_timeline_of_nonsense_is_refused(name: str, value: object) -> None:
    good = {"length": 4, "fps": 25.0, "stride_frames": 8, "window_frames": 8, "duration_sec": 2.0}
    with pytest.raises(AttentadError, match=name):
        Timeline(**(good | {name: value}))  # type: ignore[arg-type]


def test_fractional_length_and_infinite_offset_are_refused() -> None:
    with pytest.raises(AttentadError, match="whole length"):
        Timeline(2.5, 25.0, 8, 8, 2.0)  # type: ignore[arg-type]
    with pytest.raises(AttentadError, match="offset_frames"):
        Timeline(2, 25.0, 8, 8, 2.0, math.nan)


samplings = st.builds(
    Sampling,
    fps=st.floats(1, 60),
    window_frames=st.integers(1, 32),
    stride_frames=st.integers(1, 32),
    size_px=st.just(64),
)


@given(samplings, st.integers(1, 400))
@settings(deadline=None, max_examples=100)
def test_snippets_cover_the_video_and_read_frames_around_their_cells(
    sampling: Sampling, frames: int
) -> None:
    timeline = sampling.timeline(frames, frames / sampling.fps)
    indices = sampling.frame_indices(timeline.length, frames)
    assert indices.shape == (timeline.length, sampling.window_frames)
    assert indices.min() >= 0
    assert indices.max() < frames
    assert np.all(np.diff(indices, axis=1) >= 0)
    # At most half a frame of shift, where window and stride differ by an odd number.
    half_frame = 0.5 / sampling.fps + 1e-9
    assert abs(timeline.start_sec) <= half_frame
    assert timeline.end_sec >= frames / sampling.fps - half_frame
    if sampling.window_frames >= sampling.stride_frames:
        assert set(indices.ravel().tolist()) == set(range(frames))
    # Inside the video, the middle of a snippet's frames is the middle of its cell.
    whole = (indices[:, 0] > 0) & (indices[:, -1] < frames - 1)
    middle = (indices.mean(axis=1) + 0.5) / sampling.fps
    np.testing.assert_allclose(middle[whole], timeline.centres_sec()[whole], atol=1e-9)


@pytest.mark.parametrize("name", ["fps", "window_frames", "stride_frames", "size_px"])
def test_a_sampling_of_nothing_is_refused(name: str) -> None:
    good = {"fps": 15.0, "window_frames": 8, "stride_frames": 4, "size_px": 64}
    with pytest.raises(AttentadError, match=name):
        Sampling(**(good | {name: 0}))  # type: ignore[arg-type]
