"""Detections of several detectors brought together: one order of classes, one name each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from attentad.core import AttentadError, Detections, VideoDetections
from attentad.core.wording import number_of


def align_classes(
    found: Mapping[str, Detections], classes: Sequence[str] = ()
) -> tuple[tuple[str, ...], dict[str, Detections]]:
    """The same detections with label indices of one list of classes.

    Args:
        found: by detector.
        classes: the first of the list; what the detections name beyond them follows, in order
            of appearance.

    Returns:
        The list, and the detections by detector; labels of −1 stay.
    """
    names = (*classes, *(name for item in found.values() for name in item.classes))
    together = tuple(dict.fromkeys(names))
    index = {name: i for i, name in enumerate(together)}
    aligned = {}
    for detector, item in found.items():
        # The last entry is where −1 points.
        new = np.array([*(index[name] for name in item.classes), -1], dtype=np.int64)
        videos = {
            video: VideoDetections(one.segments, one.scores, new[one.labels])
            for video, one in item.videos.items()
        }
        aligned[detector] = Detections(videos, together, item.meta)
    return together, aligned


def detector_names(paths: Sequence[Path], names: Sequence[str] = ()) -> list[str]:
    """A name for each file of detections: those given, or else the files' own.

    Where two files have the same name, their folders tell them apart.

    Raises:
        AttentadError: not as many names as files, one of them is empty, or two are the same.
    """
    if names and len(names) != len(paths):
        raise AttentadError(
            f"{number_of(names, 'name')} for {number_of(paths, 'detection file')}; give --name "
            "once for each file, or never."
        )
    chosen = list(names) or [path.stem for path in paths]
    if not names and len(set(chosen)) < len(chosen):
        chosen = [path.with_suffix("").as_posix() for path in paths]
    for i, name in enumerate(chosen):
        if not name.strip():
            raise AttentadError(f"the name of {paths[i]} is empty; give it one with --name.")
        if name in chosen[:i]:
            raise AttentadError(
                f"two detection files are named {name!r}; tell them apart with --name."
            )
    return chosen
