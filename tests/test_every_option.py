"""Every option of every part that `attentad parts` lists trains one step through a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.bench import make_data

from attentad.app.parts import KINDS
from attentad.backbones import RECOGNISERS
from attentad.core import read_annotations, write_annotations
from attentad.core.options import Option
from attentad.models.train import train
from attentad.recipes.load import parse_recipe
from attentad.video.encode import write_video

SMALL: dict[str, dict[str, Any]] = {
    "bmn": {"hidden_dim": 8, "sampled_dim": 8, "map_dim": 4, "groups": 1, "bins": 4, "samples": 2},
    "gtad": {
        **{"hidden_dim": 8, "aligned_dim": 8, "map_dim": 4, "groups": 1, "graph_groups": 2},
        **{"interior_bins": 4, "context_bins": 2},
    },
    "dbg": {"hidden_dim": 8, "sampled_dim": 8, "map_dim": 8, "points": [2, 3, 2]},
    "hamnet": {"hidden_dim": 8, "attention_dim": 8},
    "tcn": {"hidden_dim": 8, "blocks": 2},
    "tcn_weak": {"hidden_dim": 8, "attention_dim": 8},
    "transformer": {"heads": 2},
    "hybrid": {"hidden_dim": 8},
    "resnet3d": {"depth": 10, "width": 2, "stem_kernel": [3, 3, 3], "stem_pool": False},
}
# Values that fit where twice the default, or half of it, would not; and what else they need.
VALUES: dict[str, list[Any]] = {
    "max_duration": [8],
    "groups": [2],
    "graph_groups": [4],
    "kernel_size": [5],
    "fusion_kernel": [3],
    "heads": [1],
    "points": [[3, 4, 3]],
    "pool_steps": [3],
    "attention_thresholds": ["paper", [0.2, 0.5]],
    "thresholds": ["dense", [0.2, 0.5]],
    "stretch": [1.5],
    "top_k": [2],
    "hidden_dim": [16],
    "proposal_dim": [4],
    "transformer_dim": [4],
    "ffn_dim": [8],
    "reduction": [2],
    "length": [24],
    "stem_kernel": [[3, 5, 5]],
    "stem_stride": [[1, 1, 1]],
    "in_channels": [3],
    "width": [4],
    "depth": [10, 18, 50],
    "length_steps": [8],
    "stride_steps": [5],
    "gate_bias": [2.0],
    "max_length_sec": [20.0],
    "max_length_frames": [40.0],
    "keep": [3],
    "squeeze_channels": [2],
    "step": [2],
    "sa_time": ["mean"],
}
NEEDS: dict[tuple[str, str], dict[str, Any]] = {
    ("csa", "transformer_dim"): {"context": "global", "heads": 2},
    ("csa", "heads"): {"context": "global", "heads": 2},
    ("csa", "ffn_dim"): {"context": "global"},
    ("csa", "dropout"): {"context": "global"},
    ("csa", "conv_width"): {"convs": 2},
    ("csa", "single_projection"): {"branches": "channel"},
    ("sta", "sa_time"): {"variant": "sa"},
    ("hamnet", "top_k_ratio"): {"top_k": 2},
    ("tcn_weak", "top_k_ratio"): {"top_k": 2},
    ("rescaled", "mode"): {"length": 80},
    ("resnet3d", "shortcut_a_detach"): {"shortcut": "A"},
}


def other_values(name: str, option: Option) -> list[Any]:
    """Values of an option beside its default, by what `attentad parts` says can be given."""
    if name in VALUES and ("number" in option.type or not isinstance(VALUES[name][0], int)):
        return VALUES[name]
    values: list[Any] = []
    for word in option.type.split(" or "):
        default = option.default if isinstance(option.default, int | float) else None
        if word.startswith("a whole number"):
            values.append(2 * int(default) if default else 2)
        elif word.startswith("an odd number"):
            values.append(int(default or 1) + 2)
        elif word.startswith("a number"):
            values.append(default / 2 if default else 0.5)
        elif word in ("true", "false", "null"):
            values.append(yaml.safe_load(word))
        elif word.startswith(("a list", "a mapping")):
            continue
        else:
            values.append(int(word) if word.isdigit() else word)
    return [value for value in values if value != option.default or type(value) is bool]


def variations(kind: str, part: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(key of the recipe, the options to put there), each with one option changed."""
    for key, options in KINDS[kind]()[part].options.items():
        for option in options:
            for value in other_values(option.name, option):
                yield key, {**NEEDS.get((part, option.name), {}), option.name: value}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four of the small data set's videos, one of them to test on."""
    folder = tmp_path_factory.mktemp("options")
    make_data(folder)
    annotations = read_annotations(folder / "annotations.json")
    videos = {video: annotations.videos[video] for video in ("v00", "v01", "v02", "v03")}
    write_annotations(folder / "annotations.json", type(annotations)(videos, annotations.classes))
    return folder


