"""Labels of whole videos: lists of them in CSV and JSON, and from annotated segments."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attentad.core import Annotations, AttentadError, VideoAnnotation
from attentad.core.formats.video_labels import (
    from_annotations,
    holds_video_labels,
    read_video_labels,
    video_labels,
    write_video_labels,
)

LISTED = {"v1": ("dive", "run"), "v2": (), "v3": ("run",)}


def write(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content)
    return path


def test_csv(tmp_path: Path) -> None:
    rows = "video, label\nv1,run\nv1,dive\nv1,run\nv2,\nv3, run \n"
    found = read_video_labels(write(tmp_path, "labels.csv", rows))
    assert found.videos == LISTED
    assert found.classes == ("dive", "run")
    assert found.subsets == {}


def test_json(tmp_path: Path) -> None:
    content = json.dumps({"v1": ["run", "dive", "run"], "v2": [], "v3": ["run"]})
    found = read_video_labels(write(tmp_path, "labels.json", content))
    assert found.videos == LISTED
    assert found.source.endswith("labels.json")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    write_video_labels(path, video_labels(LISTED))
    assert read_video_labels(path).videos == LISTED


def test_subsets(tmp_path: Path) -> None:
    rows = "video,subset,label\nv1,train,run\nv1,,dive\nv2,train,\nv3,test,run\nv4,,run\n"
    found = read_video_labels(write(tmp_path, "labels.csv", rows))
    assert found.subsets == {"v1": "train", "v2": "train", "v3": "test"}


def test_order_is_that_of_the_class_list(tmp_path: Path) -> None:
    path = write(tmp_path, "labels.csv", "video,label\nv,a\nv,c\n")
    found = read_video_labels(path, classes=("c", "b", "a"))
    assert found.videos["v"] == ("c", "a")
    ids = found.label_ids(["v"])["v"]
    assert ids.dtype == np.int64
    assert ids.tolist() == [0, 2]


def test_no_class_and_all_classes() -> None:
    labels = video_labels(LISTED).label_ids(["v2", "v1"])
    assert list(labels) == ["v2", "v1"]
    assert labels["v2"].shape == (0,)
    assert labels["v1"].tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["csv", "json", "database"])
def test_an_unknown_label_names_video_label_file_and_what_was_meant(
    tmp_path: Path, kind: str
) -> None:
    segment = {"label": "high jump", "segment": [0, 1]}
    content = {
        "csv": "video,label\nv7,high jump\n",
        "json": '{"v7": ["high jump"]}',
        "database": json.dumps({"database": {"v7": {"annotations": [segment]}}}),
    }[kind]
    path = write(tmp_path, "labels.csv" if kind == "csv" else "labels.json", content)
    with pytest.raises(AttentadError) as caught:
        read_video_labels(path, classes=("Diving", "HighJump"))
    for part in (str(path), "video v7", "'high jump'", "did you mean 'HighJump'?"):
        assert part in str(caught.value)


def test_a_video_without_an_entry_is_named() -> None:
    labels = video_labels({"video_1": ["run"]}, source="list.csv")
    with pytest.raises(AttentadError, match=r"list\.csv has no entry for video video-1, .*video_1"):
        labels.label_ids(["video-1"])
    with pytest.raises(AttentadError, match="no entry for video other, which is to train;"):
        labels.label_ids(["other"])


def annotated(**labels: tuple[str, ...]) -> Annotations:
    videos = {
        video: VideoAnnotation(np.zeros((len(names), 2)), names, "train" if names else "")
        for video, names in labels.items()
    }
    return Annotations(videos, ("Ambiguous", "run", "dive"))


def test_from_annotations() -> None:
    found = from_annotations(annotated(a=("dive", "run", "dive"), b=("Ambiguous",), c=()))
    assert found.classes == ("run", "dive")
    assert found.videos == {"a": ("run", "dive"), "b": (), "c": ()}
    assert found.subsets == {"a": "train", "b": "train"}
    narrower = from_annotations(annotated(a=("run",)), classes=("run",))
    assert narrower.classes == ("run",)
    with pytest.raises(AttentadError, match="the annotations: video a has the label 'dive'"):
        from_annotations(annotated(a=("dive",)), classes=("run",))


def test_activitynet_json_serves_as_a_list(tmp_path: Path) -> None:
    entry = {"subset": "test", "annotations": [{"label": "run", "segment": [0, 1]}]}
    path = write(tmp_path, "annotations.json", json.dumps({"database": {"v": entry}}))
    found = read_video_labels(path)
    assert found.videos == {"v": ("run",)}
    assert found.subsets == {"v": "test"}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "video,class\nv,run\n", r"a\.csv lacks the column 'label'"),
        ("a.csv", "video,label\n,run\n", r"a\.csv, line 2: the video is empty"),
        ("a.csv", "video,label\n", r"a\.csv lists no videos"),
        ("a.csv", "video,label,subset\nv,a,x\nv,b,y\n", r"line 3: video v is in subset y here"),
        ("a.json", "{}", r"a\.json lists no videos"),
        ("a.json", "[1]", r"a\.json must be a JSON object of video id → list"),
        ("a.json", "{", r"a\.json is not valid JSON"),
        ("a.json", '{"v": "run"}', "video v must have a list of class names, not 'run'"),
        ("a.json", '{"v": [1]}', r"video v must have a list of class names, not '\[1\]'"),
        ("a.json", '{"v": [" "]}', "video v must have a list of class names"),
        ("a.json", '{"v": ["a"], "v": ["b"]}', r"a\.json has 'v' twice"),
    ],
)
def test_broken_lists(tmp_path: Path, name: str, content: str, expected: str) -> None:
    with pytest.raises(AttentadError, match=expected) as caught:
        read_video_labels(write(tmp_path, name, content))
    assert "\n" not in str(caught.value)


def test_a_missing_list(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match=r"none\.csv does not exist"):
        read_video_labels(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("name", "text", "is_list"),
    [
        ("a.csv", "video,label\nv,run\n", True),
        ("a.tsv", "video\tlabel\tcage\nv\trun\tA\n", True),
        ("a.csv", "video,start,end,label\nv,1,2,run\n", False),
        ("a.csv", "video,t_begin,label\nv,1,run\n", False),
        ("a.csv", "video,frame,label\nv,1,run\n", False),
        ("a.json", '{"v": ["run"], "w": []}', True),
        ("a.json", '{"v": [[0, 1]]}', False),
        ("a.json", '{"database": {}}', False),
        ("a.json", "{}", False),
        ("a.json", "no JSON", False),
    ],
)
def test_a_list_of_labels_is_told_from_annotations(
    tmp_path: Path, name: str, text: str, is_list: bool
) -> None:
    (tmp_path / name).write_text(text)
    assert holds_video_labels(tmp_path / name) == is_list
    assert not holds_video_labels(tmp_path)
    assert not holds_video_labels(tmp_path / "missing.csv")
