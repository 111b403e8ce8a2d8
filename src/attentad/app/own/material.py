"""The user's videos and what is annotated of them, under the names of the video files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from attentad.core import Annotations, AttentadError, read_annotations
from attentad.core.arrays import Ints
from attentad.core.formats.video_labels import (
    VideoLabels,
    holds_video_labels,
    read_video_labels,
)
from attentad.core.names import annotated_ids, told_matches, video_id, with_ids
from attentad.core.wording import first_few, number_of
from attentad.data.video_files import find_videos, is_video_file
from attentad.models.sets import with_listed


@dataclass(frozen=True)
class Material:
    """What there is to learn from.

    Args:
        files: video → its file; of annotated videos alone.
        annotations: of these videos, without instances where whole videos are labelled.
        labels: the classes of whole videos, where that is what is known.
        annotated_as: video → its id in the annotations file.
    """

    files: Mapping[str, Path]
    annotations: Annotations
    labels: VideoLabels | None
    annotated_as: Mapping[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return self.annotations.classes

    @property
    def action_sec(self) -> list[float]:
        """Length of each action."""
        items = self.annotations.videos.values()
        return [float(end - start) for item in items for start, end in item.segments]

    def counts(self, videos: Collection[str]) -> dict[str, Ints]:
        """Video → (K,) instances of each class, or 1 where a whole video has it."""
        counts = {}
        for video in videos:
            known = self.annotations.videos[video].labels
            told = Counter(known if self.labels is None else self.labels.videos[video])
            counts[video] = np.array([told[name] for name in self.classes], dtype=np.int64)
        return counts

    def without(self, videos: Collection[str]) -> Material:
        """The other videos; the classes stay."""
        if not videos:
            return self
        files = {video: path for video, path in self.files.items() if video not in videos}
        return self._of({video: video for video in files}, files)

    def with_durations(self, duration_sec: Mapping[str, float | None]) -> Material:
        """Every video whose annotations do not tell how long it is, as long as it was read."""
        told = {
            video: replace(item, duration_sec=item.duration_sec or duration_sec[video])
            for video, item in self.annotations.videos.items()
        }
        return replace(self, annotations=replace(self.annotations, videos=told))

    def with_subsets(self, subsets: Mapping[str, str]) -> Material:
        """Every video in the subset that is named for it."""
        told = {
            video: replace(item, subset=subsets[video])
            for video, item in self.annotations.videos.items()
        }
        labels = self.labels and replace(self.labels, subsets=dict(subsets))
        annotations = replace(self.annotations, videos=told)
        return replace(self, annotations=annotations, labels=labels)

    def _of(self, own_names: Mapping[str, str], files: Mapping[str, Path]) -> Material:
        """Its part under new names: new name → name so far."""
        told = {name: self.annotations.videos[old] for name, old in own_names.items()}
        labels = self.labels and replace(
            self.labels, videos={name: self.labels.videos[old] for name, old in own_names.items()}
        )
        annotated_as = {name: self.annotated_as[old] for name, old in own_names.items()}
        return Material(files, replace(self.annotations, videos=told), labels, annotated_as)


def open_material(inputs: Sequence[Path], annotations: Path) -> tuple[Material, list[str]]:
    """Read what is annotated, and find the video files of it.

    Args:
        inputs: video files, or folders of them.
        annotations: in any layout that is read here, or a list of whole videos' labels.

    Returns:
        It, and a sentence on each thing that is left out or taken for another.

    Raises:
        AttentadError: a file is missing or malformed, or no video is annotated.
    """
    if is_video_file(annotations):
        raise AttentadError(
            f"{annotations} is a video; the file of annotations comes after the videos."
        )
    labels = read_video_labels(annotations) if holds_video_labels(annotations) else None
    if labels is None:
        known = read_annotations(annotations)
    else:
        known = with_listed(Annotations({}, labels.classes), labels)
    if not known.classes:
        raise AttentadError(f"{annotations} names no action; annotate some.")
    paths, notes = find_videos(inputs)
    files = _by_name(paths)
    renamed = annotated_ids(files, known.videos)
    # Two files of one annotated video are refused.
    with_ids(files, renamed, "video files")
    annotated_as = {video: renamed.get(video, video) for video in files}
    annotated_as = {video: name for video, name in annotated_as.items() if name in known.videos}
    if not annotated_as:
        raise AttentadError(
            f"{annotations} names none of the videos: it has {first_few(known.videos)}, the files "
            f"are {first_few(path.name for path in paths)}. Name the videos in it as the files are."
        )
    whole = Material({}, known, labels, {name: name for name in known.videos})
    material = whole._of(annotated_as, {video: files[video] for video in annotated_as})
    if renamed:
        notes.append(f"{told_matches(len(renamed))}.")
    return material, notes + _left_out(files, known.videos, annotated_as)


def _left_out(
    files: Mapping[str, Path], known: Collection[str], annotated_as: Mapping[str, str]
) -> list[str]:
    notes = []
    unknown = [path.name for video, path in files.items() if video not in annotated_as]
    if unknown:
        notes.append(
            f"{number_of(unknown, 'video file')} not annotated, and left out: "
            f"{first_few(unknown)}. Where nothing happens in a video, name it without an action."
        )
    found = set(annotated_as.values())
    missing = [video for video in known if video not in found]
    if missing:
        notes.append(
            f"{number_of(missing, 'annotated video')} without a file, and left out: "
            f"{first_few(missing)}."
        )
    return notes


def _by_name(paths: Sequence[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in paths:
        video = video_id(path)
        if files.setdefault(video, path) != path:
            raise AttentadError(f"{files[video]} and {path} share a name; rename one.")
    return files
