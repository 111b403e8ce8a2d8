"""Detections: what a detector says happens when; and their readers and writers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
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


def read_detections(path: str | Path, classes: tuple[str, ...] | None = None) -> Detections:
    """Read detections: CSV when the name ends in `.csv`, else ActivityNet submission JSON.

    Args:
        path: the file.
        classes: class names in their order. Labels beyond them are appended, so that an
            evaluation can report them; by default the sorted labels that occur.

    Raises:
        AttentadError: the file is missing or malformed, a segment ends before it starts, or a
            score is not a finite number.
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        rows, meta = _rows_csv(path), {}
    else:
        rows, meta = _rows_json(path)
    found = sorted({label for items in rows.values() for *_, label in items})
    known = tuple(classes or ())
    names = known + tuple(label for label in found if label not in known)
    index = {name: i for i, name in enumerate(names)}
    videos = {}
    for video, items in rows.items():
        segments = as_segments([(start, end) for start, end, _, _ in items])
        scores = np.array([score for _, _, score, _ in items], dtype=np.float64)
        broken = ~np.isfinite(segments).all(axis=1) | ~np.isfinite(scores)
        if broken.any():
            raise AttentadError(f"{path}: video {video} has a segment or score that is not finite.")
        if (segments[:, 1] < segments[:, 0]).any():
            row = int(np.argmax(segments[:, 1] < segments[:, 0]))
            checked_segment(*segments[row], f"{path}: video {video}")
        labels = np.array([index[label] for *_, label in items], dtype=np.int64)
        videos[video] = VideoDetections(segments, scores, labels)
    return Detections(videos, names, meta)


def write_detections(path: str | Path, detections: Detections) -> None:
    """Write by suffix: `.csv`, `.boris.csv` (BORIS tabular events), `.vtt` (WebVTT), else JSON.

    WebVTT captions belong to one video: with several, `name.vtt` becomes `name.VIDEO.vtt` each.
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


def _rows_json(
    path: Path,
) -> tuple[dict[str, list[tuple[float, float, float, str]]], dict[str, Any]]:
    content = read_json(path)
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise AttentadError(
            f'{path} is not a detection file: it needs a "results" object of video id → list.'
        )
    rows = {}
    for video, items in results.items():
        try:
            rows[video] = [
                (
                    float(item["segment"][0]),
                    float(item["segment"][1]),
                    float(item["score"]),
                    str(item.get("label", "action")),
                )
                for item in items
            ]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            raise AttentadError(
                f'{path}: video {video}: each detection needs "segment": [start, end], "score" '
                'and "label".'
            ) from None
    meta = content.get("external_data")
    return rows, meta if isinstance(meta, dict) else {}


def _rows_csv(path: Path) -> dict[str, list[tuple[float, float, float, str]]]:
    rows: dict[str, list[tuple[float, float, float, str]]] = {}
    for where, row in read_csv_rows(path, CSV_COLUMNS):
        segment = checked_segment(row["start"], row["end"], f"{where}: video {row['video']}")
        try:
            score = float(row["score"])
        except (TypeError, ValueError):
            raise AttentadError(f"{where}: score {row['score']!r} must be a number.") from None
        rows.setdefault(row["video"], []).append((*segment, score, row["label"] or "action"))
    return rows


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
        # A cue may not contain "-->", and < and & start markup.
        name = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{_clock(start)} --> {_clock(end)}\n{name} ({items.scores[row]:.2f})")
    return "\n\n".join(cues) + "\n"


def _clock(seconds: float) -> str:
    milliseconds = max(0, round(seconds * 1000))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
