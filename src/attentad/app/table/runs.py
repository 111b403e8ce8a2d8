"""`attentad table`: train every row of a paper's table on one's data, and print both beside."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError
from attentad.core.files import read_json, write_json
from attentad.metrics.evaluate import evaluate_proposals
from attentad.models.file import load_detector
from attentad.models.model import DetectorModel
from attentad.models.score import detect_annotated
from attentad.models.sets import open_store, read_sets
from attentad.models.train import MODEL_NAME, train
from attentad.recipes.load import DetectionRecipe, fold_recipe, recipe_hash, said_by
from attentad.recipes.paper_tables import PaperRow, PaperTable, row_recipe
from attentad.training.logs import read_log

DONE = "done.json"
_PROBE_EPOCHS = 2


@dataclass(frozen=True)
class RowRun:
    """One training of one row; model, log and scores go into the folder.

    The fold is the one held out, "" where the data have one test set.
    """

    row: PaperRow
    recipe: DetectionRecipe
    fold: str
    seed: int
    folder: Path


class RunScore(NamedTuple):
    """What a finished run gave.

    Args:
        values: one per column of the table, 0..1.
        parameters: trainable ones of the network.
        ms_per_video: from the features of a test video to its detections, on average.
        seconds: that training and scoring took.
    """

    values: tuple[float, ...]
    parameters: int
    ms_per_video: float
    seconds: float


@dataclass(frozen=True)
class RowScore:
    """A row of the paper's table with our own values.

    Args:
        values: (S, M) mean over the folds by seed and column, 0..1; None for a quoted row.
        ms_per_video: mean over all runs.
        runs: folders of all of them.
    """

    row: PaperRow
    values: NDArray[np.float64] | None = None
    parameters: int = 0
    ms_per_video: float = 0.0
    runs: tuple[Path, ...] = ()

    @property
    def mean(self) -> NDArray[np.float64] | None:
        """(M,) mean over the seeds."""
        return None if self.values is None else self.values.mean(axis=0)

    @property
    def deviation(self) -> NDArray[np.float64] | None:
        """(M,) sample deviation over the seeds; None for one seed."""
        if self.values is None or len(self.values) < 2:
            return None
        return self.values.std(axis=0, ddof=1)


def plan_runs(
    table: PaperTable,
    *,
    data: str,
    root: Path | None,
    out: Path,
    seeds: int = 1,
    folds: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[RowRun]:
    """All trainings that a table needs; the arguments are those of the command.

    Rows that are the same model share their runs, also between tables: a run's folder is named
    after a digest of its recipe.

    Raises:
        AttentadError: a row or fold is unknown, or as `row_recipe`.
    """
    models = {row.name: row for row in table.models}
    for name in rows or ():
        if name not in models:
            raise AttentadError(f"the table has no row {name!r}; its models: {', '.join(models)}.")
    planned = []
    for row in models.values():
        if rows is not None and row.name not in rows:
            continue
        base = row_recipe(table, row, data, root, settings or {})
        digest = recipe_hash(base, {"seed", "workers"})[:10]
        for fold in _folds(base, folds):
            for seed in range(seeds):
                recipe = fold_recipe(base, fold) if fold else base
                training = recipe.training.model_copy(update={"seed": seed})
                recipe = recipe.model_copy(update={"training": training})
                name = f"{fold or 'test'}-seed{seed}"
                folder = out / "runs" / f"{data}-{row.detector}-{digest}" / name
                planned.append(RowRun(row, recipe, fold, seed, folder))
    return planned


def is_done(run: RowRun) -> bool:
    """Whether this very training has been finished."""
    marker = run.folder / DONE
    return marker.exists() and read_json(marker).get("recipe") == said_by(run.recipe)


def estimate_seconds(runs: Sequence[RowRun]) -> float:
    """How long the runs that are not done will take, from two epochs of each kind of them."""
    waiting: dict[Path, list[RowRun]] = {}
    for folder, run in {run.folder: run for run in runs if not is_done(run)}.items():
        waiting.setdefault(folder.parent, []).append(run)
    total = 0.0
    for same in waiting.values():
        recipe = same[0].recipe
        epochs = recipe.training.epochs
        training = recipe.training.model_copy(update={"epochs": min(epochs, _PROBE_EPOCHS)})
        with tempfile.TemporaryDirectory() as temporary:
            probe = Path(temporary) / "probe"
            start = time.perf_counter()
            train(recipe.model_copy(update={"training": training}), probe)
            took = time.perf_counter() - start
            epoch_sec = read_log(probe)["seconds"][-1]
        total += len(same) * (took + (epochs - training.epochs) * epoch_sec)
    return total


def run_rows(runs: Sequence[RowRun], table: PaperTable) -> Iterator[tuple[RowRun, RunScore, bool]]:
    """Train and score what is not done yet; of each run its score, and whether it had been done.

    An interrupted call goes on where it stopped: finished runs are kept, an unfinished one goes
    on from its last checkpoint.
    """
    scores: dict[Path, RunScore] = {}
    for run in runs:
        done = run.folder in scores or is_done(run)
        if not done:
            _train_run(run)
        if run.folder not in scores:
            scores[run.folder] = _read_score(run, table)
        yield run, scores[run.folder], done


def row_scores(
    table: PaperTable, runs: Sequence[RowRun], scores: Mapping[Path, RunScore]
) -> list[RowScore]:
    """The table's rows in order, those that were run with our values."""
    scored = []
    for row in table.rows:
        own = [run for run in runs if run.row.name == row.name]
        if not own:
            scored.append(RowScore(row))
            continue
        by_seed: dict[int, list[tuple[float, ...]]] = {}
        for run in own:
            by_seed.setdefault(run.seed, []).append(scores[run.folder].values)
        values = np.array([np.mean(same, axis=0) for same in by_seed.values()])
        folders = tuple(run.folder for run in own)
        ms = float(np.mean([scores[folder].ms_per_video for folder in folders]))
        scored.append(RowScore(row, values, scores[folders[0]].parameters, ms, folders))
    return scored


