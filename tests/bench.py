"""A small data set of features with a learnable pattern, for tests of whole commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from attentad.core import Annotations, VideoAnnotation, write_annotations
from attentad.video import write_video

CLASSES = ("jump", "run")


@dataclass(frozen=True)
class Bench:
    """Folder with features.npz, annotations.json, recipe.yaml and a trained run in `run/`."""

    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "run" / "model.safetensors"

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    @property
    def features(self) -> Path:
        return self.folder / "features.npz"

    @property
    def annotations(self) -> Path:
        return self.folder / "annotations.json"


def make_data(folder: Path) -> None:
    """12 videos of 40 s at 2 features a second; a class's column is high during its action."""
    rng = np.random.default_rng(0)
    arrays, videos = {}, {}
    for i in range(12):
        scores = rng.normal(0, 0.1, (80, 4)).astype(np.float32)
        segments, labels = [], []
        for k, start in enumerate(rng.uniform((2, 14, 26), (4, 16, 28))):
            end = start + rng.uniform(4, 8)
            label = int(rng.integers(2))
            scores[int(start * 2) : int(end * 2), 1 + label] += 1
            segments.append((start, end))
            labels.append(CLASSES[label])
            assert k < 3
        name = f"v{i:02d}"
        arrays[name] = scores
        subset = "test" if i % 4 == 0 else "train"
        videos[name] = VideoAnnotation(np.array(segments), tuple(labels), subset, 40.0)
    np.savez(folder / "features.npz", **arrays)
    write_annotations(folder / "annotations.json", Annotations(videos, CLASSES))
    recipe = {
        "task": "detection",
        "data": {
            "root": str(folder),
            "features": "features.npz",
            "annotations": "annotations.json",
            "test": ["test"],
            "folds": ["test"],
            "clock": {"fps": 2, "stride_frames": 1, "window_frames": 1},
            "scores": {"first": 1, "activation": "sigmoid", "temperature": 0.2},
        },
        "view": {"length": 40, "mode": "linear"},
        "detector": {
            "name": "bmn",
            "network": {
                "hidden_dim": 16,
                "sampled_dim": 16,
                "map_dim": 16,
                "groups": 1,
                "max_duration": 20,
            },
        },
        "attention": {"encoder": {"name": "csa", "convs": 1}},
        "training": {
            "epochs": 12,
            "batch_size": 3,
            "optimizer": {"name": "adamw", "lr": 0.01},
            "schedule": {"name": "onecycle"},
            "accelerator": "cpu",
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def draw(path: Path, seconds: float, fps: int = 10, seed: int = 0) -> None:
    """A small video of noise."""
    rng = np.random.default_rng(seed)
    pictures = (rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(round(seconds * fps)))
    write_video(path, pictures, fps)
