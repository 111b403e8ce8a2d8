"""Trimmed clips to a recogniser on a frozen backbone, with a stand-in backbone of few columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.backbones.weights import needs_weights
from torch import Tensor, nn

from attentad.backbones import Backbone
from attentad.backbones.backbone import PictureWindows
from attentad.backbones.linear_probe import LinearProbe, with_classifier
from attentad.core import AttentadError, Sampling
from attentad.data.clips import read_clip_files
from attentad.data.tracks import Track
from attentad.models import linear_probe
from attentad.models.clip_features import mean_inside
from attentad.models.encode import snippet_features
from attentad.models.extract import extract_features
from attentad.models.file import load_backbone
from attentad.models.linear_classifier import (
    chosen,
    cross_validate,
    fit_linear,
    grouped_folds,
)
from attentad.models.linear_probe import clips_recipe, fit_linear_probe
from attentad.models.train import train
from attentad.recipes.load import LinearProbeRecipe, parse_recipe
from attentad.video import write_video

FPS = 8


class MeanColour(nn.Module):
    """Pictures (F, H, W, 3) → (F, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.float().mean(dim=(1, 2)) * self.scale / 255


def stand_in(name: str = "image", options: object = None) -> Backbone:
    """Mean colours and how they change, over windows of 4 pictures."""
    windows = PictureWindows(4, 0, "absolute")
    return Backbone(
        name="image",
        options={},
        network=MeanColour().eval(),
        sampling=Sampling(FPS, 4, 2, 16),
        feature_dim=6,
        prepare=lambda network, pictures: network(pictures),
        summarise=windows,
    )


def write_clip(path: Path, flickers: bool, rng: np.random.Generator, pictures: int = 9) -> None:
    """A pattern that stays, or that turns into its negative and back: one picture tells not."""
    pattern = np.kron(rng.integers(20, 200, (4, 4, 3)), np.ones((4, 4, 1), int))
    negative = (np.arange(pictures) + rng.integers(2)) % 2 if flickers else np.zeros(pictures, int)
    shown = np.where(negative[:, None, None, None], 255 - pattern, pattern)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, shown.astype(np.uint8), FPS)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips of four sources to train on, four of another to test on."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    lines = ["file,label,source_video,split"]
    for i in range(16):
        label = ("flicker", "still")[i % 2]
        write_clip(folder / f"{i}.mp4", label == "flicker", rng)
        split, source = ("train", f"v{i // 2 % 4}") if i < 12 else ("test", "w")
        lines.append(f"{i}.mp4,{label},{source},{split}")
    (folder / "clips.csv").write_text("\n".join(lines))
    return folder


def recipe(clips: Path, **classifier: object) -> LinearProbeRecipe:
    content = {
        "task": "linear_probe",
        "data": {"root": str(clips)},
        "backbone": {"name": "image"},
        "classifier": classifier,
    }
    parsed = parse_recipe(content, "recipe")
    assert isinstance(parsed, LinearProbeRecipe)
    return parsed


@pytest.fixture
def stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_probe, "build_backbone", stand_in)


def test_columns_by_their_other_names(clips: Path) -> None:
    files = read_clip_files(clips / "clips.csv", subset="training")
    assert len(files) == 12
    assert {file.group for file in files} == {"v0", "v1", "v2", "v3"}
    assert {file.subset for file in files} == {"train"}


@pytest.mark.usefixtures("stood_in")
def test_motion_is_told_from_stillness(clips: Path) -> None:
    fitted = fit_linear_probe(recipe(clips))
    assert fitted.top1 == 1.0
    assert fitted.report["clips"] == 4
    assert fitted.report["training_clips"] == 12
    assert fitted.report["majority"] == 0.5
    assert fitted.report["per_class"]["still"] == {"accuracy": 1.0, "clips": 2}
    low, high = fitted.report["interval"]
    assert 0.3 < low < 0.7
    assert high == 1.0
    assert "cross-validation over the training clips" in " ".join(fitted.notes)


