"""`attentad train`: train a recipe, fold by fold if asked to, and say how well it does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attentad.core import AttentadError
from attentad.models.train import TrainRun, train
from attentad.recipes.load import DetectionRecipe, fold_recipe, load_recipe
from attentad.report.result_tables import print_result, print_tables


def run_training(
    name: str,
    overrides: Sequence[str],
    out: Path,
    *,
    fold: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Train a recipe and score it on its test videos; with folds, each in a folder below `out`.

    Raises:
        AttentadError: there is no such recipe or fold, or as `models.train.train`.
    """
    recipe = load_recipe(name, overrides)
    recipes = {out: recipe}
    if fold is not None:
        if not isinstance(recipe, DetectionRecipe):
            raise AttentadError("--fold is for detection recipes; this one trains a recogniser.")
        folds = recipe.data.folds if fold == "all" else (fold,)
        recipes = {out / held_out: fold_recipe(recipe, held_out) for held_out in folds}

    def on_epoch(row: dict[str, Any]) -> None:
        # Where no progress bar can be shown, as in a log file.
        if not sys.stderr.isatty():
            parts = [f"{key} {value:.4g}" for key, value in row.items() if isinstance(value, float)]
            say(f"epoch {row['epoch']}: " + ", ".join(parts))

    scores = []
    for folder, part in recipes.items():
        run = train(part, folder, resume=resume, overwrite=overwrite, on_epoch=on_epoch)
        if run is None:  # one of several processes, and not the one that reports
            continue
        _show(run, say)
        if run.score is not None:
            scores.append(run.score)
    if len(scores) > 1:
        mean = 100 * sum(scores) / len(scores)
        say(f"mean over {len(scores)} folds: average mAP {mean:.2f}")


def _show(run: TrainRun, say: Callable[[str], None]) -> None:
    print_tables([], run.notes)
    if run.result is not None:
        print_result(run.result)
    elif run.score is not None:
        say(f"top-1 accuracy on the test clips: {100 * run.score:.1f} %")
    whole = run.video_classification
    if whole is not None:
        say(
            f"classes of whole videos: mAP {100 * whole.mean_ap:.2f}, all of a video right in "
            f"{100 * whole.exact_set_accuracy:.1f} %"
        )
    say(f"model: {run.model}")
