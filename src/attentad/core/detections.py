"""Detections: what a detector says happens when; and their readers and writers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attentad.core.annotations import checked_segment, read_csv_rows
from attentad.core.errors import AttentadError
from attentad.core.files import read_json, write_bytes, write_json
from attentad.core.segments import Segments, as_segments

CSV_COLUMNS = ("video", "start", "end", "label", "score")


@dataclass(frozen=True)
class VideoDetections:
    """Detections of one video, or class-agnostic proposals (label −1).

    Args:
        segments: (N, 2) start and end in seconds.
        scores: (N,) float64, larger is surer.
        labels: (N,) int64 class indices; −1 where no class has been given yet.
    """

    segments: Segments
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: Any) -> VideoDetections:
        """The detections at `rows` (indices, mask or slice), in that order."""
        return VideoDetections(self.segments[rows], self.scores[rows], self.labels[rows])


def no_detections() -> VideoDetections:
    """An empty set of detections."""
    return VideoDetections(np.zeros((0, 2)), np.zeros(0), np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class Detections:
    """Video id → detections; the class names; and where they come from (model, protocol, …)."""

    videos: Mapping[str, VideoDetections]
    classes: tuple[str, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)


def read_detections(path: str | Path, classes: Sequence[str] | None = None) -> Detections:
    """Read detections: CSV when the name ends in `.csv`, else ActivityNet submission JSON.

    Args:
        path: the file.
        classes: class names in their order; by default those that the file lists itself. Labels
            beyond them are appended, sorted, so that an evaluation can report them.

    Raises:
        AttentadError: the file is missing or malformed, a segment ends before it starts, or a
            score is not a finite number.
    """
    path = Path(path)
    table, meta = (_read_csv(path), {}) if path.suffix.lower() == ".csv" else _read_json(path)
    stops = np.cumsum(list(table.sizes.values()), dtype=np.int64)
    broken = ~(np.isfinite(table.segments).all(axis=1) & np.isfinite(table.scores))
    backwards = table.segments[:, 1] < table.segments[:, 0]
    if (broken | backwards).any():
        row = int(np.argmax(broken | backwards))
        video = list(table.sizes)[int(np.searchsorted(stops, row, side="right"))]
        start, end = table.segments[row].tolist()
        checked_segment(start, end, f"{path}: video {video}")
        raise AttentadError(f"{path}: video {video} has a score that is not finite; correct it.")
    listed = meta.pop("classes", ())
    known = tuple(listed if classes is None else classes)
    names = known + tuple(sorted(set(table.labels) - set(known)))
    index = {name: i for i, name in enumerate(names)}
    labels = np.fromiter(map(index.__getitem__, table.labels), np.int64, len(table.labels))
    videos = {}
    for video, size, stop in zip(table.sizes, table.sizes.values(), stops.tolist(), strict=True):
        rows = slice(stop - size, stop)
        videos[video] = VideoDetections(table.segments[rows], table.scores[rows], labels[rows])
    return Detections(videos, names, meta)


def write_detections(path: str | Path, detections: Detections) -> None:
    """Write by suffix: `.csv`, `.boris.csv` (BORIS tabular events), `.vtt` (WebVTT), else JSON.

    WebVTT captions belong to one video: unless there is one, `name.vtt` becomes `name.VIDEO.vtt`
    for each.
    Detections without a class get the label `action`.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith(".boris.csv"):
        write_bytes(path, _boris_csv(detections).encode())
    elif name.endswith(".csv"):
        write_bytes(path, _csv(detections).encode())
    elif name.endswith(".vtt"):
        for video, items in detections.videos.items():
            single = len(detections.videos) == 1
            target = path if single else path.with_suffix(f".{Path(video).name}.vtt")
            write_bytes(target, _webvtt(items, detections.classes).encode())
    else:
        _write_json(path, detections)


def label_name(label: int, classes: tuple[str, ...]) -> str:
    """Class name of a label index; `action` for −1, a proposal without a class."""
    return classes[label] if label >= 0 else "action"


@dataclass(frozen=True)
class _Table:
    """The detections of a file, flat: video id → how many, then their columns in that order."""

    sizes: dict[str, int]
    segments: Segments
    scores: NDArray[np.float64]
    labels: list[str]


