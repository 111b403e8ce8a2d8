"""Feature sequences with annotations as training items: views and targets made in the workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from attentad.core import Annotations, AttentadError, Segments, Timeline
from attentad.data.features import FeatureStore, Sidecar
from attentad.data.views import rescale, take_window, window_is_useful, window_starts

CACHE_BYTES = 1 << 30

Targets = Callable[[Segments, Timeline], Mapping[str, NDArray[Any]]]
# one view of a video: features (T, C), mask (T,), timeline
View = tuple[NDArray[np.float32], NDArray[np.bool_], Timeline]
# (features (n, C), timeline) → the views of a video
Views = Callable[[NDArray[np.float32], Timeline], list[View]]


class Item(TypedDict):
    """One training item; a batch has the same keys with a leading B and a list of videos."""

    features: Tensor  # (C, T) float32
    valid: Tensor  # (T,) bool, true where there is video
    targets: dict[str, Tensor]
    video: str


def rescaled_view(length: int, mode: str = "bsn") -> Views:
    """The whole video as one item of `length` steps."""

    def views(features: NDArray[np.float32], timeline: Timeline) -> list[View]:
        rescaled, rescaled_timeline = rescale(features, timeline, length, mode=mode)
        return [(rescaled, np.ones(length, bool), rescaled_timeline)]

    return views


def windows_view(length: int, stride_steps: int | None = None, cover_tail: bool = True) -> Views:
    """Windows of `length` steps, half a window apart unless `stride_steps` says otherwise."""
    stride = stride_steps or max(1, length // 2)

    def views(features: NDArray[np.float32], timeline: Timeline) -> list[View]:
        starts = window_starts(len(features), length, stride, cover_tail=cover_tail)
        return [take_window(features, timeline, start, length) for start in starts]

    return views


def video_timeline(
    video: str,
    length: int,
    sidecar: Sidecar | None,
    clock: Sidecar | None,
    duration_sec: float | None,
) -> Timeline:
    """The timeline of one video's features, from its sidecar or else the recipe's clock.

    Raises:
        AttentadError: neither says when the features were taken.
    """
    source = sidecar or clock
    if source is None:
        raise AttentadError(
            f"nothing says when the features of video {video} were taken; put a sidecar "
            f"{video}.json with fps, stride_frames and window_frames beside them or set data.clock."
        )
    return source.timeline(length, duration_sec)


class DetectionData(Dataset[Item]):
    """The views of annotated videos with a detector's targets.

    Every feature file is read once at the start, so that a broken one is reported before any
    training. Arrays are kept in memory up to 1 GiB and read again beyond that.

    Args:
        store: the features.
        annotations: the videos to use, all of which need features.
        views: makes the views of a video, such as `rescaled_view(100)`.
        targets: (segments in seconds, timeline of the view) → arrays for the loss.
        clock: when features without a sidecar were taken.
        min_coverage: keep a window only if more than this fraction of some instance lies in it;
            None keeps all views.

    Raises:
        AttentadError: features are missing, broken or of different widths; or no view is left.
    """

    def __init__(
        self,
        store: FeatureStore,
        annotations: Annotations,
        *,
        views: Views,
        targets: Targets,
        clock: Sidecar | None = None,
        min_coverage: float | None = None,
    ) -> None:
        self.store, self.annotations, self.views, self.targets = store, annotations, views, targets
        self.clock = clock
        self.feature_dim = 0
        self._cache: dict[str, list[Item]] = {}
        self._cached_bytes = 0
        self.index: list[tuple[str, int]] = []
        for video, annotation in annotations.videos.items():
            made = self._views(video)
            for i, (_, _, timeline) in enumerate(made):
                if min_coverage is None or window_is_useful(
                    annotation.segments, timeline.start_sec, timeline.end_sec, min_coverage
                ):
                    self.index.append((video, i))
            width = made[0][0].shape[1]
            self.feature_dim = self.feature_dim or width
            if width != self.feature_dim:
                raise AttentadError(
                    f"{store.source}: video {video} has features of width {width}, the others "
                    f"{self.feature_dim}; extract all with one encoder."
                )
            self._keep(video, self._items(video, made))
        if not self.index:
            raise AttentadError(
                f"none of the {len(annotations.videos)} training videos has an instance that fits "
                "into a window; lengthen view.length or lower view.min_coverage."
            )

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> Item:
        video, i = self.index[row]
        if video not in self._cache:
            items = self._items(video, self._views(video))
            self._keep(video, items)
            return items[i]
        return self._cache[video][i]

    def _views(self, video: str) -> list[View]:
        features = self.store.load(video)
        known = self.annotations.videos[video].duration_sec
        sidecar = self.store.sidecar(video)
        timeline = video_timeline(video, len(features), sidecar, self.clock, known)
        return self.views(features, timeline)

    def _items(self, video: str, views: list[View]) -> list[Item]:
        segments = self.annotations.videos[video].segments
        return [
            {
                "features": torch.from_numpy(np.ascontiguousarray(view.T)),
                "valid": torch.from_numpy(valid),
                "targets": {
                    key: torch.as_tensor(value)
                    for key, value in self.targets(segments, timeline).items()
                },
                "video": video,
            }
            for view, valid, timeline in views
        ]

    def _keep(self, video: str, items: list[Item]) -> None:
        size = sum(
            item["features"].nbytes + sum(value.nbytes for value in item["targets"].values())
            for item in items
        )
        if self._cached_bytes + size <= CACHE_BYTES:
            self._cache[video] = items
            self._cached_bytes += size


def collate(items: Sequence[Item]) -> dict[str, Any]:
    """Stack items into a batch: features (B, C, T), valid (B, T), targets (B, …), video list."""
    return {
        "features": torch.stack([item["features"] for item in items]),
        "valid": torch.stack([item["valid"] for item in items]),
        "targets": {
            key: torch.stack([item["targets"][key] for item in items])
            for key in items[0]["targets"]
        },
        "video": [item["video"] for item in items],
    }
