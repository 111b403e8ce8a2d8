"""The whole way: videos and annotations → features, a plan, trainings, scores, a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from attentad.app.own.material import Material, open_material
from attentad.app.own.order import Order, begin
from attentad.app.own.planning import RECIPE_NAME, Planned, plan_sampling, plan_training, write_plan
from attentad.app.own.runs import Outcome, run_jobs, training_jobs
from attentad.app.own.scores import (
    Examples,
    class_scores,
    examples,
    score_runs,
    score_whole,
    whole_scores,
)
from attentad.app.own.split import Split, split, video_groups
from attentad.core import Annotations, write_detections
from attentad.core.files import write_json
from attentad.core.progress import progress_bar
from attentad.core.wording import first_few, number_of
from attentad.data.features import read_sidecar
from attentad.models.run import runs_report
from attentad.models.train import MODEL_NAME
from attentad.models.work import Worked
from attentad.recipes.load import DetectionRecipe
from attentad.report import Table, transposed, write_page
from attentad.report.result_tables import comparison_table
from attentad.training.logs import loss_curves

PAGE_NAME: Final = "report.html"
# (videos, folder for the features, backbone or None, its options)
Extract = Callable[[Sequence[Path], Path, str | None, Sequence[str]], Worked]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Own:
    """What came of it.

    Args:
        model: its file.
        page: the file of the page.
        tables: of scores; none where nothing was tested.
        failures: video → a sentence on why it took no part.
    """

    model: Path
    page: Path
    tables: Sequence[Table]
    failures: Mapping[str, str]


def train_own(
    order: Order,
    *,
    extract: Extract,
    check: Callable[[DetectionRecipe], None],
    say: Say,
    warn: Say,
    overwrite: bool = False,
) -> Own:
    """Train on the user's videos, and say how well it went; finished steps of before are kept.

    Args:
        order: what is asked for.
        extract: makes the features of videos.
        check: looks the data of the recipe over, tells what it finds, and stops at errors.
        say: takes a sentence on what is done.
        warn: takes a sentence on what to know.
        overwrite: see `order.begin`.

    Raises:
        AttentadError: nothing can be trained; the sentence says why.
    """
    started = time.monotonic()

    def step(text: str) -> None:
        say(f"[{time.monotonic() - started:4.0f} s] {text}")

    material, notes = open_material(order.inputs, order.annotations)
    for note in notes:
        warn(note)
    groups = video_groups(material, order.annotations, order.group)
    split(material, groups, order.test)  # what cannot be split stops before features are made
    cores = begin(order, [*material.files], overwrite=overwrite)
    material, failures = _with_features(order, material, extract, step, warn)
    chosen = split(material, groups, order.test)
    material = material.with_subsets(chosen.subsets)
    planned = plan_training(order, material, chosen, cores)
    for reason in (*planned.reasons, chosen.told):
        step(reason)
    write_plan(order, material, planned, chosen)
    step(f"the recipe: {order.out / RECIPE_NAME}; a look at the data:")
    check(planned.recipe)
    jobs = training_jobs(planned.recipe, planned.baseline, chosen, order.out)
    step(f"training: {', '.join(job.told for job in jobs)}")
    with progress_bar("training") as progress:
        outcome = run_jobs(jobs, material, order.features, progress)
    for note in outcome.notes:
        warn(note)
    known = examples(material, chosen)
    doubts = [item.doubt for item in known if item.doubt] if chosen.test or chosen.folds else []
    told = (*planned.reasons, chosen.told, *doubts)
    tables = _finish(order, material, planned, outcome, known, told, tested=_tested(chosen))
    for doubt in doubts:
        say(doubt)
    step("done")
    return Own(order.out / MODEL_NAME, order.out / PAGE_NAME, tables, failures)


def _with_features(
    order: Order, material: Material, extract: Extract, step: Say, warn: Say
) -> tuple[Material, Mapping[str, str]]:
    """Features of all videos, the material without those that have none, and why these have not."""
    settings, reasons = plan_sampling(order, material)
    for reason in reasons:
        step(reason)
    step(f"features of {number_of(material.files, 'video')}, in {order.features}")
    extracted = extract([*material.files.values()], order.features, order.backbone, settings)
    for note in extracted.notes:
        warn(note)
    failed = [video for video in material.files if video in extracted.failures]
    if failed:
        warn(f"without features, and left out: {first_few(failed)}.")
    rest = material.without(failed)
    sidecars = {video: read_sidecar(order.features / f"{video}.json") for video in rest.files}
    read_sec = {video: told.duration_sec for video, told in sidecars.items()}
    return rest.with_durations(read_sec), extracted.failures


def _tested(chosen: Split) -> Collection[str]:
    return chosen.folds or chosen.test


def _finish(
    order: Order,
    material: Material,
    planned: Planned,
    outcome: Outcome,
    known: Sequence[Examples],
    told: Sequence[str],
    *,
    tested: Collection[str],
) -> list[Table]:
    """Scores, detections and the page, written; the tables of scores."""
    detector = planned.recipe.detector.name
    runs = {name: outcome.runs[name] for name in sorted(outcome.runs, key=lambda n: n != detector)}
    truth = _of(material.annotations, runs[detector].results)
    write_detections(order.out / "detections.json", runs[detector].detections)
    tables: dict[str, Table] = {}
    evaluations: dict[str, dict[str, Any]] = {}
    content: dict[str, Any] = {"told": list(told)}
    if tested and material.labels is None:
        scores = score_runs(runs, truth, planned.recipe.evaluation)
        evaluations = {name: result.to_dict() for name, result in scores.results.items()}
        tables["Average mAP"] = transposed(comparison_table(scores.results, scores.bootstrap))
        tables["Scores by class"] = class_scores(scores, known)
        content |= {"scores": evaluations}
        if scores.bootstrap is not None:
            content |= {"bootstrap": scores.bootstrap.to_dict()}
    elif tested:
        whole = score_whole(runs[detector], material)
        if whole is not None:
            tables["Classes of whole videos"] = whole_scores(whole, known)
            content |= {"video_classification": whole.to_dict()}
    write_json(order.out / "scores.json", content)
    title = f"{detector} on your videos" if tested else f"{detector} on the videos it trained on"
    report = runs_report(
        runs,
        title,
        annotations=truth if material.labels is None else None,
        evaluations=evaluations,
        losses={detector: loss_curves(order.out / "log.jsonl")},
    )
    # The page has a table of average precision of its own.
    shown = {name: table for name, table in tables.items() if name != "Average mAP"}
    shown["What to know"] = Table(("of plan, split and scores",), tuple((text,) for text in told))
    write_page(order.out / PAGE_NAME, replace(report, tables=shown))
    return [*tables.values()]


def _of(annotations: Annotations, videos: Collection[str]) -> Annotations:
    kept = {video: item for video, item in annotations.videos.items() if video in videos}
    return replace(annotations, videos=kept)
