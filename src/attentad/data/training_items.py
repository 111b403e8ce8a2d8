"""Training items: views of annotated videos with a detector's targets, and batches of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from attentad.core import AttentadError, Segments, Timeline, as_segments
from attentad.core.found import Truth
from attentad.data.tracks import Source, Track
from attentad.data.views import View, Views

CACHE_BYTES = 1 << 30
REDRAWS = 200  # of a random view in which nothing trains, as ActionFormer's public code has it

Targets = Callable[[Truth, Timeline], Mapping[str, NDArray[Any]]]
# Of a video's views: the index of each that trains and what is known of it, copies one by one.
# Copies of a view have the same truth.
Selected = list[tuple[int, Truth]]
Select = Callable[[Sequence[View], Truth], Selected]


class Item(TypedDict):
    """One training item."""

    features: Tensor  # (C, T) float32
    valid: Tensor  # (T,) bool, true where there is video
    targets: dict[str, Tensor]
    video: str


def every_view(views: Sequence[View], truth: Truth) -> Selected:
    """Every view once, with all that is known of the video."""
    return [(i, truth) for i in range(len(views))]


def selection(
    *,
    min_coverage: float | None = None,
    drop_cut: bool = False,
    gtad_half_shift: bool = False,
    by_length: bool = False,
) -> Select:
    """Which views of a video train, how often, and with what truth.

    Args:
        min_coverage: only those that more than this fraction of some instance lies in; None for
            all.
        drop_cut: leave out of a view the instances of which `min_coverage` or less lies in it, and
            cut the others to it (OpenTAD, spec csa §5.2); otherwise all stay whole (G-TAD).
        gtad_half_shift: where instances lie is asked of a view that begins and ends half a step
            earlier (G-TAD's release for THUMOS14).
        by_length: leave out videos that are all action and take those of short actions twice, see
            `training_copies` (DBG).
    """
    select: Select = every_view
    if min_coverage is not None:
        shift_steps = -0.5 if gtad_half_shift else 0.0
        select = partial(
            _useful_views, min_coverage=min_coverage, drop_cut=drop_cut, shift_steps=shift_steps
        )
    return partial(_copies_by_length, select) if by_length else select


def training_copies(
    segments: Segments, duration_sec: float, *, longest: float = 0.98, short: float = 0.2
) -> int:
    """How often a training video takes part in an epoch as DBG does: 0, 1 or 2 times.

    Source: spec csa §4.4, after DBG's public code.

    Args:
        segments: (N, 2) its actions in seconds; a video without any counts once.
        duration_sec: of the video.
        longest: a video whose actions' mean share of the duration is at least that is left out.
        short: a video where it is less than that counts twice.
    """
    inside = np.clip(as_segments(segments), 0, duration_sec)
    if not len(inside):
        return 1
    mean = (inside[:, 1] - inside[:, 0]).mean() / duration_sec
    return 0 if mean >= longest else 2 if mean < short else 1


def _useful_views(
    views: Sequence[View], truth: Truth, *, min_coverage: float, drop_cut: bool, shift_steps: float
) -> Selected:
    selected = []
    segments = truth.segments
    length_sec = np.maximum(segments[:, 1] - segments[:, 0], 1e-9)
    for i, view in enumerate(views):
        start, end = view.timeline.seconds(np.array([0, view.timeline.length]) + shift_steps)
        inside_sec = np.minimum(segments[:, 1], end) - np.maximum(segments[:, 0], start)
        kept = inside_sec / length_sec > min_coverage
        if kept.any():
            cut = np.clip(segments[kept], start, end)
            own = replace(truth, segments=cut, labels=truth.labels[kept]) if drop_cut else truth
            selected.append((i, own))
    return selected


def _copies_by_length(select: Select, views: Sequence[View], truth: Truth) -> Selected:
    copies = training_copies(truth.segments, views[0].timeline.duration_sec)
    return [choice for choice in select(views, truth) for _ in range(copies)]


class TrainingItems(Dataset[Item]):
    """The views of videos with a detector's targets.

    What an item holds depends on (seed, epoch, index) only, in whatever worker it is made. Every
    track is read once at the start, so that a broken one is reported before any training. Items,
    or tracks where views are drawn anew in every epoch, are kept in memory up to 1 GiB and made
    again beyond that. A random view in which nothing trains is drawn again, up to 200 times, and
    the last one used all the same; a video of which nothing ever trains is left out.

    Args:
        source: the tracks.
        truths: video id → what is known of it, of the videos to use.
        views: take the views of a track.
        targets: (what is known, timeline of the view) → arrays for the loss.
        seed: of the randomness.
        select: which views train, how often and with what truth, see `selection`.

    Raises:
        AttentadError: tracks are missing, broken or of different widths; or no video or no view
            is left.
    """

    def __init__(
        self,
        source: Source,
        truths: Mapping[str, Truth],
        views: Views,
        targets: Targets,
        *,
        seed: int = 0,
        select: Select = every_view,
    ) -> None:
        if not truths:
            raise AttentadError(
                f"{source}: no video is labelled for training; list some with their labels."
            )
        self.source, self.truths, self.views, self.targets = source, truths, views, targets
        self.seed, self.select, self.epoch, self.feature_dim = seed, select, 0, 0
        self.index: list[tuple[str, int]] = []
        self.steps_sec: list[float] = []  # of each item, as its first view has it
        self._tracks: dict[str, Track] = {}
        self._items: dict[tuple[str, int], Item] = {}
        self._room_bytes = CACHE_BYTES
        self._rows: set[int] = set()  # how many the tracks have
        for video in truths:
            self._add(video)
        if not self.index:
            raise AttentadError(
                f"none of the {len(truths)} training videos has an instance that fits "
                "into a window; lengthen view.length or lower view.min_coverage."
            )

    def set_epoch(self, epoch: int) -> None:
        """Draw other random views from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> Item:
        video, i = self.index[row]
        kept = self._items.get((video, i))
        if kept is not None:
            return kept
        views, selected = self._draw(video, self.read(video), row)
        return self._item(video, views[i], dict(selected).get(i, self.truths[video]))

    def read(self, video: str) -> Track:
        """The track of one of the videos."""
        return self._tracks.get(video) or self.source.read(video)

    def _add(self, video: str) -> None:
        track = self.source.read(video)
        rows, width = track.array.shape[:2]
        if self.feature_dim not in (0, width):
            swapped = (
                f"; all so far have {rows} rows, so if rows and columns are swapped, transpose the "
                "arrays, or else "
            )
            raise AttentadError(
                f"{self.source}: video {video} has features of width {width}, the others "
                f"{self.feature_dim}{swapped if self._rows == {rows} else '; '}extract all with "
                "one encoder."
            )
        self.feature_dim = width
        self._rows.add(rows)
        if self.views.random and self._fits(track.array.nbytes):
            self._tracks[video] = track
        views, selected = self._draw(video, track, len(self.index))
        self.index += [(video, i) for i, _ in selected]
        self.steps_sec += [views[i].timeline.step_sec for i, _ in selected]
        for i, truth in dict(selected).items():
            item = self._item(video, views[i], truth)
            size = item["features"].nbytes + sum(value.nbytes for value in item["targets"].values())
            if not self.views.random and self._fits(size):
                self._items[video, i] = item

    def _fits(self, size_bytes: int) -> bool:
        """Whether there is room in memory for that much more; takes it."""
        fits = size_bytes <= self._room_bytes
        self._room_bytes -= size_bytes if fits else 0
        return fits

    def _draw(self, video: str, track: Track, row: int) -> tuple[list[View], Selected]:
        """The views of a video and the selected ones of them."""
        rng = np.random.default_rng([self.seed, self.epoch, row])
        for _ in range(REDRAWS if self.views.random else 1):
            views = self.views.take(track, rng)
            selected = self.select(views, self.truths[video])
            if selected:
                break
        return views, selected

    def _item(self, video: str, view: View, truth: Truth) -> Item:
        targets = self.targets(truth, view.timeline)
        return {
            "features": torch.from_numpy(np.array(view.features.T, order="C")),
            "valid": torch.from_numpy(view.valid),
            "targets": {key: torch.as_tensor(value) for key, value in targets.items()},
            "video": video,
        }


def collate(items: Sequence[Item]) -> dict[str, Any]:
    """Items as a batch: features (B, C, T), valid (B, T), targets (B, …), the list of videos.

    T is that of the longest item; the steps of shorter ones beyond their end are zero and not
    valid. Likewise a target that is larger in some items than in others is filled up with zeros
    at the end of every axis that differs: one of shape (T,), (D, T) or (N instances, 2), but never
    one of a fixed shape, such as (K,).
    """
    return {
        "features": _stack([item["features"] for item in items]),
        "valid": _stack([item["valid"] for item in items]),
        "targets": {
            key: _stack([item["targets"][key] for item in items]) for key in items[0]["targets"]
        },
        "video": [item["video"] for item in items],
    }


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """(B, …): each at the beginning of its row, zeros beyond."""
    largest = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    stacked = tensors[0].new_zeros(len(tensors), *largest)
    for row, tensor in zip(stacked, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return stacked
