"""Training items: views with their targets, checked before training starts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from attentad.core import Annotations, AttentadError, Timeline, VideoAnnotation
from attentad.data.detection_data import (
    DetectionData,
    collate,
    rescaled_view,
    video_timeline,
    windows_view,
)
from attentad.data.features import Sidecar, open_features

CLOCK = Sidecar(fps=1, stride_frames=1, window_frames=1)


def starts_in_view(segments: np.ndarray, timeline: Timeline) -> dict[str, np.ndarray]:
    return {"starts": timeline.grid(segments[:1, 0]).astype(np.float32)}


def make(folder: Path, lengths: dict[str, int], width: int = 3) -> tuple:
    rng = np.random.default_rng(0)
    for video, n in lengths.items():
        np.save(folder / f"{video}.npy", rng.normal(size=(n, width)).astype(np.float32))
    videos = {
        video: VideoAnnotation(np.array([[2.0, 4.0]]), ("a",), "train", float(n))
        for video, n in lengths.items()
    }
    return open_features(folder), Annotations(videos, ("a",))


def test_rescaled_items(tmp_path: Path) -> None:
    store, annotations = make(tmp_path, {"x": 10, "y": 20})
    data = DetectionData(
        store, annotations, views=rescaled_view(5), targets=starts_in_view, clock=CLOCK
    )
    assert len(data) == 2
    assert data.feature_dim == 3
    batch = collate([data[0], data[1]])
    assert batch["features"].shape == (2, 3, 5)
    assert batch["valid"].all()
    assert batch["video"] == ["x", "y"]
    torch.testing.assert_close(batch["targets"]["starts"], torch.tensor([[1.0], [0.5]]))


def test_windows_without_an_instance_are_left_out(tmp_path: Path) -> None:
    store, annotations = make(tmp_path, {"x": 30})
    data = DetectionData(
        store,
        annotations,
        views=windows_view(8),
        targets=starts_in_view,
        clock=CLOCK,
        min_coverage=0.9,
    )
    assert [start for _, start in data.index] == [0]
    assert float(data[0]["targets"]["starts"]) == 2.0


def test_items_beyond_the_cache_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, annotations = make(tmp_path, {"x": 10, "y": 20})
    arguments = {"views": rescaled_view(5), "targets": starts_in_view, "clock": CLOCK}
    cached = DetectionData(store, annotations, **arguments)
    monkeypatch.setattr("attentad.data.detection_data.CACHE_BYTES", 0)
    read = DetectionData(store, annotations, **arguments)
    assert not read._cache
    for row in range(2):
        torch.testing.assert_close(cached[row]["features"], read[row]["features"])


def test_widths_must_agree(tmp_path: Path) -> None:
    make(tmp_path, {"y": 10}, width=4)
    store, _ = make(tmp_path, {"x": 10})
    videos = {name: VideoAnnotation(np.zeros((0, 2)), (), "train", 10.0) for name in "xy"}
    with pytest.raises(AttentadError, match="video y has features of width 4"):
        DetectionData(
            store,
            Annotations(videos, ()),
            views=rescaled_view(5),
            targets=starts_in_view,
            clock=CLOCK,
        )


def test_no_useful_window_is_an_error(tmp_path: Path) -> None:
    store, annotations = make(tmp_path, {"x": 30})
    with pytest.raises(AttentadError, match="none of the 1 training videos"):
        DetectionData(
            store,
            annotations,
            views=windows_view(1),
            targets=starts_in_view,
            clock=CLOCK,
            min_coverage=0.9,
        )


def test_features_without_any_clock_are_an_error() -> None:
    with pytest.raises(AttentadError, match="sidecar"):
        video_timeline("x", 3, None, None, None)


def test_videos_by_the_length_of_their_actions(tmp_path: Path) -> None:
    store, annotations = make(tmp_path, {"all": 2, "half": 4, "short": 20})
    videos = {
        "all": VideoAnnotation(np.array([[0.0, 2.0]]), ("a",), "train", 2.0),
        "half": VideoAnnotation(np.array([[0.0, 2.0]]), ("a",), "train", 4.0),
        "short": VideoAnnotation(np.array([[0.0, 2.0]]), ("a",), "train", 20.0),
    }
    data = DetectionData(
        store,
        Annotations(videos, annotations.classes),
        views=rescaled_view(5),
        targets=starts_in_view,
        clock=CLOCK,
        by_length=True,
    )
    assert [data[row]["video"] for row in range(len(data))] == ["half", "short", "short"]
