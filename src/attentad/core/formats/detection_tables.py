"""Detections as flat columns, and the readers that take them from JSON, CSV and THUMOS14 text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attentad.core.annotations import checked_segment
from attentad.core.errors import AttentadError
from attentad.core.files import check_keys_once, parse_json, read_bytes
from attentad.core.formats.class_list import class_number
from attentad.core.segments import Segments, as_segments

# Our columns, each with the names that ActionFormer's tables and pandas give it.
CSV_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "video": ("video", "video-id", "video_id"),
    "start": ("start", "t-start", "t_start"),
    "end": ("end", "t-end", "t_end"),
    "label": ("label",),
    "score": ("score",),
}

NO_LABEL = "action"


@dataclass(frozen=True)
class DetectionTable:
    """The detections of a file, flat.

    Args:
        sizes: video id → number of detections N_v; the columns follow this order.
        segments: (N, 2) start and end in seconds, not yet checked.
        scores: (N,) float64, not yet checked.
        labels: N names, or numbers as text.
        meta: what else the file says.
        ids_from_one: the format numbers its classes from 1.
    """

    sizes: Mapping[str, int]
    segments: Segments
    scores: NDArray[np.float64]
    labels: list[str]
    meta: Mapping[str, Any] = field(default_factory=dict)
    ids_from_one: bool = False


def table_by_video(
    videos: Sequence[str],
    segments: Segments,
    scores: NDArray[np.float64],
    labels: Sequence[str],
    *,
    ids_from_one: bool = False,
) -> DetectionTable:
    """Columns of N detections in any order → the same by video, in the order they first occur."""
    index: dict[str, int] = {}
    rows = np.fromiter(
        (index.setdefault(video, len(index)) for video in videos), np.int64, len(videos)
    )
    order = np.argsort(rows, kind="stable")
    sizes = np.bincount(rows, minlength=len(index)).tolist()
    return DetectionTable(
        dict(zip(index, sizes, strict=True)),
        segments[order],
        scores[order],
        [labels[row] for row in order.tolist()],
        ids_from_one=ids_from_one,
    )


def read_json_table(path: Path) -> DetectionTable:
    """ActivityNet submission JSON, as OpenTAD's `result_detection.json` is too.

    `{"results": {video: [{"segment": [start, end], "score": s, "label": name}, …]}}`; a label may
    be a number, and is `action` when there is none.

    Raises:
        AttentadError: the file is missing or laid out otherwise.
    """
    content = read_bytes(path)
    whole = parse_json(content, path, allow_nan=True)
    results = whole.get("results") if isinstance(whole, dict) else None
    if not isinstance(results, dict):
        raise AttentadError(
            f'{path} is not a detection file: it needs a "results" object of video id → list.'
        )
    try:
        # One pass over all videos: files of half a million detections are common.
        columns = _json_columns(list(chain.from_iterable(results.values())))
    except _MALFORMED:
        raise AttentadError(_malformed(path, results)) from None
    check_keys_once(content, path, len(columns[1]))
    meta = whole.get("external_data")
    meta = dict(meta) if isinstance(meta, dict) else {}
    classes = meta.get("classes", [])
    if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise AttentadError(f'{path}: "classes" in "external_data" must be a list of names.')
    sizes = {video: len(items) for video, items in results.items()}
    return DetectionTable(sizes, *columns, meta)


# What a detection that is no object of the right fields may raise while it is taken apart.
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)


def _json_columns(items: list[Any]) -> tuple[Segments, NDArray[np.float64], list[str]]:
    segments = as_segments(np.array([item["segment"] for item in items], dtype=np.float64))
    scores = np.array([item["score"] for item in items], dtype=np.float64)
    labels = [item.get("label", NO_LABEL) for item in items]
    if len(segments) != len(items) or scores.ndim != 1:
        raise ValueError("a segment or score has another shape")
    if any(type(label) is not str for label in set(labels)):
        labels = [str(label) for label in labels]
    return segments, scores, labels


def _malformed(path: Path, results: Mapping[str, Any]) -> str:
    for video, items in results.items():
        try:
            _json_columns(list(items))
        except _MALFORMED:
            return (
                f'{path}: video {video}: each detection needs "segment": [start, end], "score" '
                'and "label".'
            )
    return f'{path}: "results" must be an object of video id → list of detections.'


def read_csv_table(path: Path) -> DetectionTable:
    """CSV with the columns video, start, end, label, score, or the other names of `CSV_COLUMNS`.

    Further columns are passed over; an empty label is `action`.

    Raises:
        AttentadError: the file is missing, a column is, or a value is not what it must be.
    """
    text = read_bytes(path).decode("utf-8-sig", "replace")
    reader = csv.reader(io.StringIO(text), skipinitialspace=True)
    try:
        header = next(reader, [])
        lines, rows = [], []
        for row in filter(None, reader):
            lines.append(reader.line_num)
            rows.append(row)
    except csv.Error as error:
        raise AttentadError(
            f"{path}, line {reader.line_num} is not CSV ({error}); correct it or write it again."
        ) from None
    places = []
    for column, names in CSV_COLUMNS.items():
        present = [name for name in names if name in header]
        if not present:
            raise AttentadError(
                f"{path} lacks the column {column!r}; its first line must name "
                f"{', '.join(CSV_COLUMNS)}."
            )
        places.append(header.index(present[0]))
    width = max(places) + 1
    padded = [row if len(row) >= width else row + [""] * (width - len(row)) for row in rows]
    return _text_table(path, lines, list(map(itemgetter(*places), padded)))


def read_thumos_table(path: Path) -> DetectionTable:
    """The official THUMOS14 detection text (the format of the toolkit's TH14evalDet).

    Lines of `video start end class score`, separated by white space, for all classes in one file;
    times in seconds, the class as its number in `detclasslist.txt`, counted from 1. Empty lines
    and lines that begin with # or % are passed over.

    Raises:
        AttentadError: the file is missing or empty, or a line does not read so.
    """
    text = read_bytes(path).decode("utf-8-sig", "replace")
    lines, rows = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith(("#", "%")):
            continue
        if len(fields) != 5:
            raise AttentadError(
                f"{path}, line {number} must read `video start end class score`, not "
                f"{line.strip()[:80]!r}."
            )
        class_id = class_number(fields[3])
        if class_id is None:
            raise AttentadError(
                f"{path}, line {number}: the class must be its whole number in the official list, "
                f"such as 7, not {fields[3][:80]!r}."
            )
        fields[3] = str(class_id)
        lines.append(number)
        rows.append(fields)
    if not rows:
        raise AttentadError(
            f"{path} is empty; THUMOS14 detection text has a line `video start end class score` "
            "per detection."
        )
    return _text_table(path, lines, rows, ids_from_one=True)


def _text_table(
    path: Path,
    lines: Sequence[int],
    rows: Sequence[Sequence[str]],
    *,
    ids_from_one: bool = False,
) -> DetectionTable:
    """Rows of video, start, end, label, score as text → columns; `lines` are for errors."""
    videos = [row[0].strip() for row in rows]
    labels = [row[3] or NO_LABEL for row in rows]
    try:
        start, end, scores = (
            np.array([float(row[place]) for row in rows], dtype=np.float64) for place in (1, 2, 4)
        )
    except ValueError:
        raise _row_error(path, lines, rows) from None
    if not (all(videos) and np.isfinite([start, end, scores]).all() and (start <= end).all()):
        raise _row_error(path, lines, rows)
    segments = as_segments(np.column_stack([start, end]))
    return table_by_video(videos, segments, scores, labels, ids_from_one=ids_from_one)


def _row_error(path: Path, lines: Sequence[int], rows: Sequence[Sequence[str]]) -> AttentadError:
    """What is wrong with the first row that is wrong."""
    for line, (video, start, end, _, score) in zip(lines, rows, strict=True):
        where = f"{path}, line {line}"
        if not video.strip():
            return AttentadError(f"{where}: the video is empty; name one.")
        try:
            checked_segment(start, end, f"{where}: video {video}")
        except AttentadError as error:
            return error
        try:
            finite = np.isfinite(float(score))
        except ValueError:
            return AttentadError(f"{where}: score {score!r} must be a number; correct it.")
        if not finite:
            return AttentadError(
                f"{where}: video {video} has a score that is not finite; correct it."
            )
    return AttentadError(f"{path} holds a row that is no detection; write it again.")
