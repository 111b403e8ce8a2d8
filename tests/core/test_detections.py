"""Detection readers and writers: JSON and CSV both ways, WebVTT and BORIS out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import (
    AttentadError,
    Detections,
    VideoDetections,
    as_segments,
    no_detections,
    read_detections,
    write_detections,
)
from attentad.core.formats.detections import detection_files

CLASSES = ("walk", "run", "jump high")
finite = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def one_video(draw: st.DrawFn) -> VideoDetections:
    rows = draw(
        st.lists(st.tuples(finite, finite, finite, st.integers(0, len(CLASSES) - 1)), max_size=5)
    )
    return VideoDetections(
        as_segments([sorted(row[:2]) for row in rows]),
        np.array([row[2] for row in rows], dtype=np.float64),
        np.array([row[3] for row in rows], dtype=np.int64),
    )


def assert_same(a: VideoDetections, b: VideoDetections) -> None:
    np.testing.assert_array_equal(a.segments, b.segments)
    np.testing.assert_array_equal(a.scores, b.scores)
    np.testing.assert_array_equal(a.labels, b.labels)
    assert b.labels.dtype == np.int64


def two() -> VideoDetections:
    return VideoDetections(
        as_segments([[61.5, 3725.0], [1.25, 2.0]]), np.array([0.5, 0.25]), np.array([1, 2])
    )


@given(st.dictionaries(st.sampled_from(["v1", "v 2", "ü,;\"'"]), one_video(), max_size=3))
@settings(deadline=None, max_examples=60)
def test_json_and_csv_read_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, videos: dict[str, VideoDetections]
) -> None:
    folder = tmp_path_factory.mktemp("roundtrip")
    before = Detections(videos, CLASSES, {"model": "m"})
    write_detections(folder / "d.json", before)
    after = read_detections(folder / "d.json")
    assert after.classes == CLASSES
    assert after.meta == {"model": "m"}
    assert list(after.videos) == list(videos)
    write_detections(folder / "d.csv", before)
    table = read_detections(folder / "d.csv", classes=CLASSES)
    assert table.classes == CLASSES
    # A table has no row for a video without detections.
    assert list(table.videos) == [video for video, items in videos.items() if len(items)]
    for video, items in videos.items():
        assert_same(items, after.videos[video])
        assert_same(items, table.videos.get(video, no_detections()))


def test_rows_of_a_csv_are_grouped_by_video_in_order(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("video,start,end,label,score\nb,0,1,x,0.1\na,0,1,y,0.2\nb,2,3,,0.3\n")
    found = read_detections(path)
    assert list(found.videos) == ["b", "a"]
    assert found.classes == ("action", "x", "y")
    np.testing.assert_array_equal(found.videos["b"].labels, [1, 0])
    np.testing.assert_array_equal(found.videos["b"].segments, [[0, 1], [2, 3]])


def test_unknown_labels_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    items = [{"segment": [0, 1], "score": 1, "label": name} for name in ("z", "run", "y", 7)]
    path.write_text(json.dumps({"results": {"v": items, "w": []}}))
    found = read_detections(path, classes=["run"])
    assert found.classes == ("run", "7", "y", "z")
    np.testing.assert_array_equal(found.videos["v"].labels, [3, 0, 2, 1])
    assert len(found.videos["w"]) == 0
    assert read_detections(path).classes == ("7", "run", "y", "z")


def test_the_peers_submission_layout_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    item = {"label": "Long jump", "score": 0.64, "segment": [4.5, 9.25]}
    path.write_text(
        json.dumps({"version": "VERSION 1.3", "results": {"abc": [item]}, "external_data": {}})
    )
    found = read_detections(path)
    np.testing.assert_array_equal(found.videos["abc"].segments, [[4.5, 9.25]])
    assert found.videos["abc"].scores[0] == 0.64


def test_proposals_are_written_as_action(tmp_path: Path) -> None:
    proposals = VideoDetections(as_segments([[0, 1]]), np.array([0.5]), np.array([-1]))
    for name in ("d.json", "d.csv"):
        write_detections(tmp_path / name, Detections({"v": proposals}, ()))
        assert read_detections(tmp_path / name).classes == ("action",)


def test_indexing_takes_rows_in_order() -> None:
    items = two()
    assert_same(items[::-1], items[np.array([1, 0])])
    assert len(items[items.scores > 0.3]) == 1
    assert len(no_detections()) == 0


def test_webvtt(tmp_path: Path) -> None:
    classes = ("a", "b", "over <i>&\n-->")
    write_detections(tmp_path / "out.vtt", Detections({"v": two()}, classes))
    assert (tmp_path / "out.vtt").read_text() == (
        "WEBVTT\n\n"
        "00:00:01.250 --> 00:00:02.000\nover &lt;i&gt;&amp; --&gt; (0.25)\n\n"
        "00:01:01.500 --> 01:02:05.000\nb (0.50)\n"
    )


def test_webvtt_of_several_videos_is_one_file_each(tmp_path: Path) -> None:
    videos = {"v1": two(), "folder/v2.mp4": no_detections()}
    write_detections(tmp_path / "out.vtt", Detections(videos, CLASSES))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.v1.vtt", "out.v2.mp4.vtt"]
    assert (tmp_path / "out.v2.mp4.vtt").read_text() == "WEBVTT\n"


def test_two_videos_of_one_name_have_a_caption_file_each(tmp_path: Path) -> None:
    videos = {"cam1/mouse": two(), "cam2/mouse": no_detections(), "rat": two()}
    write_detections(tmp_path / "out.vtt", Detections(videos, CLASSES))
    written = sorted(file.name for file in tmp_path.iterdir())
    assert written == ["out.cam1_mouse.vtt", "out.cam2_mouse.vtt", "out.rat.vtt"]
    with pytest.raises(AttentadError, match="cam_mouse and cam/mouse would both be named"):
        detection_files(tmp_path / "out.vtt", ["cam_mouse", "cam/mouse", "b/mouse"])


@pytest.mark.parametrize("name", ["d.xml", "d", "d.json.gz", "json"])
def test_a_suffix_that_says_no_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AttentadError, match="tells no detection format"):
        write_detections(tmp_path / name, Detections({"v": two()}, CLASSES))
    assert not list(tmp_path.iterdir())


def test_the_table_for_boris_has_the_columns_that_it_imports(tmp_path: Path) -> None:
    path = tmp_path / "out.boris.csv"
    write_detections(path, Detections({"clips/v.mp4": two()}, CLASSES))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["time", "subject", "code", "modifier", "comment"]
    assert [(row["time"], row["code"]) for row in rows] == [
        ("1.25", "jump high"),
        ("2.0", "jump high"),
        ("61.5", "run"),
        ("3725.0", "run"),
    ]
    assert rows[0]["comment"] == "score 0.2500"


def _results(*items: object) -> str:
    return json.dumps({"results": {"fine": [], "v": list(items)}})


GOOD = {"segment": [0, 1], "score": 0.5, "label": "run"}
BAD = {
    "text.json": ("nonsense", "not valid JSON"),
    "annotations.json": ('{"database": {}}', "is not a detection file"),
    "listed.json": ('{"results": [1]}', "is not a detection file"),
    "number.json": ('{"results": {"v": 3}}', 'video v: each detection needs "segment"'),
    "string.json": ('{"results": {"v": "abc"}}', "video v: each detection needs"),
    "noscore.json": (_results({"segment": [0, 1]}), "video v: each detection needs"),
    "nosegment.json": (_results(GOOD, {"score": 1}), "video v: each detection needs"),
    "three.json": (_results(GOOD | {"segment": [0, 1, 2]}), "video v: each detection needs"),
    "one.json": (_results(GOOD, GOOD | {"segment": [0]}), "video v: each detection needs"),
    "words.json": (_results(GOOD | {"score": "high"}), "video v: each detection needs"),
    "nested.json": (_results(GOOD | {"score": [1]}), "video v: each detection needs"),
    "label.json": (_results(GOOD | {"label": ["run"]}), "video v: each detection needs"),
    "null.json": (_results(GOOD | {"score": None}), "video v has a score that is not finite"),
    "backwards.json": (_results(GOOD | {"segment": [3, 1]}), "video v: a segment ends at 1 s"),
    "nan.json": (_results(GOOD | {"segment": [0, None]}), "video v: start 0.0 and end nan"),
    "classes.json": ('{"results": {}, "external_data": {"classes": 3}}', '"classes" in'),
    "columns.csv": ("video,start,end,label\nv,0,1,run\n", "lacks the column 'score'"),
    "score.csv": ("video,start,end,label,score\nv,0,1,run,high\n", "line 2: score 'high'"),
    "nan.csv": ("video,start,end,label,score\nv,0,1,run,nan\n", "video v has a score"),
    "short.csv": ("video,start,end,label,score\nv,0,1\n", "line 2: score ''"),
    "empty.csv": ("video,start,end,label,score\n,0,1,run,1\n", "line 2: the video is empty"),
    "backwards.csv": ("video,start,end,label,score\nv,2,1,run,1\n", "line 2: video v: a segment"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_sentence_that_names_them(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(AttentadError) as caught:
        read_detections(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
