"""TCN through a recipe: one view of each video, the classes' curves by name, any length."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.bench import CLASSES, make_data

from attentad.app.check.data_set import check
from attentad.app.check.findings import errors
from attentad.core import AttentadError, Timeline
from attentad.models.detect import detect_features
from attentad.models.file import load_detector
from attentad.models.train import train
from attentad.recipes.load import load_recipe, parse_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tcn")
    make_data(folder)
    content = yaml.safe_load((folder / "recipe.yaml").read_text())
    content["view"] = {"name": "whole", "length": 100, "stretch": 1.2}
    content["detector"] = {"name": "tcn", "network": {"hidden_dim": 16, "blocks": 4}}
    content["attention"] = {"block2": {"name": "se", "reduction": 2}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    train(load_recipe(folder / "recipe.yaml"), folder / "run")
    return folder


def test_it_learns_and_detects_at_any_length(folder: Path) -> None:
    model = load_detector(folder / "run" / "model.safetensors")
    features = np.load(folder / "features.npz")["v00"]
    for steps in (1, 33, 80):
        line = Timeline(steps, 2.0, 1.0, 1.0, steps / 2)
        found = detect_features(model, features[:steps], line, video="v")
        assert (found.detections.labels >= 0).all()
        named = {curve.name for curve in found.curves if curve.kind == "class scores"}
        assert named == {CLASSES[k] for k in set(found.detections.labels.tolist())}
        assert all(len(c.value) == steps for c in found.curves if c.kind == "class scores")


def test_it_scores_well(folder: Path) -> None:
    scored = json.loads((folder / "run" / "evaluation.json").read_text())
    assert scored["average_mAP"] > 0.7


def test_a_detector_that_names_classes_needs_no_scores(folder: Path) -> None:
    recipe = load_recipe(folder / "recipe.yaml", ["data.scores=null"])
    assert not errors(check(recipe))
    of_proposals = load_recipe(
        folder / "recipe.yaml",
        ["data.scores=null", "detector={name: bmn}", "attention={}", "view={length: 40}"],
    )
    assert [finding.kind for finding in errors(check(of_proposals))] == ["scores"]


def test_csa_asks_for_one_length(folder: Path) -> None:
    content = yaml.safe_load((folder / "recipe.yaml").read_text())
    content["attention"] = {"encoder": {"name": "csa"}}
    with pytest.raises(AttentadError, match=r"attention.encoder: csa is made for a fixed number"):
        train(parse_recipe(content, "recipe"), folder / "csa")
    content["view"] = {"name": "rescaled", "length": 40, "mode": "linear"}
    content["training"]["epochs"] = 1
    assert train(parse_recipe(content, "recipe"), folder / "csa") is not None