def run_model(run: RowRun) -> DetectorModel:
    """The trained model of a finished run, with its own recipe: the files in it are the user's."""
    return replace(load_detector(run.folder / MODEL_NAME), recipe=run.recipe)


def _train_run(run: RowRun) -> None:
    """Train, time the detection, and leave the marker that says so as the last file."""
    start = time.perf_counter()
    train(run.recipe, run.folder, resume=True)
    seconds = time.perf_counter() - start
    model = run_model(run)
    content = {
        "recipe": said_by(run.recipe),
        "parameters": sum(p.numel() for p in model.network.parameters() if p.requires_grad),
        "ms_per_video": _detection_ms(run, model),
        "seconds": seconds,
    }
    write_json(run.folder / DONE, content)


def _detection_ms(run: RowRun, model: DetectorModel) -> float:
    """Milliseconds from features to detections, the mean over the test videos."""
    sets = read_sets(run.recipe.data)
    if sets.test is None:
        return 0.0
    store, _ = open_store(run.recipe.data, sets.videos)
    detect_annotated(model, store, sets.test)  # files and weights are in memory then
    start = time.perf_counter()
    detect_annotated(model, store, sets.test)
    return 1000 * (time.perf_counter() - start) / len(sets.test.videos)


def _read_score(run: RowRun, table: PaperTable) -> RunScore:
    done = read_json(run.folder / DONE)
    if table.measure == "AR":
        values = _recalls(run)
    else:
        evaluation = read_json(run.folder / "evaluation.json")
        by_tiou = {float(tiou): value for tiou, value in evaluation["mAP"].items()}
        # The average is over all thresholds, of which a table may show some only.
        shown = (by_tiou[float(tiou)] for tiou in table.columns[:-1])
        values = (*shown, evaluation["average_mAP"])
    return RunScore(values, done["parameters"], done["ms_per_video"], done["seconds"])


def _recalls(run: RowRun) -> tuple[float, ...]:
    """AR@1, 5, 10, 100 and AUC of the run's detections, all 0..1."""
    data = run.recipe.data
    detections = run.folder / "detections.json"
    assert data.annotations is not None
    results = evaluate_proposals(
        [detections], data.root / data.annotations, subset=data.test, merge_classes=True
    )
    (result,) = results.values()
    return (*result.at.values(), result.auc_percent / 100)


def _folds(recipe: DetectionRecipe, wanted: Sequence[str] | None) -> tuple[str, ...]:
    if not recipe.data.folds:
        if wanted:
            raise AttentadError("these data have one test set and no folds; leave --folds out.")
        return ("",)
    for fold in wanted or ():
        if fold not in recipe.data.folds:
            raise AttentadError(
                f"the data have no fold {fold!r}; their folds are: {', '.join(recipe.data.folds)}."
            )
    return tuple(wanted or recipe.data.folds)
