"""Model files: those of format 1 load and say what they said; what is written is of format 2."""

from __future__ import annotations

import json
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
    assert contract["format"] == FORMAT == 2
    assert contract["parts"]["detector"]["name"] == model.recipe.detector.name
    again = load_detector(tmp_path / "again.safetensors")
    assert (again.recipe, again.clock) == (model.recipe, model.clock)
    check_found(again, SAID[name])


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
