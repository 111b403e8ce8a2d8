"""The official text files of THUMOS14: annotations, and the toolkit's detections."""

from __future__ import annotations

import re
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

from attentad.core.annotations import AMBIGUOUS
from attentad.core.errors import AttentadError
from attentad.core.files import read_text
from attentad.core.formats.class_list import class_number, read_classes
from attentad.core.formats.detection_tables import DetectionTable, table_of_texts
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.notes import note

_CLASS_LIST = "detclasslist.txt"
# The end of a file's name, or the middle of a video's id → the subset.
_SUBSETS = {
    **{"val": "validation", "validation": "validation", "test": "test"},
    **{"train": "training", "training": "training"},
}


def holds_thumos14(folder: Path) -> bool:
    """Whether a folder has text files, of which the first is not one word a line."""
    files = _class_files(folder)
    return bool(files) and any(len(fields) > 1 for _, fields in _fields(files[0])[:1])


def read_thumos14(folder: Path) -> Contents:
    """THUMOS14's folder of text files, and MultiTHUMOS's, with the numbers of `detclasslist.txt`.

    Files are named `Class_val.txt` and `Class_test.txt`, or, as in MultiTHUMOS, `Class.txt`, where
    the subset is that in the id, `video_validation_…` or `video_test_…`. Their lines read
    `video start end`, in seconds.

    Raises:
        AttentadError: there is no such file, a line does not read so, or a video is in two subsets.
    """
    files = _class_files(folder)
    if not files:
        raise AttentadError(
            f"{folder} holds no THUMOS14 annotation files (Class_test.txt or Class_val.txt)."
        )
    rows = []
    for file in files:
        label, _, part = file.stem.rpartition("_")
        named = _SUBSETS.get(part.lower()) if label else None
        for number, fields in _fields(file):
            where = f"{file}, line {number}"
            if len(fields) != 3:
                raise AttentadError(
                    f"{where} must read `video start end`, not {' '.join(fields)!r}."
                )
            subset = named or _subset_of_id(fields[0])
            rows.append((*fields, label if named else file.stem, subset, where))
    gathered = Gathered(folder)
    for video, start, end, label, subset, where in sorted(rows, key=itemgetter(0)):
        gathered.video(video, where, subset=subset)
        gathered.instance(video, (start, end), label, where)
    if not all(row[4] for row in rows):
        note(
            f"{folder}: neither the names of the files (Class_val.txt, Class_test.txt) nor the "
            "video ids say which subset a video is in; each file is a class, and subsets are empty."
        )
    listed = folder / _CLASS_LIST
    return Contents(
        gathered.annotations(),
        read_classes(listed) if listed.is_file() else {},
        marks_ambiguous=any(file.stem.startswith(f"{AMBIGUOUS}_") for file in files),
    )


def _class_files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.glob("*.txt")
        if file.name != _CLASS_LIST and not file.name.startswith(".")
    )


def _subset_of_id(video: str) -> str:
    found = re.fullmatch(r"video_(train|training|val|validation|test)_\d+", video)
    return _SUBSETS[found[1]] if found else ""


def read_thumos14_detections(path: Path) -> DetectionTable:
    """The official detection text (the format of the toolkit's TH14evalDet).

    Lines of `video start end class score`, separated by white space, for all classes in one file;
    times in seconds, the class as its number in `detclasslist.txt`, counted from 1. Empty lines
    and lines that begin with # or % are passed over. The toolkit takes the two times of a
    detection in either order.

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
    return replace(table_of_texts(path, lines, rows), ids_from_one=True, unordered=True)


def _fields(path: Path) -> list[tuple[int, list[str]]]:
    """The words of each line that is not empty, and its number from 1."""
    split = enumerate(map(str.split, read_text(path).splitlines()), start=1)
    return [(number, fields) for number, fields in split if fields]
