"""Training items of a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attentad.core import AttentadError
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
    sets = read_sets(recipe.data)
    store, _ = open_store(recipe.data, sets.videos)
    data = open_training_data(recipe, sets, store, make_clock(recipe.data))
    assert [item["targets"]["labels"].tolist() for item in (data[0], data[1])] == [[1, 1], [0, 1]]


def segments_recipe(folder: Path, database: dict[str, Any]) -> DetectionRecipe:
    content = {"database": database}
    (folder / "annotations.json").write_text(json.dumps(content))
    data = {"root": str(folder), "features": "features", "annotations": "annotations.json"}
    recipe = parse_recipe(
        {
            "task": "detection",
            "data": {**data, "test": ["test"], "clock": "rescaled"},
            "view": {"name": "rescaled", "length": 8},
            "detector": {"name": "bmn"},
            "training": {"epochs": 1},
        },
        "recipe.yaml",
    )
    assert isinstance(recipe, DetectionRecipe)
    return recipe


def annotated(subset: str, *labels: str) -> dict[str, Any]:
    instances = [{"label": label, "segment": [1.0, 4.0]} for label in labels]
    return {"subset": subset, "duration": 10.0, "annotations": instances}


def test_features_are_found_under_ids_that_only_look_different(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    for video in ("x", "v_y", "z"):
        np.save(tmp_path / "features" / f"{video}.npy", np.ones((9, 2), np.float32))
    database = {f"{video}.mp4": annotated("train", "run") for video in ("x", "y")}
    recipe = segments_recipe(tmp_path, database | {"z": annotated("test", "run")})
    sets = read_sets(recipe.data)
    store, renamed = open_store(recipe.data, sets.videos)
    assert renamed == {"x": "x.mp4", "v_y": "y.mp4"}
    assert sorted(store.readers) == ["x.mp4", "y.mp4", "z"]
    assert len(open_training_data(recipe, sets, store, make_clock(recipe.data))) == 2


def test_without_anything_to_train_on_a_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    for video in "xy":
        np.save(tmp_path / "features" / f"{video}.npy", np.ones((9, 2), np.float32))
    recipe = segments_recipe(tmp_path, {video: annotated("test", "run") for video in "xy"})
    with pytest.raises(AttentadError, match=r"left to train on: all 2 are .* \(test\)"):
        read_sets(recipe.data)
    recipe = segments_recipe(tmp_path, {"x": annotated("train"), "y": annotated("test", "run")})
    sets = read_sets(recipe.data)
    store, _ = open_store(recipe.data, sets.videos)
    with pytest.raises(AttentadError, match="none of 1 training video has an instance"):
        open_training_data(recipe, sets, store, make_clock(recipe.data))
