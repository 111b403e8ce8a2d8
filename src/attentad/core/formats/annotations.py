"""Annotations, whatever their layout: which reader or writer a path needs, and what all share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attentad.core.annotations import AMBIGUOUS, Annotations, VideoAnnotation
from attentad.core.errors import AttentadError
from attentad.core.formats.activitynet import read_activitynet, write_activitynet
from attentad.core.formats.csv_rows import read_csv_rows, write_csv
from attentad.core.formats.thumos14 import read_thumos14
from attentad.core.segments import as_segments, checked_segment
from attentad.core.wording import first_few

CSV_COLUMNS = ("video", "start", "end", "label")
_CSV_FACTS = ("subset", "duration", "fps")


def read_annotations(
    path: str | Path, *, classes: Sequence[str] | None = None, keep_ambiguous: bool = False
) -> Annotations:
    """Read annotations, whatever their layout.

    A folder is read as the official THUMOS14 text files (`Class_subset.txt`, lines of
    `video start end`), `.csv` as columns video, start, end, label (and subset, duration, fps
    when present; one row without start, end and label declares a video without instances),
    anything else as ActivityNet JSON, optionally gzipped; fields that others add to it
    (`label_id`, `segment(frames)`) do no harm.

    Args:
        path: file or folder.
        classes: class names in their order; by default the sorted labels that occur.
        keep_ambiguous: keep THUMOS14's class `Ambiguous`, which is otherwise left out.

    Raises:
        AttentadError: the file is missing, malformed or empty; a segment ends before it starts;
            a label is not among `classes`.
    """
    path = Path(path)
    class_ids: dict[int, str] = {}
    if path.is_dir():
        videos, class_ids = read_thumos14(path)
    elif path.name.lower().removesuffix(".gz").endswith(".csv"):
        videos = _read_csv(path)
    else:
        videos, class_ids = read_activitynet(path)
    if not videos:
        raise AttentadError(f"{path} holds no annotated videos; give a file with at least one.")
    if not keep_ambiguous:
        videos = {video: item.without(AMBIGUOUS) for video, item in videos.items()}
    occurring = {label for item in videos.values() for label in item.labels}
    names = tuple(sorted(occurring) if classes is None else classes)
    for video, item in videos.items():
        unknown = sorted(set(item.labels) - set(names))
        if unknown:
            raise AttentadError(
                f"{path}: video {video} has the label {unknown[0]!r}, which is not in the class "
                f"list ({first_few(names, 8)})."
            )
    return Annotations(videos, names, class_ids)


def write_annotations(path: str | Path, annotations: Annotations) -> None:
    """Write ActivityNet JSON, or CSV when the name ends in `.csv`, whole or not at all."""
    if Path(path).suffix.lower() != ".csv":
        write_activitynet(path, annotations)
        return
    rows: list[list[Any]] = [[*CSV_COLUMNS, *_CSV_FACTS]]
    for video, item in annotations.videos.items():
        facts = [item.subset, item.duration_sec, item.fps]
        if not item.labels:
            rows.append([video, "", "", "", *facts])
        for segment, label in zip(item.segments.tolist(), item.labels, strict=True):
            rows.append([video, *segment, label, *facts])
    write_csv(path, rows)


def _read_csv(path: Path) -> dict[str, VideoAnnotation]:
    videos: dict[str, tuple[list[tuple[float, float]], list[str], dict[str, str]]] = {}
    for where, row in read_csv_rows(path, CSV_COLUMNS):
        video = row["video"].strip()
        if not video:
            raise AttentadError(f"{where}: the video is empty; name one.")
        segments, labels, facts = videos.setdefault(video, ([], [], {}))
        facts.update({key: row[key] for key in _CSV_FACTS if row.get(key)})
        if not any(row[key] for key in ("start", "end", "label")):
            continue
        if not row["label"]:
            raise AttentadError(f"{where}: video {video} has a segment without a label; write one.")
        segments.append(checked_segment(row["start"], row["end"], f"{where}: video {video}"))
        labels.append(row["label"])
    return {
        video: VideoAnnotation.checked(as_segments(segments), labels, facts, f"{path}: {video}")
        for video, (segments, labels, facts) in videos.items()
    }
