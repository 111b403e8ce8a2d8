"""Model files: those of format 1 load and say what they said; what is written is of format 3."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attentad.core import AttentadError, Timeline
from attentad.core.found import Found
from attentad.models.detect import detect_features
from attentad.models.file import (
    FORMAT,
    load_backbone,
    load_detector,
    load_model,
    save_backbone,
    save_detector,
)
from attentad.models.labels import SnippetScores
from attentad.models.model import DetectorModel
from attentad.models.snippet_classifier import SnippetClassifier
from attentad.recipes.changed_defaults import as_first_meant

FOLDER = Path(__file__).parent
# Written by version 0.1 of random weights: BMN with CSA and score columns; BMN with a classifier
# and an encoder; HAM-Net. And what that version detected with them.
SAID = json.loads((FOLDER / "format1.json").read_text())


def found_by(model: DetectorModel) -> Found:
    features = np.random.default_rng(0).normal(size=(20, model.feature_dim)).astype(np.float32)
    return detect_features(model, features, Timeline(20, 2.0, 1, 1, 10.0), video="v")


def check_found(model: DetectorModel, said: dict[str, list[float]]) -> None:
    found = found_by(model)
    best = found.detections[np.arange(len(said["scores"]))]
    np.testing.assert_allclose(best.scores, said["scores"], rtol=1e-4)
    np.testing.assert_allclose(best.segments, said["segments"], rtol=1e-9)
    assert best.labels.tolist() == said["labels"]
    assert [curve.name for curve in found.curves] == said["curves"]


@pytest.mark.parametrize("name", SAID)
def test_format_1_loads_and_detects_as_it_did(name: str, tmp_path: Path) -> None:
    path = FOLDER / f"{name}.safetensors"
    assert load_model(path)[1]["format"] == 1
    model = load_detector(path)
    assert model.classes == ("jump", "run")
    check_found(model, SAID[name])
    save_detector(tmp_path / "again.safetensors", model)
    _, contract = load_model(tmp_path / "again.safetensors")
    assert contract["format"] == FORMAT == 3
    assert contract["parts"]["detector"]["name"] == model.recipe.detector.name
    again = load_detector(tmp_path / "again.safetensors")
    assert (again.recipe, again.clock) == (model.recipe, model.clock)
    check_found(again, SAID[name])


def told(path: Path) -> dict[str, object]:
    """`detector.decode` of the recipe as it stands in a model file."""
    return load_model(path)[1]["parts"]["detector"]["options"]["detector"]["decode"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_earlier_formats_keep_a_thousand_proposals(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default of format 3 is to keep all, as the public codes do."""
    path = FOLDER / "format1.safetensors"
    if number > 1:
        model = load_detector(path)
        choice = model.recipe.detector.model_copy(update={"decode": {}})
        recipe = model.recipe.model_copy(update={"detector": choice})
        path = tmp_path / "model.safetensors"
        monkeypatch.setattr("attentad.models.file.FORMAT", number)
        save_detector(path, replace(model, recipe=recipe))
        monkeypatch.undo()
        assert told(path) == {}
    loaded = load_detector(path)
    assert loaded.recipe.detector.decode == ({"max_proposals": 1000} if number < 3 else {})
    # What an earlier format meant is written down, and does not change again.
    save_detector(tmp_path / "again.safetensors", loaded)
    assert load_detector(tmp_path / "again.safetensors").recipe == loaded.recipe
    weak = load_detector(FOLDER / "format1_weak.safetensors").recipe.detector
    assert "max_proposals" not in weak.decode


def test_what_an_earlier_format_says_itself_stands() -> None:
    recipe = {"detector": {"name": "bmn", "decode": {"max_proposals": 7}}}
    assert as_first_meant(recipe) == recipe


def test_the_parts_of_format_1(tmp_path: Path) -> None:
    columns = load_detector(FOLDER / "format1.safetensors")
    assert columns.labeller == SnippetScores((1, 2), "sigmoid", None, 0.2)
    assert columns.encoder is None
    full = load_detector(FOLDER / "format1_encoder.safetensors")
    assert isinstance(full.labeller, SnippetClassifier)
    assert full.labeller.smoothing == 3
    assert load_detector(FOLDER / "format1_weak.safetensors").labeller is None
    recogniser = load_backbone(FOLDER / "format1_encoder.safetensors")
    assert full.encoder is not None
    for name, tensor in full.encoder.network.state_dict().items():
        assert torch.equal(tensor, recogniser.network.state_dict()[name])
    path = tmp_path / "recogniser.safetensors"
    save_backbone(path, recogniser)
    assert list(load_model(path)[1]["parts"]) == ["backbone"]
    assert load_backbone(path).classes == ("jump", "run")
    with pytest.raises(AttentadError, match="holds a recogniser, not a detector"):
        load_detector(path)
    with pytest.raises(AttentadError, match="holds no recogniser"):
        load_backbone(FOLDER / "format1.safetensors")
