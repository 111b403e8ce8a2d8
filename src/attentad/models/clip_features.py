"""One row of features for each trimmed clip: the mean over its snippets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from attentad.backbones import Backbone
from attentad.core import AttentadError
from attentad.core.progress import NamedProgress, each_named
from attentad.core.wording import number_of
from attentad.data.clips import ClipFile
from attentad.data.tracks import Track, noting
from attentad.models.encode import VideoSource

HALF_FRAME = 0.5  # by how much a rounded length may differ from the true one


@dataclass(frozen=True)
class ClipFeatures:
    """What a backbone says of trimmed clips.

    Args:
        files: the N clips that could be read.
        features: (N, C).
        notes: a sentence on each thing that was left out or read in part.
    """

    files: tuple[ClipFile, ...]
    features: NDArray[np.float32]
    notes: tuple[str, ...]


def read_clip_features(
    backbone: Backbone, files: Sequence[ClipFile], progress: NamedProgress | None = None
) -> ClipFeatures:
    """Features of each clip; one that cannot be read is left out, which a note says.

    Args:
        backbone: one without classes; used on the device where it is.
        files: the clips, of any length.
        progress: called with (clips done, clips in all, the one that is read).

    Raises:
        AttentadError: no clip could be read.
    """
    by_name = {file.name: file for file in files}
    source = VideoSource(backbone, {name: file.path for name, file in by_name.items()})
    read: dict[str, NDArray[np.float32]] = {}
    notes: list[str] = []
    failures: list[str] = []
    short: list[str] = []
    for name, within in each_named(list(by_name), progress):
        try:
            track, told = noting(partial(source.read, name, within))
        except AttentadError as error:
            failures.append(f"{name} is left out: {error}")
            continue
        notes += told
        read[name] = mean_inside(track)
        if track.timeline.duration_sec < _window_sec(track) - HALF_FRAME / track.timeline.fps:
            short.append(name)
    if not read:
        raise AttentadError(" ".join(failures) or "there are no clips.")
    if short:
        window_sec = backbone.sampling.window_frames / backbone.sampling.fps
        notes.append(
            f"{number_of(short, 'clip')} such as {short[0]} shorter than a snippet of "
            f"{window_sec:.2g} s: first and last picture stand still for the rest."
        )
    kept = tuple(by_name[name] for name in read)
    return ClipFeatures(kept, np.stack([*read.values()]), (*failures, *notes))


def mean_inside(track: Track) -> NDArray[np.float32]:
    """Mean (C,) of the features of those snippets that lie inside the clip.

    The others repeat its first or last picture. Where no snippet lies inside, it is the mean of
    those that reach least beyond.
    """
    line = track.timeline
    starts_sec = (line.offset_frames + line.stride_frames * np.arange(line.length)) / line.fps
    ends_sec = starts_sec + _window_sec(track)
    beyond_sec = np.maximum(-starts_sec, 0) + np.maximum(ends_sec - line.duration_sec, 0)
    inside = beyond_sec <= beyond_sec.min() + HALF_FRAME / line.fps
    mean: NDArray[np.float32] = track.array[inside].mean(axis=0, dtype=np.float64)
    return mean.astype(np.float32)


def _window_sec(track: Track) -> float:
    return track.timeline.window_frames / track.timeline.fps
