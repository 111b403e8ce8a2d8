"""Small data sets in the layout of W-TALC's release."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format


def objects(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def save(path: Path, array: np.ndarray, protocol: int = 4) -> None:
    if array.dtype != object:
        np.save(path, array)
        return
    with path.open("wb") as file:
        npy_format.write_array_header_1_0(file, npy_format.header_data_from_array_1_0(array))
        pickle.dump(array, file, protocol)


@dataclass
class Release:
    """A release of four videos (two to train), to be changed and written."""

    name: str = "Thumos14reduced"
    training: str = "validation"
    protocol: int = 4
    arrays: dict[str, Any] = field(default_factory=dict)
    features: list[Any] = field(default_factory=list)
    ambiguous: str | None = "video_test_3  1.0 2.5\nvideo_test_3 4 5\n\nvideo_test_9  1 2\n"

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        lengths = [10, 25, 40, 3]
        self.features = self.features or [
            rng.normal(size=(n, 6)).astype(np.float32) for n in lengths
        ]
        # A video's labels from its segments: run, run + dive, run, none.
        segments = [[[0.5, 2.0]], [[1.0, 3.0], [2.0, 4.0]], [[20.0, 25.6]], []]
        labels = [["run"], ["run", "dive"], ["run"], []]
        self.arrays = {
            "videoname": np.array(
                [b"video_val_1", b"video_val_2", b"video_test_3", b"video_test_4"]
            ),
            "subset": np.array([self.training.encode()] * 2 + [b"test"] * 2),
            "duration": np.array([[6.5], [16.2], [25.6], [1.95]]),
            "classlist": np.array([b"dive", b"run"]),
            "segments": objects(segments),
            "labels": objects(labels),
            "labels_all": objects([["run"], ["dive", "run"], ["dive"], []]),
            "extracted_fps": np.array([[25.0]] * 4),
        } | self.arrays

    def write(self, folder: Path) -> Path:
        notes = folder / f"{self.name}-Annotations"
        notes.mkdir(parents=True)
        for name, array in self.arrays.items():
            save(notes / f"{name}.npy", array, self.protocol)
        if self.ambiguous is not None:
            (notes / "Ambiguous_test.txt").write_text(self.ambiguous)
        features = folder / f"{self.name}-I3D-JOINTFeatures.npy"
        save(features, objects(self.features), self.protocol)
        return folder
