"""Clocks: of all features, by each video's frame rate, or dividing the video's duration."""

import numpy as np
import pytest

from attentad.core import AttentadError, VideoAnnotation
from attentad.data.clocks import FrameClock, RescaledClock, frame_rate, read_clock, video_timeline
from attentad.data.features import Sidecar

SIDECAR = Sidecar(fps=10, stride_frames=5, window_frames=5)


def test_each_video_has_its_frame_rate() -> None:
    clock = FrameClock(stride_frames=5, window_frames=5)
    for fps in (24.0, 29.97, 30.0):
        timeline = video_timeline("v", 4, None, clock, 99.0, fps)
        np.testing.assert_allclose(timeline.seconds([0, 1, 4]), np.array([0, 5, 20]) / fps)
        assert timeline.duration_sec == 99
    with pytest.raises(AttentadError, match="annotate its fps or set"):
        video_timeline("v", 4, None, clock, 99.0)


def test_frames_and_duration_give_a_frame_rate() -> None:
    none = np.zeros((0, 2))
    assert frame_rate(VideoAnnotation(none, (), fps=25.0, frames=90, duration_sec=3.0)) == 25
    assert frame_rate(VideoAnnotation(none, (), frames=90, duration_sec=3.0)) == 30
    assert frame_rate(VideoAnnotation(none, (), frames=90)) is None


def test_rescaled_rows_divide_the_duration() -> None:
    timeline = video_timeline("v", 100, None, RescaledClock(), 82.0)
    np.testing.assert_allclose(timeline.seconds([0, 50, 100]), [0, 41, 82], atol=1e-12)
    assert timeline.duration_sec == 82
    with pytest.raises(AttentadError, match="annotate its duration"):
        video_timeline("v", 100, None, RescaledClock(), None)


def test_a_sidecar_goes_before_the_clock() -> None:
    for clock in (None, RescaledClock(), FrameClock(1, 1)):
        assert video_timeline("v", 4, SIDECAR, clock, 9.0) == SIDECAR.timeline(4, 9.0)


@pytest.mark.parametrize("clock", [SIDECAR, FrameClock(5, 16, -3.0), RescaledClock()])
def test_clocks_survive_the_model_file(clock: object) -> None:
    assert read_clock(clock.to_clock(), "m") == clock


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"fps": "x"}, "stride_frames is missing|fps: Input"),
        ({"stride_frames": -1, "window_frames": 1}, "stride_frames: Input should be greater"),
        ({}, "stride_frames is missing"),
    ],
)
def test_what_is_no_clock_is_told(values: dict[str, object], words: str) -> None:
    with pytest.raises(AttentadError, match=words):
        read_clock(values, "m.safetensors")
