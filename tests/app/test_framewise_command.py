"""`attentad eval --task framewise`: frame labels of every layout, and what it says about them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attentad.app.evaluate import Outputs, evaluate_and_write
from attentad.core import AttentadError
from attentad.core.formats.frame_sequences import read_frame_sequences

TRUTH = ["cut"] * 4 + ["background"] * 2 + ["mix"] * 4
FOUND = ["cut"] * 3 + ["mix"] + ["cut"] + ["background"] + ["mix"] * 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("truth", "found"):
        (tmp_path / name).mkdir()
    for video in ("rgb-01-1", "rgb-01-2"):
        (tmp_path / "truth" / f"{video}.txt").write_text("\n".join(TRUTH) + "\n")
    (tmp_path / "found" / "rgb-01-1").write_text(
        "### Frame level recognition: ###\n" + " ".join(FOUND)
    )
    return tmp_path


def run(folder: Path, found: str = "found", **options: object) -> dict:
    out = folder / "scores.json"
    files = [folder / found, folder / "truth"]
    evaluate_and_write(files, "framewise", Outputs(json=out), **options)  # type: ignore[arg-type]
    return dict(json.loads(out.read_text()))


def test_predictions_of_ms_tcn_against_its_truth(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = run(folder)
    # See `test_by_hand` of the metrics.
    assert scores["accuracy"] == 0.8
    assert scores["accuracy_without_background"] == 7 / 8
    assert scores["edit"] == 0.5
    assert scores["F1"] == {"0.1": 4 / 6, "0.25": 4 / 6, "0.5": 4 / 6}
    assert scores["videos"]["rgb-01-1"]["false_positives"]["0.5"] == 2
    said = capsys.readouterr()
    assert "F1@10" in said.out
    assert "F1@50" in said.out
    assert "protocol ms-tcn: 10 frames and 2 segments in 1 videos; background: background" in (
        said.out
    )
    assert "1 video of the truth without a prediction left out: rgb-01-2." in said.err
    assert run(folder, background="")["edit"] == 1 - 2 / 5
    assert run(folder, background="background,mix")["edit"] == 1 / 2
    assert run(folder, protocol="ed-tcn", tiou="0.9")["F1"] == {"0.9": 2 / 6}


def test_every_layout_gives_the_same(folder: Path) -> None:
    layouts = folder / "layouts"
    layouts.mkdir()
    (layouts / "lines.txt").write_text("\n".join(TRUTH))
    (layouts / "spans.txt").write_text("1-4 cut\n5-6 background\n7-10 mix\n")
    (layouts / "row").write_text(" ".join(TRUTH) + "\n")
    (layouts / "old.recog").write_text(
        "### Recognized sequence: ###\ncut mix\n### Score: ###\n-1\n"
        "### Frame level recognition: ###\n" + " ".join(TRUTH) + "\n"
    )
    table = "".join(f"{i},{int(x == 'cut')},{int(x == 'mix')}\n" for i, x in enumerate(TRUTH))
    (layouts / "table.csv").write_text("frame,cut,mix\n" + table)
    (layouts / ".hidden.txt").write_text("nothing")
    sequences = read_frame_sequences(layouts)
    assert sorted(sequences) == ["lines", "old", "row", "spans", "table"]
    for labels in sequences.values():
        np.testing.assert_array_equal(labels, TRUTH)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("frame,label\n0,cut\n1,cut\n", "label 1 reads 'frame,label'"),
        ("1-4 cut\n6-9 mix\n", "'6-9 mix' must begin at frame 5"),
        ("1-4 cut\n3-9 mix\n", "'3-9 mix' must begin at frame 5"),
        ("1-99999999999 cut\n", "more frames than a video has"),
        ("### Frame level recognition: ###\n", "no line of labels"),
        ("frame,cut,mix\n0,1,0\n1,1,1\n", r"frame 1 \(from 0\) has several labels"),
    ],
)
def test_other_files_are_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "v.txt"
    path.write_text(text)
    with pytest.raises(AttentadError, match=message) as caught:
        read_frame_sequences(path)
    assert str(path) in str(caught.value)


def test_two_files_of_one_video_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="holds no files of frame labels"):
        read_frame_sequences(tmp_path)
    (tmp_path / "v").write_text("a a")
    (tmp_path / "v.txt").write_text("a\na\n")
    with pytest.raises(AttentadError, match="video v has labels in"):
        read_frame_sequences(tmp_path)
    with pytest.raises(AttentadError, match="missing"):
        read_frame_sequences(tmp_path / "missing")


def test_numbers_are_named_by_a_class_list(folder: Path) -> None:
    classes = folder / "mapping.txt"
    classes.write_text("0 background\n1 cut\n2 mix\n")
    number = {"background": "0", "cut": "1", "mix": "2"}
    (folder / "found" / "rgb-01-1").write_text(" ".join(number[label] for label in FOUND))
    assert run(folder, classes_path=classes)["accuracy"] == 0.8
    assert run(folder)["accuracy"] == 0


def test_what_is_said_and_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "found" / "rgb-01-1").write_text(" ".join([*FOUND[:9], "mixx", "mixx"]))
    (folder / "truth" / "rgb-01-1.txt").write_text("\n".join([*TRUTH[:9], "SIL"]))
    run(folder)
    said = capsys.readouterr().err
    assert "2 frames have a predicted label that the truth never has: mixx (did 'mixx' mean" in said
    assert "1 prediction overhang their video's end by up to 1 frames" in said
    assert "SIL counted as actions; --background leaves such labels out." in said
    run(folder, background="background,SIL")
    assert "counted as actions" not in capsys.readouterr().err
    with pytest.raises(AttentadError, match="has the background 'idle'"):
        run(folder, background="idle")
    with pytest.raises(AttentadError, match="--subset is not for the task framewise"):
        run(folder, subset="test")
    with pytest.raises(AttentadError, match="--gt-set is not for the task framewise"):
        run(folder, ground_truth_set="full")
    with pytest.raises(AttentadError, match="lack a prediction"):
        run(folder, strict=True)
    with pytest.raises(AttentadError, match="--background is for the task framewise"):
        evaluate_and_write([folder, folder], "detection", Outputs(), background="x")