@pytest.mark.usefixtures("stood_in")
def test_the_test_clips_choose_nothing(clips: Path, tmp_path: Path) -> None:
    content = (clips / "clips.csv").read_text().replace("source_video,split", "group,subset")
    turned = [
        line.replace("flicker", "x").replace("still", "flicker").replace("x,", "still,")
        if line.endswith("test")
        else line
        for line in content.splitlines()
    ]
    for path in clips.glob("*.mp4"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "clips.csv").write_text("\n".join(turned))
    straight, other = fit_linear_probe(recipe(clips)), fit_linear_probe(recipe(tmp_path))
    assert straight.report["cross_validation"] == other.report["cross_validation"]
    assert other.top1 == 0.0
    networks = (straight.backbone.network, other.backbone.network)
    assert all(isinstance(network, LinearProbe) for network in networks)
    assert torch.equal(networks[0].weight, networks[1].weight)


@pytest.mark.usefixtures("stood_in")
def test_one_bad_clip_is_left_out_and_said(clips: Path, tmp_path: Path) -> None:
    for path in clips.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "3.mp4").write_bytes(b"no video")
    fitted = fit_linear_probe(recipe(tmp_path, weight_decay=1.0))
    assert fitted.report["training_clips"] == 11
    assert fitted.report["cross_validation"] == []
    assert any(note.startswith("3.mp4 is left out: ") for note in fitted.notes)


@pytest.mark.usefixtures("stood_in")
def test_lists_that_cannot_be_trained_on(clips: Path, tmp_path: Path) -> None:
    for path in clips.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    header, *lines = (clips / "clips.csv").read_text().splitlines()
    listed = tmp_path / "clips.csv"
    listed.write_text("\n".join([header, *lines, lines[0]]))
    with pytest.raises(AttentadError, match=r"lists 0\.mp4 twice"):
        fit_linear_probe(recipe(tmp_path))
    listed.write_text("\n".join([header, *[line for line in lines if "still" not in line]]))
    with pytest.raises(AttentadError, match="all training clips are of flicker"):
        fit_linear_probe(recipe(tmp_path))
    one_group = [line.replace(f"v{i}", "v") for line in lines for i in range(4) if f"v{i}" in line]
    listed.write_text("\n".join([header, *one_group, *lines[12:]]))
    with pytest.raises(AttentadError, match=r"set classifier\.weight_decay"):
        fit_linear_probe(recipe(tmp_path))
    new = lines[-1].replace(",w,", ",v1,").replace("still", "new")
    listed.write_text("\n".join([header, *lines[:-1], new]))
    told = " ".join(fit_linear_probe(recipe(tmp_path)).notes)
    assert "clips of v1 both train and test" in told
    assert "no training clip is of new: never found." in told


def test_a_clip_is_the_mean_of_the_snippets_inside_it() -> None:
    backbone = stand_in()
    pictures = np.random.default_rng(1).integers(0, 256, (11, 16, 16, 3), np.uint8)
    features, timeline = snippet_features(backbone, pictures, 11 / FPS)
    # Windows of 4 begin at −1, 1, 3, 5, 7, 9: those at 1, 3, 5, 7 lie within 11 pictures.
    rows = [backbone(torch.from_numpy(pictures[None, s : s + 4])).feature[0] for s in (1, 3, 5, 7)]
    got = mean_inside(Track(features, timeline, 11 / FPS))
    np.testing.assert_allclose(got, torch.stack(rows).mean(dim=0).detach(), rtol=1e-5)


@pytest.mark.parametrize("pictures", [1, 2, 3])
def test_a_clip_shorter_than_a_snippet_has_features(pictures: int) -> None:
    shown = np.full((pictures, 16, 16, 3), 51, np.uint8)
    features, timeline = snippet_features(stand_in(), shown, pictures / FPS)
    got = mean_inside(Track(features, timeline, pictures / FPS))
    np.testing.assert_allclose(got, [0.2, 0.2, 0.2, 0, 0, 0], atol=1e-6)


def toy_features(n: int = 60) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, n)
    features = rng.normal(size=(n, 5)) + np.eye(5)[labels] * 2
    return (features * [1, 100, 1e-3, 1, 1] + [0, 5, 0, 0, 0]).astype(np.float32), labels


