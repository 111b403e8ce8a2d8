"""`attentad table`: rows are trained once, shared, resumed, and shown beside the paper."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from attentad.app.table import figures as timelines
from attentad.app.table import runs as table_module
from attentad.app.table.command import run_table
from attentad.app.table.runs import is_done, plan_runs, row_scores
from attentad.cli import app
from attentad.core import AttentadError
from attentad.models.build import build_detector
from attentad.recipes.load import recipe_names
from attentad.recipes.paper_tables import load_table, row_recipe, table_names

SMALL = [
    "view.length=16",
    "detector.network={hidden_dim: 8, sampled_dim: 8, map_dim: 8, groups: 1, max_duration: 8}",
    "training.epochs=1",
    "data.folds=[fold1, fold2]",
]
END = "End, channel_pool"
CLASSES = tuple(f"c{i:02d}" for i in range(17))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Features and annotations as 50 Salads has them, of four short videos in two folds."""
    rng = np.random.default_rng(0)
    database, features = {}, {}
    for number in range(4):
        scores = rng.normal(size=(40, 18)).astype(np.float16)
        instances = []
        for part, label in enumerate(rng.permutation(17)[:6]):
            start, end = 1 + 6 * part, 6 + 6 * part
            scores[start:end, 1 + label] += 8
            instances.append({"label": CLASSES[label], "segment": [start, end]})
        if number == 0:
            instances += [{"label": name, "segment": [38, 39]} for name in CLASSES]
        fold = f"fold{1 + number % 2}"
        database[f"v{number}"] = {"subset": fold, "duration": 40, "annotations": instances}
        features[f"v{number}"] = scores
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "annotations.json").write_text(json.dumps({"database": database}))
    np.savez(folder / "features.npz", **features)
    return folder


def run(name: str, root: Path, out: Path, **options: Any) -> list[str]:
    said: list[str] = []
    run_table(name, data="salads50", root=root, out=out, settings=SMALL, say=said.append, **options)
    return said


@pytest.mark.parametrize("name", table_names())
def test_every_model_of_every_table_can_be_built(name: str) -> None:
    table = load_table(name)
    assert table.models
    assert len({row.name for row in table.rows}) == len(table.rows)
    assert {len(row.paper) for row in table.rows if row.paper} <= {len(table.columns)}
    for row in table.models:
        data = "salads50" if name.startswith("csa") else "ucf15"
        recipe = row_recipe(table, row, data, None, {})
        network = build_detector(recipe, 18, 17)
        assert set(dict(network.sites)) == set(row.attention)  # type: ignore[arg-type]


def test_tables_are_no_recipes() -> None:
    assert not [name for name in recipe_names() if "csa_" in Path(name).name and "tables" in name]


