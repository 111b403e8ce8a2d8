"""ActivityNet JSON: annotations, and the submissions that are detections."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from attentad.core.annotations import Annotations, VideoAnnotation
from attentad.core.arrays import Floats
from attentad.core.detections import NO_LABEL, Detections, label_name
from attentad.core.errors import AttentadError
from attentad.core.files import check_keys_once, parse_json, read_bytes, write_json
from attentad.core.formats.detection_tables import DetectionTable
from attentad.core.segments import Segments, as_segments, checked_segment


def read_activitynet(path: Path) -> tuple[dict[str, VideoAnnotation], dict[int, str]]:
    """Video id → its annotation, and the class numbers that `label_id` gives → their names."""
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
        videos[str(video)] = VideoAnnotation.checked(
            as_segments(segments), labels, entry, f"{where}:"
        )
    check_keys_once(content, path, sum(len(item.labels) for item in videos.values()))
    # A number that stands for two names says nothing about a detection.
    return videos, {i: next(iter(names)) for i, names in names_of.items() if len(names) == 1}


def write_activitynet(path: str | Path, annotations: Annotations) -> None:
    """Write annotations, whole or not at all."""
    database = {}
    for video, item in annotations.videos.items():
        facts = {"duration": item.duration_sec, "fps": item.fps, "frames": item.frames}
        instances = [
            {"label": label, "segment": segment}
            for segment, label in zip(item.segments.tolist(), item.labels, strict=True)
        ]
        told = {key: value for key, value in facts.items() if value is not None}
        database[video] = {"subset": item.subset, **told, "annotations": instances}
    content = {"version": "attentad", "classes": list(annotations.classes), "database": database}
    write_json(path, content)


def read_submission(path: Path) -> DetectionTable:
    """Detections, as in OpenTAD's `result_detection.json` too.

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
        columns = _columns(list(chain.from_iterable(results.values())))
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


def write_submission(path: Path, detections: Detections) -> None:
    """Write detections, whole or not at all; `external_data` holds their meta and classes."""
    results = {
        video: [
            {"label": label_name(label, detections.classes), "score": score, "segment": segment}
            for segment, score, label in items.rows()
        ]
        for video, items in detections.videos.items()
    }
    meta = dict(detections.meta) | {"classes": list(detections.classes)}
    write_json(path, {"version": "attentad", "results": results, "external_data": meta})


# What a detection that is no object of the right fields may raise while it is taken apart.
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)


def _columns(items: list[Any]) -> tuple[Segments, Floats, list[str]]:
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
            _columns(list(items))
        except _MALFORMED:
            return (
                f'{path}: video {video}: each detection needs "segment": [start, end], "score" '
                'and "label".'
            )
    return f'{path}: "results" must be an object of video id → list of detections.'
