"""Training items of a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attentad.models.sets import make_clock, open_store, read_sets
from attentad.models.training_data import open_training_data
from attentad.recipes.load import DetectionRecipe, parse_recipe


@pytest.mark.parametrize(
    "clock", [None, "rescaled", {"stride_frames": 4, "window_frames": 4}], ids=str
)
def test_labels_of_whole_videos_need_no_times(tmp_path: Path, clock: Any) -> None:
    """Neither a clock nor the durations and frame rates that it would need."""
    for video in "xy":
        np.save(tmp_path / f"{video}.npy", np.ones((9, 2), np.float32))
    (tmp_path / "labels.json").write_text(json.dumps({"x": ["a", "b"], "y": ["b"]}))
    recipe = parse_recipe(
        {
            "task": "detection",
            "data": {
                "root": str(tmp_path),
                "features": ".",
                "video_labels": "labels.json",
                "test": [],
                "clock": clock,
            },
            "view": {"name": "snippets", "length": 4},
            "detector": {"name": "hamnet"},
            "suppression": {"negative": "keep"},
            "training": {"epochs": 1},
        },
        "recipe.yaml",
    )
    assert isinstance(recipe, DetectionRecipe)
    sets, store = read_sets(recipe.data), open_store(recipe.data)
    data = open_training_data(recipe, sets, store, make_clock(recipe.data))
    assert [item["targets"]["labels"].tolist() for item in (data[0], data[1])] == [[1, 1], [0, 1]]
