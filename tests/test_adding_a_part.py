"""docs/adding-a-part.md, taken at its word: nothing of `src` is touched."""

from __future__ import annotations

import os
import re
import signal
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.bench import make_data
from typer.testing import CliRunner

from attentad.attention import ATTENTION
from attentad.cli import app
from attentad.core import AttentadError, read_annotations
from attentad.detection import DETECTORS, Detector
from attentad.metrics.evaluate import evaluate_files
from attentad.models.file import load_detector
from attentad.models.run import load
from attentad.models.train import train
from attentad.recipes.load import DetectionRecipe, load_recipe
from attentad.training.checkpoint import load_checkpoint

PAGE = Path(__file__).parents[1] / "docs" / "adding-a-part.md"


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The page's parts in the tables where it says, by their lines there."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    code: dict[str, Any] = {"Detector": Detector, "__name__": "adding_a_part"}
    lines = []
    for block in blocks:
        if block.startswith('"'):
            lines.append(block)
        else:
            exec(compile(block, str(PAGE), "exec"), code)
    detector, attention, two_phases = (eval(f"{{{line}}}", code) for line in lines)
    for name, part in (detector | {"two_phases": two_phases["points"]}).items():
        monkeypatch.setitem(DETECTORS, name, part)
    for name, part in attention.items():
        monkeypatch.setitem(ATTENTION, name, part)
    return code


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The small data set, cut to videos of different lengths, with the page's YAML as recipe."""
    make_data(tmp_path)
    with np.load(tmp_path / "features.npz") as archive:
        arrays = {video: archive[video] for video in archive.files}
    lengths = [80 - 3 * i for i in range(len(arrays))]
    np.savez(tmp_path / "features.npz", **{
        video: rows[:n] for (video, rows), n in zip(arrays.items(), lengths, strict=True)
    })  # fmt: skip
    content = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    (section,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    content |= yaml.safe_load(section)
    content["training"] |= {"epochs": 20, "select_by": None}
    del content["data"]["scores"]
    path = tmp_path / "points.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("name", ["points", "two_phases"])
def test_trains_saves_loads_and_detects(
    parts: dict[str, Any], recipe: Path, tmp_path: Path, name: str
) -> None:
    run = train(load_recipe(recipe, [f"detector.name={name}"]), tmp_path / "run")
    assert run is not None
    assert run.score is not None
    assert run.score > 0.5
    detected = load(run.model).detect([tmp_path / "features.npz"]).detections
    test_videos = read_annotations(tmp_path / "annotations.json").subset(["test"]).videos
    by_train = load_detector(run.model).classes
    assert detected.classes == by_train == ("jump", "run")
    again = evaluate_files(
        tmp_path / "run/detections.json", tmp_path / "annotations.json",
        tiou="0.3:0.7:0.1", subset="test",
    )  # fmt: skip
    assert again.average_map == pytest.approx(run.score)
    for video in test_videos:
        found = detected.videos[video]
        assert (found.labels >= 0).all()
        assert len(found)
    log = (tmp_path / "run/log.csv").read_text().splitlines()[0]
    assert "pyramid.spread" in log


def killed_and_resumed(settings: DetectionRecipe, out: Path, at_step: int) -> dict[str, Any]:
    """The last checkpoint of a run whose process is killed at a call of its loss, then goes on."""
    child = os.fork()
    if child == 0:
        detector = DETECTORS[settings.detector.name]
        calls = 0

        @wraps(detector.loss)
        def killing(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at_step:
                os.kill(os.getpid(), signal.SIGKILL)
            return detector.loss(*arguments, **options)

        DETECTORS[settings.detector.name] = detector._replace(loss=killing)
        train(settings, out)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    train(settings, out, resume=True)
    return load_checkpoint(out / "last.ckpt")


@pytest.mark.parametrize(("name", "at_step"), [("points", 8), ("two_phases", 14)])
def test_a_killed_run_ends_bit_for_bit_like_another(
    parts: dict[str, Any], recipe: Path, tmp_path: Path, name: str, at_step: int
) -> None:
    torch.set_num_threads(1)  # a fork has no threads of its parent
    changes = [f"detector.name={name}", "training.epochs=4"]
    settings = load_recipe(recipe, [*changes, "training.checkpoint_every_steps=1"])
    train(settings, tmp_path / "whole")
    resumed = killed_and_resumed(settings, tmp_path / "killed", at_step)
    whole = load_checkpoint(tmp_path / "whole/last.ckpt")
    assert all(torch.equal(whole["task"][key], resumed["task"][key]) for key in whole["task"])
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (
        tmp_path / "killed/model.safetensors"
    ).read_bytes()


def test_parts_shows_it_and_its_options_are_checked(
    parts: dict[str, Any], recipe: Path, tmp_path: Path
) -> None:
    shown = CliRunner().invoke(app, ["parts", "detector", "points"]).output
    assert "hidden_dim" in shown
    assert "channels of every level" in " ".join(shown.split())
    for change, key in (
        ("detector.network.activation=tanh", "detector.network.activation"),
        ("detector.targets.center=1", "center"),
        ("attention.pyramid.sharpness=high", "attention.pyramid.sharpness"),
        ("attention.neck.name=se", "attention.neck"),
    ):
        with pytest.raises(AttentadError, match=key.replace(".", r"\.")):
            train(load_recipe(recipe, [change]), tmp_path / "run")


def test_any_module_runs_on_each_level(parts: dict[str, Any], recipe: Path, tmp_path: Path) -> None:
    for module in ("se", "transformer", "sta"):
        changes = [f"attention.pyramid={{name: {module}}}", "training.epochs=1"]
        run = train(load_recipe(recipe, changes), tmp_path / module)
        assert run is not None
        loaded = load(run.model)
        loaded.detect([tmp_path / "features.npz"])
        gates = set(loaded.model.network.sites.curves())
        levels = {f"pyramid level {level}" for level in (1, 2, 3)}
        assert gates == (set() if module == "transformer" else levels)
