"""Names that mean the same: videos of detections and annotations, classes of several detectors."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final, TypeVar

import numpy as np

from attentad.core.detections import Detections, VideoDetections
from attentad.core.errors import AttentadError

Item = TypeVar("Item")

# What the name of a video file ends in, of all that FFmpeg reads and a camera, a recorder or a
# program writes. Those that browsers play come first: of two files with one name a page takes
# that one.
VIDEO_SUFFIXES: Final = (
    *(".mp4", ".m4v", ".webm", ".mov", ".qt", ".f4v", ".insv", ".mkv", ".avi", ".divx", ".xvid"),
    *(".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".mpv", ".vob", ".mod", ".tod"),
    *(".ts", ".mts", ".m2ts", ".m2t", ".trp", ".wtv"),
    *(".wmv", ".asf", ".flv", ".ogv", ".ogm", ".3gp", ".3g2", ".rm", ".rmvb", ".amv"),
    *(".mxf", ".gxf", ".dv", ".dav", ".cine", ".nut", ".ivf", ".y4m", ".gif"),
    *(".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".av1", ".obu", ".mjpeg", ".mjpg"),
)
_SUFFIXES = frozenset(VIDEO_SUFFIXES)
_PREFIX = "v_"
_ALIKE = 0.75


def annotated_ids(names: Iterable[str], videos: Collection[str]) -> dict[str, str]:
    """The annotated ids of names that only look different: name → id, of those that change.

    A name that is not among `videos` takes the one that it equals without folders, without the
    suffix of a video file and without a leading `v_` (ActivityNet's files carry it, its
    annotations do not), on either side. A name that is annotated stays, as does one that fits no
    annotated id, or several.

    Args:
        names: of detections or features.
        videos: the ids of the annotated videos.
    """
    known = {video: video for video in videos}
    unknown = [name for name in names if name not in known]
    if not unknown:
        return {}
    find = look_up(known)
    return {name: video for name in unknown if (video := find(name)) is not None}


def look_up(items: Mapping[str, Item]) -> Callable[[str], Item | None]:
    """What finds the item of a name, or that of the one id that only looks different.

    See `annotated_ids`; it finds nothing, None, where no id fits, or several.
    """
    bare_ids = Counter(map(_bare_id, items))
    alike = {bare: item for video, item in items.items() if bare_ids[bare := _bare_id(video)] == 1}
    return lambda name: items[name] if name in items else alike.get(_bare_id(name))


def told_matches(count: int) -> str:
    """What to say of so many names that got annotated ids, without a stop."""
    return (
        f"{count} video ids were matched to annotated ones that differ in a `v_` prefix, a folder "
        "or a file suffix only"
    )


def align_videos(
    detections: Detections, videos: Collection[str]
) -> tuple[Detections, dict[str, str]]:
    """Give the annotated ids to detections whose ids only look different, see `annotated_ids`.

    Args:
        detections: as read; unchanged.
        videos: the ids of the annotated videos.

    Returns:
        The detections under their new ids, in the same order, and old id → new id of those that
        changed.

    Raises:
        AttentadError: two ids of the detections belong to one annotated video.
    """
    renamed = annotated_ids(detections.videos, videos)
    if not renamed:
        return detections, {}
    aligned = with_ids(detections.videos, renamed, "detections")
    return Detections(aligned, detections.classes, detections.meta), renamed


def readable_name(name: str | PurePath) -> str:
    """A file's name as text that can be written: bytes that are no UTF-8 become �."""
    return os.fsencode(name).decode("utf-8", "replace")


def video_id(path: str | PurePath) -> str:
    """The id of a video by its file, or by that of its features: the name without suffix."""
    return readable_name(Path(path).stem)


def short_names(videos: Collection[str]) -> dict[str, str]:
    """A file name for each video: the last part of its id, or all of it where that is not unique.

    Raises:
        AttentadError: two videos would still have one name.
    """
    parts = {video: video.replace("\\", "/").strip("/").split("/") for video in videos}
    last = Counter(names[-1] for names in parts.values())
    short = {
        video: names[-1] if last[names[-1]] == 1 else "_".join(names)
        for video, names in parts.items()
    }
    owner: dict[str, str] = {}
    for video, name in short.items():
        if name in owner:
            raise AttentadError(
                f"the files of videos {owner[name]} and {video} would both be named {name}; "
                "rename one of the two."
            )
        owner[name] = video
    return short


def with_ids(items: Mapping[str, Item], renamed: Mapping[str, str], what: str) -> dict[str, Item]:
    """The items under new ids, in the same order; what is not in `renamed` keeps its own.

    Raises:
        AttentadError: two of them, `what` names their kind, get one id.
    """
    owner: dict[str, str] = {}
    for name in items:
        video = renamed.get(name, name)
        if video in owner:
            raise AttentadError(
                f"the {what} of {owner[video]!r} and of {name!r} both belong to the annotated "
                f"video {video!r}; keep one of them."
            )
        owner[video] = name
    return {video: items[name] for video, name in owner.items()}


def align_classes(
    detections: Mapping[str, Detections], classes: Sequence[str] = ()
) -> tuple[tuple[str, ...], dict[str, Detections]]:
    """The same detections with label indices of one list of classes.

    Args:
        detections: by detector.
        classes: the first of the list; what the detections name beyond them follows, in order
            of appearance.

    Returns:
        The list, and the detections by detector; labels of −1 stay.
    """
    names = (*classes, *(name for item in detections.values() for name in item.classes))
    together = tuple(dict.fromkeys(names))
    index = {name: i for i, name in enumerate(together)}
    aligned = {}
    for detector, item in detections.items():
        # The last entry is where −1 points.
        new = np.array([*(index[name] for name in item.classes), -1], dtype=np.int64)
        videos = {
            video: VideoDetections(one.segments, one.scores, new[one.labels])
            for video, one in item.videos.items()
        }
        aligned[detector] = Detections(videos, together, item.meta)
    return together, aligned


def check_choice(name: str, choices: Collection[str], what: str) -> None:
    """Raise an AttentadError that lists the choices unless `name`, a `what`, is one of them."""
    if name not in choices:
        raise AttentadError(f"there is no {what} {name!r}; choose one of {', '.join(choices)}.")


def suggest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant by `name`, for "did you mean"; None without one.

    A name that differs only in case, blanks or punctuation comes first, then the most alike
    (`difflib`). A known name needs no suggestion and gets None.
    """
    names = list(known)
    if name in names:
        return None
    by_letters: dict[str, str] = {}
    for other in names:
        by_letters.setdefault(squashed(other), other)
    wanted = squashed(name)
    if wanted and wanted in by_letters:
        return by_letters[wanted]
    close = difflib.get_close_matches(wanted, by_letters, n=1, cutoff=_ALIKE)
    return by_letters[close[0]] if close else None


def squashed(name: str) -> str:
    """Its letters and digits alone, whatever their case."""
    return "".join(filter(str.isalnum, name.casefold()))


def without_suffix(name: str) -> str:
    """A file's name without the suffix of a video file."""
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and dot + suffix.lower() in _SUFFIXES else name


def _bare_id(video: str) -> str:
    name = video.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return without_suffix(name).removeprefix(_PREFIX)
