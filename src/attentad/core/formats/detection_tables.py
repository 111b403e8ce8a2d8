"""Detections as flat columns, of any format, and as CSV."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from attentad.core.arrays import Floats, Ints
from attentad.core.detections import NO_LABEL, Detections, label_name
from attentad.core.errors import AttentadError
from attentad.core.formats.csv_rows import read_table, write_csv
from attentad.core.segments import Segments, as_segments, checked_times

# Our columns, each with the names that ActionFormer's tables and pandas give it.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "video": ("video", "video-id", "video_id"),
    "start": ("start", "t-start", "t_start"),
    "end": ("end", "t-end", "t_end"),
    "label": ("label",),
    "score": ("score",),
}
_NAMED = ", ".join(COLUMNS)


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
        lines: (N,) the line of each in the file; None where the format knows no lines.
        unordered: the format's own tool takes a segment's two times in either order.
    """

    sizes: Mapping[str, int]
    segments: Segments
    scores: Floats
    labels: list[str]
    meta: Mapping[str, Any] = field(default_factory=dict)
    ids_from_one: bool = False
    lines: Ints | None = None
    unordered: bool = False

    def place(self, row: int) -> str:
        """Where the detection at `row` stands: its line, or else its video."""
        return f"line {self.lines[row]}" if self.lines is not None else f"video {self.video(row)}"

    def video(self, row: int) -> str:
        """The video of the detection at `row`."""
        stops = np.cumsum(list(self.sizes.values()), dtype=np.int64)
        return list(self.sizes)[int(np.searchsorted(stops, row, side="right"))]


def table_by_video(
    videos: Sequence[str],
    segments: Segments,
    scores: Floats,
    labels: Sequence[str],
    lines: Sequence[int] | None = None,
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
        lines=None if lines is None else np.array(lines, dtype=np.int64)[order],
    )


def read_csv_table(path: Path) -> DetectionTable:
    """A table with the columns video, start, end, label, score, or the other names of `COLUMNS`.

    Further columns are passed over; an empty label is `action`.

    Raises:
        AttentadError: the file is missing, a column is, or a value is not what it must be.
    """
    table = read_table(path)
    advice = f"its first line must name {_NAMED}"
    names = [name_of_column(column, table.header, path, advice) for column in COLUMNS]
    table.require(names)
    table = table.with_decimal_points([names[1], names[2], names[4]])
    places = [table.header.index(name) for name in names]
    width = max(places) + 1
    padded = [row if len(row) >= width else row + [""] * (width - len(row)) for row in table.rows]
    return table_of_texts(path, table.lines, list(map(itemgetter(*places), padded)))


def name_of_column(column: str, names: Collection[str], path: Path, advice: str) -> str:
    """Which of the `names` in a file is that of our column.

    Raises:
        AttentadError: none is.
    """
    for name in COLUMNS[column]:
        if name in names:
            return name
    raise AttentadError(f"{path} lacks the column {column!r}; {advice}.")


def write_csv_table(path: Path, detections: Detections, separator: str = ",") -> None:
    """Write the columns video, start, end, label, score, whole or not at all."""
    rows = (
        (video, *segment, label_name(label, detections.classes), score)
        for video, items in detections.videos.items()
        for segment, score, label in items.rows()
    )
    write_csv(path, [COLUMNS, *rows], separator)


def table_of_texts(
    path: Path, lines: Sequence[int], rows: Sequence[Sequence[str]]
) -> DetectionTable:
    """Rows of video, start, end, label, score as text → columns.

    Raises:
        AttentadError: a video is empty, or a time or score is no finite number.
    """
    videos = [row[0].strip() for row in rows]
    labels = [row[3] or NO_LABEL for row in rows]
    try:
        start, end, scores = (
            np.array([float(row[place]) for row in rows], dtype=np.float64) for place in (1, 2, 4)
        )
    except ValueError:
        raise _row_error(path, lines, rows) from None
    segments = as_segments(np.column_stack([start, end]))
    if not (all(videos) and np.isfinite(segments).all() and np.isfinite(scores).all()):
        raise _row_error(path, lines, rows)
    return table_by_video(videos, segments, scores, labels, lines)


def _row_error(path: Path, lines: Sequence[int], rows: Sequence[Sequence[str]]) -> AttentadError:
    """What is wrong with the first row that is wrong."""
    for line, (video, start, end, _, score) in zip(lines, rows, strict=True):
        where = f"{path}, line {line}"
        if not video.strip():
            return AttentadError(f"{where}: the video is empty; name one.")
        try:
            checked_times(start, end, f"{where}: video {video}")
        except AttentadError as error:
            return error
        try:
            finite = np.isfinite(float(score))
        except ValueError:
            return AttentadError(f"{where}: score {score!r} must be a number; correct it.")
        if not finite:
            where = f"{where}: video {video}"
            return AttentadError(f"{where} has a score that is not finite; correct it.")
    return AttentadError(f"{path} holds a row that is no detection; write it again.")
