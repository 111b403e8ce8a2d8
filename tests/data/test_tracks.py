"""Tracks of features: one array and its timeline, from all that is known of a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attentad.core import AttentadError, VideoAnnotation
from attentad.data.clocks import Clock, FrameClock, RescaledClock
from attentad.data.features import Sidecar, open_features, write_features
from attentad.data.tracks import FeatureSource

NONE = np.zeros((0, 2))
FEATURES = np.arange(12, dtype=np.float32).reshape(6, 2)


def source(
    folder: Path, name: str, annotation: VideoAnnotation | None, clock: Clock | None
) -> FeatureSource:
    np.save(folder / f"{name}.npy", FEATURES)
    known = {} if annotation is None else {"x": annotation}
    return FeatureSource(open_features(folder), known, clock)


def test_features_and_where_they_lie(tmp_path: Path) -> None:
    annotation = VideoAnnotation(NONE, (), duration_sec=7.0, fps=10.0)
    features = source(tmp_path, "x", annotation, FrameClock(10, 10))
    assert features.videos == ("x",)
    track = features.read("x")
    np.testing.assert_array_equal(track.array, FEATURES)
    assert track.timeline.step_sec == 1
    assert track.timeline.duration_sec == track.reference_sec == 7
    with pytest.raises(AttentadError, match=r"holds no features of video y"):
        features.read("y")


def test_a_frame_rate_of_frames_and_duration(tmp_path: Path) -> None:
    annotation = VideoAnnotation(NONE, (), duration_sec=6.0, frames=150)
    track = source(tmp_path, "x", annotation, FrameClock(25, 25)).read("x")
    assert track.timeline.step_sec == 1


def test_an_annotation_without_the_letter(tmp_path: Path) -> None:
    annotation = VideoAnnotation(NONE, (), duration_sec=12.0)
    track = source(tmp_path, "v_x", annotation, RescaledClock()).read("v_x")
    np.testing.assert_allclose(track.timeline.seconds([0, 6]), [0, 12])
    assert track.reference_sec == 12


def test_without_annotation_the_timeline_tells_the_duration(tmp_path: Path) -> None:
    clock = Sidecar(fps=2, stride_frames=1, window_frames=1)
    track = source(tmp_path, "x", None, clock).read("x")
    assert track.timeline.duration_sec == track.reference_sec == 3
    with pytest.raises(AttentadError, match="video x span its whole duration, which nothing says"):
        source(tmp_path, "x", None, RescaledClock()).read("x")
    with pytest.raises(AttentadError, match="nothing says when the features of video x were taken"):
        source(tmp_path, "x", None, None).read("x")


def test_a_sidecar_goes_before_all_else(tmp_path: Path) -> None:
    told = Sidecar(fps=1, stride_frames=1, window_frames=1, duration_sec=6.5)
    write_features(tmp_path / "x.npy", FEATURES, told)
    annotation = VideoAnnotation(NONE, (), duration_sec=7.0)
    track = FeatureSource(open_features(tmp_path), {"x": annotation}, RescaledClock()).read("x")
    assert track.timeline == told.timeline(6)
    assert track.reference_sec == 7
