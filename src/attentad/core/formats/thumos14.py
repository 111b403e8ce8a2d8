"""The official text files of THUMOS14: annotations, and the toolkit's detections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from attentad.core.annotations import VideoAnnotation
from attentad.core.errors import AttentadError
from attentad.core.files import read_bytes
from attentad.core.formats.class_list import class_number, read_classes
from attentad.core.formats.detection_tables import DetectionTable, table_of_texts
from attentad.core.segments import as_segments, checked_segment

_CLASS_LIST = "detclasslist.txt"


def read_thumos14(folder: Path) -> tuple[dict[str, VideoAnnotation], dict[int, str]]:
    """Video id → its annotation, and the numbers of `detclasslist.txt`, if it is there, → names.

    Files are named `Class_subset.txt`; their lines read `video start end`, in seconds.

    Raises:
        AttentadError: there is no such file, or a line does not read so.
    """
    files = sorted(file for file in folder.glob("*.txt") if file.name != _CLASS_LIST)
    if not files:
        raise AttentadError(
            f"{folder} holds no THUMOS14 annotation files (Class_test.txt or Class_val.txt)."
        )
    rows: dict[str, list[tuple[float, float, str]]] = {}
    subsets: dict[str, str] = {}
    for file in files:
        label, _, part = file.stem.rpartition("_")
        subset = {"val": "validation"}.get(part, part)
        for number, fields in _fields(file):
            where = f"{file}, line {number}"
            if len(fields) != 3:
                raise AttentadError(
                    f"{where} must read `video start end`, not {' '.join(fields)!r}."
                )
            segment = checked_segment(fields[1], fields[2], where)
            rows.setdefault(fields[0], []).append((*segment, label))
            subsets[fields[0]] = subset
    videos = {
        video: VideoAnnotation(
            segments=as_segments([row[:2] for row in items]),
            labels=tuple(row[2] for row in items),
            subset=subsets[video],
        )
        for video, items in sorted(rows.items())
    }
    listed = folder / _CLASS_LIST
    return videos, read_classes(listed) if listed.is_file() else {}


def read_thumos14_detections(path: Path) -> DetectionTable:
    """The official detection text (the format of the toolkit's TH14evalDet).

    Lines of `video start end class score`, separated by white space, for all classes in one file;
    times in seconds, the class as its number in `detclasslist.txt`, counted from 1. Empty lines
    and lines that begin with # or % are passed over.

    Raises:
        AttentadError: the file is missing or empty, or a line does not read so.
    """
    lines, rows = [], []
    for number, fields in _fields(path):
        if fields[0].startswith(("#", "%")):
            continue
        where = f"{path}, line {number}"
        if len(fields) != 5:
            raise AttentadError(
                f"{where} must read `video start end class score`, not {' '.join(fields)[:80]!r}."
            )
        class_id = class_number(fields[3])
        if class_id is None:
            raise AttentadError(
                f"{where}: the class must be its whole number in the official list, such as 7, "
                f"not {fields[3][:80]!r}."
            )
        fields[3] = str(class_id)
        lines.append(number)
        rows.append(fields)
    if not rows:
        raise AttentadError(
            f"{path} is empty; THUMOS14 detection text has a line `video start end class score` "
            "per detection."
        )
    return replace(table_of_texts(path, lines, rows), ids_from_one=True)


def _fields(path: Path) -> list[tuple[int, list[str]]]:
    """The words of each line that is not empty, and its number from 1."""
    text = read_bytes(path).decode("utf-8-sig", "replace")
    split = enumerate(map(str.split, text.splitlines()), start=1)
    return [(number, fields) for number, fields in split if fields]