def tiny(folder: Path, detector: str = "bmn") -> dict[str, Any]:
    """A recipe of one step."""
    content: dict[str, Any] = yaml.safe_load((folder / "recipe.yaml").read_text())
    content["view"] = {"length": 16, "mode": "linear"}
    content["detector"] = {"name": detector, "network": dict(SMALL.get(detector, {}))}
    content["attention"] = {}
    content["suppression"] = {}
    content["training"] |= {"epochs": 1, "batch_size": 3}
    if detector in ("tcn", "tcn_weak", "framewise"):
        content["view"] = {"name": "whole", "length": 100}
    if detector == "hamnet":
        content["view"] = {"name": "snippets", "length": 16}
        content["suppression"] = {"negative": "keep"}
    return content


def trains(content: dict[str, Any], out: Path) -> str | None:
    """What went wrong, or None."""
    torch.set_num_threads(1)
    try:
        run = train(parse_recipe(content, "recipe"), out, overwrite=True)
        assert run is not None
        assert run.score is not None
        assert np.isfinite(run.score)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def put(content: dict[str, Any], key: str, options: dict[str, Any]) -> None:
    for name in key.split("."):
        content = content.setdefault(name, {})
    content |= options


@pytest.mark.parametrize("detector", KINDS["detector"]())
def test_options_of_detectors(folder: Path, tmp_path: Path, detector: str) -> None:
    wrong = {}
    for key, options in variations("detector", detector):
        content = tiny(folder, detector)
        put(content, key, options)
        wrong[f"{key} {options}"] = trains(content, tmp_path)
    assert wrong
    assert not {key: error for key, error in wrong.items() if error}


@pytest.mark.parametrize("module", KINDS["attention"]())
def test_options_of_attention_modules(folder: Path, tmp_path: Path, module: str) -> None:
    wrong = {}
    for key, options in [("attention.SITE", {}), *variations("attention", module)]:
        content = tiny(folder)
        component = {"name": module, **SMALL.get(module, {}), **options}
        put(content, key.replace("SITE", "encoder"), component)
        wrong[f"{key} {options}"] = trains(content, tmp_path)
    assert not {key: error for key, error in wrong.items() if error}


@pytest.mark.parametrize("view", KINDS["view"]())
def test_options_of_views(folder: Path, tmp_path: Path, view: str) -> None:
    wrong = {}
    for key, options in variations("view", view):
        content = tiny(folder, {"snippets": "hamnet", "whole": "tcn"}.get(view, "bmn"))
        content["view"] = {"name": view, "length": 16}
        put(content, key, options)
        wrong[f"{key} {options}"] = trains(content, tmp_path)
    assert not {key: error for key, error in wrong.items() if error}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of noise, one of them to test on."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    lines = ["path,label,subset"]
    for i, subset in enumerate(("training", "training", "training", "test")):
        write_video(folder / f"{i}.mp4", rng.integers(0, 256, (8, 16, 16, 3), np.uint8), 8)
        lines.append(f"{i}.mp4,{'ab'[i % 2]},{subset}")
    (folder / "clips.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("backbone", RECOGNISERS)
def test_options_of_backbones(clips: Path, tmp_path: Path, backbone: str) -> None:
    wrong = {}
    for key, options in variations("backbone", backbone):
        content: dict[str, Any] = {
            "task": "recognition",
            "data": {"root": str(clips)},
            "sampling": {"fps": 8, "window_frames": 4, "stride_frames": 2, "size_px": 16},
            "recogniser": {"name": backbone, **SMALL[backbone]},
            "attention": {"layer4": {"name": "se"}},
            "training": {"epochs": 1, "batch_size": 3, "accelerator": "cpu"},
        }
        put(content, key, options)
        wrong[f"{key} {options}"] = trains(content, tmp_path)
    assert not {key: error for key, error in wrong.items() if error}


@pytest.mark.parametrize("method", KINDS["suppression"]())
def test_options_of_suppression(folder: Path, tmp_path: Path, method: str) -> None:
    wrong = {}
    for key, options in variations("suppression", method):
        content = tiny(folder)
        put(content, key, {"method": method, **options})
        wrong[f"{key} {options}"] = trains(content, tmp_path)
    assert not {key: error for key, error in wrong.items() if error}
