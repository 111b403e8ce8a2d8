"""Model files of format 1, whose attention modules had other names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attentad.models.build import build_detector, build_recogniser, recogniser_backbone
from attentad.models.file import (
    load_backbone,
    load_detector,
    load_model,
    save_backbone,
    save_detector,
    save_model,
)
from attentad.models.model import DetectorModel
from attentad.recipes.load import DetectionRecipe, RecognitionRecipe, load_recipe


def save_as_format_1(path: Path, tensors: dict[str, Tensor], contract: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attentad.models.file.FORMAT", 1)
        save_model(path, tensors, contract)


def rewritten(path: Path, old_name: Callable[[str], str]) -> set[str]:
    """The names in the same model file, after every tensor and its contract got the old ones."""
    tensors, contract = load_model(path)
    old = {old_name(name): tensor for name, tensor in tensors.items()}
    ((kind, part),) = contract["parts"].items()
    told = {"recipe": part["options"], "classes": part["classes"]}
    if kind == "detector":
        nothing = dict.fromkeys(("clock", "scores", "encoder"))
        save_as_format_1(path, old, told | part["sizes"] | nothing | {"kind": "detector"})
    else:
        save_as_format_1(path, old, told | {"kind": "recogniser"})
    return set(old)


def assert_same(network: nn.Module, other: nn.Module) -> None:
    one, two = network.state_dict(), other.state_dict()
    assert list(one) == list(two)
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("detector", "view", "site"),
    [
        ("bmn", "view.length=8", "encoder"),
        ("gtad", "view.length=8", "proposal"),
        ("hamnet", "view={name: snippets, length: 8}", "input"),
    ],
)
def test_detectors(tmp_path: Path, detector: str, view: str, site: str) -> None:
    changes = [f"detector={{name: {detector}}}", view, f"attention={{{site}: {{name: se}}}}"]
    recipe = load_recipe("salads50/bmn", changes)
    assert isinstance(recipe, DetectionRecipe)
    network = build_detector(recipe, 16, 2)
    path = tmp_path / "model.safetensors"
    save_detector(path, DetectorModel(recipe, ("a", "b"), 16, network))
    names = rewritten(path, lambda name: name.replace("detector.sites.", "detector.attention."))
    assert f"detector.attention.{site}.squeeze.weight" in names
    assert_same(load_detector(path).network, network)


@pytest.mark.parametrize("position", ["residual_end", "post_add", "block_input"])
def test_recognisers(tmp_path: Path, position: str) -> None:
    changes = [
        *("recogniser.width=4", "sampling.size_px=24", "sampling.window_frames=8"),
        f"recogniser.position={position}",
        "attention={layer4: {name: se}, layer3_out: {name: se}}",
    ]
    recipe = load_recipe("demo/recogniser", changes)
    assert isinstance(recipe, RecognitionRecipe)
    network = build_recogniser(recipe, ("a", "b"))
    path = tmp_path / "model.safetensors"
    save_backbone(path, recogniser_backbone(recipe, ("a", "b"), network))

    def old_name(name: str) -> str:
        name = re.sub(r"\.sites\.\w+\.", ".attention.", name.replace("backbone.", "encoder."))
        return name.replace("layer3_out.output.", "layer3_out.")

    names = rewritten(path, old_name)
    for place in ("layer4.0.attention", "layer3_out"):
        assert f"encoder.{place}.squeeze.weight" in names
    assert_same(load_backbone(path).network, network)
