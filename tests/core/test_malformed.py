"""Malformed files of every kind that is read: one sentence that says where and what to do."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attentad.core import AttentadError, read_annotations, read_classes, read_detections

GOOD = {"segment": [0, 1], "score": 0.5, "label": "run"}
WHOLE = json.dumps({"results": {"v": [GOOD] * 50}}).encode()
HEADER = b"video,start,end,label,score\n"
LINE = b"video_test_0000004 12.3 15.6 7 0.87\n"
COLUMNS: dict[str, Any] = {
    "video-id": ["v", "w"],
    "t-start": np.array([0.0, 1.0]),
    "t-end": np.array([1.0, 2.0]),
    "label": np.array([0, 1]),
    "score": np.array([0.5, 0.25]),
}


def results(item: object) -> bytes:
    return json.dumps({"results": {"fine": [GOOD], "v": [GOOD, item]}}).encode()


def database(instance: object, **facts: object) -> bytes:
    return json.dumps({"database": {"v": {"annotations": [instance]} | facts}}).encode()


def column(name: str, values: object) -> bytes:
    return pickle.dumps(COLUMNS | {name: values})


def without(name: str) -> bytes:
    return pickle.dumps({key: value for key, value in COLUMNS.items() if key != name})


class Attack:
    def __reduce__(self) -> Any:
        return os.system, ("false",)


# kind → file name, content, what the sentence says after the file's name
DETECTIONS: dict[str, tuple[str, bytes, str]] = {
    "a name of no format": ("d.mat", WHOLE, "let it end in .json"),
    "cut gzip": ("d.json.gz", gzip.compress(WHOLE)[:-9], "could not be read (Compressed file"),
    "gzip in name only": ("d.json.gz", WHOLE, "could not be read (Not a gzipped file"),
    "empty": ("d.json", b"", "is not valid JSON"),
    "cut JSON": ("d.json", WHOLE[:-9], "is not valid JSON"),
    "binary": ("d.json", bytes(range(256)), "is no text in UTF-8 or Windows-1252"),
    "a list at the top": ("d.json", b'[{"results": {}}]', 'it needs a "results" object'),
    "results as a list": ("d.json", b'{"results": [1]}', 'it needs a "results" object'),
    "annotations": ("d.json", b'{"database": {}}', 'it needs a "results" object'),
    "no segment": ("d.json", results({"score": 1}), 'video v: each detection needs "segment"'),
    "no score": ("d.json", results({"segment": [0, 1]}), "video v: each detection needs"),
    "three numbers": ("d.json", results(GOOD | {"segment": [0, 1, 2]}), "video v: each detection"),
    "a number as detection": ("d.json", results(3), "video v: each detection needs"),
    "score text": ("d.json", results(GOOD | {"score": "high"}), "video v: each detection needs"),
    "NaN score": ("d.json", results(GOOD | {"score": float("nan")}), "video v has a score that"),
    "end before start": ("d.json", results(GOOD | {"segment": [3, 1]}), "video v: a segment ends"),
    "no end": ("d.json", results(GOOD | {"segment": [3, None]}), "video v: start 3.0 and end nan"),
    "a video twice": (
        "d.json",
        WHOLE.replace(b'{"v":', b'{"v": ' + json.dumps([GOOD]).encode() + b', "v":'),
        "has 'v' twice",
    ),
    "empty CSV": ("d.csv", b"", "lacks the column 'video'"),
    "CSV without scores": ("d.csv", b"video,start,end,label\nv,0,1,run\n", "the column 'score'"),
    "CSV of other columns": ("d.csv", b"a;b\n1;2\n", "lacks the column 'video'"),
    "CSV with a word": ("d.csv", HEADER + b"v,0,1,run,1\nv,0,x,run,1\n", "line 3: video v: start"),
    "CSV score text": ("d.csv", HEADER + b"v,0,1,run,high\n", "line 2: score 'high' must be"),
    "CSV NaN": ("d.csv", HEADER + b"v,0,1,run,nan\n", "line 2: video v has a score that is not"),
    "CSV infinity": ("d.csv", HEADER + b"v,0,inf,run,1\n", "line 2: video v: start 0.0 and end"),
    "CSV backwards": ("d.csv", HEADER + b'v,2,1,"r\nun",1\n', "line 3: video v: a seg"),
    "CSV cut row": ("d.csv", HEADER + b"v,0,1,run,1\nv,0\n", "line 3: video v: start '0' and end"),
    "CSV without a video": ("d.csv", HEADER + b" ,0,1,run,1\n", "line 2: the video is empty"),
    "CSV quote": ("d.csv", HEADER + b'"' + b"x" * 200_000 + b'",0,1,run,1\n', "line 2 is not CSV"),
    "empty text": ("d.txt", b"\n# nothing\n", "is empty; THUMOS14 detection text"),
    "text of 4 fields": ("d.txt", LINE + b"v 1 2 7\n", "line 2 must read `video start end class"),
    "text of 6 fields": ("d.txt", LINE + b"v w 1 2 7 1\n", "line 2 must read `video start end"),
    "text with a class name": ("d.txt", b"v 1 2 Diving 0.5\n", "line 1: the class must be its"),
    "text with no number": ("d.txt", LINE + b"v 1 two 7 0.5\n", "line 2: video v: start '1' and"),
    "text score": ("d.txt", LINE + b"v 1 2 7 0,5\n", "line 2: score '0,5' must be a number"),
    "text binary": ("d.txt", b"\x80\x04\x95\n", "line 1 must read `video start end class score`"),
    "empty pickle": ("d.pkl", b"", "is no whole pickle"),
    "cut pickle": ("d.pkl", pickle.dumps(COLUMNS)[:-20], "is no whole pickle"),
    "JSON as pickle": ("d.pkl", WHOLE, "is no whole pickle"),
    "code": ("d.pkl", column("more", Attack()), "holds more than plain data and numpy arrays ("),
    "code at the top": ("d.pkl", pickle.dumps(Attack()), "holds more than plain data and numpy"),
    "objects": ("d.pkl", column("score", np.array([None, 1])), "holds more than plain data"),
    "torch.save": ("d.pkl", b"PK\x03\x04rest", "numpy arrays (a PyTorch archive)"),
    "a pickled list": ("d.pkl", pickle.dumps([1, 2]), "is no pickled dict of columns"),
    "no scores": ("d.pkl", without("score"), "lacks the column 'score'"),
    "a number as column": ("d.pkl", column("label", 3), "lacks the column 'label'"),
    "columns that differ": (
        "d.pkl",
        column("label", np.array([1])),
        "differ in length (video 2, start 2, end 2, label 1, score 2)",
    ),
    "text as times": ("d.pkl", column("t-end", ["a", "b"]), "end must hold numbers"),
    "text array as times": ("d.pkl", column("t-end", np.array(["1", "2"])), "end must hold num"),
    "numbers too large": ("d.pkl", column("score", [10**400, 1]), "score must hold numbers"),
    "lists as labels": ("d.pkl", column("label", [[1], [2]]), "label must hold text or whole"),
    "halves as labels": ("d.pkl", column("label", np.array([0.5, 1])), "label must hold text"),
    "bytes as videos": ("d.pkl", column("video-id", [b"\xff", "v"]), "video must hold text"),
    "NaN pickled": ("d.pkl", column("score", [0.5, float("nan")]), "video w has a score that is"),
    "pickled backwards": ("d.pkl", column("t-end", [-1.0, 3.0]), "video v: a segment ends at -1"),
}

ANNOTATIONS: dict[str, tuple[str, bytes, str]] = {
    "a list at the top": ("a.json", b"[]", "is not ActivityNet JSON"),
    "detections": ("a.json", WHOLE, "holds detections"),
    "cut gzip": ("a.json.gz", gzip.compress(database(GOOD))[:-9], "could not be read"),
    "no label": ("a.json", database({"segment": [0, 1]}), 'video v: an annotation needs "label"'),
    "three numbers": ("a.json", database(GOOD | {"segment": [0, 1, 2]}), "video v: an annotation"),
    "backwards": ("a.json", database(GOOD | {"segment": [2, 1]}), "video v: a segment ends at 1"),
    "NaN": ("a.json", database(GOOD | {"segment": [0, float("nan")]}), "video v: start 0.0 and"),
    "no duration": ("a.json", database(GOOD, duration=0), "video v: duration must be a positive"),
    "CSV without a label": ("a.csv", b"video,start,end,label\nv,0,1,\n", "line 2: video v has a"),
    "CSV of another shape": ("a.csv", b"file,from,to\n", "lacks the column 'video'"),
}

CLASS_LISTS: dict[str, tuple[str, bytes, str]] = {
    "a number twice": ("c.txt", b"7 Run\n7 Jump\n", "line 2: the number 7 is 'Run' already"),
    "a name twice": ("c.txt", b"7 Run\n8 Run\n", "line 2: 'Run' is listed twice"),
    "numbers on some": ("c.txt", b"7 Run\nJump\n", "line 2 has no number"),
    "empty": ("c.txt", b" \n", "is empty"),
}

READERS: list[tuple[Callable[[Path], object], dict[str, tuple[str, bytes, str]]]] = [
    (read_detections, DETECTIONS),
    (read_annotations, ANNOTATIONS),
    (read_classes, CLASS_LISTS),
]
CASES = [
    pytest.param(reader, *case, id=f"{reader.__name__}: {kind}")
    for reader, cases in READERS
    for kind, case in cases.items()
]


@pytest.mark.parametrize(("reader", "name", "content", "words"), CASES)
def test_one_sentence(
    tmp_path: Path, reader: Callable[[Path], object], name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AttentadError) as caught:
        reader(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    assert words in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    # One sentence: no full stop but the last, outside names and numbers.
    assert not re.search(r"[a-z)]\. ", sentence), sentence
    # It says what to do, or what the file must hold.
    assert re.search(r"; |needs? |must ", sentence.removeprefix(str(path))), sentence
    assert "Error" not in sentence
    assert len(sentence) < 260 + len(str(path))


@pytest.mark.parametrize("reader", [read_detections, read_annotations, read_classes])
def test_missing_files(tmp_path: Path, reader: Callable[[Path], object]) -> None:
    with pytest.raises(AttentadError, match=r"none\.json does not exist; check the path\."):
        reader(tmp_path / "none.json")
