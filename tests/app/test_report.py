"""`attentad report`: files in, one page out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from attentad.app.report import match_videos, report_files
from attentad.cli import app
from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    VideoAnnotation,
    VideoDetections,
    as_segments,
    no_detections,
    write_annotations,
    write_detections,
)
from attentad.training.logs import loss_curves
from attentad.video import write_video


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with detections of three videos, ground truth of two, and a file of one."""
    found = VideoDetections(as_segments([[1, 3], [5, 6]]), np.array([0.9, 0.2]), np.array([0, 1]))
    videos = {"one": found, "two": no_detections(), "three": found}
    meta = {"model": "m.safetensors", "attention": {"encoder": "csa"}}
    write_detections(tmp_path / "detections.json", Detections(videos, ("jump", "run"), meta))
    truths = {
        "one": VideoAnnotation(as_segments([[1, 3]]), ("jump",), "test", 8.0),
        "two": VideoAnnotation(as_segments([[0, 2]]), ("walk",), "test", 9.0),
        "other": VideoAnnotation(as_segments([[0, 2]]), ("walk",), "training", 9.0),
    }
    write_annotations(tmp_path / "truth.json", Annotations(truths, ("jump", "run", "walk")))
    (tmp_path / "videos").mkdir()
    frames = [np.full((32, 32, 3), value, dtype=np.uint8) for value in range(0, 200, 4)]
    write_video(tmp_path / "videos" / "v_one.mp4", frames, 10.0)
    return tmp_path


