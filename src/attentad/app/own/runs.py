"""The trainings: the detector and the baseline beside it, each tested on what it did not see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attentad.app.own.material import Material
from attentad.app.own.split import Split
from attentad.core import AttentadError
from attentad.core.progress import NamedProgress, Progress, each_named
from attentad.models.run import DetectRun, load
from attentad.models.train import train
from attentad.recipes.load import DetectionRecipe, fold_recipe


@dataclass(frozen=True)
class Job:
    """One training.

    Args:
        detector: its name on the page.
        recipe: with what it trains and tests on.
        folder: that it writes to.
        tests: subsets whose videos it is tried on; none of a model that is only kept.
        of_part: whether a part of the videos is held out that trains another time.
    """

    detector: str
    recipe: DetectionRecipe
    folder: Path
    tests: tuple[str, ...]
    of_part: bool = False

    @property
    def told(self) -> str:
        """What a progress bar calls it."""
        if self.of_part:
            return f"{self.detector} without {self.tests[0]}"
        return self.detector


@dataclass(frozen=True)
class Outcome:
    """What the trainings gave.

    Args:
        runs: detector → what its models say of the videos that they did not train on.
        notes: a sentence on each thing to know.
    """

    runs: Mapping[str, DetectRun]
    notes: Sequence[str]


def training_jobs(
    recipe: DetectionRecipe, baseline: DetectionRecipe | None, split: Split, out: Path
) -> list[Job]:
    """All trainings; the last one is that of the model that is kept, in `out` itself.

    Args:
        recipe: as it is written to `out`.
        baseline: to train beside it where there is anything to test on.
        split: of the videos.
        out: the folder of everything; the others are in `DETECTOR/` or `DETECTOR/PART/` there.
    """
    jobs = []
    beside = [] if baseline is None or not (split.test or split.folds) else [baseline]
    for one in [*beside, recipe]:
        name = one.detector.name
        jobs += [Job(name, _held(one, split, f), out / name / f, (f,), True) for f in split.folds]
    if not split.folds:
        jobs += [Job(o.detector.name, o, out / o.detector.name, split.test) for o in beside]
    # Where there is nothing to test on, the page shows the videos that it trained on.
    tests = split.test or (() if split.folds else split.train)
    return [*jobs, Job(recipe.detector.name, recipe, out, tests)]


def run_jobs(
    jobs: Sequence[Job], material: Material, features: Path, progress: NamedProgress
) -> Outcome:
    """Train each where an earlier run did not, and try it on the videos that it is to be tested on.

    Args:
        jobs: of `training_jobs`.
        material: of all videos, in their subsets.
        features: folder of theirs.
        progress: called with trainings done, all of them, and the one that goes on.

    Raises:
        AttentadError: as `models.train.train`.
    """
    parts: dict[str, list[DetectRun]] = {}
    notes: list[str] = []
    by_name = {job.told: job for job in jobs}
    for told, within in each_named([*by_name], progress):
        job = by_name[told]

        def on_epoch(
            row: dict[str, Any], epochs: int = job.recipe.training.epochs, within: Progress = within
        ) -> None:
            within(row["epoch"], epochs)

        trained = train(job.recipe, job.folder, resume=True, progress=False, on_epoch=on_epoch)
        if trained is None:
            raise AttentadError("training.devices: `train own` trains in one process; set it to 1.")
        notes += [note for note in trained.notes if note not in notes]
        videos = [*_tested(job, material)]
        if videos:
            files = [features / f"{video}.npy" for video in videos]
            run = load(trained.model).detect(files)
            if run.failures:
                raise AttentadError(" ".join(run.failures.values()))
            parts.setdefault(job.detector, []).append(run)
    return Outcome({name: _joined(runs, material) for name, runs in parts.items()}, notes)


def _tested(job: Job, material: Material) -> Iterator[str]:
    for video, item in material.annotations.videos.items():
        if item.subset in job.tests:
            yield video


def _held(recipe: DetectionRecipe, split: Split, fold: str) -> DetectionRecipe:
    """The recipe with one part held out, which whole videos' labels cannot score in training."""
    if recipe.data.annotations is not None:
        return fold_recipe(recipe, fold)
    others = tuple(name for name in split.folds if name != fold)
    data = recipe.data.model_copy(update={"train": others})
    return recipe.model_copy(update={"data": data})


def _joined(runs: Sequence[DetectRun], material: Material) -> DetectRun:
    """Runs of models on different videos as one, with the files that a page plays."""
    results = {video: found for run in runs for video, found in run.results.items()}
    timelines = {video: line for run in runs for video, line in run.timelines.items()}
    order = [video for video in material.files if video in results]
    meta = dict(runs[0].meta)
    if len(runs) > 1:
        meta |= {"model": f"{len(runs)} models, each on videos that it did not train on"}
        del meta["model_sha256"]
    return replace(
        runs[0],
        results={video: results[video] for video in order},
        timelines={video: timelines[video] for video in order},
        sources={video: material.files[video] for video in order},
        meta=meta,
        notes=[],
    )
