"""Annotations and detections from plain Python values: dicts, lists, arrays, tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from attentad.core.annotations import Annotations, VideoAnnotation, marker_among
from attentad.core.arrays import Floats
from attentad.core.detections import Detections, VideoDetections, label_name
from attentad.core.errors import AttentadError
from attentad.core.formats.detection_tables import COLUMNS
from attentad.core.notes import note
from attentad.core.segments import (
    Segments,
    as_segments,
    broken_segments,
    checked_segment,
    checked_times,
    reversed_segments,
)


def annotations_from(values: Any, *, classes: Sequence[str] | None = None) -> Annotations:
    """Annotations from what a program holds.

    Args:
        values: one of
            `Annotations`;
            ActivityNet's dict, `{"database": {video: {"annotations": [...]}}}`;
            `{video: [{"segment": [start, end], "label": name}, …]}`;
            `{video: {"segments": (N, 2), "labels": N}}`;
            flat columns `{"video": …, "start": …, "end": …, "label": …}` (a pandas table too).
            Times in seconds; a label is a name, or a number that counts `classes` from 0.
        classes: class names in their order; by default the sorted names that occur.

    Raises:
        AttentadError: the values are laid out otherwise, a time is not a number, or a segment
            ends before it starts; names the video.
    """
    if isinstance(values, Annotations):
        return values
    if isinstance(values, Mapping) and "database" in values:
        values = values["database"]
    videos = {}
    for video, item in _by_video(values, ("video", "start", "end", "label")).items():
        facts = item if isinstance(item, Mapping) else {}
        instances = item["annotations"] if "annotations" in facts else item
        segments, labels, _ = _video_columns(instances, f"annotated video {video}", score=False)
        if len(labels) != len(segments):
            raise _layout_error(f"annotated video {video}", "labels")
        duration = facts.get("duration")
        videos[str(video)] = VideoAnnotation(
            segments,
            tuple(_name(label, classes) for label in labels),
            subset=str(facts.get("subset", "")),
            duration_sec=None if duration is None else float(duration),
        )
    occurring = sorted({label for item in videos.values() for label in item.labels})
    names = tuple(occurring if classes is None else classes)
    return Annotations(videos, names, marker=marker_among(names))


def detections_from(
    values: Any, *, classes: Sequence[str] | None = None, keep_reversed: bool = False
) -> Detections:
    """Detections from what a program holds.

    Args:
        values: one of
            `Detections`;
            ActivityNet's dict, `{"results": {video: [...]}}`;
            `{video: [{"segment": [start, end], "score": …, "label": name}, …]}`;
            `{video: {"segments": (N, 2), "scores": (N,), "labels": N}}`;
            `{video: (segments, scores, labels)}`;
            flat columns `{"video": …, "start": …, "end": …, "label": …, "score": …}`.
            Without labels they are class-agnostic proposals. A label is a name, or a number that
            counts `classes` from 0.
        classes: class names in their order; by default the sorted names that occur.
        keep_reversed: leave detections that end before they start as they are, with a note, for an
            evaluation whose protocol says what they count for; otherwise they are refused.

    Raises:
        AttentadError: as `annotations_from`, or a score is not finite.
    """
    if isinstance(values, Detections):
        return values
    if isinstance(values, Mapping) and "results" in values:
        values = values["results"]
    parts: dict[str, tuple[Segments, Floats, list[str] | None]] = {}
    for video, item in _by_video(values, ("video", "start", "end", "label", "score")).items():
        where = f"detected video {video}"
        if isinstance(item, VideoDetections):
            if max(item.labels, default=-1) >= len(classes or ()):
                raise AttentadError(f"{where} has label numbers; name the classes they count.")
            named = [label_name(label, tuple(classes or ())) for label in item.labels.tolist()]
            item = (item.segments, item.scores, named)
        segments, labels, scores = _video_columns(
            item, where, score=True, keep_reversed=keep_reversed
        )
        if scores.shape != (len(segments),) or len(labels) not in (0, len(segments)):
            raise _layout_error(where, "scores" if len(scores) != len(segments) else "labels")
        if not np.isfinite(scores).all():
            raise AttentadError(f"{where} has a score that is not finite; correct it.")
        names = [_name(label, classes) for label in labels] if len(labels) else None
        parts[str(video)] = (segments, scores, names)
    occurring = {name for _, _, names in parts.values() for name in names or ()}
    together = (*(classes or ()), *sorted(occurring - set(classes or ())))
    index = {name: row for row, name in enumerate(together)}
    videos = {}
    for video, (segments, scores, names) in parts.items():
        ids = [-1] * len(segments) if names is None else [index[name] for name in names]
        videos[video] = VideoDetections(segments, scores, np.array(ids, dtype=np.int64))
    backwards = sum(int(reversed_segments(segments).sum()) for segments, _, _ in parts.values())
    if backwards:
        total = sum(len(segments) for segments, _, _ in parts.values())
        note(f"{backwards} of {total} detections end before they start.")
    return Detections(videos, together)


def _by_video(values: Any, columns: Iterable[str]) -> Mapping[Any, Any]:
    """Video id → its values; flat columns are gathered by video."""
    present = {name: next((c for c in COLUMNS[name] if _has(values, c)), None) for name in columns}
    if present["video"] is None or present["start"] is None or present["end"] is None:
        if isinstance(values, Mapping):
            return values
        raise AttentadError(
            f"annotations and detections must be a dict of video id → instances, or a table with "
            f"the columns {', '.join(present)}, not {type(values).__name__}."
        )
    table = {name: list(_array(values[column])) for name, column in present.items() if column}
    if len({len(column) for column in table.values()}) > 1:
        raise AttentadError("the table's columns differ in length; give one value per instance.")
    optional = table.keys() & {"label", "score"}
    rows: dict[str, dict[str, list[Any]]] = {}
    for row, video in enumerate(table["video"]):
        item = rows.setdefault(str(video), {"segments": [], "labels": [], "scores": []})
        item["segments"].append((table["start"][row], table["end"][row]))
        for column in optional:
            item[f"{column}s"].append(table[column][row])
    return rows


def _has(values: Any, column: str) -> bool:
    try:
        return column in values
    except TypeError:
        return False


def _video_columns(
    item: Any, where: str, *, score: bool, keep_reversed: bool = False
) -> tuple[Segments, list[Any], Any]:
    """Segments, labels and scores of one video in any of the layouts."""
    scores: Any = []
    try:
        if isinstance(item, Mapping):
            segments, labels = item["segments"], item.get("labels", ())
            scores = item.get("scores", ())
        elif score and isinstance(item, tuple) and len(item) in (2, 3):
            segments, scores = item[:2]
            labels = item[2] if len(item) == 3 else ()
        else:
            segments = [entry["segment"] for entry in item]
            labels = [entry["label"] for entry in item if "label" in entry]
            scores = [entry["score"] for entry in item] if score else []
        rows = as_segments(_array(segments))
        labels = list(_array(labels)) if len(labels) else []
        values = np.asarray(_array(scores), dtype=np.float64)
    except KeyError as error:
        raise AttentadError(f"{where} lacks {error.args[0]!r}; give it for each of them.") from None
    except (TypeError, ValueError, IndexError):
        raise _layout_error(where, "segments") from None
    refused = ~np.isfinite(rows).all(axis=1) if keep_reversed else broken_segments(rows)
    check = checked_times if keep_reversed else checked_segment
    for start, end in rows[refused]:
        check(start, end, where)
    return rows, labels, values


def _array(values: Any) -> Any:
    """An array from a list, an array, or a tensor of any device, without importing torch."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    if isinstance(values, list | tuple) and values and hasattr(values[0], "detach"):
        values = [value.detach().cpu() for value in values]
    return np.asarray(values)


def _name(label: Any, classes: Sequence[str] | None) -> str:
    if isinstance(label, str | np.str_):
        return str(label)
    if classes is None:
        return str(int(label))
    if not 0 <= int(label) < len(classes):
        raise AttentadError(
            f"label {int(label)} is not among the {len(classes)} classes, which count from 0."
        )
    return str(classes[int(label)])


def _layout_error(where: str, part: str) -> AttentadError:
    return AttentadError(
        f"{where}: its {part} do not fit; give a list of dicts with segment, label and (detected) "
        "score, or arrays `segments` (N, 2), `labels` and `scores` of N values."
    )