def data(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found is not None
    return json.loads(found[1])


def test_detections_alone_make_a_page(files: Path) -> None:
    report_files([files / "detections.json"], out=files / "page.html")
    page = data(files / "page.html")
    assert [video["id"] for video in page["videos"]] == ["one", "two", "three"]
    assert page["videos"][0]["truth"] is None
    assert page["videos"][0]["duration"] == 6.0
    assert page["videos"][0]["media"]["kind"] == "none"


def test_ground_truth_videos_and_log_join_in(files: Path) -> None:
    rows = [{"epoch": 1, "lr": 0.1, "total": 2.0, "val_mAP": 0.1, "seconds": 3}, {"total": None}]
    (files / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = report_files(
        [files / "detections.json"],
        out=files / "page.html",
        annotations=files / "truth.json",
        videos=files / "videos",
        logs=[files / "log.jsonl"],
        title="Mine",
    )
    page = data(files / "page.html")
    assert page["classes"] == ["jump", "walk", "run"]
    one, two, three = page["videos"]
    assert one["media"]["kind"] == "embedded"
    assert one["duration"] == 5.0  # the file's own, not the annotation's
    assert one["detections"][0]["foundBy"] == [0]
    assert two["duration"] == 9.0
    assert three["truth"] is None
    assert page["losses"] == [
        {"detector": 0, "terms": {"total": [2.0, None], "val_mAP": [0.1, None]}}
    ]
    assert list(report.evaluations) == ["detections"]
    assert report.evaluations["detections"]["ground_truth"]["videos"] == 2
    assert report.evaluations["detections"]["average_mAP"] == pytest.approx(0.5)
    assert report.facts["attention"] == "encoder: csa"
    assert report.title == "Mine"


@pytest.fixture
def weak(files: Path) -> Path:
    """Another detector's file: the classes in another order, one of its own, other videos."""
    found = VideoDetections(
        as_segments([[5, 6], [1, 3], [2, 3]]), np.array([2.5, -0.5, -1.5]), np.array([2, 1, 0])
    )
    videos = {"four": found, "one": found}
    path = files / "weak.json"
    write_detections(path, Detections(videos, ("hop", "jump", "run"), {"detector": "hamnet"}))
    return path


def test_several_files_share_classes_videos_and_one_table(files: Path, weak: Path) -> None:
    for name, total in (("a", 2.0), ("b", 3.0)):
        (files / f"{name}.jsonl").write_text(json.dumps({"epoch": 1, "total": total}) + "\n")
    report = report_files(
        [files / "detections.json", weak],
        out=files / "page.html",
        names=["full", "weak"],
        annotations=files / "truth.json",
        videos=files / "videos",
        logs=[files / "a.jsonl", files / "b.jsonl"],
    )
    page = data(files / "page.html")
    assert page["classes"] == ["jump", "walk", "run", "hop"]
    assert [video["id"] for video in page["videos"]] == ["one", "two", "three", "four"]
    assert [detector["name"] for detector in page["detectors"]] == ["full", "weak"]
    full, other = page["videos"][0]["detections"]
    assert (full["label"], other["label"]) == ([0, 2], [2, 0, 3])
    assert (full["foundBy"], other["foundBy"]) == ([0], [1])
    assert page["videos"][3]["detections"][0]["label"] == []
    assert page["videos"][0]["media"]["kind"] == "embedded"
    assert page["losses"] == [
        {"detector": 0, "terms": {"total": [2.0]}},
        {"detector": 1, "terms": {"total": [3.0]}},
    ]
    assert report.title == "Detections of full and weak"
    # Both are scored on `one` and `two`, although one of the files lacks `two`.
    averages = {name: item["average_mAP"] for name, item in report.evaluations.items()}
    assert averages == {"full": pytest.approx(0.5), "weak": pytest.approx(0.5)}
    assert [e["ground_truth"]["videos"] for e in report.evaluations.values()] == [2, 2]
    assert report.facts["weak: detector"] == "hamnet"
    assert report.facts["full: attention"] == "encoder: csa"
    assert report.facts["weak: training log"].endswith("b.jsonl")


def test_the_command_takes_several_files(files: Path, weak: Path) -> None:
    page = files / "page.html"
    command = ["report", str(files / "detections.json"), str(weak), "--out", str(page)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert [detector["name"] for detector in data(page)["detectors"]] == ["detections", "weak"]
    done = CliRunner().invoke(app, [*command, "--name", "x", "--name", "y"])
    assert done.exit_code == 0, done.output
    assert [detector["name"] for detector in data(page)["detectors"]] == ["x", "y"]
    done = CliRunner().invoke(app, [*command, "--name", "x"])
    assert done.exit_code == 2
    assert "1 name for 2 detection files" in done.stderr


def test_as_many_logs_as_files(files: Path, weak: Path) -> None:
    with pytest.raises(AttentadError, match="1 training log for 2 detection files"):
        report_files(
            [files / "detections.json", weak], out=files / "p.html", logs=[files / "log.jsonl"]
        )
    with pytest.raises(AttentadError, match="needs a detection file"):
        report_files([], out=files / "p.html")
    assert not (files / "p.html").exists()


def test_ground_truth_under_ids_that_only_look_different(files: Path) -> None:
    truth = {"clips/one.mp4": VideoAnnotation(as_segments([[1, 3]]), ("jump",), "test", 8.0)}
    write_annotations(files / "named.json", Annotations(truth, ("jump",)))
    report_files(
        [files / "detections.json"],
        out=files / "page.html",
        annotations=files / "named.json",
        videos=files / "videos",
    )
    first = data(files / "page.html")["videos"][0]
    assert first["id"] == "clips/one.mp4"
    assert first["truth"]["start"] == [1.0]
    assert first["media"]["kind"] == "embedded"


def test_ground_truth_of_other_videos_makes_no_table(files: Path) -> None:
    truth = {"other": VideoAnnotation(as_segments([[0, 2]]), ("walk",))}
    write_annotations(files / "other.json", Annotations(truth, ("walk",)))
    report = report_files(
        [files / "detections.json"], out=files / "page.html", annotations=files / "other.json"
    )
    assert report.evaluations == {}


def test_a_broken_video_is_only_a_note(files: Path) -> None:
    (files / "videos" / "two.mp4").write_bytes(b"nothing")
    report_files([files / "detections.json"], out=files / "p.html", videos=files / "videos")
    assert "could not be opened" in data(files / "p.html")["videos"][1]["media"]["note"]


def test_files_are_matched_by_name_stem_or_path(tmp_path: Path) -> None:
    names = ["a.avi", "a.mp4", "b.mov", "deep/c.mp4", "deep/b.mp4", "v_d.webm", "notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    wanted = ["a", "b", "b.mov", "deep/b", "c", "deep/c.mp4", "d", "a.avi", "notes", "none"]
    matched = match_videos(tmp_path, wanted, "detections.json")
    assert {name: path.relative_to(tmp_path).as_posix() for name, path in matched.items()} == {
        "a": "a.mp4",
        "b": "b.mov",
        "b.mov": "b.mov",
        "deep/b": "deep/b.mp4",
        "c": "deep/c.mp4",
        "deep/c.mp4": "deep/c.mp4",
        "d": "v_d.webm",
        "a.avi": "a.avi",
    }


def test_user_errors_name_what_to_do(files: Path) -> None:
    run = {"out": files / "page.html"}
    with pytest.raises(AttentadError, match="nowhere is not a folder"):
        report_files([files / "detections.json"], videos=files / "nowhere", **run)
    (files / "empty").mkdir()
    with pytest.raises(AttentadError, match=r"must be named one\.mp4"):
        report_files([files / "detections.json"], videos=files / "empty", **run)
    with pytest.raises(AttentadError, match="does not exist"):
        report_files([files / "nothing.json"], **run)
    with pytest.raises(AttentadError, match="does not exist"):
        report_files([files / "detections.json"], logs=[files / "no.jsonl"], **run)
    assert not (files / "page.html").exists()


def test_loss_curves_leave_out_what_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"epoch": 1, "lr": 1, "total": 2, "seconds": 3}\n')
    assert loss_curves(tmp_path / "log.jsonl") == {"total": [2.0]}


def test_no_torch_is_loaded(files: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from attentad.app.report import report_files;"
        f"report_files([Path({str(files / 'detections.json')!r})], out={str(files / 'p.html')!r},"
        f" annotations={str(files / 'truth.json')!r}, videos={str(files / 'videos')!r});"
        "assert 'torch' not in sys.modules and 'lightning_fabric' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_real_annotations(tmp_path: Path) -> None:
    truth = Path(__file__).parents[2] / "../shared/data/thumos14/annotations.json"
    if not truth.exists():
        pytest.skip("THUMOS14 annotations are not here (../shared/data/thumos14)")
    database = json.loads(truth.read_text())["database"]
    chosen = [name for name, item in database.items() if item["subset"] == "test"][:20]
    results = {
        name: [
            {"label": item["label"], "score": 0.5, "segment": item["segment"]}
            for item in database[name]["annotations"]
            if item["label"] != "Ambiguous"
        ]
        for name in chosen
    }
    (tmp_path / "detections.json").write_text(json.dumps({"results": results}))
    report = report_files(
        [tmp_path / "detections.json"], out=tmp_path / "p.html", annotations=truth
    )
    assert report.evaluations["detections"]["average_mAP"] == pytest.approx(1.0)


def test_page_moves_with_its_folder(files: Path, tmp_path: Path) -> None:
    report_files(
        [files / "detections.json"],
        out=files / "page.html",
        videos=files / "videos",
        embed_limit_bytes=0,
    )
    media = data(files / "page.html")["videos"][0]["media"]
    assert (media["kind"], media["href"]) == ("linked", "videos/v_one.mp4")
    moved = Path(shutil.copytree(files, tmp_path / "moved", ignore=lambda *_: ["moved"]))
    assert (moved / media["href"]).exists()
