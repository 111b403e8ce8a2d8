"""Names that mean the same: videos of detections and annotations, classes of several detectors."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from attentad.core.detections import Detections, VideoDetections
from attentad.core.errors import AttentadError

# What a file name may end in and a video id not; `attentad.video` says what can be decoded.
_SUFFIXES = frozenset(
    (
        *(".mp4", ".m4v", ".webm", ".mov", ".mkv", ".avi", ".mpg"),
        *(".mpeg", ".ts", ".mts", ".wmv", ".flv", ".ogv", ".3gp"),
    )
)
_PREFIX = "v_"
_ALIKE = 0.75


def align_videos(
    detections: Detections, videos: Collection[str]
) -> tuple[Detections, dict[str, str]]:
    """Give the annotated ids to detections whose ids only look different.

    An id that is not among `videos` takes the one that it equals without folders, without the
    suffix of a video file and without a leading `v_` (ActivityNet's files carry it, its
    annotations do not), on either side. An id that is annotated keeps its name, as does one that
    fits no annotated id, or several.

    Args:
        detections: as read; unchanged.
        videos: the ids of the annotated videos.

    Returns:
        The detections under their new ids, in the same order, and old id → new id of those that
        changed.

    Raises:
        AttentadError: two ids of the detections belong to one annotated video.
    """
    annotated_ids = frozenset(videos)
    unknown = [video for video in detections.videos if video not in annotated_ids]
    if not unknown:
        return detections, {}
    bare_ids = Counter(map(_bare_id, annotated_ids))
    annotated = {bare: video for video in annotated_ids if bare_ids[bare := _bare_id(video)] == 1}
    renamed = {
        video: annotated[bare] for video in unknown if (bare := _bare_id(video)) in annotated
    }
    if not renamed:
        return detections, {}
    owner: dict[str, str] = {}
    for video in detections.videos:
        target = renamed.get(video, video)
        if target in owner:
            raise AttentadError(
                f"the detections of {owner[target]!r} and of {video!r} both belong to the "
                f"annotated video {target!r}; keep one of them."
            )
        owner[target] = video
    aligned = {renamed.get(video, video): items for video, items in detections.videos.items()}
    return Detections(aligned, detections.classes, detections.meta), renamed


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
