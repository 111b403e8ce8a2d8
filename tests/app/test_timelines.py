"""Timelines as figures: what `attentad detect --figures` and `attentad table` draw."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from tests.bench import Bench
from typer.testing import CliRunner

from attentad.cli import app
from attentad.core import (
    Annotations,
    AttentadError,
    Timeline,
    VideoAnnotation,
    VideoDetections,
    as_segments,
    no_detections,
)
from attentad.core.found import Curve, Found
from attentad.models.run import DetectRun, runs_report
from attentad.report import timelines
from attentad.report.timelines import attention_curves, score_curve, write_timelines

FOUND = VideoDetections(
    as_segments([[0, 4], [2, 6], [7, 8]]), np.array([0.9, 0.4, -0.2]), np.array([0, 1, 1])
)
TIME = np.linspace(0, 10, 5)
CURVES = [
    Curve("soft attention", TIME, TIME / 10, "attention"),
    Curve("start", TIME, TIME, "boundaries"),
]


def run_of(*videos: str, found: VideoDetections = FOUND) -> DetectRun:
    return DetectRun(
        dict.fromkeys(videos, Found(found, curves=CURVES)),
        ("jump", "run"),
        {},
        dict.fromkeys(videos),
        {video: Timeline(10, 1.0, 1.0, 1.0, 10.0) for video in videos},
    )


def slow_score(found: VideoDetections, at: float) -> float:
    inside = [
        score
        for (start, end), score in zip(found.segments, found.scores, strict=True)
        if start <= at <= end
    ]
    return max(inside, default=np.nan)


def test_the_score_over_time_is_the_surest_detection_there() -> None:
    rng = np.random.default_rng(0)
    segments = np.sort(rng.uniform(0, 10, (30, 2)), axis=1)[:, :2] * [1.0, 0.6]
    segments = np.sort(segments, axis=1)
    many = VideoDetections(segments, rng.normal(size=30), np.zeros(30, dtype=np.int64))
    for found in (FOUND, many, no_detections()):
        times, score = score_curve(found, 10.0)
        assert (times[0], times[-1]) == (0.0, 10.0)
        np.testing.assert_array_equal(score, [slow_score(found, at) for at in times])


def test_attention_is_chosen_by_kind() -> None:
    curves = [*CURVES, Curve("encoder gate over time", TIME, TIME, "attention")]
    assert list(attention_curves(curves)) == ["soft attention", "encoder gate over time"]


def test_a_figure_for_each_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    original = timelines.timeline_figure

    def spy(tracks: dict, end_sec: float, classes: tuple, curves: dict) -> object:
        rows = {name: [part[1] for part in parts] for name, parts in tracks.items()}
        drawn.append((rows, end_sec, classes, list(curves)))
        return original(tracks, end_sec, classes, curves)

    monkeypatch.setattr(timelines, "timeline_figure", spy)
    truth = VideoAnnotation(as_segments([[0, 4], [8, 9]]), ("jump", "walk"))
    annotations = Annotations({"c": truth}, ("jump",))
    report = runs_report({"": run_of("a/b.mp4", "c")}, annotations=annotations)
    files = write_timelines(report, tmp_path / "f")
    assert [file.name for file in files] == ["a_b.mp4.svg", "c.svg"]
    for file in files:
        ElementTree.parse(file)
    curves = ["detection score", "soft attention"]
    assert drawn[0] == ({"detections": [[0]]}, 10.0, ("jump", "run"), curves)
    rows = {"ground truth": [[0, 2]], "detections": [[0, 1]]}
    assert drawn[1] == (rows, 10.0, ("jump", "run", "walk"), curves)


def test_detect_draws_figures_where_asked(trained: Bench, tmp_path: Path) -> None:
    with np.load(trained.features) as archive:
        np.save(tmp_path / "v00.npy", archive["v00"])
    command = ["detect", str(trained.model), str(tmp_path / "v00.npy")]
    command += ["--out", str(tmp_path / "d.json"), "--figures", str(tmp_path / "f")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert f"figures: 1 in {tmp_path / 'f'}" in done.stdout
    ElementTree.parse(tmp_path / "f" / "v00.svg")


def test_a_video_without_detections_is_drawn(tmp_path: Path) -> None:
    (file,) = write_timelines(runs_report({"": run_of("v", found=no_detections())}), tmp_path)
    assert ElementTree.parse(file).getroot().tag.endswith("svg")


def test_two_videos_of_one_file_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="videos a b and a/b would both be"):
        write_timelines(runs_report({"": run_of("a b", "a/b")}), tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_several_detectors_have_lines_and_curves_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(
        timelines,
        "timeline_figure",
        lambda tracks, _, __, curves: drawn.append((list(tracks), list(curves))),
    )
    monkeypatch.setattr(timelines, "save_figure", lambda *_: None)
    write_timelines(runs_report({"full": run_of("v"), "weak": run_of("v")}), tmp_path)
    curves = ["detection score", "soft attention"]
    assert drawn == [
        (["full", "weak"], [f"{name}: {curve}" for name in ("full", "weak") for curve in curves])
    ]
