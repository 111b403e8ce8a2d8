"""Which files of a folder are videos, and what is beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from attentad.core import AttentadError
from attentad.core.names import VIDEO_SUFFIXES, readable_name
from attentad.core.wording import first_few
from attentad.data.features import is_feature_file

_NAMED = 5


@dataclass(frozen=True)
class VideoFolder:
    """What is in a folder, hidden files aside.

    Args:
        path: the folder.
        videos: its video files, by name.
        tables: files that are named as features are, by name.
        left_out: name of each other file or folder → what it is.
    """

    path: Path
    videos: Sequence[Path] = ()
    tables: Sequence[Path] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    def note(self, more: Mapping[str, str]) -> list[str]:
        """A sentence that names what is not read, if there is any.

        Args:
            more: what else is not read, and why.
        """
        told = [f"{name} ({what})" for name, what in sorted({**self.left_out, **more}.items())]
        return [f"{self.path}: not read are {first_few(told, _NAMED)}."] if told else []


def is_video_file(path: Path) -> bool:
    """Whether a path is a file, named as videos are, that is not hidden.

    The Macintosh leaves a hidden `._x.mp4` beside each `x.mp4` on disks of others.
    """
    return _named_as_video(path) and not path.name.startswith(".") and path.is_file()


def look_into(folder: Path) -> VideoFolder:
    """The videos of a folder and what is beside them; folders in it are not entered.

    Raises:
        AttentadError: the folder cannot be read.
    """
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise AttentadError(f"{folder} could not be read ({error.strerror}).") from error
    videos = [path for path in inside if is_video_file(path)]
    tables = [path for path in inside if _is_table(path)]
    names = {path.name for path in (*videos, *tables)}
    names |= {path.with_suffix(".json").name for path in tables}
    left_out = {
        readable_name(path.name): _what(path)
        for path in inside
        if path.name not in names and (not path.name.startswith(".") or _is_hidden_video(path))
    }
    return VideoFolder(folder, videos, tables, left_out)


def find_videos(inputs: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The given files and the video files of the given folders, in order; what is left out.

    Raises:
        AttentadError: a path does not exist, or a folder holds no video.
    """
    videos: list[Path] = []
    notes: list[str] = []
    for path in inputs:
        if path.is_dir():
            folder = look_into(path)
            if not folder.videos:
                raise no_videos(folder)
            videos += folder.videos
            notes += folder.note({table.name: "no video" for table in folder.tables})
        elif path.exists():
            videos.append(path)
        else:
            raise AttentadError(f"{path} does not exist; check the path.")
    return videos, notes


def no_videos(folder: VideoFolder) -> AttentadError:
    """What to say of a folder without videos, in which folders may have some."""
    below = (path for path in sorted(folder.path.iterdir()) if path.is_dir())
    holding = [path for path in below if _holds_videos(path)]
    if holding:
        return AttentadError(
            f"{folder.path} holds no video files, but the folders in it do; give these: "
            f"{first_few(map(str, holding))}."
        )
    return AttentadError(
        f"{folder.path} holds no video files ({', '.join(VIDEO_SUFFIXES[:6])} and the like); give "
        "a video file by its name, or another folder."
    )


def _holds_videos(folder: Path) -> bool:
    with suppress(OSError):
        return any(is_video_file(file) for file in folder.iterdir())
    return False


def _named_as_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _is_hidden_video(path: Path) -> bool:
    return _named_as_video(path) and path.name[:2] not in ("..", "._") and path.is_file()


def _is_table(path: Path) -> bool:
    return is_feature_file(path) and not path.name.startswith(".") and path.is_file()


def _what(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    if not path.exists():
        return "a link to nothing"
    return "hidden" if path.name.startswith(".") else "no video"
