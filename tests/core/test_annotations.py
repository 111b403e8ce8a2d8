"""Annotation readers and writers: three layouts, one meaning, and errors that name the place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import (
    Annotations,
    AttentadError,
    VideoAnnotation,
    as_segments,
    read_annotations,
    write_annotations,
)

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_thumos = pytest.mark.skipif(
    not (DATA / "thumos14").is_dir(), reason="the THUMOS14 annotations are not on this machine"
)

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]),
    min_size=1,
    max_size=8,
).filter(lambda text: text == text.strip() and text != "Ambiguous")
seconds = st.floats(0, 1e5, allow_nan=False)
segments = st.tuples(seconds, seconds).map(sorted)


@st.composite
def videos(draw: st.DrawFn) -> VideoAnnotation:
    rows = draw(st.lists(st.tuples(segments, names), max_size=4))
    return VideoAnnotation(
        as_segments([row for row, _ in rows]),
        tuple(label for _, label in rows),
        subset=draw(st.sampled_from(["", "test", "training"])),
        duration_sec=draw(st.none() | st.floats(0.1, 1e5)),
        fps=draw(st.none() | st.floats(1, 120)),
    )


def assert_same(a: Annotations, b: Annotations) -> None:
    assert list(a.videos) == list(b.videos)
    for video, item in a.videos.items():
        other = b.videos[video]
        np.testing.assert_array_equal(item.segments, other.segments)
        assert item.labels == other.labels
        facts = ("subset", "duration_sec", "fps", "frames")
        assert [getattr(item, f) for f in facts] == [getattr(other, f) for f in facts]


@given(st.dictionaries(names, videos(), min_size=1, max_size=4), st.sampled_from(["json", "csv"]))
@settings(deadline=None, max_examples=60)
def test_written_annotations_read_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, VideoAnnotation], suffix: str
) -> None:
    path = tmp_path_factory.mktemp("roundtrip") / f"a.{suffix}"
    labels = sorted({label for item in content.values() for label in item.labels})
    before = Annotations(content, tuple(labels))
    write_annotations(path, before)
    after = read_annotations(path)
    assert_same(before, after)
    assert after.classes == before.classes


def test_number_of_frames_travels_in_json(tmp_path: Path) -> None:
    item = VideoAnnotation(as_segments([[0, 1]]), ("run",), "test", 2.0, 25.0, 50)
    write_annotations(tmp_path / "a.json", Annotations({"v": item}, ("run",)))
    assert read_annotations(tmp_path / "a.json").videos["v"].frames == 50


def test_the_three_layouts_agree(tmp_path: Path) -> None:
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "LongJump_test.txt").write_text("v1  1.0 2.5\nv2 0 4\n\n")
    (folder / "HighJump_test.txt").write_text("v1  3.0 3.5 \r\n")
    (folder / "Ambiguous_test.txt").write_text("v1 8 9\n")
    (folder / "detclasslist.txt").write_text("1 HighJump\n")
    (tmp_path / "a.csv").write_text(
        "video,start,end,label,subset\nv1,3,3.5,HighJump,test\nv1,1,2.5,LongJump,test\nv2,0,4,LongJump,test\n"
    )
    database = {
        "v1": {
            "subset": "test",
            "annotations": [
                {"label": "HighJump", "segment": [3, 3.5]},
                {"label": "Ambiguous", "segment": [8, 9]},
                {"label": "LongJump", "segment": [1, 2.5]},
            ],
        },
        "v2": {"subset": "test", "annotations": [{"label": "LongJump", "segment": [0, 4]}]},
    }
    with gzip.open(tmp_path / "a.json.gz", "wt") as file:
        json.dump({"database": database}, file)
    text = read_annotations(folder)
    assert_same(text, read_annotations(tmp_path / "a.csv"))
    assert_same(text, read_annotations(tmp_path / "a.json.gz"))
    assert text.classes == ("HighJump", "LongJump")
    np.testing.assert_array_equal(text.label_ids("v1"), [0, 1])
    kept = read_annotations(folder, keep_ambiguous=True)
    assert sorted(kept.videos["v1"].labels) == ["Ambiguous", "HighJump", "LongJump"]


def test_validation_files_get_their_subset(tmp_path: Path) -> None:
    (tmp_path / "Run_val.txt").write_text("video_validation_1 1 2\n")
    assert read_annotations(tmp_path).videos["video_validation_1"].subset == "validation"


@needs_thumos
@pytest.mark.parametrize(("part", "subset"), [("test", "test"), ("val", "validation")])
def test_official_thumos14_text_and_json_hold_the_same_instances(part: str, subset: str) -> None:
    text = read_annotations(
        DATA / "thumos14" / "official" / f"annotation_{part}", keep_ambiguous=True
    )
    both = read_annotations(DATA / "thumos14" / "annotations.json", keep_ambiguous=True)
    other = both.subset(subset)
    # Some videos of the JSON have no instance; the text files cannot say so.
    filled = {video: item for video, item in other.videos.items() if item.labels}
    assert set(text.videos) == set(filled)
    assert text.classes == other.classes
    count = 0
    for video, item in text.videos.items():
        truth = filled[video]
        assert item.subset == truth.subset
        for label in set(item.labels) | set(truth.labels):
            mine = item.segments[[name == label for name in item.labels]]
            theirs = truth.segments[[name == label for name in truth.labels]]
            np.testing.assert_array_equal(mine, theirs)  # in the order of the file
            count += len(mine)
    assert count == sum(len(item.labels) for item in filled.values())
    if part == "test":
        plain = read_annotations(DATA / "thumos14" / "official" / "annotation_test")
        assert sum(len(item.labels) for item in plain.videos.values()) == 3358
        assert len(plain.classes) == 20


@pytest.mark.skipif(not (DATA / "activitynet13").is_dir(), reason="no ActivityNet annotations here")
def test_activitynet_at_full_size() -> None:
    annotations = read_annotations(DATA / "activitynet13" / "annotations.json.gz")
    assert len(annotations.classes) == 200
    assert len(annotations.subset("validation").videos) == 4728


def test_subsets(tmp_path: Path) -> None:
    item = as_segments([[0, 1]])
    annotations = Annotations(
        {name: VideoAnnotation(item, ("run",), subset=name) for name in ("a", "b", "c")}, ("run",)
    )
    assert list(annotations.subset("a").videos) == ["a"]
    assert list(annotations.subset("a, c").videos) == ["a", "c"]
    assert list(annotations.subset(["b"]).videos) == ["b"]
    assert annotations.subset("b").classes == ("run",)
    with pytest.raises(AttentadError, match="subset d; the subsets are: a, b, c"):
        annotations.subset("d")


def test_a_csv_row_may_declare_a_video_without_instances(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("video, start, end, label, duration\nv,,,,12.5\nw, 1, 2, run,\n")
    annotations = read_annotations(path)
    assert annotations.videos["v"].segments.shape == (0, 2)
    assert annotations.videos["v"].duration_sec == 12.5
    assert annotations.videos["w"].duration_sec is None


def test_given_classes_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("video,start,end,label\nv,0,1,b\nv,1,2,a\n")
    annotations = read_annotations(path, classes=["b", "a", "c"])
    assert annotations.classes == ("b", "a", "c")
    np.testing.assert_array_equal(annotations.label_ids("v"), [0, 1])
    with pytest.raises(AttentadError, match=r"a\.csv: video v has the label 'b'"):
        read_annotations(path, classes=["a"])


def _json(entry: object) -> str:
    return json.dumps({"database": {"v": entry}})


def _instance(segment: object, label: object = "run") -> str:
    return _json({"annotations": [{"label": label, "segment": segment}]})


BAD = {
    "text.json": ("{", "not valid JSON"),
    "list.json": ("[1, 2]", "not ActivityNet JSON"),
    "nodatabase.json": ('{"videos": {}}', "not ActivityNet JSON"),
    "empty.json": ('{"database": {}}', "holds no annotated videos"),
    "entry.json": (_json(7), "video v must be an object"),
    "instances.json": (_json({"annotations": "none"}), "video v must be an object"),
    "backwards.json": (_instance([5, 2]), "video v: a segment ends at 2 s, before it starts at 5"),
    "words.json": (_instance(["a", "b"]), "video v: start 'a' and end 'b' must be numbers"),
    "null.json": (_instance([0, None]), "must be numbers of seconds"),
    "three.json": (_instance([1, 2, 3]), 'an annotation needs "label" and "segment"'),
    "nolabel.json": (_json({"annotations": [{"segment": [0, 1]}]}), 'needs "label"'),
    "duration.json": (_json({"duration": -3}), "video v: duration must be a positive number"),
    "fps.json": (_json({"fps": "fast"}), "video v: fps must be a number, not 'fast'"),
    "empty.csv": ("", "lacks the column 'video'"),
    "header.csv": ("video,start,end,label\n", "holds no annotated videos"),
    "columns.csv": ("name,start,end,label\nv,1,2,run\n", "lacks the column 'video'"),
    "infinite.csv": ("video,start,end,label\nv,0,inf,run\n", "line 2: video v: start 0.0 and end"),
    "short.csv": ("video,start,end,label\nv,0,1\n", "line 2: video v has a segment without"),
    "noname.csv": ("video,start,end,label\n,0,1,run\n", "line 2: the video is empty"),
    "quote.csv": ('video,start,end,label\n"' + "x" * 200_000 + '",0,1,run\n', "is not CSV"),
    "binary.csv": ("\x00\x01\x7f", "lacks the column 'video'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_sentence_that_names_them(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(AttentadError) as caught:
        read_annotations(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_text_folders(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="holds no THUMOS14 annotation files"):
        read_annotations(tmp_path)
    (tmp_path / "Run_test.txt").write_text("v1 1.0\n")
    with pytest.raises(AttentadError, match=r"Run_test\.txt, line 1 must read"):
        read_annotations(tmp_path)
    (tmp_path / "Run_test.txt").write_text("v1 1.0 2.0\nv1 4 3\n")
    with pytest.raises(
        AttentadError, match=r"Run_test\.txt, line 2: video v1: a segment ends at 3 s"
    ):
        read_annotations(tmp_path)
    with pytest.raises(AttentadError, match="does not exist"):
        read_annotations(tmp_path / "nothing.json")


def test_an_unfinished_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    item = VideoAnnotation(as_segments([[0, 1]]), ("run",))

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(AttentadError, match=r"a\.json could not be written \(No space left"):
        write_annotations(path, Annotations({"v": item}, ("run",)))
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
