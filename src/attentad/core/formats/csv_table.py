"""Our own table of annotations: a row an instance, with the columns video, start, end, label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attentad.core.annotations import Annotations
from attentad.core.errors import AttentadError
from attentad.core.formats.csv_rows import write_csv
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.source import Source
from attentad.core.notes import note

COLUMNS = ("video", "start", "end", "label")
_FACTS = ("subset", "duration", "fps")


def read_csv_annotations(source: Source) -> Contents:
    """Columns video, start, end, label, and subset, duration, fps where they are there.

    One row without start, end and label declares a video without instances.

    Raises:
        AttentadError: a column is missing, a value is not what it must be, or two rows say
            different things of a video.
    """
    source.table.require(COLUMNS)
    table = source.table.with_decimal_points(("start", "end", "duration", "fps"))
    if "score" in table.header:
        note(f"{source.path} has a column 'score': these detections are taken for annotations.")
    gathered = Gathered(source.path)
    for where, row in table.records():
        video = row["video"].strip()
        gathered.video(video, where, **{name: row.get(name, "").strip() for name in _FACTS})
        if not any(row[key] for key in ("start", "end", "label")):
            continue
        if not row["label"].strip():
            raise AttentadError(f"{where}: video {video} has a segment without a label; write one.")
        gathered.instance(video, (row["start"], row["end"]), row["label"], where)
    return Contents(gathered.annotations())


def write_csv_annotations(path: Path, annotations: Annotations, separator: str = ",") -> None:
    """Write the same columns, whole or not at all."""
    rows: list[list[Any]] = [[*COLUMNS, *_FACTS]]
    for video, item in annotations.videos.items():
        facts = [item.subset, item.duration_sec, item.fps]
        if not item.labels:
            rows.append([video, "", "", "", *facts])
        for segment, label in zip(item.segments.tolist(), item.labels, strict=True):
            rows.append([video, *segment, label, *facts])
    write_csv(path, rows, separator)
