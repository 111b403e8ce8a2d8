"""Detections: what a detector says happens when; and their readers and writers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attentad.core.annotations import checked_segment
from attentad.core.errors import AttentadError
from attentad.core.files import collector_paused, write_bytes, write_json
from attentad.core.formats.actionformer import read_actionformer_table
from attentad.core.formats.class_list import named_labels
from attentad.core.formats.detection_tables import (
    CSV_COLUMNS,
    NO_LABEL,
    DetectionTable,
    read_csv_table,
    read_json_table,
    read_thumos_table,
)
from attentad.core.segments import Segments


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


def concatenate(parts: Sequence[VideoDetections]) -> VideoDetections:
    """One set of detections after the other; none at all gives an empty set."""
    if not parts:
        return no_detections()
    return VideoDetections(
        np.concatenate([part.segments for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


@dataclass(frozen=True)
class Detections:
    """Video id → detections; the class names; and where they come from (model, protocol, …)."""

    videos: Mapping[str, VideoDetections]
    classes: tuple[str, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)


def read_detections(
    path: str | Path,
    classes: Sequence[str] | None = None,
    *,
    label_ids: Mapping[int, str] | None = None,
) -> Detections:
    """Read detections, whatever their layout, which the suffix tells (`.gz` after it unzips).

    `.json`: ActivityNet's submission, OpenTAD's `result_detection.json`. `.csv`: the columns
    video, start, end, label, score, or video-id, t-start, t-end, label, score. `.txt`: the
    official THUMOS14 detection text. `.pkl`, `.pickle`: ActionFormer's `eval_results.pkl` and its
    heirs', taken apart without running any of it. A label that is a number, and no class name,
    is looked up in `label_ids`: THUMOS14 text counts from 1, ActionFormer's files as `label_id`
    of its annotations does, from 0.

    Args:
        path: the file.
        classes: class names in their order; by default those that the file lists itself. Labels
            beyond them are appended, sorted, so that an evaluation can report them.
        label_ids: class number → name, as of `read_classes` or `Annotations.class_ids`. A number
            that it lacks stays, as text, and is then a label beyond the classes.

    Raises:
        AttentadError: the file is missing, malformed or of another kind, a segment ends before it
            starts, a score is not a finite number, or the class numbers of the file and of
            `label_ids` do not start alike.
    """
    path = Path(path)
    with collector_paused():
        table = _reader(path)(path)
    stops = np.cumsum(list(table.sizes.values()), dtype=np.int64)
    broken = ~(np.isfinite(table.segments).all(axis=1) & np.isfinite(table.scores))
    backwards = table.segments[:, 1] < table.segments[:, 0]
    if (broken | backwards).any():
        row = int(np.argmax(broken | backwards))
        video = list(table.sizes)[int(np.searchsorted(stops, row, side="right"))]
        start, end = table.segments[row].tolist()
        checked_segment(start, end, f"{path}: video {video}")
        raise AttentadError(f"{path}: video {video} has a score that is not finite; correct it.")
    meta = dict(table.meta)
    listed = meta.pop("classes", ())
    known = tuple(listed if classes is None else classes)
    texts = named_labels(
        table.labels, frozenset(known), label_ids or {}, str(path), from_one=table.ids_from_one
    )
    names = known + tuple(sorted(set(texts) - set(known)))
    index = {name: i for i, name in enumerate(names)}
    labels = np.fromiter(map(index.__getitem__, texts), np.int64, len(texts))
    videos = {}
    for video, size, stop in zip(table.sizes, table.sizes.values(), stops.tolist(), strict=True):
        rows = slice(stop - size, stop)
        videos[video] = VideoDetections(table.segments[rows], table.scores[rows], labels[rows])
    return Detections(videos, names, meta)


_READERS: Mapping[str, Callable[[Path], DetectionTable]] = {
    ".json": read_json_table,
    ".csv": read_csv_table,
    ".txt": read_thumos_table,
    ".pkl": read_actionformer_table,
    ".pickle": read_actionformer_table,
}


def _reader(path: Path) -> Callable[[Path], DetectionTable]:
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in _READERS:
        raise AttentadError(
            f"{path} has a name that tells no detection format; let it end in .json (ActivityNet, "
            "OpenTAD), .csv, .txt (THUMOS14) or .pkl (ActionFormer)."
        )
    return _READERS[suffix]


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
    return classes[label] if label >= 0 else NO_LABEL


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
