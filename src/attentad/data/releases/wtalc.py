"""The release of W-TALC: I3D features of whole data sets, with annotations as NumPy files.

In a folder, or one below it (spec hamnet_sta_recognition §1.1):

    NAME-I3D-JOINTFeatures.npy      objects: per video an array (T, C)
    NAME-Annotations/
        videoname.npy subset.npy    text per video
        duration.npy                seconds per video
        classlist.npy               text per class
        segments.npy labels.npy     objects: per video pairs of seconds, and as many class names
        labels_all.npy              objects: per video class names, or a row of 0 and 1
        extracted_fps.npy           optional: frames per second, only compared
        Ambiguous_test.txt          optional: lines `video start end`

All are in the order of `videoname.npy`. NAME is `Thumos14reduced`, `ActivityNet1.2` or another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from attentad.core import Annotations, AttentadError, VideoAnnotation, as_segments
from attentad.core.formats.safe_pickle import read_npy
from attentad.core.formats.stored_array import StoredArray
from attentad.core.formats.video_labels import VideoLabels, from_annotations, video_labels
from attentad.core.wording import first_few, number_of
from attentad.data.releases.wtalc_columns import (
    check_count,
    duration,
    label_list,
    label_list_or_row,
    read_ambiguous,
    read_column,
    seconds,
    segment_list,
    text,
)

FPS: Final = 25.0
SNIPPET_FRAMES: Final = 16

_FEATURES = "-I3D-JOINTFeatures.npy"
_COLUMNS = ("videoname", "subset", "duration", "classlist", "segments", "labels", "labels_all")
_ACCEPTED = (
    f"NAME{_FEATURES} and beside it NAME-Annotations/ with {', '.join(_COLUMNS)} (.npy), as W-TALC "
    "released them"
)
_NAMED = 3
# Features leave out less than a snippet at the end, and durations are rounded.
_CLOCK_SLACK_SEC = 2.0

Array: TypeAlias = StoredArray | NDArray[Any]


@dataclass(frozen=True)
class WtalcRelease:
    """A data set as it was released, checked; the features still in their file.

    Args:
        name: of the data set.
        features_file: where the features lie.
        annotations: segments, Ambiguous ones among them, subsets and durations, in the order of
            the files; classes in alphabetical order.
        labels_all: the video-level labels of `labels_all.npy`.
        from_segments: those of the segments.
        arrays: video id → its features.
        shapes: video id → (T, C) of them.
        notes: what is odd about the data, a sentence each.
    """

    name: str
    features_file: Path
    annotations: Annotations
    labels_all: VideoLabels
    from_segments: VideoLabels
    arrays: Mapping[str, Array]
    shapes: Mapping[str, tuple[int, int]]
    notes: tuple[str, ...]

    def features(self, video: str) -> NDArray[np.float32]:
        """The features of one video, (T, C) float32, read when asked for.

        Raises:
            AttentadError: they are damaged, or not finite.
        """
        stored = self.arrays[video]
        problem = "are damaged"
        with contextlib.suppress(ValueError):
            values = stored.load() if isinstance(stored, StoredArray) else stored
            features = np.asarray(values, dtype=np.float32)
            if np.isfinite(features).all():
                return features
            problem = "hold NaN or infinity"
        raise AttentadError(
            f"{self.features_file}: the features of video {video} {problem}; download the file "
            "again."
        )

    def disagreeing(self) -> dict[str, list[str]]:
        """Subset → the videos whose `labels_all` are not the labels of their segments."""
        videos_of: dict[str, list[str]] = {}
        for video, item in self.annotations.videos.items():
            if self.labels_all.videos[video] != self.from_segments.videos[video]:
                videos_of.setdefault(item.subset, []).append(video)
        return videos_of


def read_wtalc(folder: str | Path) -> WtalcRelease:
    """Read the release of one data set, all but the values of the features.

    Nothing in it is unpickled (`core.safe_pickle`). A segment that ends before it starts, and a
    video without a single snippet, is left out and noted.

    Args:
        folder: which holds the files, or a folder with them.

    Raises:
        AttentadError: a file is missing, damaged, unsafe or holds something else than it should;
            files disagree in the number of videos; a label is not in the class list.
    """
    features_file, notes_at = _find(Path(folder))
    videos = read_column(notes_at / "videoname.npy", text, "the name of a video")
    classes = read_column(notes_at / "classlist.npy", text, "the name of a class")
    _check_names(videos, notes_at / "videoname.npy")
    _check_once(classes, notes_at / "classlist.npy")
    stored = read_npy(features_file)
    check_count(len(stored), videos, features_file)
    arrays = {video: stored[i] for i, video in enumerate(videos)}
    shapes = {video: _shape(video, arrays[video], features_file) for video in videos}
    widths = sorted({width for length, width in shapes.values() if length})
    if len(widths) != 1:
        found = f"widths {', '.join(map(str, widths))}" if widths else "no snippet of any video"
        raise AttentadError(
            f"{features_file} has features of {found}; one width is needed, so download the file "
            "again."
        )
    notes: list[str] = []
    empty = [video for video in videos if not shapes[video][0]]
    _note(notes, "without a single snippet and left out", empty)
    every = _annotations(notes_at, videos, notes)
    items = {video: item for video, item in every.items() if shapes[video][0]}
    order = tuple(sorted(classes))
    annotations = Annotations(items, order)
    from_segments = from_annotations(annotations, source=str(notes_at / "labels.npy"))
    path = notes_at / "labels_all.npy"
    what = f"class names, or {len(classes)} numbers 0 or 1"
    rows = read_column(path, label_list_or_row(classes), what, videos)
    named = dict(zip(videos, rows, strict=True))
    labels_all = video_labels({v: named[v] for v in items}, classes=order, source=str(path))
    _note_clock(notes, notes_at, annotations, shapes)
    _note(notes, "without a label in labels_all", [v for v in items if not labels_all.videos[v]])
    name = features_file.name.removesuffix(_FEATURES)
    return WtalcRelease(
        name, features_file, annotations, labels_all, from_segments, arrays, shapes, tuple(notes)
    )


def _find(folder: Path) -> tuple[Path, Path]:
    """The file of features and the folder of annotations."""
    if not folder.is_dir():
        raise AttentadError(f"{folder} is no folder; give the one that holds {_ACCEPTED}.")
    archives = sorted([*folder.glob(f"*{_FEATURES}"), *folder.glob(f"*/*{_FEATURES}")])
    if len(archives) != 1:
        names = ", ".join(str(file.relative_to(folder)) for file in archives) or "none"
        raise AttentadError(
            f"{folder} must hold the features of one data set, and holds {names}; what is read is "
            f"{_ACCEPTED}."
        )
    name = archives[0].name.removesuffix(_FEATURES)
    for place in dict.fromkeys((archives[0].parent, folder)):
        notes_at = place / f"{name}-Annotations"
        if notes_at.is_dir():
            return archives[0], notes_at
    raise AttentadError(
        f"{folder} holds no folder {name}-Annotations beside {archives[0].name}; what is read is "
        f"{_ACCEPTED}."
    )


def _check_names(videos: Sequence[str], path: Path) -> None:
    """Each video will be a file of its name."""
    _check_once(videos, path)
    if not videos:
        raise AttentadError(f"{path} names no video; download the file again.")
    for video in videos:
        if video.startswith(".") or not all(c.isprintable() and c not in "/\\:" for c in video):
            raise AttentadError(
                f"{path}: {video!r} cannot be the name of a file, which a video's name must be; "
                "download the file again."
            )


def _check_once(names: Sequence[str], path: Path) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise AttentadError(f"{path} names {name!r} twice; download the file again.")
        seen.add(name)


def _shape(video: str, array: Any, path: Path) -> tuple[int, int]:
    """(T, C) of features, whose values are not looked at; (0, 0) for none at all."""
    values = array if isinstance(array, StoredArray | np.ndarray) else None
    if values is not None and 0 in values.shape:
        return 0, 0
    if values is None or values.dtype is None or values.dtype.kind not in "fiu":
        raise AttentadError(
            f"{path}: the features of video {video} are no array of numbers; download the file "
            "again."
        )
    if len(values.shape) != 2:
        raise AttentadError(
            f"{path}: the features of video {video} have shape {values.shape}; (snippets, channels)"
            " is needed."
        )
    return values.shape[0], values.shape[1]


def _annotations(
    notes_at: Path, videos: Sequence[str], notes: list[str]
) -> dict[str, VideoAnnotation]:
    """The segments of each video with their labels, Ambiguous ones last."""
    subsets = read_column(notes_at / "subset.npy", text, "the name of a subset", videos)
    durations = read_column(notes_at / "duration.npy", duration, "seconds above 0", videos)
    what = "a list of [start, end] in seconds"
    segments = read_column(notes_at / "segments.npy", segment_list, what, videos)
    labels = read_column(notes_at / "labels.npy", label_list, "a list of class names", videos)
    ambiguous = read_ambiguous(notes_at / "Ambiguous_test.txt")
    _note(notes, "named in Ambiguous_test.txt only", [v for v in ambiguous if v not in videos])
    items, backwards = {}, []
    for row, video in enumerate(videos):
        if len(segments[row]) != len(labels[row]):
            counts = f"{len(segments[row])} segments but {len(labels[row])} labels of segments"
            raise AttentadError(
                f"{notes_at}: video {video} has {counts}; take segments.npy and labels.npy from "
                "one release."
            )
        pairs = zip(segments[row], labels[row], strict=True)
        kept = [((start, end), label) for (start, end), label in pairs if start <= end]
        if len(kept) < len(labels[row]):
            backwards.append(video)
        marked = ambiguous.get(video, [])
        items[video] = VideoAnnotation(
            segments=as_segments([*(segment for segment, _ in kept), *marked]),
            labels=(*(label for _, label in kept), *["Ambiguous"] * len(marked)),
            subset=subsets[row],
            duration_sec=durations[row],
        )
    _note(notes, "with segments that end before they start, which are left out", backwards)
    return items


def _note_clock(
    notes: list[str],
    notes_at: Path,
    annotations: Annotations,
    shapes: Mapping[str, tuple[int, int]],
) -> None:
    """Note where the features do not last as long as the video, and other frame rates."""
    durations_sec = {v: item.duration_sec or 0 for v, item in annotations.videos.items()}
    covered_sec = {video: shapes[video][0] * SNIPPET_FRAMES / FPS for video in durations_sec}
    drifting = [
        video
        for video, duration_sec in durations_sec.items()
        if abs(covered_sec[video] - duration_sec) > _CLOCK_SLACK_SEC
    ]
    _note(
        notes,
        f"whose features last over {_CLOCK_SLACK_SEC:g} s more or less than the video at "
        f"{SNIPPET_FRAMES} frames of {FPS:g} per second",
        drifting,
    )
    beyond = [v for v, sec in durations_sec.items() if (annotations.videos[v].segments > sec).any()]
    _note(notes, "with segments beyond their duration", beyond)
    path = notes_at / "extracted_fps.npy"
    if path.exists():
        rates = sorted(set(read_column(path, seconds, "frames per second")))
        if rates != [FPS]:
            told = " to ".join(f"{rate:g}" for rate in dict.fromkeys([rates[0], rates[-1]]))
            notes.append(
                f"extracted_fps.npy tells of {told} frames per second; the I3D features are taken "
                f"to be made at {FPS:g}, as the published code does."
            )


def _note(notes: list[str], what: str, videos: Sequence[str]) -> None:
    if videos:
        notes.append(f"{number_of(videos, 'video')} {what}: {first_few(videos, _NAMED)}.")
