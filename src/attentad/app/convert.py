"""`attentad convert`: what others released or annotated → our files, or those of other programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

import numpy as np

from attentad.core import (
    Annotations,
    AttentadError,
    read_annotations,
    read_detections,
    write_annotations,
    write_detections,
)
from attentad.core.files import remove_leftovers
from attentad.core.formats.annotations import FORMATS
from attentad.core.formats.exports import EXPORTS, export_of
from attentad.core.formats.source import Source
from attentad.core.formats.video_labels import write_video_labels
from attentad.core.names import check_choice
from attentad.core.progress import Progress
from attentad.core.wording import first_few, number_of
from attentad.data.features import Sidecar, read_sidecar, write_features
from attentad.data.releases.wtalc import FPS, SNIPPET_FRAMES, WtalcRelease, read_wtalc

LabelSource = Literal["labels_all", "from_segments"]
_NAMED = 5


class Converted(NamedTuple):
    """What was found: counts, a line each, and what is odd about the data, a sentence each."""

    lines: tuple[str, ...]
    notes: tuple[str, ...]


def convert_wtalc(
    folder: str | Path,
    out: str | Path,
    *,
    labels: LabelSource = "labels_all",
    progress: Progress | None = None,
) -> Converted:
    """W-TALC's release of a data set → `OUT/features`, `annotations.json`, `video_labels.json`.

    Features that an earlier, interrupted run wrote are kept; the JSON files come last. Labels are
    those of `labels_all.npy`, which the published code trains with, or of the segments.

    Raises:
        AttentadError: the release is incomplete, damaged or unsafe (see `read_wtalc`), or the
            files cannot be written.
    """
    sources = get_args(LabelSource)
    if labels not in sources:
        raise AttentadError(
            f"video labels cannot come from {labels!r}; choose one of {', '.join(sources)}."
        )
    out = Path(out)
    release = read_wtalc(folder)
    videos = release.annotations.videos
    encoder = {
        "name": "i3d",
        "release": release.features_file.name,
        "size_bytes": release.features_file.stat().st_size,
    }
    kept = 0
    targets = [out / "features" / f"{video}.npy" for video in videos]
    remove_leftovers([*targets, *(target.with_suffix(".json") for target in targets)])
    for done, (video, item) in enumerate(videos.items()):
        if progress is not None:
            progress(done, len(videos))
        target = out / "features" / f"{video}.npy"
        sidecar = Sidecar(
            fps=FPS,
            stride_frames=SNIPPET_FRAMES,
            window_frames=SNIPPET_FRAMES,
            duration_sec=item.duration_sec,
            encoder=encoder,
        )
        if _is_done(target, sidecar, release.shapes[video]):
            kept += 1
        else:
            write_features(target, release.features(video), sidecar)
    if progress is not None:
        progress(len(videos), len(videos))
    write_annotations(out / "annotations.json", release.annotations)
    chosen = release.labels_all if labels == "labels_all" else release.from_segments
    write_video_labels(out / "video_labels.json", chosen)
    return Converted((*_counts(release, kept), *_agreement(release, labels)), release.notes)


# Names of layouts, besides those of files of annotations; `auto` looks at what the file holds.
RELEASES: Final = ("wtalc",)
LAYOUTS: Final = ("auto", *RELEASES, "thumos14", "detections", *FORMATS)
_SUFFIXES: Final = (".json", ".csv", ".tsv", *EXPORTS)


def convert_file(
    layout: str, path: str | Path, out: str | Path, *, fps: float | None = None
) -> Converted:
    """A file (or folder) of annotations or detections → the file that the end of `out` names.

    Args:
        layout: `auto`, or what the file must be: a key of `formats.annotations.FORMATS`,
            `thumos14` or `detections`.
        path: what to read.
        out: what to write; see `write_annotations` and `write_detections`.
        fps: frames per second of the videos, where the file, or that to write, counts frames and
            does not say.

    Raises:
        AttentadError: the file cannot be read as that, or `out` has another end or is the file.
    """
    path, out = Path(path), Path(out)
    check_choice(layout, LAYOUTS, "layout")
    if not out.name.lower().endswith(_SUFFIXES):
        raise AttentadError(
            f"{out} has a name that tells no format; let it end in {', '.join(_SUFFIXES)}."
        )
    if out.resolve() == path.resolve():
        raise AttentadError(f"{out} is the file to convert; give another to write.")
    if fps is not None and not 0 < fps < float("inf"):
        raise AttentadError(f"--fps must be a positive number, not {fps}.")
    if layout == "detections" or (layout == "auto" and _holds_detections(path)):
        detections = read_detections(path)
        write_detections(out, detections, fps=fps)
        count = sum(len(items) for items in detections.videos.values())
        told = number_of(detections.videos, "video")
        return Converted((f"{out}: {count} detections in {told}",), ())
    annotations = read_annotations(
        path, keep_ambiguous=True, fps=fps, layout=None if layout == "auto" else layout
    )
    videos = {
        video: replace(item, fps=item.fps or fps) for video, item in annotations.videos.items()
    }
    write_annotations(out, replace(annotations, videos=videos))
    count = sum(len(item.labels) for item in videos.values())
    classes = number_of(annotations.classes, "class", "classes")
    told = f"{number_of(videos, 'video')}, {count} instances of {classes}"
    return Converted((f"{out}: {told}",), _not_written(out, annotations))


def _holds_detections(path: Path) -> bool:
    if path.suffix.lower() in (".pkl", ".pickle"):
        return True
    if path.is_dir():
        return False
    source = Source(path)
    if source.kind == "json":
        return isinstance(source.json, dict) and "results" in source.json
    return source.kind == "text" and {"label", "score"} <= set(source.words)


def _not_written(out: Path, annotations: Annotations) -> tuple[str, ...]:
    """What a file for another program has no place for."""
    subsets = {item.subset for item in annotations.videos.values()} - {""}
    if export_of(out) is None or not subsets:
        return ()
    return (f"{out} has no place for subsets; {first_few(sorted(subsets))} are not in it.",)


def _is_done(target: Path, sidecar: Sidecar, shape: tuple[int, int]) -> bool:
    """Whether an earlier run wrote the features of that release: all but their values agree."""
    try:
        told = read_sidecar(target.with_suffix(".json"))
        return told == sidecar and np.load(target, mmap_mode="r").shape == shape
    except (AttentadError, OSError, ValueError, TypeError):
        return False


def _counts(release: WtalcRelease, kept: int) -> list[str]:
    videos = release.annotations.videos.values()
    labels = Counter(label for item in videos for label in item.labels)
    ambiguous = labels.pop("Ambiguous", 0)
    subsets = Counter(item.subset for item in videos)
    lengths = [release.shapes[video][0] for video in release.annotations.videos]
    width = max(width for _, width in release.shapes.values())
    counts = ", ".join(f"{count} {name}" for name, count in sorted(subsets.items()))
    lines = [
        f"{release.name}: {len(videos)} videos ({counts}), {len(release.annotations.classes)} "
        f"classes, {labels.total()} instances, {ambiguous} Ambiguous segments",
        f"features: {width} channels, {min(lengths)} to {max(lengths)} snippets of "
        f"{SNIPPET_FRAMES} frames at {FPS:g} per second",
    ]
    if kept:
        lines.append(f"{kept} of {len(videos)} feature files were there already")
    return lines


def _agreement(release: WtalcRelease, labels: LabelSource) -> list[str]:
    differing = release.disagreeing()
    videos = [video for group in differing.values() for video in group]
    if not videos:
        return [f"video labels: {labels}; those of labels_all and of the segments agree"]
    counts = ", ".join(f"{len(group)} {name}" for name, group in sorted(differing.items()))
    return [
        f"video labels: {labels}; in {len(videos)} of {len(release.annotations.videos)} videos "
        f"({counts}) labels_all are not those of the segments: {first_few(videos, _NAMED)}"
    ]