def test_a_table_is_run_and_written(root: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "out"
    said = run("csa/8", root, out, seeds=2, rows=["Middle, channel_pool", "End, channel_pool"])
    assert "8 trainings" in said[0]
    assert said[1].startswith("they will take about")
    assert len([line for line in said if line.startswith("[")]) == 8
    folder = out / "csa-8-salads50"
    content = json.loads((folder / "table.json").read_text())
    assert [row["name"] for row in content["rows"]] == [
        f"{place}, {mode}"
        for place in ("Start", "Middle", "End")
        for mode in ("channel_pool", "time_pool")
    ]
    start, _, middle, _, end, _ = content["rows"]
    assert start["values_by_seed"] is None
    assert np.shape(end["values_by_seed"]) == (2, 6)
    scores = [json.loads((Path(p) / "evaluation.json").read_text()) for p in middle["runs"]]
    first_seed = [s for s, p in zip(scores, middle["runs"], strict=True) if p.endswith("seed0")]
    mean = np.mean([s["average_mAP"] for s in first_seed])
    assert middle["values_by_seed"][0][-1] == pytest.approx(mean)
    with (folder / "table.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["", "paper 0.3"]
    assert rows[1][0] == "Start, channel_pool"
    assert "±" in rows[3][7]
    assert "no reproduction" in (folder / "table.md").read_text()
    for figure in ("bars", "loss", "timeline", "scores"):
        assert (folder / f"{figure}.svg").exists()
    assert "47.5" in capsys.readouterr().out  # the paper's


def test_rows_of_a_table_on_one_video(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures 3 and 5 of HAM-Net; BMN with CSA stands for a network that shows its attention."""
    options: dict[str, Any] = {
        "rows": ["Middle, channel_pool", "End, channel_pool"],
        "folds": ["fold1"],
    }
    run("csa/8", root, tmp_path, **options)
    settings = dict(text.split("=", 1) for text in SMALL)
    plan = plan_runs(
        load_table("csa/8"),
        data="salads50",
        root=root,
        out=tmp_path,
        settings={key: yaml.safe_load(value) for key, value in settings.items()},
        **options,
    )
    drawn: list[tuple[dict[str, Any], float, dict[str, Any]]] = []
    monkeypatch.setattr(
        timelines,
        "timeline_figure",
        lambda tracks, end_sec, classes, curves: drawn.append((tracks, end_sec, curves)),
    )
    timelines.video_figures(plan)
    attentive, scores = drawn
    assert [list(tracks) for tracks, _, _ in drawn] == [
        ["ground truth", "Middle, channel_pool", "End, channel_pool"],
        ["ground truth"],
    ]
    assert len(attentive[0]["ground truth"][0][1]) == 23  # v0, the video with every class
    assert [end_sec for _, end_sec, _ in drawn] == [40.0] * 2
    # Of the last row, whose module stands there.
    assert list(attentive[2]) == ["encoder gate over time"]
    times, values = attentive[2]["encoder gate over time"]
    assert len(times) == len(values) > 1
    assert list(scores[2]) == ["Middle, channel_pool", "End, channel_pool"]


def test_what_is_done_is_not_done_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run("csa/8", root, out, rows=[END], folds=["fold1"])

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(table_module, "train", forbidden)
    again = run("csa/8", root, out, rows=[END], folds=["fold1"])
    assert "done before" in again[0]
    # Table 4's CSA and Table 7's 2-Conv are the same model.
    same = "CSA (2-Conv), channel_pool"
    assert "done before" in run("csa/4", root, out, rows=[same], folds=["fold1"])[0]
    # So is Table 1's BMN-CSA, which leaves temporal_mode to its default.
    assert "done before" in run("csa/1", root, out, rows=["BMN-CSA"], folds=["fold1"])[0]
    with pytest.raises(AssertionError, match="trained again"):
        run("csa/8", root, out, rows=[END], folds=["fold2"])
    with pytest.raises(AssertionError, match="trained again"):
        run("csa/8", root, out, rows=[END], folds=["fold1"], epochs=2)


def test_an_interrupted_table_goes_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, trained = tmp_path / "out", []
    original = table_module.train

    def stops_at_the_second(recipe: Any, folder: Path, **options: Any) -> Any:
        if folder.name == "probe":
            return original(recipe, folder, **options)
        trained.append(folder)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return original(recipe, folder, **options)

    monkeypatch.setattr(table_module, "train", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run("csa/8", root, out, rows=[END])
    run("csa/8", root, out, rows=[END])
    assert [folder.name for folder in trained] == ["fold1-seed0", "fold2-seed0", "fold2-seed0"]


def test_proposals_are_measured_as_proposals(root: Path, tmp_path: Path) -> None:
    run("csa/3", root, tmp_path / "out", rows=["BMN"], folds=["fold1"])
    content = json.loads((tmp_path / "out" / "csa-3-salads50" / "table.json").read_text())
    values = content["rows"][0]["values_by_seed"][0]
    assert len(values) == 5
    assert values[0] <= values[1] <= values[2] <= values[3]


def test_rows_of_two_detectors_have_their_own_runs(root: Path, tmp_path: Path) -> None:
    table = load_table("csa/1")
    runs = plan_runs(table, data="salads50", root=root, out=tmp_path, seeds=2)
    assert len(runs) == 4 * 5 * 2  # models, folds, seeds
    assert len({run.folder for run in runs}) == len(runs)
    assert not any(is_done(run) for run in runs)
    assert [item.row.name for item in row_scores(table, [], {})][:2] == ["R-C3D", "SSN"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["csa/9"], "there is no table 'csa/9'; the tables are: csa/1"),
        (["csa/4", "--data", "imagenet"], "there is no data set 'imagenet'"),
        (["csa/4", "--row", "CSA"], "the table has no row 'CSA'; its models: none"),
        (["csa/4", "--folds", "fold9"], "the data have no fold 'fold9'"),
        (["csa/4", "--set", "epochs"], "--set 'epochs' must read key=value"),
        (["csa/4", "--set", "training.epoch=1"], "unknown key training.epoch"),
    ],
)
def test_mistakes_are_told_before_any_work(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["table", *arguments])
    assert done.exit_code == 2
    assert words in done.stderr


def test_without_a_name_the_tables_are_listed() -> None:
    done = CliRunner().invoke(app, ["table"])
    assert done.exit_code == 0
    assert "csa/8" in done.stdout
    assert "where CSA (2-Conv) stands in BMN" in done.stdout


def test_a_data_set_without_a_recipe_for_the_row_is_told() -> None:
    table = load_table("csa/4")
    row = table.models[0].model_copy(update={"detector": "afsd"})
    with pytest.raises(AttentadError, match="needs the recipe salads50/afsd"):
        row_recipe(table, row, "salads50", None, {})
