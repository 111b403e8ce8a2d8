"""Detections, whatever their layout: which reader or writer a path needs, and what all share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from attentad.core.detections import Detections, VideoDetections
from attentad.core.errors import AttentadError
from attentad.core.files import collector_paused
from attentad.core.formats.actionformer import read_actionformer_table
from attentad.core.formats.activitynet import read_submission, write_submission
from attentad.core.formats.class_list import named_labels
from attentad.core.formats.detection_tables import DetectionTable, read_csv_table, write_csv_table
from attentad.core.formats.exports import (
    EXPORTS,
    export_files,
    export_of,
    video_files,
    write_export,
)
from attentad.core.formats.marks import of_detections
from attentad.core.formats.thumos14 import read_thumos14_detections
from attentad.core.formats.webvtt import write_webvtt
from attentad.core.notes import note
from attentad.core.segments import (
    Segments,
    checked_segment,
    checked_times,
    forwards,
    reversed_segments,
)
from attentad.core.wording import number_of


def read_detections(
    path: str | Path,
    classes: Sequence[str] | None = None,
    *,
    label_ids: Mapping[int, str] | None = None,
    keep_reversed: bool = False,
) -> Detections:
    """Read detections, whatever their layout, which the suffix tells (`.gz` after it unzips).

    `.json`: ActivityNet's submission, OpenTAD's `result_detection.json`. `.csv`, `.tsv`: the
    columns video, start, end, label, score, or video-id, t-start, t-end, label, score. `.txt`: the
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
        keep_reversed: leave detections that end before they start as they are, for an evaluation
            whose protocol says what they count for; a note says how many. Otherwise those of
            THUMOS14 text are taken from the earlier to the later time, as its toolkit does, with
            a note, and others are refused.

    Raises:
        AttentadError: the file is missing, malformed or of another kind, a segment ends before it
            starts and none of the above holds, a time or score is not a finite number, or the
            class numbers of the file and of `label_ids` do not start alike.
    """
    path = Path(path)
    read = _READERS.get(Path(path.name.lower().removesuffix(".gz")).suffix)
    if read is None:
        raise AttentadError(
            f"{path} has a name that tells no detection format; let it end in .json (ActivityNet, "
            "OpenTAD), .csv, .txt (THUMOS14) or .pkl (ActionFormer)."
        )
    with collector_paused():
        table = read(path)
    segments = _checked_segments(path, table, keep_reversed)
    stops = np.cumsum(list(table.sizes.values()), dtype=np.int64)
    meta = dict(table.meta)
    listed = meta.pop("classes", ())
    names = tuple(listed if classes is None else classes)
    texts = named_labels(
        table.labels, frozenset(names), label_ids or {}, str(path), from_one=table.ids_from_one
    )
    names += tuple(sorted(set(texts) - set(names)))
    index = {name: i for i, name in enumerate(names)}
    labels = np.fromiter(map(index.__getitem__, texts), np.int64, len(texts))
    videos = {}
    for video, size, stop in zip(table.sizes, table.sizes.values(), stops.tolist(), strict=True):
        rows = slice(stop - size, stop)
        videos[video] = VideoDetections(segments[rows], table.scores[rows], labels[rows])
    return Detections(videos, names, meta)


def _checked_segments(path: Path, table: DetectionTable, keep_reversed: bool) -> Segments:
    """The segments, all finite; see `read_detections` for those that end before they start."""
    segments = table.segments
    backwards = reversed_segments(segments)
    refused = ~(np.isfinite(segments).all(axis=1) & np.isfinite(table.scores))
    if not (keep_reversed or table.unordered):
        refused |= backwards
    if refused.any():
        row = int(np.argmax(refused))
        video = table.video(row)
        where = path if table.lines is None else f"{path}, {table.place(row)}"
        start, end = segments[row].tolist()
        if keep_reversed or table.unordered:
            checked_times(start, end, f"{where}: video {video}")
        else:
            checked_segment(start, end, f"{where}: video {video}")
        raise AttentadError(f"{where}: video {video} has a score that is not finite; correct it.")
    if not backwards.any():
        return segments
    said = (
        f"{path}: {backwards.sum()} of {number_of(table.labels, 'detection')} end before they "
        f"start, the first in {table.place(int(np.argmax(backwards)))}"
    )
    if keep_reversed:
        note(f"{said}.")
        return segments
    note(
        f"{said}; they were taken from the earlier to the later time, as the official THUMOS14 "
        "toolkit does."
    )
    return forwards(segments)


_READERS: Mapping[str, Callable[[Path], DetectionTable]] = {
    ".json": read_submission,
    ".csv": read_csv_table,
    ".tsv": read_csv_table,
    ".txt": read_thumos14_detections,
    ".pkl": read_actionformer_table,
    ".pickle": read_actionformer_table,
}


def write_detections(path: str | Path, detections: Detections, *, fps: float | None = None) -> None:
    """Write by the end of the name: `.json` (ActivityNet), `.csv`, `.tsv`, `.vtt` (WebVTT), or a
    file for another program (`exports.EXPORTS`).

    WebVTT captions, and some files for other programs, belong to one video: unless there is one,
    `name.vtt` becomes `name.VIDEO.vtt` for each. Detections without a class get the label `action`.

    Args:
        path: the file.
        detections: what to write.
        fps: frames per second of the videos, for files that count frames.

    Raises:
        AttentadError: the name ends otherwise, or the file cannot be written; as `short_names`.
    """
    path = Path(path)
    suffix = export_of(path)
    if suffix is None:
        _writer(path)(path, detections)
    else:
        write_export(path, suffix, of_detections(detections, fps))


def detection_files(path: str | Path, videos: Collection[str]) -> list[Path]:
    """The files that `write_detections` writes for these videos.

    Raises:
        AttentadError: the suffix is unknown, or two videos would have one file.
    """
    path = Path(path)
    suffix = export_of(path)
    if suffix is not None:
        return export_files(path, suffix, videos)
    if _writer(path) is _write_captions:
        return list(video_files(path, path.suffix, videos).values())
    return [path]


def _write_captions(path: Path, detections: Detections) -> None:
    for video, target in video_files(path, path.suffix, detections.videos).items():
        write_webvtt(target, detections.videos[video], detections.classes)


_WRITERS: Mapping[str, Callable[[Path, Detections], None]] = {
    ".csv": write_csv_table,
    ".tsv": partial(write_csv_table, separator="\t"),
    ".json": write_submission,
    ".vtt": _write_captions,
}


def _writer(path: Path) -> Callable[[Path, Detections], None]:
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise AttentadError(
            f"{path} has a name that tells no detection format to write; let it end in "
            f"{', '.join((*_WRITERS, *EXPORTS))}."
        )
    return writer
