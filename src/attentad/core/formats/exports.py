"""Files for other programs: what the end of a name says, of detections and annotations alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from attentad.core.errors import AttentadError
from attentad.core.formats.boris import write_boris
from attentad.core.formats.boris_tables import write_imported
from attentad.core.formats.elan import write_elan
from attentad.core.formats.frame_table import write_frame_table
from attentad.core.formats.label_studio import write_label_studio
from attentad.core.formats.marks import Marks
from attentad.core.names import short_names

# The end of a name → what writes a file of one video, or of all. The longer ends come first.
_OF_ONE: Final[Mapping[str, Callable[[Path, str, Marks], None]]] = {
    ".boris.csv": write_imported,
    ".frames.csv": write_frame_table,
    ".eaf": write_elan,
}
_OF_ALL: Final[Mapping[str, Callable[[Path, Mapping[str, Marks]], None]]] = {
    ".label-studio.json": write_label_studio,
    ".boris": write_boris,
}
EXPORTS: Final = (*_OF_ONE, *_OF_ALL)


def export_of(path: Path) -> str | None:
    """The end of a name that is of a file for another program; None for our own files."""
    name = path.name.lower()
    return next((suffix for suffix in EXPORTS if name.endswith(suffix)), None)


def write_export(path: Path, suffix: str, videos: Mapping[str, Marks]) -> None:
    """Write what `suffix` of `EXPORTS` says, to `path` or to a file for each video.

    Raises:
        AttentadError: a file cannot be written, or cannot hold what it should; as `short_names`.
    """
    if suffix in _OF_ALL:
        _OF_ALL[suffix](path, videos)
        return
    for video, own in video_files(path, suffix, videos).items():
        _OF_ONE[suffix](own, video, videos[video])


def export_files(path: Path, suffix: str, videos: Collection[str]) -> list[Path]:
    """The files that `write_export` writes; errors as there."""
    return [path] if suffix in _OF_ALL else list(video_files(path, suffix, videos).values())


def video_files(path: Path, suffix: str, videos: Collection[str]) -> dict[str, Path]:
    """Video → `name.suffix` for the only one, or `name.VIDEO.suffix` for each of several.

    Raises:
        AttentadError: as `short_names`, or no file can be named after a video.
    """
    unnamed = next((video for video in videos if "\0" in video), None)
    if unnamed is not None:
        raise AttentadError(f"{path}: no file can be named after video {unnamed!r}; rename it.")
    if len(videos) == 1:
        return dict.fromkeys(videos, path)
    stem, end = path.name[: -len(suffix)], path.name[-len(suffix) :]
    return {
        video: path.with_name(f"{stem}.{name}{end}") for video, name in short_names(videos).items()
    }
