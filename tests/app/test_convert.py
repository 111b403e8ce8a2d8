"""`attentad convert`: what it writes, what it says, and how it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.wtalc_files import Release
from typer.testing import CliRunner

from attentad.app.convert import convert_file, convert_wtalc
from attentad.cli import app
from attentad.core import AttentadError, read_annotations
from attentad.core.formats.video_labels import read_video_labels
from attentad.data.features import open_features

VIDEOS = ("video_val_1", "video_val_2", "video_test_3", "video_test_4")


def tree(folder: Path) -> dict[str, bytes]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_what_is_written_is_what_was_released(tmp_path: Path) -> None:
    release = Release()
    out = tmp_path / "out"
    found = convert_wtalc(release.write(tmp_path / "in"), out)
    store = open_features(out / "features")
    assert sorted(store.readers) == sorted(VIDEOS)
    for video, features in zip(VIDEOS, release.features, strict=True):
        np.testing.assert_array_equal(store.load(video), features)
    sidecar = store.sidecar("video_val_2")
    assert sidecar is not None
    timeline = sidecar.timeline(25)
    assert timeline.duration_sec == 16.2
    np.testing.assert_allclose(timeline.seconds(np.array([0, 1, 25])), [0, 0.64, 16])
    assert sidecar.encoder["release"] == "Thumos14reduced-I3D-JOINTFeatures.npy"
    annotations = read_annotations(out / "annotations.json", keep_ambiguous=True)
    assert tuple(annotations.videos) == VIDEOS
    assert annotations.classes == ("Ambiguous", "dive", "run")
    assert annotations.videos["video_test_3"].labels == ("run", "Ambiguous", "Ambiguous")
    assert annotations.videos["video_val_1"].duration_sec == 6.5
    assert list(annotations.subset("validation").videos) == list(VIDEOS[:2])
    labels = read_video_labels(out / "video_labels.json")
    assert list(labels.videos.values()) == [("run",), ("dive", "run"), ("dive",), ()]
    assert found.lines == (
        "Thumos14reduced: 4 videos (2 test, 2 validation), 2 classes, 4 instances, 2 Ambiguous "
        "segments",
        "features: 6 channels, 3 to 40 snippets of 16 frames at 25 per second",
        "video labels: labels_all; in 1 of 4 videos (1 test) labels_all are not those of the "
        "segments: video_test_3",
    )
    assert len(found.notes) == 2


def test_labels_from_segments(tmp_path: Path) -> None:
    folder = Release(name="ActivityNet1.2", training="training").write(tmp_path / "in")
    found = convert_wtalc(folder, tmp_path / "out", labels="from_segments")
    labels = read_video_labels(tmp_path / "out" / "video_labels.json")
    assert labels.videos["video_test_3"] == ("run",)
    assert "video labels: from_segments; in 1 of 4 videos" in found.lines[-1]
    annotations = read_annotations(tmp_path / "out" / "annotations.json")
    assert list(annotations.subset("training").videos) == list(VIDEOS[:2])
    with pytest.raises(
        AttentadError, match="cannot come from 'both'; choose one of labels_all, fr"
    ):
        convert_wtalc(folder, tmp_path / "out", labels="both")  # type: ignore[arg-type]


def test_labels_that_agree(tmp_path: Path) -> None:
    release = Release()
    release.arrays["labels_all"] = release.arrays["labels"]
    found = convert_wtalc(release.write(tmp_path / "in"), tmp_path / "out")
    assert found.lines[-1] == (
        "video labels: labels_all; those of labels_all and of the segments agree"
    )


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folder, out = Release().write(tmp_path / "in"), tmp_path / "out"

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_wtalc(folder, out, progress=stop)
    assert sorted(tree(out)) == [
        f"features/{video}{suffix}" for video in VIDEOS[:2] for suffix in (".json", ".npy")
    ]
    first = out / "features" / "video_val_1.npy"
    written = first.stat().st_mtime_ns
    (out / "features" / "video_val_2.json").write_text("{")  # damaged
    steps: list[tuple[int, int]] = []
    found = convert_wtalc(folder, out, progress=lambda done, total: steps.append((done, total)))
    assert first.stat().st_mtime_ns == written
    assert "1 of 4 feature files were there already" in found.lines
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    convert_wtalc(folder, tmp_path / "again")
    assert tree(out) == tree(tmp_path / "again")


@pytest.mark.parametrize("change", ["length", "file"])
def test_files_of_another_release_are_replaced(tmp_path: Path, change: str) -> None:
    out = tmp_path / "out"
    convert_wtalc(Release().write(tmp_path / "in"), out)
    release = Release()
    if change == "length":  # as large a file, other shapes
        release.features[0], release.features[1] = release.features[1], release.features[0]
    else:
        release.features[2] = np.ones((39, 6), np.float32)
    convert_wtalc(release.write(tmp_path / "other"), out)
    convert_wtalc(tmp_path / "other", tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")


def test_bad_input_leaves_no_annotations(tmp_path: Path) -> None:
    release = Release()
    release.features[2][0, 0] = np.inf
    with pytest.raises(AttentadError, match="video video_test_3 hold NaN or infinity"):
        convert_wtalc(release.write(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out" / "annotations.json").exists()
    assert not list((tmp_path / "out").rglob(".*"))
    release = Release(arrays={"classlist": np.array([b"run"])})
    with pytest.raises(AttentadError, match="has the label 'dive'"):
        convert_wtalc(release.write(tmp_path / "other"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_output_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(AttentadError, match="could not be written"):
        convert_wtalc(Release().write(tmp_path / "in"), tmp_path / "out")


def test_an_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="no layout 'anet'; choose one of auto, wtalc, thum"):
        convert_file("anet", tmp_path, tmp_path / "a.json")


def test_the_command(tmp_path: Path) -> None:
    folder = Release(protocol=2).write(tmp_path / "in")
    run = CliRunner().invoke(app, ["convert", "wtalc", str(folder), str(tmp_path / "out")])
    assert run.exit_code == 0, run.output
    assert "4 videos (2 test, 2 validation)" in run.output
    assert "warning: 1 video without a label in labels_all: video_test_4." in run.output
    labels = json.loads((tmp_path / "out" / "video_labels.json").read_text())
    assert labels["video_test_3"] == ["dive"]
    again = ["convert", "wtalc", str(folder), str(tmp_path / "out"), "--labels", "from_segments"]
    assert CliRunner().invoke(app, again).exit_code == 0
    labels = json.loads((tmp_path / "out" / "video_labels.json").read_text())
    assert labels["video_test_3"] == ["run"]


def test_the_command_tells_a_mistake_in_a_sentence(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["convert", "wtalc", str(tmp_path), str(tmp_path / "out")])
    assert run.exit_code == 2
    assert run.output.startswith("error: ")
    assert run.output.count("\n") == 1


TABLE = "video,start,end,label,subset\nv1,1,4,run,training\nv2,2,3,jump,test\n"


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def test_annotations_of_any_layout_become_ours(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TABLE.replace(",", ";"))
    run = command("auto", tmp_path / "a.csv", tmp_path / "a.json")
    assert run.exit_code == 0, run.output
    assert run.output == f"{tmp_path / 'a.json'}: 2 videos, 2 instances of 2 classes\n"
    found = read_annotations(tmp_path / "a.json")
    assert list(found.subset("training").videos) == ["v1"]


def test_frames_are_counted_at_the_rate_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "v1.txt").write_text("run\n" * 20)
    out = tmp_path / "a.json"
    assert "--fps" in command("frame-labels", tmp_path / "v1.txt", out).output
    assert not out.exists()
    assert command("frame-labels", tmp_path / "v1.txt", out, "--fps", "10").exit_code == 0
    assert read_annotations(out).videos["v1"].segments.tolist() == [[0.0, 2.0]]


def test_what_is_assumed_or_lost_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TABLE.replace("run", "Gerät").encode("cp1252"))
    run = command("csv", tmp_path / "a.csv", tmp_path / "a.boris")
    assert run.output.count("it was read as Windows-1252") == 1
    assert "warning: " in run.output
    assert "a.boris has no place for subsets; test, training are not in it." in run.output
    assert "Gerät" in read_annotations(tmp_path / "a.boris").classes


def test_detections_become_files_of_other_programs(tmp_path: Path) -> None:
    found = {"results": {"v1": [{"label": "run", "score": 0.5, "segment": [1, 4]}]}}
    (tmp_path / "found.json").write_text(json.dumps(found))
    run = command("auto", tmp_path / "found.json", tmp_path / "v1.frames.csv", "--fps", "2")
    assert "1 detections in 1 video" in run.output
    assert "frames have no scores" in run.output
    assert (tmp_path / "v1.frames.csv").read_text().splitlines()[:4] == [
        *("frame,seconds,run", "0,0.0,0", "1,0.5,0", "2,1.0,1")
    ]
    command("detections", tmp_path / "found.json", tmp_path / "found.csv")
    back = command("auto", tmp_path / "found.csv", tmp_path / "back.json")
    assert "1 detections in 1 video" in back.output
    assert json.loads((tmp_path / "back.json").read_text())["results"] == found["results"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("anet", "a.csv", "a.json"), "no layout 'anet'"),
        (("elan", "a.csv", "a.json"), "is not laid out as elan"),
        (("auto", "a.csv", "a.mat"), "has a name that tells no format; let it end in .json"),
        (("auto", "a.csv", "a.csv"), "is the file to convert"),
        (("auto", "a.csv", "b.json", "--fps", "0"), "--fps must be a positive number"),
        (("auto", "none.csv", "b.json"), "does not exist"),
        (("wtalc", ".", "out", "--fps", "25"), "wtalc has a frame rate of its own"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(TABLE)
    run = command(*arguments)
    assert run.exit_code == 2
    assert words in run.output
    assert run.output.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_other_commands_tell_notes_too(tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_bytes("video,start,end,label\nv1,1,4,Gerät\n".encode("cp1252"))
    found = {"results": {"v1": [{"label": "Gerät", "score": 0.5, "segment": [1, 4]}]}}
    (tmp_path / "found.json").write_text(json.dumps(found))
    for arguments in (
        ["eval", tmp_path / "found.json", truth],
        ["check", "--features", tmp_path, "--annotations", truth],
        ["report", tmp_path / "found.json", "--annotations", truth, "--out", tmp_path / "p.html"],
    ):
        run = CliRunner().invoke(app, list(map(str, arguments)))
        assert run.output.count("it was read as Windows-1252") == 1, run.output
        assert "Note:" not in run.output
