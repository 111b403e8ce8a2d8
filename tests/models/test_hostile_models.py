"""Models of strangers: what their contract says is checked, and they open no file elsewhere."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from attentad.core import AttentadError
from attentad.models.build import build_detector
from attentad.models.file import (
    load_backbone,
    load_detector,
    load_model,
    save_detector,
    save_model,
)
from attentad.models.labels import SnippetScores
from attentad.models.model import DetectorModel
from attentad.models.run import load
from attentad.recipes.load import DetectionRecipe, load_recipe

SMALL = [
    "detector.network={groups: 1, hidden_dim: 4, sampled_dim: 4, map_dim: 4, bins: 2, samples: 2}",
    "view.length=4",
    "attention={}",
]


def write_model(path: Path, *changes: str) -> None:
    recipe = load_recipe("salads50/bmn", [*SMALL, *changes])
    assert isinstance(recipe, DetectionRecipe)
    scores = SnippetScores((0, 1)) if recipe.labels.by_snippets else None
    network = build_detector(recipe, 6, 2)
    save_detector(path, DetectorModel(recipe, ("a", "b"), 6, network, None, scores))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def change(path: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Edit the contract and leave the tensors as they are."""
    tensors, contract = load_model(path)
    edited = copy.deepcopy(contract)
    edit(edited)
    save_model(path, tensors, edited)


def part(kind: str, **values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda contract: contract["parts"][kind].update(values)


def option(section: str, key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    def edit(contract: dict[str, Any]) -> None:
        contract["parts"]["detector"]["options"][section][key] = value

    return edit


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no parts": (lambda c: c.pop("parts"), "key parts is missing"),
    "no detector's classes": (lambda c: c["parts"]["detector"].pop("classes"), "and classes"),
    "no width": (part("detector", sizes={}), "needs sizes.feature_dim"),
    "a width of text": (part("detector", sizes={"feature_dim": "6"}), "feature_dim: Input"),
    "no part that is known": (lambda c: c.update(parts={}), "neither a detector nor a backbone"),
    "parts as a list": (lambda c: c.update(parts=[]), "parts: Input should be a valid dict"),
    "a recipe as text": (part("detector", options="bmn"), "options: Input should be a valid dict"),
    "a recipe without a task": (part("detector", options={}), "its recipe: "),
    "another width": (part("detector", sizes={"feature_dim": 7}), "of shape .* where BMN needs"),
    "a width of terabytes": (part("detector", sizes={"feature_dim": 10**9}), "where BMN needs"),
    "a network of terabytes": (option("detector", "network", {"hidden_dim": 10**8}), "BMN"),
    "no such detector": (option("detector", "name", "yolo"), "no detector 'yolo'"),
    "a clock of another kind": (lambda c: c.update(clock=[1]), "clock: Input"),
    "a clock that stands": (
        lambda c: c.update(clock={"fps": 0, "stride_frames": 1, "window_frames": 1}),
        "its clock: fps: Input should be greater than 0",
    ),
    "columns beyond R": (part("labeller", options={"columns": [0, 6]}), "2 columns up to 6"),
    "columns of text": (part("labeller", options={"columns": "ab"}), "its labeller: columns"),
    "another activation": (
        part("labeller", options={"columns": [0, 1], "activation": "relu"}),
        "its labeller: activation",
    ),
    "a classifier of text": (
        part("labeller", name="classifier", options={"smoothing": "x"}),
        "smoothing cannot be 'x'",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_contract_that_cannot_be_is_told(model: Path, kind: str) -> None:
    edit, words = WRONG[kind]
    change(model, edit)
    with pytest.raises(AttentadError, match=words) as caught:
        load_detector(model)
    assert str(caught.value).startswith(f"{model} is no model")


def test_contracts_of_format_1_are_checked(tmp_path: Path) -> None:
    for contract in ({}, {"kind": "detector"}, {"kind": 3}, {"kind": "recogniser", "recipe": []}):
        text = json.dumps({**contract, "format": 1, "crc32": 0})
        save_file({"a": torch.zeros(0)}, tmp_path / "m.safetensors", {"attentad": text})
        for load_any in (load_detector, load_backbone):
            with pytest.raises(AttentadError, match=r"m.safetensors is no model of this version"):
                load_any(tmp_path / "m.safetensors")


@pytest.mark.parametrize("text", ["[" * 10**5, '{"format": 1e999}', '{"format": true}', "{}"])
def test_what_is_no_contract(tmp_path: Path, text: str) -> None:
    save_file({"a": torch.zeros(0)}, tmp_path / "m.safetensors", {"attentad": text})
    with pytest.raises(AttentadError, match="not a model of attentad"):
        load_detector(tmp_path / "m.safetensors")


def test_a_header_that_is_too_deep_or_long(tmp_path: Path) -> None:
    for content in (b"[" * 10**5, b'{"a":' * 10**5):
        (tmp_path / "m.safetensors").write_bytes(len(content).to_bytes(8, "little") + content)
        with pytest.raises(AttentadError, match="not safetensors"):
            load_detector(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(AttentadError, match="not safetensors"):
        load_detector(tmp_path / "m.safetensors")


@pytest.mark.parametrize("named", ["/dev/zero", "../zero", "a/../../zero", "/etc/passwd"])
@pytest.mark.parametrize("source", ["file", "cuhk"])
def test_a_model_opens_no_file_but_in_its_own_folder(
    tmp_path: Path, named: str, source: str
) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    folder = tmp_path / "model"
    folder.mkdir()
    write_model(folder / "m.safetensors", f"labels={{source: {source}, file: {named}}}")
    np.save(tmp_path / "v.npy", np.zeros((9, 6), np.float32))
    detector = load(folder / "m.safetensors")
    place = folder / Path(named).name
    with pytest.raises(AttentadError, match=f"{place} does not exist or is no plain file"):
        detector.detect([tmp_path / "v.npy"])
    place.symlink_to("/dev/zero")
    with pytest.raises(AttentadError, match="is no plain file"):
        detector.detect([tmp_path / "v.npy"])


@pytest.mark.parametrize("named", ["..", "/", "a/.."])
def test_a_model_names_a_file(tmp_path: Path, named: str) -> None:
    write_model(tmp_path / "m.safetensors", f"labels={{source: file, file: {named}}}")
    with pytest.raises(AttentadError, match=r"labels\.file is no name"):
        load_detector(tmp_path / "m.safetensors")


def test_class_scores_beside_the_model_are_used(tmp_path: Path) -> None:
    write_model(tmp_path / "m.safetensors", "labels={source: file, file: /old/place/s.npz}")
    np.savez(tmp_path / "s.npz", v=np.array([0.1, 0.9]))
    np.save(tmp_path / "v.npy", np.zeros((9, 6), np.float32))
    (tmp_path / "v.json").write_text('{"fps": 1, "stride_frames": 1, "window_frames": 1}')
    run = load(tmp_path / "m.safetensors").detect([tmp_path / "v.npy"])
    assert run.classes == ("a", "b")
