"""Annotations: which actions happen when, in which videos; and their readers and writers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from attentad.core.errors import AttentadError
from attentad.core.files import check_keys_once, parse_json, read_bytes, write_bytes, write_json
from attentad.core.formats.class_list import read_classes
from attentad.core.segments import Segments, as_segments

CSV_COLUMNS = ("video", "start", "end", "label")
_CLASS_LIST = "detclasslist.txt"


@dataclass(frozen=True)
class VideoAnnotation:
    """The instances of one video.

    Args:
        segments: (N, 2) start and end in seconds, in the order of the file.
        labels: N class names.
        subset: the part of the data set that the video belongs to, such as `training`.
        duration_sec: length of the video; None where the source does not say.
        fps: frames per second, or None.
        frames: number of frames, or None.
    """

    segments: Segments
    labels: tuple[str, ...]
    subset: str = ""
    duration_sec: float | None = None
    fps: float | None = None
    frames: int | None = None


@dataclass(frozen=True)
class Annotations:
    """What happens in which videos.

    Args:
        videos: video id → its instances.
        classes: the class names in their order: label index i is classes[i].
        class_ids: the numbers that the source itself gives its classes → their names, with which
            peers' detectors label: `label_id` in annotations made for ActionFormer and its heirs
            (from 0), `detclasslist.txt` in a folder of THUMOS14 text (from 1). Empty where the
            source numbers none.
    """

    videos: Mapping[str, VideoAnnotation]
    classes: tuple[str, ...] = field(default=())
    class_ids: Mapping[int, str] = field(default_factory=dict)

    def subset(self, names: str | Iterable[str]) -> Annotations:
        """Keep the videos of the named subsets (`"a"`, `"a,b"` or a list); classes stay.

        Raises:
            AttentadError: no video is in any of them.
        """
        parts = names.split(",") if isinstance(names, str) else names
        wanted = [part.strip() for part in parts]
        kept = {video: item for video, item in self.videos.items() if item.subset in wanted}
        if not kept:
            named = {item.subset for item in self.videos.values()} - {""}
            known = ", ".join(sorted(named)) or "none"
            raise AttentadError(
                f"no video is in subset {','.join(wanted)}; the subsets are: {known}."
            )
        return Annotations(kept, self.classes, self.class_ids)

    def label_ids(self, video: str) -> np.ndarray:
        """Class indices of one video's instances, (N,) int64."""
        index = {name: i for i, name in enumerate(self.classes)}
        return np.array([index[name] for name in self.videos[video].labels], dtype=np.int64)