def test_scale_and_offset_of_a_column_change_nothing() -> None:
    features, labels = toy_features()
    plain = fit_linear(features, labels, 3, 1.0).logits(features)
    moved = features * np.float32(16) + np.float32(2)
    np.testing.assert_allclose(fit_linear(moved, labels, 3, 1.0).logits(moved), plain, atol=2e-3)
    constant = np.hstack([features, np.full((len(features), 1), 7.1, np.float32)])
    fitted = fit_linear(constant, labels, 3, 1.0)
    assert not fitted.weight[:, -1].any()
    np.testing.assert_allclose(fitted.logits(constant), plain, atol=2e-3)


def test_a_class_without_a_clip_is_never_found() -> None:
    features, labels = toy_features()
    fitted = fit_linear(features, labels * 2, 6, 1.0)
    logits = fitted.logits(features)
    assert set(logits.argmax(axis=1)) <= {0, 2, 4}
    assert np.isfinite(logits).all()
    probabilities = torch.softmax(torch.from_numpy(logits), dim=1)
    assert not probabilities[:, 1::2].any()


def test_groups_stay_whole_and_folds_are_of_like_size() -> None:
    groups = [f"g{i % 7}" for i in range(50)]
    fold = grouped_folds(groups, 3)
    for name in set(groups):
        assert len({int(f) for f, g in zip(fold, groups, strict=True) if g == name}) == 1
    sizes = np.bincount(fold)
    assert len(sizes) == 3
    assert sizes.max() - sizes.min() <= 8


def test_cross_validation_is_of_clips_held_out() -> None:
    features, labels = toy_features()
    groups = [f"g{i % 6}" for i in range(len(labels))]
    (trial,) = cross_validate(features, labels, 3, groups, folds=3, weight_decays=[0.5])
    fold = grouped_folds(groups, 3)
    right = 0
    for held_out in range(3):
        rest = fold != held_out
        logits = fit_linear(features[rest], labels[rest], 3, 0.5).logits(features[~rest])
        right += int((logits.argmax(axis=1) == labels[~rest]).sum())
    assert trial.top1 == pytest.approx(right / len(labels))
    trials = cross_validate(features, labels, 3, groups)
    assert chosen(trials).cross_entropy == min(trial.cross_entropy for trial in trials)


def test_logits_are_of_the_features_and_the_network_is_frozen() -> None:
    probe = with_classifier(stand_in(), ("a", "b"))
    assert isinstance(probe.network, LinearProbe)
    assert not any(weight.requires_grad for weight in probe.network.parameters())
    probe.network.weight.copy_(torch.arange(12).reshape(2, 6))
    clip = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (2, 4, 16, 16, 3), np.uint8))
    output = probe(clip)
    assert output.logits is not None
    torch.testing.assert_close(output.feature, stand_in()(clip).feature)
    expected = output.feature.double() @ probe.network.weight.T
    torch.testing.assert_close(output.logits, expected.float())
    assert probe.width == 8


def test_the_recipe_of_a_list(clips: Path) -> None:
    made = clips_recipe(clips / "clips.csv")
    assert (made.data.root, made.data.clips) == (clips, Path("clips.csv"))
    assert (made.data.train, made.data.test) == ("training", "test")
    whole = clips_recipe(clips / "clips.csv", test=None)
    assert (whole.data.train, whole.data.test) == (None, None)


@needs_weights
def test_the_model_file_reads_video_and_names_classes(clips: Path, tmp_path: Path) -> None:
    made = clips_recipe(clips / "clips.csv")
    small = {"name": "image", "fps": FPS, "size_px": 64, "window_frames": 4, "change": "absolute"}
    content = made.model_dump(mode="json") | {"backbone": small}
    run = train(parse_recipe(content, "recipe"), tmp_path / "out")
    assert run is not None
    assert run.score == 1.0
    with pytest.raises(AttentadError, match="holds an earlier training"):
        train(parse_recipe(content, "recipe"), tmp_path / "out")
    loaded = load_backbone(run.model)
    assert loaded.classes == ("flicker", "still")
    assert loaded.facts["file"] == "model.safetensors"
    extract_features(loaded, [clips / "12.mp4", clips / "13.mp4"], tmp_path / "features")
    for video, label in (("12", 0), ("13", 1)):
        rows = np.load(tmp_path / "features" / f"{video}.npy")
        assert rows.shape[1] == 2 * 1280 + 2
        np.testing.assert_allclose(rows[:, -2:].sum(axis=1), 1, atol=1e-5)
        assert rows[:, -2:].mean(axis=0).argmax() == label
