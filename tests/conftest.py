"""Fixtures that several rooms share: a trained detector and an (untrained) recogniser."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

# The tests share two cores among workers: more threads than one each, or threads that wait in a
# spin, would slow all of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# A shell starts what it runs in the background deaf to Ctrl-C, which some tests press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
import torch
from tests.bench import Bench, make_data

from attentad.models.build import build_detector, build_recogniser, recogniser_backbone
from attentad.models.file import load_backbone, save_backbone, save_detector
from attentad.models.labels import SnippetScores
from attentad.models.model import DetectorModel
from attentad.models.train import train
from attentad.recipes.load import DetectionRecipe, RecognitionRecipe, load_recipe


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A detector trained once on the small data set; do not change its files."""
    folder = tmp_path_factory.mktemp("bench")
    make_data(folder)
    train(load_recipe(folder / "recipe.yaml"), folder / "run")
    return Bench(folder)


@pytest.fixture
def bench(trained: Bench, tmp_path: Path) -> Bench:
    """A copy of `trained` to spoil."""
    folder = tmp_path / "bench"
    shutil.copytree(trained.folder, folder)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(trained.folder), str(folder)))
    return Bench(folder)


@pytest.fixture(scope="session")
def encoder_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with a small recogniser of random weights."""
    overrides = ["recogniser.width=4", "sampling.size_px=24", "sampling.window_frames=8"]
    recipe = load_recipe("demo/recogniser", overrides)
    assert isinstance(recipe, RecognitionRecipe)
    torch.manual_seed(0)
    network = build_recogniser(recipe, ("jump", "run")).eval()
    path = tmp_path_factory.mktemp("encoder") / "recogniser.safetensors"
    save_backbone(path, recogniser_backbone(recipe, ("jump", "run"), network))
    return path


@pytest.fixture(scope="session")
def detector(encoder_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of random weights with the random recogniser inside: only the way matters."""
    recipe = load_recipe("demo/detector", ["detector.network.map_dim=8"])
    assert isinstance(recipe, DetectionRecipe)
    encoder = load_backbone(encoder_model)
    width = encoder.network.feature_dim
    torch.manual_seed(0)
    model = DetectorModel(
        recipe=recipe,
        classes=encoder.classes,
        feature_dim=width + 2,
        network=build_detector(recipe, width + 2, 2),
        labeller=SnippetScores((width, width + 1)),
        encoder=encoder,
    )
    path = tmp_path_factory.mktemp("detector") / "model.safetensors"
    save_detector(path, model)
    return path
