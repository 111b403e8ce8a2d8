"""The toy data set on disk: what is written, that it is the same each time, and resuming."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attentad.core import AttentadError, read_annotations
from attentad.core.files import write_bytes
from attentad.data.toy import files as toy
from attentad.data.toy.files import CLIP_CLASSES, make_toy, scene
from attentad.data.toy.render import render
from attentad.data.toy.scene import CLASSES, FPS, SIZE_PX
from attentad.video import frames, probe

SMALL: dict[str, Any] = {"videos": 2, "seed": 7, "clips_per_class": 2, "processes": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("toy")
    make_toy(out, **SMALL, test_fraction=0.5, clip_test_fraction=0.5)
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_videos_and_annotations_agree(data: Path) -> None:
    annotations = read_annotations(data / "annotations.json", classes=CLASSES)
    assert [(v, a.subset) for v, a in annotations.videos.items()] == [
        ("toy_0000", "training"),
        ("toy_0001", "test"),
    ]
    for i, (video, item) in enumerate(annotations.videos.items()):
        info = probe(data / "videos" / f"{video}.mp4")
        assert info.codec == "h264"
        assert (info.width_px, info.height_px) == (SIZE_PX, SIZE_PX)
        assert info.fps == item.fps == FPS
        assert info.duration_sec == pytest.approx(item.duration_sec)
        assert info.frames == item.frames
        plan = scene(7, i)
        np.testing.assert_allclose(item.segments * FPS, plan.segments_frames)
        assert item.labels == plan.labels
    # What is read back is what was drawn.
    first = list(itertools.islice(frames(data / "videos" / "toy_0000.mp4"), 40))
    for shown, drawn in zip(first, render(scene(7, 0)), strict=False):
        assert np.abs(shown.astype(int) - drawn).mean() < 12


def test_clips_and_their_list_agree(data: Path) -> None:
    with (data / "clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(CLIP_CLASSES)
    assert {row["label"] for row in rows} == {*CLASSES, "background"}
    assert {row["subset"] for row in rows} == {"training", "test"}
    for row in rows:
        assert row["path"].split("/")[:2] == ["clips", row["label"]]
        assert 1.9 < probe(data / row["path"]).duration_sec < 3.1


def test_same_seed_same_files(data: Path, tmp_path: Path) -> None:
    make_toy(tmp_path, **{**SMALL, "processes": 2}, test_fraction=0.5, clip_test_fraction=0.5)
    assert files(tmp_path) == files(data)


def test_a_video_does_not_depend_on_how_many_there_are(data: Path, tmp_path: Path) -> None:
    make_toy(tmp_path, **{**SMALL, "videos": 1, "clips_per_class": 1})
    shared = files(data)
    for name, content in files(tmp_path).items():
        if name.endswith(".mp4"):
            assert content == shared[name]


def test_subsets_are_spread_evenly_and_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "write_video", lambda path, frames, fps: write_bytes(path, b"drawn"))
    options: dict[str, Any] = {"videos": 1, "clips_per_class": 11, "processes": 1, "seed": 3}
    for share in (0.0, 0.29, 1 / 3, 0.5, 0.7, 1.0):
        make_toy(tmp_path, **options, clip_test_fraction=share)
        with (tmp_path / "clips.csv").open() as file:
            rows = list(csv.DictReader(file))
        for label in CLIP_CLASSES:
            subsets = [row["subset"] for row in rows if row["label"] == label]
            for count in range(1, 12):
                assert abs(subsets[:count].count("test") - share * count) <= 1
            assert subsets.count("test") in (int(11 * share + 1e-6), round(11 * share))


def test_an_interrupted_run_goes_on_where_it_stopped(data: Path, tmp_path: Path) -> None:
    seen: list[int] = []

    def interrupt(done: int, total: int) -> None:
        assert total == 2 + 2 * len(CLIP_CLASSES)
        seen.append(done)
        if done == 5:
            raise KeyboardInterrupt

    options: dict[str, Any] = {**SMALL, "test_fraction": 0.5, "clip_test_fraction": 0.5}
    with pytest.raises(KeyboardInterrupt):
        make_toy(tmp_path, **options, progress=interrupt)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert not (tmp_path / "annotations.json").exists()
    assert not list(tmp_path.rglob(".*.mp4"))
    drawn = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.mp4")}
    assert len(drawn) == 5
    seen.clear()
    make_toy(tmp_path, **options, progress=lambda done, total: seen.append(done))
    assert seen == list(range(5, 21))
    assert files(tmp_path) == files(data)
    assert all(p.stat().st_mtime_ns == time for p, time in drawn.items())


def test_another_seed_replaces_the_files(data: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"videos": 1, "clips_per_class": 0, "processes": 1}
    make_toy(tmp_path, **options, seed=8)
    before = files(tmp_path)
    make_toy(tmp_path, **options, seed=7)
    after = files(tmp_path)
    assert before["videos/toy_0000.mp4"] != after["videos/toy_0000.mp4"]
    assert after["videos/toy_0000.mp4"] == files(data)["videos/toy_0000.mp4"]
    assert after["clips.csv"] == b"path,label,subset\n"


def test_classes_differ_from_video_to_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "write_video", lambda path, frames, fps: write_bytes(path, b"drawn"))
    options: dict[str, Any] = {"videos": 30, "seed": 3, "clips_per_class": 0, "processes": 1}
    make_toy(tmp_path, **options, classes_per_video=(1, 3))
    found = read_annotations(tmp_path / "annotations.json", classes=CLASSES).videos
    present = {video: set(item.labels) for video, item in found.items()}
    assert {len(classes) for classes in present.values()} == {1, 2, 3}
    for subset in ("training", "test"):
        held = [present[video] for video, item in found.items() if item.subset == subset]
        assert set().union(*held) == set(CLASSES)
    # Timing is that of the same videos with all classes.
    for i, item in enumerate(found.values()):
        np.testing.assert_allclose(item.segments * FPS, scene(3, i).segments_frames)


def test_the_marker_tells_settings_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw(path: Path, *_: Any) -> None:
        drawn.append(path.stem)
        write_bytes(path, b"drawn")

    monkeypatch.setattr(toy, "write_video", draw)
    options: dict[str, Any] = {"videos": 3, "seed": 3, "clips_per_class": 0, "processes": 1}
    steps: list[tuple[dict[str, Any], int]] = [
        ({}, 3),
        ({"test_fraction": 0.5}, 0),  # says nothing about pixels
        ({"classes_per_video": (1, 3)}, 3),
        ({"classes_per_video": (1, 3)}, 0),
        ({"classes_per_video": (1, 3), "test_fraction": 0.5}, 3),
        ({"classes_per_video": (1, 2), "test_fraction": 0.5}, 3),
        ({}, 3),
    ]
    for more, expected in steps:
        drawn.clear()
        make_toy(tmp_path, **options, **more)
        assert len(drawn) == expected, more


def test_what_is_drawn_is_what_is_annotated(tmp_path: Path) -> None:
    options: dict[str, Any] = {"videos": 1, "clips_per_class": 0, "processes": 1, "seed": 1}
    make_toy(tmp_path, **options, classes_per_video=(1, 1))
    (item,) = read_annotations(tmp_path / "annotations.json", classes=CLASSES).videos.values()
    plan = scene(1, 0, classes=item.labels[:1])
    assert item.labels == plan.labels
    assert len(set(item.labels)) == 1
    shown = list(itertools.islice(frames(tmp_path / "videos" / "toy_0000.mp4"), 20))
    for picture, drawn in zip(shown, render(plan), strict=False):
        assert np.abs(picture.astype(int) - drawn).mean() < 12


def test_without_processes_the_work_is_done_all_the_same(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaking:
        """A pool whose processes do the first of its tasks and die at the second."""

        def __init__(self, *_: Any, **__: Any) -> None:
            self.done = 0

        def submit(self, function: Callable[..., Any], job: Any) -> Future:
            future: Future = Future()
            if self.done:
                future.set_exception(BrokenProcessPool())
            else:
                future.set_result(function(job))
            self.done += 1
            return future

        def shutdown(self, **_: Any) -> None:
            pass

    monkeypatch.setattr(toy, "ProcessPoolExecutor", Breaking)
    counts: list[int] = []
    make_toy(
        tmp_path,
        **{**SMALL, "processes": 2},
        test_fraction=0.5,
        clip_test_fraction=0.5,
        progress=lambda done, total: counts.append(done),
    )
    assert counts == list(range(21))
    assert files(tmp_path) == files(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"videos": 0}, "0 videos were asked for; give 1 or more"),
        ({"videos": -3}, "-3 videos were asked for"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"clips_per_class": -1}, "clips_per_class is -1"),
        ({"test_fraction": 1.5}, "test_fraction is 1.5; give a share from 0 to 1"),
        ({"clip_test_fraction": float("nan")}, "clip_test_fraction is nan"),
        ({"processes": 0}, "processes is 0"),
        ({"classes_per_video": (0, 3)}, "classes per video are 0:3; give LOW:HIGH with 1 <="),
        ({"classes_per_video": (3, 2)}, "classes per video are 3:2"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match=message):
        make_toy(tmp_path / "toy", **{**SMALL, **options})
    assert not (tmp_path / "toy").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AttentadError, match="could not be written"):
        make_toy(tmp_path / "file", **SMALL)
