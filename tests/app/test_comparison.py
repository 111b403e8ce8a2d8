"""Bringing detections of several detectors together, and the page of their runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentad.app.report import detector_names
from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    Timeline,
    VideoAnnotation,
    VideoDetections,
    as_segments,
)
from attentad.core.found import Curve, Found
from attentad.core.names import align_classes
from attentad.models.run import DetectRun, runs_report
from attentad.report import write_page

CLASSES = st.lists(st.sampled_from("abcdef"), unique=True, max_size=6)


def found(labels: list[int], classes: list[str], video: str = "v") -> Detections:
    many = len(labels)
    segments = as_segments([[i, i + 1] for i in range(many)])
    items = VideoDetections(segments, np.arange(many) / 10, np.array(labels, dtype=np.int64))
    return Detections({video: items}, tuple(classes), {"detector": "x"})


@given(st.lists(CLASSES, min_size=1, max_size=3), CLASSES)
def test_every_detection_keeps_its_class(lists: list[list[str]], first: list[str]) -> None:
    given_ = {str(i): found([*range(len(names)), -1], names) for i, names in enumerate(lists)}
    classes, aligned = align_classes(given_, first)
    assert classes[: len(first)] == tuple(first)
    assert len(set(classes)) == len(classes)
    assert set(classes) == {*first, *(name for names in lists for name in names)}
    for key, names in zip(aligned, lists, strict=True):
        assert aligned[key].classes == classes
        items = aligned[key].videos["v"]
        assert [classes[k] for k in items.labels[:-1]] == names
        assert items.labels[-1] == -1
        np.testing.assert_array_equal(items.scores, given_[key].videos["v"].scores)


def test_names_are_the_files_own_unless_given() -> None:
    paths = [Path("runs/a/found.json"), Path("weak.csv")]
    assert detector_names(paths) == ["found", "weak"]
    assert detector_names(paths, ["x", "y"]) == ["x", "y"]
    twins = [Path("runs/a/found.json"), Path("runs/b/found.json")]
    assert detector_names(twins) == ["runs/a/found", "runs/b/found"]


@pytest.mark.parametrize(
    ("paths", "names", "words"),
    [
        (["a.json", "b.json"], ["x"], "1 name for 2 detection files"),
        (["a.json", "b.json"], ["x", "x"], "two detection files are named 'x'; tell them apart"),
        (["a.json", "a.json"], [], "two detection files are named 'a'"),
        (["a.json", "b.json"], ["x", " "], "the name of b.json is empty"),
    ],
)
def test_mistakes_with_names(paths: list[str], names: list[str], words: str) -> None:
    with pytest.raises(AttentadError, match=words):
        detector_names([Path(path) for path in paths], names)


def run_of(detections: Detections, curve: Curve, source: Path | None = None) -> DetectRun:
    return DetectRun(
        {video: Found(items, curves=[curve]) for video, items in detections.videos.items()},
        detections.classes,
        detections.meta,
        dict.fromkeys(detections.videos, source),
        {video: Timeline(8, 1.0, 1.0, 1.0, 8.0) for video in detections.videos},
    )


def read(page: Path) -> dict:
    text = page.read_text(encoding="utf-8")
    match = re.search(r'id="data">(.*?)</script>', text)
    assert match is not None
    return json.loads(match[1])


def test_runs_of_two_detectors_make_one_page(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    time = np.linspace(0, 8, 5)
    gate = Curve("encoder gate over time", time, np.ones(5), "attention")
    attention = Curve("soft attention", time, np.ones(5), "attention")
    start = Curve("start", time, np.ones(5), "boundaries")
    runs = {
        "full": run_of(found([0, 1], ["jump", "run"]), gate),
        "weak": run_of(found([0], ["run", "jump"]), attention, tmp_path / "none.mp4"),
        "late": run_of(found([0], ["walk"], "w"), start),
    }
    truth = VideoAnnotation(as_segments([[0, 1]]), ("jump",))
    evaluation = {"mAP": {"0.5": 0.25}, "average_mAP": 0.25}
    report = runs_report(
        runs,
        "Two",
        annotations=Annotations({"v": truth}, ("jump",)),
        evaluations={"full": evaluation, "weak": evaluation},
        losses={"weak": {"total": [2.0, 1.0]}},
    )
    write_page(page, report)
    data = read(page)
    assert data["classes"] == ["jump", "run", "walk"]
    assert [item["name"] for item in data["detectors"]] == ["full", "weak", "late"]
    first, second = data["videos"]
    assert [item["label"] for item in first["detections"]] == [[1, 0], [1], []]
    assert [item["label"] for item in second["detections"]] == [[], [], [2]]
    curves = [(curve["detector"], curve["kind"]) for curve in first["curves"]]
    assert curves == [(0, "attention"), (1, "attention")]
    assert [(c["detector"], c["kind"]) for c in second["curves"]] == [(2, "boundaries")]
    assert first["duration"] == 8.0
    assert first["media"]["note"] == "The video file none.mp4 was not there."
    assert (first["truth"]["label"], second["truth"]) == ([0], None)
    assert data["losses"] == [{"detector": 1, "terms": {"total": [2.0, 1.0]}}]
    text = page.read_text(encoding="utf-8")
    assert "weak: detector" in text
    assert "<h1>Two</h1>" in text
