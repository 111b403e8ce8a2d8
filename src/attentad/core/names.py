"""Names that mean the same: videos of detections and annotations, classes of several detectors."""

from __future__ import annotations

import difflib
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
    known = frozenset(videos)
    unknown = [video for video in detections.videos if video not in known]
    if not unknown:
        return detections, {}
    annotated = _by_bare_id(known)
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


def suggest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant by `name`, for "did you mean"; None without one.

    A name that differs only in case, blanks or punctuation comes first, then the most alike
    (`difflib`). A known name needs no suggestion and gets None.
    """
    names = list(known)
    if name in names:
        return None
    squashed: dict[str, str] = {}
    for other in names:
        squashed.setdefault(_squashed(other), other)
    wanted = _squashed(name)
    if wanted and wanted in squashed:
        return squashed[wanted]
    close = difflib.get_close_matches(wanted, squashed, n=1, cutoff=_ALIKE)
    return squashed[close[0]] if close else None


def _bare_id(video: str) -> str:
    name = video.replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    if stem and dot + suffix.lower() in _SUFFIXES:
        name = stem
    return name.removeprefix(_PREFIX)


def _by_bare_id(known: Iterable[str]) -> dict[str, str]:
    """Bare id → annotated id; a bare id that several annotated ids share is left out."""
    found: dict[str, str] = {}
    shared = set()
    for video in known:
        bare = _bare_id(video)
        if bare in found:
            shared.add(bare)
        found[bare] = video
    return {bare: video for bare, video in found.items() if bare not in shared}


def _squashed(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))
