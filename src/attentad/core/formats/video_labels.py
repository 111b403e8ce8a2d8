"""Which classes a video holds, wherever in it: the labels of weak supervision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attentad.core.annotations import Annotations
from attentad.core.arrays import Ints
from attentad.core.errors import AttentadError
from attentad.core.files import check_keys_once, parse_json, read_utf8, write_json
from attentad.core.formats.annotations import read_annotations
from attentad.core.formats.csv_rows import read_csv_rows, read_table
from attentad.core.names import suggest

CSV_COLUMNS = ("video", "label")
_OF_TIMES = ("start", "begin", "onset", "end", "stop", "offset", "time", "frame", "sec")


@dataclass(frozen=True)
class VideoLabels:
    """The classes that occur in each video.

    Args:
        videos: video id → its labels, in the order of `classes`; an empty tuple for a video that
            is known to hold none.
        classes: the class names in their order: label index i is classes[i].
        subsets: video id → the part of the data set that it belongs to, where the source says so.
        source: where the labels are from, for error sentences.
    """

    videos: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...]
    subsets: Mapping[str, str] = field(default_factory=dict)
    source: str = "the video labels"

    def label_ids(self, videos: Iterable[str]) -> dict[str, Ints]:
        """Class indices of the given videos, each (n,) int64, ascending; n may be 0.

        Raises:
            AttentadError: a video has no entry.
        """
        index = {name: row for row, name in enumerate(self.classes)}
        ids = {}
        for video in videos:
            if video not in self.videos:
                raise AttentadError(
                    f"{self.source} has no entry for video {video}, which is to train"
                    f"{_meant(video, self.videos)}; list its labels, or an empty list if it holds "
                    "no action."
                )
            ids[video] = np.array([index[name] for name in self.videos[video]], dtype=np.int64)
        return ids


def read_video_labels(path: str | Path, *, classes: Sequence[str] | None = None) -> VideoLabels:
    """Read a list of video-level labels.

    `.csv` has the header `video,label` and a row per pair (further columns do no harm; `subset` is
    read); a row with an empty label declares a video without any action. JSON is an object of
    video id → list of labels. Annotations in ActivityNet JSON serve as well, by the labels of
    their segments. A label given twice counts once.

    Args:
        path: the file, `.gz` too.
        classes: class names in their order; by default the sorted labels that occur.

    Raises:
        AttentadError: the file is missing, malformed or empty; a video has a label that is not
            among `classes`, or two subsets.
    """
    path = Path(path)
    subsets: dict[str, str] = {}
    listed: Mapping[str, Iterable[str]]
    if path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
        listed = _read_csv(path, subsets)
    else:
        content = read_utf8(path)
        listed = parse_json(content, path)
        if not isinstance(listed, dict):
            raise AttentadError(f"{path} must be a JSON object of video id → list of labels.")
        if isinstance(listed.get("database"), dict):
            return from_annotations(read_annotations(path), classes=classes, source=str(path))
        for video, labels in listed.items():
            if not (isinstance(labels, list) and all(type(x) is str and x.strip() for x in labels)):
                raise AttentadError(
                    f"{path}: video {video} must have a list of class names, not "
                    f"{str(labels)[:60]!r}."
                )
        check_keys_once(content, path, -1)
    if not listed:
        raise AttentadError(f"{path} lists no videos; give each training video with its labels.")
    return video_labels(listed, classes=classes, subsets=subsets, source=str(path))


def holds_video_labels(path: str | Path) -> bool:
    """Whether a file is such a list, and neither a folder nor annotations with times.

    A file that cannot be read is none; whoever reads it says what is wrong.
    """
    path = Path(path)
    if path.is_dir():
        return False
    try:
        if path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
            header = [name.lower() for name in read_table(path).header]
            return set(CSV_COLUMNS) <= set(header) and not any(map(_tells_time, header))
        listed = parse_json(read_utf8(path), path)
    except AttentadError:
        return False
    if not isinstance(listed, dict) or not listed:
        return False
    return all(
        isinstance(labels, list) and all(type(label) is str for label in labels)
        for labels in listed.values()
    )


def video_labels(
    listed: Mapping[str, Iterable[str]],
    *,
    classes: Sequence[str] | None = None,
    subsets: Mapping[str, str] | None = None,
    source: str = "the video labels",
) -> VideoLabels:
    """Video labels from video id → its labels, in any order; see `read_video_labels`.

    Raises:
        AttentadError: a video has a label that is not among `classes`.
    """
    by_video = {video: set(labels) for video, labels in listed.items()}
    names = tuple(sorted(set().union(*by_video.values())) if classes is None else classes)
    allowed = set(names)
    for video, labels in by_video.items():
        for label in sorted(labels - allowed):
            raise AttentadError(
                f"{source}: video {video} has the label {label!r}, which is not in the class list"
                f"{_meant(label, names)}; correct it or add the class."
            )
    ordered = {
        video: tuple(name for name in names if name in labels) for video, labels in by_video.items()
    }
    return VideoLabels(ordered, names, dict(subsets or {}), source)


def from_annotations(
    annotations: Annotations,
    *,
    classes: Sequence[str] | None = None,
    source: str = "the annotations",
) -> VideoLabels:
    """The labels of annotated segments, without their times, and without the mark that is none.

    Args:
        annotations: of the videos.
        classes: class names in their order; by default those of `annotations`.
        source: where they are from, for error sentences.

    Raises:
        AttentadError: a video has a label that is not among `classes`.
    """
    videos = {
        video: set(item.labels) - {annotations.marker} for video, item in annotations.videos.items()
    }
    names = annotations.classes if classes is None else classes
    return video_labels(
        videos,
        classes=[name for name in names if name != annotations.marker],
        subsets={video: item.subset for video, item in annotations.videos.items() if item.subset},
        source=source,
    )


def write_video_labels(path: str | Path, labels: VideoLabels) -> None:
    """Write JSON, video id → list of labels, whole or not at all."""
    write_json(path, {video: list(names) for video, names in labels.videos.items()})


def _meant(name: str, known: Iterable[str]) -> str:
    probable = suggest(name, known)
    return "" if probable is None else f" (did you mean {probable!r}?)"


def _read_csv(path: Path, subsets: dict[str, str]) -> dict[str, set[str]]:
    by_video: dict[str, set[str]] = {}
    for where, row in read_csv_rows(path, CSV_COLUMNS):
        video, label = row["video"].strip(), row["label"].strip()
        if not video:
            raise AttentadError(f"{where}: the video is empty; name one.")
        labels = by_video.setdefault(video, set())
        if label:
            labels.add(label)
        subset = row.get("subset", "").strip()
        if subset and subsets.setdefault(video, subset) != subset:
            raise AttentadError(
                f"{where}: video {video} is in subset {subset} here and in {subsets[video]} above; "
                "give one."
            )
    return by_video


def _tells_time(column: str) -> bool:
    return any(word in column for word in _OF_TIMES)
