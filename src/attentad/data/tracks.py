"""Tracks: a video as an array with a timeline; and the sources that they are read from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from numpy.typing import NDArray

from attentad.core import Timeline, VideoAnnotation, as_segments
from attentad.data.clocks import Clock, frame_rate, video_timeline
from attentad.data.features import FeatureStore

Result = TypeVar("Result")

_UNKNOWN = VideoAnnotation(as_segments([]), ())


class Track(NamedTuple):
    """A whole video as numbers, in the order of time.

    Args:
        array: its n steps: features (n, C) float32, or pictures (n, H, W, 3) of a source that
            gives those.
        timeline: where the n steps lie.
        reference_sec: the duration that the array is taken to cover.
    """

    array: NDArray[Any]
    timeline: Timeline
    reference_sec: float


class Source(Protocol):
    """Where tracks come from; `str` of it is its name in error sentences."""

    @property
    def videos(self) -> Sequence[str]:
        """Ids of the videos that it has."""

    def read(self, video: str) -> Track:
        """The track of one video.

        Raises:
            AttentadError: it is not there or broken, or nothing says when it was taken.
        """


def noting(work: Callable[[], Result]) -> tuple[Result, list[str]]:
    """What some work gives, and a sentence on each thing that it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = work()
    return result, [str(warning.message) for warning in caught]


@dataclass(frozen=True)
class FeatureSource:
    """Features of videos, with all that is known of when they were taken.

    Args:
        store: the features; their sidecars go before the clock.
        annotations: video id → its duration and frame rate, where they are known. An id that
            begins with `v_` may be annotated without that.
        clock: when features without a sidecar were taken; None where all have one.
    """

    store: FeatureStore
    annotations: Mapping[str, VideoAnnotation] = field(default_factory=dict)
    clock: Clock | None = None

    def __str__(self) -> str:
        return str(self.store.source)

    @property
    def videos(self) -> Sequence[str]:
        """Ids of the videos that have features."""
        return tuple(self.store.readers)

    def read(self, video: str) -> Track:
        """The features of one video (n, C), and where they lie in time.

        The annotated duration is the one that they are taken to cover, else that of the timeline.

        Raises:
            AttentadError: as `FeatureStore.load` and `video_timeline`.

        Warns:
            UserWarning: what its sidecar notes, such as a video of which the end was lost.
        """
        features = self.store.load(video)
        sidecar = self.store.sidecar(video)
        for note in () if sidecar is None else sidecar.notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        annotated = self.annotations.get(video)
        if annotated is None:
            annotated = self.annotations.get(video.removeprefix("v_"), _UNKNOWN)
        timeline = video_timeline(
            video,
            len(features),
            sidecar,
            self.clock,
            annotated.duration_sec,
            frame_rate(annotated),
        )
        return Track(features, timeline, annotated.duration_sec or timeline.duration_sec)
