"""Networks of Hugging Face, made small and random here: nothing is downloaded."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.backbones.weights import needs_transformers

from attentad.backbones.backbone import Backbone, is_same
from attentad.backbones.hf import hf, restored_hf, told_hf
from attentad.core import AttentadError
from attentad.models.encode import snippet_features

SMALL: dict[str, Any] = {
    **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2},
    "intermediate_size": 32,
}
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]


def release(folder: Path, kind: str) -> Path:
    """A folder as the hub has them, of a network of random weights."""
    import transformers

    made = {
        "dinov2": lambda: transformers.Dinov2Model(
            transformers.Dinov2Config(image_size=28, patch_size=14, **SMALL)
        ),
        "vit": lambda: transformers.ViTModel(
            transformers.ViTConfig(image_size=32, patch_size=16, **SMALL), add_pooling_layer=False
        ),
        "videomae": lambda: transformers.VideoMAEModel(
            transformers.VideoMAEConfig(image_size=32, patch_size=16, num_frames=4, **SMALL)
        ),
        "vjepa2": lambda: transformers.VJEPA2Model(
            transformers.VJEPA2Config(
                crop_size=32,
                frames_per_clip=4,
                pred_hidden_size=16,
                pred_num_attention_heads=2,
                pred_num_hidden_layers=1,
                **SMALL,
            )
        ),
        "convnext": lambda: transformers.ConvNextModel(
            transformers.ConvNextConfig(
                num_stages=2, hidden_sizes=[8, 16], depths=[1, 1], image_size=32
            )
        ),
        "bert": lambda: transformers.BertModel(transformers.BertConfig(vocab_size=9, **SMALL)),
    }
    torch.manual_seed(0)
    made[kind]().save_pretrained(folder)
    said = {"image_mean": MEAN, "image_std": STD}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder, made = tmp_path_factory.mktemp("hub"), {}

    def of(kind: str) -> Path:
        if kind not in made:
            made[kind] = release(folder / kind, kind)
        return made[kind]

    return of


def clips(backbone: Backbone, count: int = 3) -> torch.Tensor:
    size = (count, backbone.sampling.window_frames, *[backbone.sampling.size_px] * 2, 3)
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, size, np.uint8))


@needs_transformers
@pytest.mark.parametrize(
    ("kind", "class_name", "frames", "fps"),
    [
        ("dinov2", "Dinov2Model", 1, 5.0),
        ("vit", "ViTModel", 1, 5.0),
        ("convnext", "ConvNextModel", 1, 5.0),
        ("videomae", "VideoMAEModel", 4, 7.5),
        ("vjepa2", "VJEPA2Model", 4, 7.5),
    ],
)
@torch.inference_mode()
def test_features_are_those_of_transformers(
    releases: Callable[[str], Path], kind: str, class_name: str, frames: int, fps: float
) -> None:
    import transformers

    backbone = hf(model=str(releases(kind)))
    sampling = backbone.sampling
    assert (sampling.window_frames, sampling.fps, sampling.stride_frames) == (frames, fps, 1)
    assert sampling.size_px == {"dinov2": 28}.get(kind, 32)
    pictures = clips(backbone)
    found = backbone(pictures)
    assert found.logits is None
    assert found.feature.shape == (3, backbone.feature_dim) == (3, 16)
    pixels = ((pictures / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 1, 4, 2, 3)
    options = {"add_pooling_layer": False} if kind == "vit" else {}
    network = getattr(transformers, class_name).from_pretrained(releases(kind), **options).eval()
    output = network(pixels[:, 0] if frames == 1 else pixels)
    tokens = output.last_hidden_state
    if kind == "convnext":  # a map, which has no first token
        tokens = tokens.flatten(2).transpose(1, 2)
        with pytest.raises(AttentadError, match="has no first token"):
            hf(model=str(releases(kind)), pool="cls")(pictures)
    else:
        first = hf(model=str(releases(kind)), pool="cls")(pictures).feature
        torch.testing.assert_close(first, tokens[:, 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.feature, tokens.mean(dim=1), atol=1e-5, rtol=1e-4)
    for i in range(3):
        one = backbone(pictures[i : i + 1]).feature[0]
        torch.testing.assert_close(one, found.feature[i], atol=1e-5, rtol=1e-4)


@needs_transformers
def test_a_video_and_windows_of_pictures(releases: Callable[[str], Path]) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (9, 28, 28, 3)).astype(np.uint8)
    single, _ = snippet_features(hf(model=str(releases("dinov2"))), pictures, 1.8)
    backbone = hf(
        model=str(releases("dinov2")), window_frames=3, stride_frames=3, change="absolute"
    )
    windows, timeline = snippet_features(backbone, pictures, 1.8)
    assert timeline.length == 3
    np.testing.assert_allclose(windows[1, :16], single[3:6].mean(axis=0), atol=1e-5)
    change = np.abs(np.diff(single[3:6], axis=0)).mean(axis=0)
    np.testing.assert_allclose(windows[1, 16:], change, atol=1e-5)


@needs_transformers
def test_restored_it_opens_its_files_when_it_is_used(
    releases: Callable[[str], Path], tmp_path: Path
) -> None:
    backbone = hf(model=str(releases("videomae")), stride_frames=2)
    assert backbone.network.state_dict() == {}
    restored = restored_hf(backbone.options, backbone.sizes, tmp_path)
    assert (restored.sampling, restored.feature_dim) == (backbone.sampling, 16)
    assert restored.facts == backbone.facts
    told = told_hf(backbone.facts)
    assert is_same(told.facts, backbone.facts)
    assert str(releases("videomae").parent) not in json.dumps(backbone.facts)
    with pytest.raises(AttentadError, match="videomae is not there; put the folder"):
        restored(clips(restored))
    (tmp_path / "videomae").symlink_to(releases("videomae"))
    with torch.inference_mode():
        found, expected = restored(clips(restored)), backbone(clips(backbone))
    torch.testing.assert_close(found.feature, expected.feature)


@needs_transformers
def test_other_files_are_refused(releases: Callable[[str], Path], tmp_path: Path) -> None:
    backbone = hf(model=str(releases("dinov2")))
    (tmp_path / "dinov2").symlink_to(releases("vit"))
    restored = restored_hf(backbone.options, backbone.sizes, tmp_path)
    with pytest.raises(AttentadError, match="their SHA-256 differs"):
        restored(clips(restored))
    with pytest.raises(AttentadError, match="their SHA-256 differs"):
        hf(model=str(releases("dinov2")), sha256="0" * 64)
    other = hf(model=str(releases("vit")))
    assert not is_same(other.facts, backbone.facts)
    assert not is_same(hf(model=str(releases("dinov2")), fps=4).facts, backbone.facts)


@needs_transformers
@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("vit", {"pool": "pooled"}, "its weights lack pooler.dense.bias"),
        ("videomae", {"change": "signed"}, "has no options context_sec and change"),
        ("bert", {"size_px": 32}, "takes neither pictures nor clips"),
    ],
)
def test_what_does_not_go_is_said(
    releases: Callable[[str], Path], kind: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(AttentadError, match=words):
        hf(model=str(releases(kind)), **options)


@needs_transformers
def test_an_input_that_the_network_cannot_take(releases: Callable[[str], Path]) -> None:
    backbone = hf(model=str(releases("videomae")), window_frames=6)
    with pytest.raises(AttentadError, match="VideoMAEModel cannot take an input of 6 × 3 × 32"):
        backbone(clips(backbone))
    pooled = hf(model=str(releases("videomae")), pool="pooled")
    with pytest.raises(AttentadError, match="no output of its own that is pooled"):
        pooled(clips(pooled))


@needs_transformers
def test_folders_that_lack_something(releases: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((releases("dinov2") / name).read_bytes())
    with pytest.raises(AttentadError, match=r"does not say how its input is normalised"):
        hf(model=str(tmp_path))
    assert hf(model=str(tmp_path), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).feature_dim == 16
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(AttentadError, match="its weights as safetensors"):
        hf(model=str(tmp_path), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "model.safetensors")
    with pytest.raises(AttentadError, match="transformers cannot read it"):
        hf(model=str(tmp_path))


@needs_transformers
def test_no_connection_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    def unreachable(*_: Any, **__: Any) -> str:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(AttentadError, match=r"could not be had from the hub \(no route"):
        hf(model="nobody/nothing")


@needs_transformers
def test_of_the_hub_the_commit_is_kept(
    monkeypatch: pytest.MonkeyPatch, releases: Callable[[str], Path], tmp_path: Path
) -> None:
    import huggingface_hub

    asked: list[str | None] = []

    def download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append(revision)
        assert not any("bin" in pattern for pattern in allow_patterns)
        (tmp_path / "abc123").symlink_to(releases("dinov2")) if not asked[1:] else None
        return str(tmp_path / "abc123")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    backbone = hf(model="someone/dinov2")
    assert (backbone.options["model"], backbone.options["revision"]) == ("someone/dinov2", "abc123")
    restored = restored_hf(backbone.options, backbone.sizes, Path("nowhere"))
    with torch.inference_mode():
        restored(clips(restored))
    assert asked == [None, "abc123"]


def test_without_transformers_the_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(AttentadError, match=r"pip install 'attentad\[hf\]'"):
        hf(model="facebook/dinov2-small")


def test_what_a_strangers_model_says_is_checked(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="its backbone has no option 'code'"):
        restored_hf({"code": "x"}, {"feature_dim": 4}, tmp_path)
    with pytest.raises(AttentadError, match="its backbone lacks change, context_sec, crops, f"):
        restored_hf({"model": "x", "fps": None}, {}, tmp_path)
