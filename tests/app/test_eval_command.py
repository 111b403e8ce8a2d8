"""`attentad eval`: several files, other tasks, tables and figures; and `attentad.evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import attentad
from attentad.cli import app
from attentad.core import AttentadError
from attentad.metrics.evaluate import compare_files

VIDEOS = {"a": [(0.0, 10.0, "run"), (20.0, 30.0, "jump")], "b": [(5.0, 9.0, "run")], "c": []}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    database = {
        video: {
            "subset": "test",
            "duration": 40.0,
            "annotations": [{"segment": [s, e], "label": name} for s, e, name in items],
        }
        for video, items in VIDEOS.items()
    }
    (tmp_path / "truth.json").write_text(json.dumps({"database": database}))
    right = {
        f"v_{video}": [{"segment": [s, e], "label": n, "score": 0.9} for s, e, n in items]
        for video, items in VIDEOS.items()
    }
    (tmp_path / "right.json").write_text(json.dumps({"results": right}))
    rows = ["video,start,end,label,score", "a,0,10,run,.9", "a,20,30,Jump,.8", "b,0,40,run,.7"]
    (tmp_path / "other.csv").write_text("\n".join(rows))
    return tmp_path


def run(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, ["eval", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_files_side_by_side_with_intervals(folder: Path) -> None:
    said = run(
        folder / "right.json",
        folder / "other.csv",
        folder / "truth.json",
        *("--tiou", "0.5", "--bootstrap", "50", "--per-class"),
        *("--json", folder / "out.json", "--table", folder / "t.md", "--table", folder / "t.tex"),
        *("--table", folder / "t.csv", "--class-table", folder / "classes.csv"),
    )
    content = json.loads((folder / "out.json").read_text())
    assert content["results"]["right"]["average_mAP"] == 1.0
    # `other` finds one run of two first, and misspells jump.
    assert content["results"]["other"]["average_mAP"] == pytest.approx(0.25)
    assert content["bootstrap"]["samples"] == 50
    assert "right: 3 video ids were matched" in said
    assert "did 'Jump' mean 'jump'?" in said
    rows = (folder / "t.csv").read_text().splitlines()
    assert rows[0] == "mAP %,0.5,average,95 % interval,difference,its 95 % interval"
    assert rows[1].startswith("right,100.00,100.00,")
    assert rows[2].startswith("other,25.00,25.00,")
    assert ",-75.00," in rows[2]
    assert "protocol activitynet" in (folder / "t.md").read_text()
    assert r"\toprule" in (folder / "t.tex").read_text()
    assert (folder / "classes.csv").read_text().splitlines() == [
        "average AP %,instances,right,other",
        "jump,1,100.00,0.00",
        "run,2,100.00,50.00",
    ]


def test_one_file_gives_the_plain_result(folder: Path) -> None:
    run(folder / "right.json", folder / "truth.json", "--json", folder / "one.json")
    content = json.loads((folder / "one.json").read_text())
    assert content["protocol"] == "activitynet"
    assert content["tiou"][0] == 0.5  # the protocol's own thresholds
    assert len(content["tiou"]) == 10
    assert content["detections"]["renamed_videos"] == 3


def test_proposals_of_two_methods(folder: Path) -> None:
    said = run(
        *(folder / "right.json", folder / "other.csv", folder / "truth.json"),
        *("--task", "proposals", "--json", folder / "ar.json", "--figures", folder / "figures"),
    )
    content = json.loads((folder / "ar.json").read_text())["results"]
    assert content["right"]["AR"]["100"] == 1.0
    assert content["other"]["AR"]["100"] < 1.0
    assert "AUC" in said
    assert (folder / "figures" / "average-recall.svg").read_text().lstrip().startswith("<?xml")


def test_annotated_videos_and_classes_without_a_detection_are_named(folder: Path) -> None:
    (folder / "half.csv").write_text("video,start,end,label,score\na,0,10,run,.9\n")
    files = (folder / "half.csv", folder / "truth.json")
    said = run(*files)
    assert "1 of 2 annotated videos (b) have no detection" in said
    assert "1 annotated class has no detection: jump." in said
    assert "(b) have no detection" in run(*files, "--task", "proposals")
    for more in ([], ["--task", "proposals"]):
        done = CliRunner().invoke(app, ["eval", *map(str, files), "--strict", *more])
        assert done.exit_code == 2
        assert "1 of 2 annotated videos with an instance have no detection: b" in done.stderr


def test_recognition_scores(folder: Path) -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    np.savez(folder / "s.npz", scores=scores, labels=np.array([0, 1, 1]))
    said = run(folder / "s.npz", "--task", "recognition", "--json", folder / "r.json")
    assert json.loads((folder / "r.json").read_text())["top1"] == pytest.approx(2 / 3)
    assert "66.67" in said


def test_figures_and_page(folder: Path) -> None:
    run(
        *(folder / "right.json", folder / "truth.json", "--tiou", "0.5,0.75"),
        *("--figures", folder / "figures", "--page", folder / "page.html"),
    )
    names = sorted(path.name for path in (folder / "figures").iterdir())
    assert names == [
        f"precision-recall-at-tiou-{t}.{s}" for t in ("0.5", "0.75") for s in ("png", "svg")
    ]
    page = (folder / "page.html").read_text()
    assert page.count("data:image/svg+xml") == 2
    assert "protocol activitynet: 3 instances of 2 classes in 3 videos" in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["right.json"], "stands alone: give the detections, then the annotations"),
        (["right.json", "truth.json", "--task", "pose"], "there is no task 'pose'"),
        (["right.json", "truth.json", "--table", "t.xls"], "a table ends in one of .csv, .md"),
        (["right.json", "right.json", "truth.json"], "is given twice"),
        (["right.json", "truth.json", "--gt-set", "x"], "no ground-truth set 'x'"),
        (["right.json", "truth.json", "--blocked", "none.txt"], "none.txt does not exist"),
        (["right.json", "truth.json", "--classes", "none.txt"], "none.txt does not exist"),
        (["other.csv", "truth.json", "--strict"], "has no class 'Jump'"),
        (
            ["right.json", "truth.json", "--task", "proposals", "--class-table", "c.csv"],
            "--class-table is for the task detection",
        ),
    ],
)
def test_a_mistake_gives_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    done = CliRunner().invoke(app, ["eval", *arguments])
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_evaluate_inside_a_training_loop() -> None:
    truth = {v: [{"segment": x[:2], "label": x[2]} for x in items] for v, items in VIDEOS.items()}
    found = {
        "a": {
            "segments": torch.tensor([[0.0, 10.0], [20.0, 30.0]]),
            "scores": torch.tensor([0.9, 0.8], requires_grad=True),
            "labels": torch.tensor([1, 0]),
        },
        "b": (np.array([[5.0, 9.0]]), np.array([0.7]), np.array([1])),
    }
    result = attentad.evaluate(found, truth, tiou="0.5:0.9:0.1", classes=["jump", "run"])
    assert result.average_map == 1.0
    assert result.classes == ("jump", "run")
    assert attentad.evaluate(found, truth, classes=["run", "jump"], tiou=[0.5]).average_map == 0.0
    with pytest.raises(AttributeError, match="no attribute 'evaluation'"):
        _ = attentad.evaluation


def test_evaluate_reads_files_too(folder: Path) -> None:
    result = attentad.evaluate(folder / "right.json", folder / "truth.json", protocol="thumos14")
    assert result.tiou == (0.3, 0.39999999999999997, 0.5, 0.6, 0.7)
    assert result.average_map == 1.0


def test_files_of_one_name_keep_apart(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "right.json").write_text((folder / "right.json").read_text())
    paths = [folder / "right.json", folder / "sub" / "right.json"]
    compared = compare_files(paths, folder / "truth.json")
    assert list(compared.results) == [str(path) for path in paths]
    with pytest.raises(AttentadError, match="given twice"):
        compare_files([paths[0], paths[0]], folder / "truth.json")
