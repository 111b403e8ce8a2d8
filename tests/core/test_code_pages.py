"""Code pages, separators, decimal commas, surplus fields: found, said or refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from attentad.core import (
    Annotations,
    AttentadError,
    read_annotations,
    read_classes,
    read_detections,
)
from attentad.core.files import read_json
from attentad.core.formats.video_labels import read_video_labels
from attentad.core.notes import Note

TABLE = "video,start,end,label\nKäfig,1,4,Gerät\nKüfig,5,9,Gerüt\n"
DATABASE = {"database": {"v": {"annotations": [{"label": "Gerät", "segment": [1, 2]}]}}}


def read(path: Path, text: str, code_page: str = "utf-8") -> Annotations:
    path.write_bytes(text.encode(code_page))
    return read_annotations(path)


@pytest.mark.parametrize("code_page", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["a.csv", "a.json"])
def test_marked_code_pages_are_read_without_a_word(
    tmp_path: Path, name: str, code_page: str
) -> None:
    text = TABLE if name == "a.csv" else json.dumps(DATABASE, ensure_ascii=False)
    (tmp_path / name).write_bytes(text.encode(code_page))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "Gerät" in read_annotations(tmp_path / name).classes


@pytest.mark.parametrize("name", ["a.csv", "a.json"])
def test_what_is_not_utf_8_is_windows_1252_and_said(tmp_path: Path, name: str) -> None:
    text = TABLE if name == "a.csv" else json.dumps(DATABASE, ensure_ascii=False)
    (tmp_path / name).write_bytes(text.encode("cp1252"))
    with pytest.warns(Note, match=r"is not UTF-8; it was read as Windows-1252"):
        assert "Gerät" in read_annotations(tmp_path / name).classes


def test_every_reader_knows_the_code_pages(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_bytes(b'\xef\xbb\xbf{"results": {}}')
    assert read_detections(path).videos == {}
    path.write_bytes('{"a": [1]}'.encode("utf-16"))
    assert read_json(path) == {"a": [1]}
    path.write_bytes('{"v": ["Gerät"]}'.encode("utf-8-sig"))
    assert read_video_labels(path).classes == ("Gerät",)
    (tmp_path / "classes.txt").write_bytes("0 Gerät\n".encode("utf-16"))
    assert read_classes(tmp_path / "classes.txt") == {0: "Gerät"}
    (tmp_path / "d.txt").write_bytes("v 1 2 7 0.5\n".encode("utf-16"))
    assert list(read_detections(tmp_path / "d.txt").videos) == ["v"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(TABLE.encode("utf-16-le"), "UTF-16 without a mark"), (b"a,\x81\n", "no text in UTF-8 or")],
)
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    content = content.replace("ä".encode("utf-16-le"), b"a\0").replace(
        "ü".encode("utf-16-le"), b"u\0"
    )
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(AttentadError, match=words):
        read_annotations(tmp_path / "a.csv")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_are_found(tmp_path: Path, separator: str) -> None:
    rows = [["video", "start", "end", "label", "score"], ["v", "1.5", "2.5", "a b", "0.5"]]
    text = "\n".join(separator.join(row) for row in rows)
    (tmp_path / "d.csv").write_text(text)
    found = read_detections(tmp_path / "d.csv")
    assert found.videos["v"].segments.tolist() == [[1.5, 2.5]]
    with pytest.warns(Note, match="has a column 'score'"):
        assert read_annotations(tmp_path / "d.csv").classes == ("a b",)


def test_decimal_commas_are_read_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video;start;end;label;score\nv;1,25;2;run, fast;0,5\n")
    with pytest.warns(Note, match=r"a\.csv: decimal commas were read as such, 1,25 for one"):
        found = read_detections(tmp_path / "a.csv")
    assert found.videos["v"].segments.tolist() == [[1.25, 2.0]]
    assert found.classes == ("run, fast",)


@pytest.mark.parametrize("row", ["v;1,25;2.5;run", "v;1,250,000;2,5;run"])
def test_a_comma_that_may_mean_thousands_is_an_error(tmp_path: Path, row: str) -> None:
    with pytest.raises(AttentadError, match=r"a\.csv, line 2 .* may be the decimal sign"):
        read(tmp_path / "a.csv", f"video;start;end;label\n{row}\n")


@pytest.mark.parametrize("row", ["v1,3,5,7,2,serve", "v1,1,4,cut, or slice"])
def test_surplus_fields_are_an_error(tmp_path: Path, row: str) -> None:
    with pytest.raises(AttentadError, match=r"a\.csv, line 3 has \d fields, .* is one too many"):
        read(tmp_path / "a.csv", f"video,start,end,label\nv1,1,2,run\n{row}\n")


def test_empty_cells_at_the_end_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video,start,end,label\nv,1,2,run,,\n")
    assert read_annotations(tmp_path / "a.csv").classes == ("run",)


def test_a_column_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match=r"a\.csv has two columns 'label'"):
        read(tmp_path / "a.csv", "video,start,end,label,label\nv,1,2,run,jump\n")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("v,1,2,run,training,30\nv,5,6,run,test,30\n", "subset test here and training in line 2"),
        ("v,1,2,run,test,30\nv,5,6,run,test,60\n", "duration 60 s here and 30 s in line 2"),
    ],
)
def test_a_video_is_in_one_subset_and_has_one_duration(
    tmp_path: Path, rows: str, words: str
) -> None:
    with pytest.raises(AttentadError, match=f"line 3: video v has {words}"):
        read(tmp_path / "a.csv", f"video,start,end,label,subset,duration\n{rows}")


def test_a_duration_may_be_told_once_or_in_another_spelling(tmp_path: Path) -> None:
    text = "video,start,end,label,duration\nv,1,2,run,30\nv,5,6,run,\nv,7,8,run,30.0\n"
    assert read(tmp_path / "a.csv", text).videos["v"].duration_sec == 30


@pytest.mark.parametrize(
    "instance",
    [
        {"label": None, "segment": [1, 2]},
        {"label": ["a", "b"], "segment": [1, 2]},
        {"label": "", "segment": [1, 2]},
        {"label": True, "segment": [1, 2]},
        {"label": "run", "segment": "12"},
        {"label": "run", "segment": [True, 3]},
        {"label": "run", "segment": {"0": 1, "1": 2}},
        {"segment": [1, 2]},
        [1, 2],
    ],
)
def test_odd_labels_and_segments_name_the_video(tmp_path: Path, instance: object) -> None:
    content = {"database": {"fine": {}, "v1": {"annotations": [instance]}}}
    with pytest.raises(AttentadError, match=r"a\.json: video v1"):
        read(tmp_path / "a.json", json.dumps(content))


@pytest.mark.parametrize("fact", [{"duration": True}, {"subset": ["a"]}, {"fps": "much"}])
def test_odd_facts_name_the_video(tmp_path: Path, fact: dict[str, object]) -> None:
    with pytest.raises(AttentadError, match=r"a\.json: video v1"):
        read(tmp_path / "a.json", json.dumps({"database": {"v1": fact}}))


def test_no_subset_is_no_name(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"database": {"v": {"subset": null, "annotations": []}}}')
    assert read_annotations(path).videos["v"].subset == ""