def read_annotations(
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    keep_ambiguous: bool = False,
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
        videos = _read_thumos(path)
        if (path / _CLASS_LIST).is_file():
            class_ids = read_classes(path / _CLASS_LIST)
    elif path.name.lower().removesuffix(".gz").endswith(".csv"):
        videos = _read_csv(path)
    else:
        videos, class_ids = _read_activitynet(path)
    if not videos:
        raise AttentadError(f"{path} holds no annotated videos; give a file with at least one.")
    if not keep_ambiguous:
        videos = {video: _without_ambiguous(item) for video, item in videos.items()}
    found = sorted({label for item in videos.values() for label in item.labels})
    names = tuple(found if classes is None else classes)
    for video, item in videos.items():
        unknown = sorted(set(item.labels) - set(names))
        if unknown:
            raise AttentadError(
                f"{path}: video {video} has the label {unknown[0]!r}, which is not in the class "
                f"list ({', '.join(names[:8])}{', …' if len(names) > 8 else ''})."
            )
    return Annotations(videos, names, class_ids)


def write_annotations(path: str | Path, annotations: Annotations) -> None:
    """Write ActivityNet JSON, or CSV when the name ends in `.csv`, whole or not at all."""
    if Path(path).suffix.lower() == ".csv":
        _write_csv(path, annotations)
        return
    database = {}
    for video, item in annotations.videos.items():
        entry: dict[str, Any] = {"subset": item.subset}
        for key, value in (
            ("duration", item.duration_sec),
            ("fps", item.fps),
            ("frames", item.frames),
        ):
            if value is not None:
                entry[key] = value
        entry["annotations"] = [
            {"label": label, "segment": [float(start), float(end)]}
            for (start, end), label in zip(item.segments, item.labels, strict=True)
        ]
        database[video] = entry
    content = {"version": "attentad", "classes": list(annotations.classes), "database": database}
    write_json(path, content)


def checked_segment(start: Any, end: Any, where: str) -> tuple[float, float]:
    """Two numbers as a segment in seconds; `where` names file and video in the error."""
    try:
        start, end = float(start), float(end)
    except (TypeError, ValueError):
        raise AttentadError(
            f"{where}: start {start!r} and end {end!r} must be numbers of seconds."
        ) from None
    if not (np.isfinite(start) and np.isfinite(end)):
        raise AttentadError(f"{where}: start {start} and end {end} must be finite seconds.")
    if end < start:
        raise AttentadError(
            f"{where}: a segment ends at {end:g} s, before it starts at {start:g} s; swap or "
            "remove it."
        )
    return start, end


def _without_ambiguous(item: VideoAnnotation) -> VideoAnnotation:
    kept = [i for i, label in enumerate(item.labels) if label != "Ambiguous"]
    if len(kept) == len(item.labels):
        return item
    return VideoAnnotation(
        segments=item.segments[kept],
        labels=tuple(item.labels[i] for i in kept),
        subset=item.subset,
        duration_sec=item.duration_sec,
        fps=item.fps,
        frames=item.frames,
    )


def _optional_number(value: Any, where: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise AttentadError(f"{where} must be a number, not {value!r}.") from None
    if not (np.isfinite(number) and number > 0):
        raise AttentadError(f"{where} must be a positive number, not {value!r}.")
    return number


def _read_activitynet(path: Path) -> tuple[dict[str, VideoAnnotation], dict[int, str]]:
    content = read_bytes(path)
    whole = parse_json(content, path, allow_nan=True)
    database = whole.get("database") if isinstance(whole, dict) else None
    if not isinstance(database, dict):
        raise AttentadError(
            f'{path} is not ActivityNet JSON: it needs a "database" object of video id → entry.'
        )
    videos = {}
    names_of: dict[int, set[str]] = {}
    for video, entry in database.items():
        where = f"{path}: video {video}"
        if not isinstance(entry, dict) or not isinstance(entry.get("annotations", []), list):
            raise AttentadError(f"{where} must be an object with a list of annotations.")
        segments, labels = [], []
        for instance in entry.get("annotations", []):
            try:
                start, end = instance["segment"]
                labels.append(str(instance["label"]))
            except (KeyError, TypeError, ValueError):
                raise AttentadError(
                    f'{where}: an annotation needs "label" and "segment": [start, end].'
                ) from None
            segments.append(checked_segment(start, end, where))
            number = instance.get("label_id")
            if type(number) is int:
                names_of.setdefault(number, set()).add(labels[-1])
        frames = _optional_number(entry.get("frames"), f"{where}: frames")
        videos[str(video)] = VideoAnnotation(
            segments=as_segments(segments),
            labels=tuple(labels),
            subset=str(entry.get("subset", "")),
            duration_sec=_optional_number(entry.get("duration"), f"{where}: duration"),
            fps=_optional_number(entry.get("fps"), f"{where}: fps"),
            frames=None if frames is None else int(frames),
        )
    check_keys_once(content, path, sum(len(item.labels) for item in videos.values()))
    # A number that stands for two names says nothing about a detection.
    return videos, {i: next(iter(names)) for i, names in names_of.items() if len(names) == 1}


def _read_thumos(folder: Path) -> dict[str, VideoAnnotation]:
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
        lines = read_bytes(file).decode("utf-8", "replace").splitlines()
        for number, line in enumerate(lines, start=1):
            fields = line.split()
            if not fields:
                continue
            where = f"{file}, line {number}"
            if len(fields) != 3:
                raise AttentadError(f"{where} must read `video start end`, not {line.strip()!r}.")
            segment = checked_segment(fields[1], fields[2], where)
            rows.setdefault(fields[0], []).append((*segment, label))
            subsets[fields[0]] = subset
    return {
        video: VideoAnnotation(
            segments=as_segments([row[:2] for row in items]),
            labels=tuple(row[2] for row in items),
            subset=subsets[video],
        )
        for video, items in sorted(rows.items())
    }


def read_csv_rows(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Rows of a CSV file as (place for errors, column → text); `columns` must be in its header."""
    text = read_bytes(path).decode("utf-8-sig", "replace")
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    try:
        header = reader.fieldnames or []
        rows = [(f"{path}, line {reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise AttentadError(f"{path}, line {reader.line_num} is not CSV ({error}).") from None
    missing = [name for name in columns if name not in header]
    if missing:
        raise AttentadError(
            f"{path} lacks the column {missing[0]!r}; its first line must name "
            f"{', '.join(columns)}."
        )
    return rows


def _read_csv(path: Path) -> dict[str, VideoAnnotation]:
    segments: dict[str, list[tuple[float, float]]] = {}
    labels: dict[str, list[str]] = {}
    facts: dict[str, dict[str, str]] = {}
    for where, row in read_csv_rows(path, CSV_COLUMNS):
        video = (row["video"] or "").strip()
        if not video:
            raise AttentadError(f"{where}: the video is empty; name one.")
        segments.setdefault(video, [])
        labels.setdefault(video, [])
        known = facts.setdefault(video, {})
        known.update({key: row[key] for key in ("subset", "duration", "fps") if row.get(key)})
        if not any(row[key] for key in ("start", "end", "label")):
            continue
        if not row["label"]:
            raise AttentadError(f"{where}: video {video} has a segment without a label; write one.")
        place = f"{where}: video {video}"
        segments[video].append(checked_segment(row["start"], row["end"], place))
        labels[video].append(row["label"])
    return {
        video: VideoAnnotation(
            segments=as_segments(segments[video]),
            labels=tuple(labels[video]),
            subset=facts[video].get("subset", ""),
            duration_sec=_optional_number(
                facts[video].get("duration"), f"{path}: {video} duration"
            ),
            fps=_optional_number(facts[video].get("fps"), f"{path}: {video} fps"),
        )
        for video in segments
    }


def _write_csv(path: str | Path, annotations: Annotations) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*CSV_COLUMNS, "subset", "duration", "fps"])
    for video, item in annotations.videos.items():
        facts = [item.subset, item.duration_sec, item.fps]
        if not item.labels:
            writer.writerow([video, "", "", "", *facts])
        for (start, end), label in zip(item.segments, item.labels, strict=True):
            writer.writerow([video, float(start), float(end), label, *facts])
    write_bytes(path, text.getvalue().encode())
