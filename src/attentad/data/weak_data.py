"""Videos with labels of the whole as training items: random snippets, drawn anew in each epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from torch.utils.data import Dataset

from attentad.core import AttentadError
from attentad.data.detection_data import Item, collate
from attentad.data.feature_memory import CACHE_BYTES, Memory, same_width
from attentad.data.features import FeatureStore
from attentad.data.random_snippets import Sampling, sample_snippets, snippet_rows

# (class ids that occur in the video, C) → arrays for the loss
VideoTargets = Callable[[NDArray[np.int64], int], Mapping[str, NDArray[Any]]]


class WeakData(Dataset[Item]):
    """Random snippets of videos, with targets made of the classes that occur in each.

    What an item holds depends on (seed, epoch, index) only, in whatever worker it is made. Every
    feature file is read once at the start, so that a broken one is reported before any training.
    Arrays are kept in memory up to 1 GiB and read again beyond that.

    Args:
        store: the features.
        labels: video id → the ids of its classes (`VideoLabels.label_ids`), perhaps none; the
            videos to use, all of which need features.
        classes: C, their number.
        length: N, snippets of an item.
        sampling: how they are drawn, see `random_snippets`.
        targets: (class ids of a video, C) → arrays for the loss.
        seed: of the randomness.

    Raises:
        AttentadError: features are missing, broken or of different widths; no video is given;
            `sampling` is unknown or `length` below 1.
    """

    def __init__(
        self,
        store: FeatureStore,
        labels: Mapping[str, NDArray[np.int64]],
        *,
        classes: int,
        length: int,
        sampling: Sampling = "perturb",
        targets: VideoTargets,
        seed: int = 0,
    ) -> None:
        snippet_rows(1, length, sampling, np.random.default_rng(0))  # are the options sound?
        if not labels:
            raise AttentadError(
                f"{store.source}: no video is labelled for training; list some with their labels."
            )
        self.store, self.labels, self.classes = store, dict(labels), classes
        self.length, self.sampling, self.targets = length, sampling, targets
        self.seed, self.epoch, self.feature_dim = seed, 0, 0
        self.videos = list(self.labels)
        self._memory: Memory[str, NDArray[np.float32]] = Memory(CACHE_BYTES)
        for video in self.videos:
            features = store.load(video)
            self.feature_dim = same_width(store, video, features.shape[1], self.feature_dim)
            self._memory.keep(video, features, features.nbytes)

    def set_epoch(self, epoch: int) -> None:
        """Draw other snippets from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, row: int) -> Item:
        video = self.videos[row]
        features = self._memory.get(video)
        if features is None:
            features = self.store.load(video)
        rng = np.random.default_rng([self.seed, self.epoch, row])
        view, valid = sample_snippets(features, self.length, self.sampling, rng)
        targets = self.targets(self.labels[video], self.classes)
        return {
            "features": torch.from_numpy(np.array(view.T, order="C")),
            "valid": torch.from_numpy(valid),
            "targets": {key: torch.as_tensor(value) for key, value in targets.items()},
            "video": video,
        }


def weak_collate(items: Sequence[Item]) -> dict[str, Any]:
    """Stack items into a batch as `collate`, shorter ones padded with zeros that are not valid."""
    longest = max(len(item["valid"]) for item in items)
    padded: list[Item] = []
    for item in items:
        missing = longest - len(item["valid"])
        padded.append(
            {
                "features": F.pad(item["features"], (0, missing)),
                "valid": F.pad(item["valid"], (0, missing)),
                "targets": item["targets"],
                "video": item["video"],
            }
        )
    return collate(padded)
