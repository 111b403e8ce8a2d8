"""`attentad convert`: what others released → our feature files, annotations and video labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

import numpy as np

from attentad.core import AttentadError, write_annotations
from attentad.core.formats.video_labels import write_video_labels
from attentad.core.progress import Progress
from attentad.core.wording import first_few
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


# Layout → what reads it and writes ours.
LAYOUTS: Final[dict[str, Callable[..., Converted]]] = {"wtalc": convert_wtalc}


def convert(layout: str, folder: Path, out: Path, **options: Any) -> Converted:
    """Convert a release in the layout of that name.

    Raises:
        AttentadError: the layout is unknown; as the function in `LAYOUTS`.
    """
    if layout not in LAYOUTS:
        raise AttentadError(
            f"there is no layout {layout!r} to convert; choose one of {', '.join(LAYOUTS)}."
        )
    return LAYOUTS[layout](folder, out, **options)


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
