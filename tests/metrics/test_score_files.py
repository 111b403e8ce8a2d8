"""Recognition score files: what is read, and the sentence for each thing that is wrong."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attentad.core import AttentadError
from attentad.metrics.score_files import read_scores

CSV = "clip,label,jump,run\nc1,run,0.2,0.8\nc2,0,0.6,0.4\n"


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(CSV)
    table = read_scores(tmp_path / "s.csv")
    assert table.clips == ("c1", "c2")
    assert table.classes == ("jump", "run")
    assert table.labels.tolist() == [1, 0]
    assert table.scores.tolist() == [[0.2, 0.8], [0.6, 0.4]]
    assert table.splits is None
    assert not table.multi_label
    assert table.multi_hot().tolist() == [[False, True], [True, False]]


def test_csv_with_splits_blanks_a_byte_order_mark_and_gzip(tmp_path: Path) -> None:
    text = "\ufeffvideo, split, label, run, jump\n\nv1, 1, jump, 0, 1e-3\nv1, 2, jump, 2, -inf\n"
    (tmp_path / "s.csv.gz").write_bytes(gzip.compress(text.encode()))
    table = read_scores(tmp_path / "s.csv.gz")
    assert table.clips == ("v1", "v1")
    assert table.splits == ("1", "2")
    assert table.classes == ("run", "jump")
    assert table.labels.tolist() == [1, 1]
    assert table.scores.tolist() == [[0, 0.001], [2, -np.inf]]


def test_csv_of_several_classes_per_video(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("video,label,a,b,c\nu,a; c,1,2,3\nv,,1,2,3\nw,1,1,2,3\n")
    table = read_scores(tmp_path / "s.csv")
    assert table.multi_label
    expected = [[True, False, True], [False, False, False], [False, True, False]]
    assert table.labels.tolist() == expected
    assert table.multi_hot().tolist() == expected


def test_a_class_name_may_be_a_number_or_hold_a_semicolon(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("clip,label,1,0,x;y\nu,0,1,2,3\nv,x;y,1,2,3\nw,2,1,2,3\n")
    assert read_scores(tmp_path / "s.csv").labels.tolist() == [1, 2, 2]


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_npz(tmp_path: Path) -> None:
    scores = np.array([[1, 2], [4, 3], [5, 6]], dtype=np.float32)
    path = save(tmp_path / "s.npz", scores=scores, labels=np.array([1, 0, 0]))
    table = read_scores(path)
    assert table.classes == ("0", "1")
    assert table.clips == ("0", "1", "2")
    assert table.scores.dtype == np.float64
    assert table.labels.tolist() == [1, 0, 0]
    path = save(
        path,
        scores=scores,
        labels=np.array(["b", "a", "a"]),
        classes=np.array(["a", "b"]),
        split=np.array([1, 1, 2]),
        clips=np.array(["x", "y", "z"]),
    )
    table = read_scores(path)
    assert table.classes == ("a", "b")
    assert table.clips == ("x", "y", "z")
    assert table.splits == ("1", "1", "2")
    assert table.labels.tolist() == [1, 0, 0]
    hot = np.array([[1, 1], [0, 0], [0, 1]])
    table = read_scores(save(path, scores=scores, labels=hot))
    assert table.multi_label
    assert table.labels.tolist() == hot.astype(bool).tolist()


def test_numbers_are_indices_where_classes_have_numbers_for_names(tmp_path: Path) -> None:
    path = save(
        tmp_path / "s.npz", scores=np.eye(2), labels=np.array([0, 1]), classes=np.array(["1", "0"])
    )
    assert read_scores(path).labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.csv is empty"),
        ("a,b\n1,2\n", "lacks the column 'clip'"),
        ("clip,a,b\n1,2,3\n", "lacks the column 'label'"),
        ("clip,label\nc,0\n", "has no class columns"),
        ("clip,label,a\n", "has no clips below its first line"),
        ("clip,label,a,a\nc,0,1,2\n", "has the column 'a' twice"),
        ("clip,label,a,b\nc,a,1\n", "line 2 has 3 fields, but the first line names 4"),
        ("clip,label,a,b\n\nc,a,1,x\n", "line 3: a score is no number .*'x'"),
        ("clip,label,a,b\nc,a,1,nan\n", "clip c has a score that is NaN"),
        ("clip,label,a,b\nc,z,1,2\n", r"line 2: the label 'z' is none of the 2 classes \(a, b\)"),
        ("clip,label,a,b\nc,2,1,2\n", "line 2: the label '2' is none"),
        ("clip,label,a,b\nc,,1,2\n", "line 2: the label '' is none"),
        ("clip,label,a,b\nc,a;z,1,2\n", "line 2: the label 'z' is none"),
    ],
)
def test_malformed_csv(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(AttentadError, match=message) as error:
        read_scores(tmp_path / "s.csv")
    assert "s.csv" in str(error.value)
    assert "\n" not in str(error.value)


S = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": [0, 1]}, "lacks the array `scores`; it holds labels"),
        ({"scores": S}, "lacks the array `labels`; it holds scores"),
        ({"scores": S[0], "labels": [0]}, r"`scores` must be numbers .* shape \(3,\)"),
        ({"scores": S[:0], "labels": []}, r"shape \(0, 3\)"),
        ({"scores": S.astype(str), "labels": [0, 1]}, "`scores` must be numbers"),
        ({"scores": S, "labels": [0]}, r"`labels` must be .* shape \(1,\)"),
        ({"scores": S, "labels": [0.5, 1]}, "`labels` must be .* float64"),
        ({"scores": S, "labels": [0, 3]}, "row 1: the label '3' is none of the 3 classes"),
        ({"scores": S, "labels": [0, -1]}, "row 1: the label '-1' is none"),
        ({"scores": S, "labels": S + 2}, "with a column per class must be 0 or 1"),
        ({"scores": S, "labels": [0, 1], "classes": ["a"]}, r"`classes` must have shape \(3,\)"),
        ({"scores": S, "labels": [0, 1], "split": [1]}, r"`split` must have shape \(2,\)"),
        ({"scores": S * np.nan, "labels": [0, 1]}, "clip 0 has a score that is NaN"),
        ({"scores": S, "labels": np.array([0, "a"], dtype=object)}, "it holds Python objects"),
    ],
)
def test_malformed_npz(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = save(tmp_path / "s.npz", **arrays)
    with pytest.raises(AttentadError, match=message) as error:
        read_scores(path)
    assert "s.npz" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken"])
def test_no_npz_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.npz").write_bytes(content)
    with pytest.raises(AttentadError, match=r"s\.npz could not be read"):
        read_scores(tmp_path / "s.npz")
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "s.npz")
    with pytest.raises(AttentadError, match=r"s\.npz could not be read"):
        read_scores(tmp_path / "s.npz")


def test_a_missing_file(tmp_path: Path) -> None:
    for name in ("s.csv", "s.npz"):
        with pytest.raises(AttentadError, match=f"{name} does not exist"):
            read_scores(tmp_path / name)
