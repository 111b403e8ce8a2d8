"""Labels by a classifier that training fits: features without class scores, the whole way."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.bench import Bench

from attentad.app.check.data_set import check
from attentad.core import AttentadError, read_annotations, read_detections, write_annotations
from attentad.models.file import load_detector, load_model, save_model
from attentad.models.run import load
from attentad.models.snippet_classifier import SnippetClassifier
from attentad.models.train import train
from attentad.recipes.load import DetectionRecipe, load_recipe

SOURCE = ["data.scores=null", "labels.source=classifier", "labels.classifier.smoothing=3"]


@pytest.fixture(scope="module")
def mixed(trained: Bench, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The small data set with its columns mixed, so that none is a class's score, and a run."""
    folder = tmp_path_factory.mktemp("mixed") / "bench"
    shutil.copytree(trained.folder, folder, ignore=shutil.ignore_patterns("run"))
    bench = Bench(folder)
    bench.recipe.write_text(bench.recipe.read_text().replace(str(trained.folder), str(folder)))
    mixing = np.random.default_rng(3).normal(size=(4, 6)).astype(np.float32)
    arrays = {video: scores @ mixing for video, scores in np.load(trained.features).items()}
    np.savez(bench.features, **arrays)
    train(load_recipe(bench.recipe, SOURCE), folder / "run")
    return bench


@pytest.fixture
def spoilt(mixed: Bench, tmp_path: Path) -> Bench:
    """A copy of `mixed` to spoil."""
    folder = tmp_path / "bench"
    shutil.copytree(mixed.folder, folder)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(mixed.folder), str(folder)))
    return Bench(folder)


def test_it_learns_and_detects_as_in_training(mixed: Bench) -> None:
    found = load(mixed.model).detect([mixed.features])
    saved = read_detections(mixed.folder / "run" / "detections.json", found.detections.classes)
    assert len(saved.videos) == 3
    truth = read_annotations(mixed.annotations)
    right = []
    for video, items in saved.videos.items():
        np.testing.assert_array_equal(items.segments, found.detections.videos[video].segments)
        np.testing.assert_array_equal(items.scores, found.detections.videos[video].scores)
        np.testing.assert_array_equal(items.labels, found.detections.videos[video].labels)
        middles = truth.videos[video].segments.mean(axis=1)
        for middle, label in zip(middles, truth.label_ids(video), strict=True):
            here = (items.segments[:, 0] < middle) & (middle < items.segments[:, 1])
            right.append(items.labels[here][0] == label)
    assert np.mean(right) > 0.8
    curves = {curve.name: curve for curve in found.results["v00"].curves}
    assert {"jump", "run"} <= curves.keys()
    assert curves["run"].value.max() > 0.8


def test_the_model_file_carries_the_classifier(mixed: Bench, tmp_path: Path) -> None:
    tensors, contract = load_model(mixed.model)
    part = contract["parts"]["labeller"]
    assert (part["name"], part["options"]) == ("classifier", {"smoothing": 3})
    assert tensors["labeller.weight"].shape == (3, 6)
    labeller = load_detector(mixed.model).labeller
    assert isinstance(labeller, SnippetClassifier)
    assert labeller.smoothing == 3
    assert torch.equal(labeller.weight, tensors["labeller.weight"])
    train(load_recipe(mixed.recipe, SOURCE), tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == mixed.model.read_bytes()


def test_a_model_file_without_its_classifier_says_so(mixed: Bench, tmp_path: Path) -> None:
    tensors, contract = load_model(mixed.model)
    del tensors["labeller.bias"]
    save_model(tmp_path / "m.safetensors", tensors, contract)
    with pytest.raises(AttentadError, match="lacks bias of SnippetClassifier"):
        load_detector(tmp_path / "m.safetensors")


def test_the_classifier_learns_from_training_videos_alone(spoilt: Bench) -> None:
    """Other test features change nothing; and its settings change only its own weights."""
    arrays = dict(np.load(spoilt.features))
    for video in ("v00", "v04", "v08"):
        arrays[video] = arrays[video][::-1] * 3
    np.savez(spoilt.features, **arrays)
    changes = [*SOURCE, "labels.classifier.weight_decay=0.1"]
    kept, _ = load_model(spoilt.model)
    train(load_recipe(spoilt.recipe, SOURCE), spoilt.folder / "other")
    other, _ = load_model(spoilt.folder / "other" / "model.safetensors")
    train(load_recipe(spoilt.recipe, changes), spoilt.folder / "softer")
    softer, _ = load_model(spoilt.folder / "softer" / "model.safetensors")
    for name, value in kept.items():
        assert torch.equal(other[name], value), name
        assert torch.equal(softer[name], value) != name.startswith("labeller."), name
    assert softer["labeller.weight"].norm() < 0.7 * kept["labeller.weight"].norm()


@pytest.mark.parametrize("action", ["none", "elsewhere"])
def test_without_a_snippet_in_an_instance_there_is_nothing_to_learn(
    spoilt: Bench, action: str
) -> None:
    annotations = read_annotations(spoilt.annotations)
    for item in annotations.videos.values():
        item.segments[:] = item.segments + 1000 if action == "elsewhere" else 0.1
    write_annotations(spoilt.annotations, annotations)
    with pytest.raises(AttentadError, match=r"labels\.source=classifier") as error:
        train(load_recipe(spoilt.recipe, SOURCE), spoilt.folder / "none")
    assert "\n" not in str(error.value)


def test_check_asks_for_no_score_columns(mixed: Bench) -> None:
    assert not [item for item in check(mixed.recipe, SOURCE) if item.severity == "error"]
    asked = [item for item in check(mixed.recipe, SOURCE[:1]) if item.kind == "scores"]
    assert [item.severity for item in asked] == ["error"]
    assert "labels.source to classifier" in asked[0].do


def test_settings_are_checked_and_errors_name_the_way_out(mixed: Bench, tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match=r"labels\.classifier.*odd number of snippets, not 4"):
        load_recipe(mixed.recipe, [*SOURCE, "labels.classifier.smoothing=4"])
    with pytest.raises(AttentadError, match=r"labels\.classifier\.weight_decay"):
        load_recipe(mixed.recipe, [*SOURCE, "labels.classifier.weight_decay=-1"])
    with pytest.raises(AttentadError, match=r"labels\.source=classifier"):
        train(load_recipe(mixed.recipe, SOURCE[:1]), tmp_path)


def test_the_ucf15_recipes_differ_in_the_attention_alone() -> None:
    base, csa = load_recipe("ucf15/bmn"), load_recipe("ucf15/bmn_csa")
    assert isinstance(base, DetectionRecipe)
    assert isinstance(csa, DetectionRecipe)
    assert csa.attention["encoder"].name == "csa"
    changed = csa.model_copy(update={"attention": {}, "about": base.about})
    assert changed == base