def _read_json(path: Path) -> tuple[_Table, dict[str, Any]]:
    content = read_json(path)
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise AttentadError(
            f'{path} is not a detection file: it needs a "results" object of video id → list.'
        )
    try:
        # One pass over all videos: files of half a million detections are common.
        columns = _json_columns(list(chain.from_iterable(results.values())))
    except _MALFORMED:
        raise AttentadError(_malformed(path, results)) from None
    meta = content.get("external_data")
    meta = dict(meta) if isinstance(meta, dict) else {}
    classes = meta.get("classes", [])
    if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise AttentadError(f'{path}: "classes" in "external_data" must be a list of names.')
    return _Table({video: len(items) for video, items in results.items()}, *columns), meta


# What a detection that is no object of the right fields may raise while it is taken apart.
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)


def _json_columns(items: list[Any]) -> tuple[Segments, NDArray[np.float64], list[str]]:
    segments = as_segments(np.array([item["segment"] for item in items], dtype=np.float64))
    scores = np.array([item["score"] for item in items], dtype=np.float64)
    labels = [item.get("label", "action") for item in items]
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


def _read_csv(path: Path) -> _Table:
    rows: dict[str, list[tuple[float, float, float, str]]] = {}
    for where, row in read_csv_rows(path, CSV_COLUMNS):
        video = (row["video"] or "").strip()
        if not video:
            raise AttentadError(f"{where}: the video is empty; name one.")
        segment = checked_segment(row["start"], row["end"], f"{where}: video {video}")
        try:
            score = float(row["score"])
        except (TypeError, ValueError):
            raise AttentadError(f"{where}: score {row['score']!r} must be a number.") from None
        rows.setdefault(video, []).append((*segment, score, row["label"] or "action"))
    flat = list(chain.from_iterable(rows.values()))
    return _Table(
        {video: len(items) for video, items in rows.items()},
        as_segments([row[:2] for row in flat]),
        np.array([row[2] for row in flat], dtype=np.float64),
        [row[3] for row in flat],
    )


def _write_json(path: Path, detections: Detections) -> None:
    results = {
        video: [
            {
                "label": label_name(label, detections.classes),
                "score": score,
                "segment": segment,
            }
            for segment, score, label in zip(
                items.segments.tolist(), items.scores.tolist(), items.labels.tolist(), strict=True
            )
        ]
        for video, items in detections.videos.items()
    }
    meta = dict(detections.meta) | {"classes": list(detections.classes)}
    write_json(path, {"version": "attentad", "results": results, "external_data": meta})


def _csv(detections: Detections) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for video, items in detections.videos.items():
        for (start, end), score, label in zip(
            items.segments, items.scores, items.labels, strict=True
        ):
            name = label_name(int(label), detections.classes)
            writer.writerow([video, float(start), float(end), name, float(score)])
    return text.getvalue()


def _boris_csv(detections: Detections) -> str:
    """One row per START and STOP, the columns of BORIS's tabular event export."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["Observation id", "Media file name", "Subject", "Behavior", "Behavior type"]
    writer.writerow([*columns, "Time", "Comment"])
    for video, items in detections.videos.items():
        events = []
        for (start, end), score, label in zip(
            items.segments, items.scores, items.labels, strict=True
        ):
            name = label_name(int(label), detections.classes)
            comment = f"score {score:.4f}"
            events.append((float(start), "START", name, comment))
            events.append((float(end), "STOP", name, comment))
        for time, kind, name, comment in sorted(events, key=lambda event: event[0]):
            row = [Path(video).name, video, "No focal subject", name, kind]
            writer.writerow([*row, f"{time:.3f}", comment])
    return text.getvalue()


def _webvtt(items: VideoDetections, classes: tuple[str, ...]) -> str:
    cues = ["WEBVTT"]
    for row in np.argsort(items.segments[:, 0], kind="stable"):
        start, end = items.segments[row]
        name = label_name(int(items.labels[row]), classes)
        # A cue may not contain "-->" nor a line break, and < and & start markup.
        name = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        name = " ".join(name.split())
        cues.append(f"{_clock(start)} --> {_clock(end)}\n{name} ({items.scores[row]:.2f})")
    return "\n\n".join(cues) + "\n"


def _clock(seconds: float) -> str:
    milliseconds = max(0, round(seconds * 1000))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
