"""Every format that is written reads back as it was, in the steps that it counts in."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    VideoAnnotation,
    VideoDetections,
    as_segments,
    read_annotations,
    write_annotations,
    write_detections,
)
from attentad.core.notes import Note

FPS = 25.0
names = st.text("abcäλ -_.,;'&<>\"", min_size=1, max_size=6).filter(lambda t: t == t.strip(" ."))
# Whole fortieths of a second are whole milliseconds.
ticks = st.integers(0, 40_000).map(lambda tick: tick / 40)
frames = st.integers(0, 2_000).map(lambda frame: frame / FPS)


def rows(item: VideoAnnotation) -> list[tuple[float, float, str]]:
    found = zip(item.segments.tolist(), item.labels, strict=True)
    return sorted((round(start, 6), round(end, 6), label) for (start, end), label in found)


def back(path: Path, annotations: Annotations) -> Annotations:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_annotations(path, annotations)
        return read_annotations(path)


def annotated(instances: list[tuple[float, float, str]], fps: float | None = FPS) -> Annotations:
    segments = as_segments([sorted(instance[:2]) for instance in instances])
    labels = tuple(label for *_, label in instances)
    item = VideoAnnotation(segments, labels, duration_sec=2000.0, fps=fps)
    return Annotations({"v1": item}, tuple(sorted(set(labels))))


@pytest.mark.parametrize("suffix", ["boris", "boris.csv", "eaf", "tsv", "csv", "json"])
@given(st.lists(st.tuples(ticks, ticks, names), max_size=8))
@settings(deadline=None, max_examples=30)
def test_times_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    instances: list[tuple[float, float, str]],
) -> None:
    before = annotated(instances)
    after = back(tmp_path_factory.mktemp("back") / f"v1.{suffix}", before)
    assert list(after.videos) == ["v1"]
    assert rows(after.videos["v1"]) == rows(before.videos["v1"])
    if suffix in ("boris", "tsv", "csv", "json"):
        assert after.videos["v1"].duration_sec == 2000.0
        assert after.videos["v1"].fps == FPS


@given(st.lists(st.tuples(frames, st.integers(1, 200), names), max_size=8))
@settings(deadline=None, max_examples=30)
def test_label_studio_reads_back_in_frames(
    tmp_path_factory: pytest.TempPathFactory, instances: list[tuple[float, int, str]]
) -> None:
    before = annotated([(start, start + length / FPS, label) for start, length, label in instances])
    after = back(tmp_path_factory.mktemp("back") / "v1.label-studio.json", before)
    assert rows(after.videos["v1"]) == rows(before.videos["v1"])
    assert after.videos["v1"].fps == FPS


@given(
    st.dictionaries(
        names.filter(lambda name: "'" not in name),
        st.lists(st.integers(1, 20), min_size=2, max_size=8),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([25.0, 30000 / 1001, 7.5]),
)
@settings(deadline=None, max_examples=30)
def test_frames_read_back_where_instances_of_a_class_do_not_touch(
    tmp_path_factory: pytest.TempPathFactory, lengths: dict[str, list[int]], fps: float
) -> None:
    instances = []
    for label, steps in lengths.items():
        bounds = np.cumsum(steps)
        pairs = zip(bounds[0::2].tolist(), bounds[1::2].tolist(), strict=False)
        instances += [(start / fps, end / fps, label) for start, end in pairs]
    item = VideoAnnotation(
        as_segments([instance[:2] for instance in instances]),
        tuple(label for *_, label in instances),
        duration_sec=200 / fps,
        fps=fps,
    )
    before = Annotations({"v1": item}, tuple(sorted(lengths)))
    after = back(tmp_path_factory.mktemp("back") / "v1.frames.csv", before).videos["v1"]
    assert after.fps == pytest.approx(fps, rel=1e-9)
    assert after.frames == 200
    expected, found = rows(item), rows(after)
    assert [label for *_, label in expected] == [label for *_, label in found]
    for one, other in zip(expected, found, strict=True):
        assert other[:2] == pytest.approx(one[:2], abs=1e-5)


def detections(*items: tuple[float, float, int]) -> VideoDetections:
    labels = np.array([label for *_, label in items], dtype=np.int64)
    return VideoDetections(as_segments([i[:2] for i in items]), np.full(len(items), 0.25), labels)


def test_overlaps_of_a_class_get_lanes(tmp_path: Path) -> None:
    items = detections((1.0, 5.0, 0), (2.0, 3.0, 0), (2.5, 4.0, 0), (3.0, 6.0, 1))
    found = Detections({"v1": items}, ("run", "jump"))
    write_detections(tmp_path / "v1.boris", found)
    project = json.loads((tmp_path / "v1.boris").read_text())
    assert [s["name"] for s in project["subjects_conf"].values()] == ["overlap 2", "overlap 3"]
    events = project["observations"]["v1"]["events"]
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    assert events[0][1:] == ["", "run", "", "score 0.2500"]
    write_detections(tmp_path / "v1.eaf", found)
    text = (tmp_path / "v1.eaf").read_text()
    assert 'TIER_ID="run (3)"' in text
    for name in ("v1.boris", "v1.eaf"):
        assert len(read_annotations(tmp_path / name).videos["v1"].labels) == 4


def test_several_videos_are_one_file_each_or_one_for_all(tmp_path: Path) -> None:
    found = Detections({"a": detections((1, 2, 0)), "b": detections((3, 4, 0))}, ("run",))
    for suffix in ("boris.csv", "eaf", "boris"):
        write_detections(tmp_path / f"found.{suffix}", found)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "found.a.boris.csv",
        "found.a.eaf",
        "found.b.boris.csv",
        "found.b.eaf",
        "found.boris",
    ]
    assert list(read_annotations(tmp_path / "found.boris").videos) == ["a", "b"]


def test_label_studio_gets_scores_and_an_assumed_rate_is_said(tmp_path: Path) -> None:
    found = Detections({"v1": detections((1.0, 2.0, 0))}, ("run",))
    with pytest.warns(Note, match="24 were taken, Label Studio's default"):
        write_detections(tmp_path / "f.label-studio.json", found)
    (task,) = json.loads((tmp_path / "f.label-studio.json").read_text())
    (result,) = task["predictions"][0]["result"]
    assert result["value"] == {"ranges": [{"start": 25, "end": 48}], "timelinelabels": ["run"]}
    assert result["score"] == 0.25


def test_frames_say_what_they_lose_and_need_a_rate(tmp_path: Path) -> None:
    path = tmp_path / "f.frames.csv"
    touching = [(0.0, 1.0, "run"), (1.0, 2.0, "run"), (3.001, 3.002, "jump")]
    with pytest.warns(Note, match="3 instances of video v1 are 1 in frames"):
        write_annotations(path, annotated(touching))
    with pytest.raises(AttentadError, match="nothing says how many frames a second video v1 has"):
        write_annotations(path, annotated(touching, fps=None))
    with pytest.raises(AttentadError, match="the label 'frame' cannot be a column"):
        write_annotations(path, annotated([(0.0, 1.0, "frame")]))


def test_a_label_that_xml_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="XML cannot hold the text"):
        write_annotations(tmp_path / "v1.eaf", annotated([(0.0, 1.0, "a\x01b")]))
    assert not list(tmp_path.iterdir())
