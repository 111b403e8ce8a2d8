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
from attentad.data.clocks import Clock, frame_rate, video_timeline
from attentad.data.feature_memory import CACHE_BYTES, Memory, same_width
from attentad.data.features import FeatureStore
from attentad.data.selection import training_copies
from attentad.data.views import (
    RescaleMode,
    instances_in_window,
    rescale,
    take_window,
    window_is_useful,
    window_starts,
)

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


def rescaled_view(length: int, mode: RescaleMode = "bsn") -> Views:
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


def whole_view(features: NDArray[np.float32], timeline: Timeline) -> list[View]:
    """The whole video as one item of as many steps as it has snippets."""
    return [(features, np.ones(len(features), bool), timeline)]


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
        drop_cut: leave out of a window the instances of which `min_coverage` or less lies in it,
            and cut the others to it (OpenTAD); otherwise all that overlap it stay whole (G-TAD).
        gtad_half_shift: where instances lie is asked of a window that begins and ends half a step
            earlier (G-TAD's release for THUMOS14).
        by_length: leave out videos that are all action and take those of short actions twice, see
            `selection.training_copies` (DBG).

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
        clock: Clock | None = None,
        min_coverage: float | None = None,
        drop_cut: bool = False,
        gtad_half_shift: bool = False,
        by_length: bool = False,
    ) -> None:
        self.store, self.annotations, self.views, self.targets = store, annotations, views, targets
        self.clock, self.min_coverage, self.drop_cut = clock, min_coverage, drop_cut
        self.shift_steps = -0.5 if gtad_half_shift else 0.0
        self.feature_dim = 0
        self._cache: Memory[tuple[str, int], Item] = Memory(CACHE_BYTES)
        self.index: list[tuple[str, int]] = []
        for video, annotation in annotations.videos.items():
            made = self._views(video)
            self.feature_dim = same_width(store, video, made[0][0].shape[1], self.feature_dim)
            copies = 1
            if by_length:
                copies = training_copies(annotation.segments, made[0][2].duration_sec)
            for i, view in enumerate(made):
                if copies and (
                    min_coverage is None
                    or window_is_useful(
                        annotation.segments, *self._range_sec(view[2]), min_coverage
                    )
                ):
                    self.index += [(video, i)] * copies
                    self._keep((video, i), self._item(video, view))
        if not self.index:
            raise AttentadError(
                f"none of the {len(annotations.videos)} training videos has an instance that fits "
                "into a window; lengthen view.length or lower view.min_coverage."
            )

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> Item:
        video, i = self.index[row]
        kept = self._cache.get((video, i))
        return self._item(video, self._views(video)[i]) if kept is None else kept

    def load(self, video: str) -> tuple[NDArray[np.float32], Timeline]:
        """Features (n, C) of one of the videos as they came, and where they lie in time."""
        features = self.store.load(video)
        known = self.annotations.videos[video]
        sidecar = self.store.sidecar(video)
        timeline = video_timeline(
            video, len(features), sidecar, self.clock, known.duration_sec, frame_rate(known)
        )
        return features, timeline

    def _views(self, video: str) -> list[View]:
        return self.views(*self.load(video))

    def _range_sec(self, timeline: Timeline) -> tuple[float, float]:
        start, end = timeline.seconds(np.array([0, timeline.length]) + self.shift_steps)
        return float(start), float(end)

    def _segments(self, video: str, timeline: Timeline) -> Segments:
        segments = self.annotations.videos[video].segments
        if self.min_coverage is None or not self.drop_cut:
            return segments
        return instances_in_window(segments, *self._range_sec(timeline), self.min_coverage)

    def _item(self, video: str, view: View) -> Item:
        features, valid, timeline = view
        targets = self.targets(self._segments(video, timeline), timeline)
        return {
            "features": torch.from_numpy(np.ascontiguousarray(features.T)),
            "valid": torch.from_numpy(valid),
            "targets": {key: torch.as_tensor(value) for key, value in targets.items()},
            "video": video,
        }

    def _keep(self, place: tuple[str, int], item: Item) -> None:
        size = item["features"].nbytes + sum(value.nbytes for value in item["targets"].values())
        self._cache.keep(place, item, size)


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
