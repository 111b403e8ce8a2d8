"""Trimmed clips with labels → a recogniser: a frozen backbone with a linear classifier.

The features of each clip are computed once, and the classifier is the one minimum of a convex
function, so that there are no epochs and nothing depends on a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attentad.backbones import Backbone
from attentad.backbones.linear_probe import LinearProbe, with_classifier
from attentad.core import AttentadError
from attentad.core.arrays import Ints
from attentad.core.progress import NamedProgress
from attentad.core.wording import first_few, number_of
from attentad.data.clips import ClipFile, read_clip_files
from attentad.metrics.recognition import recognition_scores, wilson_interval
from attentad.models.build import build_backbone
from attentad.models.clip_features import ClipFeatures, read_clip_features
from attentad.models.linear_classifier import (
    LinearClassifier,
    Trial,
    chosen,
    cross_validate,
    fit_linear,
)
from attentad.models.model import best_device
from attentad.recipes.load import LinearProbeRecipe, load_recipe


@dataclass(frozen=True)
class FittedProbe:
    """A recogniser, and how well it does.

    Args:
        backbone: with classes and logits, ready for inference.
        top1: accuracy on the test clips, 0..1; None where there are none.
        report: plain values for JSON.
        notes: sentences on the data and on the score.
    """

    backbone: Backbone
    top1: float | None
    report: dict[str, Any]
    notes: tuple[str, ...]


def clips_recipe(clips: str | Path, *, test: str | None = "test") -> LinearProbeRecipe:
    """The recipe `clips/image` for a list of clips, or for class folders.

    Args:
        clips: the CSV, or the folder; see `data.clips.read_clip_files`.
        test: subset to score on; None trains on all clips.
    """
    recipe = load_recipe("clips/image")
    assert isinstance(recipe, LinearProbeRecipe)
    where = {"root": Path(clips).parent, "clips": Path(Path(clips).name)}
    whole = {"test": test, "train": recipe.data.train if test is not None else None}
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=where | whole)})


def fit_linear_probe(
    recipe: LinearProbeRecipe, progress: NamedProgress | None = None
) -> FittedProbe:
    """Fit the classifier to the training clips and score it on the test clips, if there are any.

    The weight decay is the recipe's, or is chosen by cross-validation over the training clips
    alone; the test clips are not looked at before.

    Args:
        recipe: says which clips, which backbone, and how to fit.
        progress: called with (clips done, clips in all, the one that is read), of each part.

    Raises:
        AttentadError: the clips or the backbone do not fit the recipe, a clip is listed twice, or
            the training clips are of a single class; see its message.
    """
    data = recipe.data
    source = data.root / data.clips
    train_files = read_clip_files(source, subset=data.train)
    test_files = [] if data.test is None else read_clip_files(source, subset=data.test)
    files = [*train_files, *test_files]
    _check_once(source, files)
    classes = data.classes or tuple(sorted({file.label for file in files}))
    _check_labels(source, files, train_files, classes)
    plain = build_backbone(recipe.backbone.name, recipe.backbone.options)
    plain = replace(plain, network=plain.network.to(best_device()).eval())
    training = read_clip_features(plain, train_files, progress)
    fitted, weight_decay, trials = _fit(recipe, training, classes)
    report: dict[str, Any] = {
        "training_clips": len(training.files),
        "weight_decay": weight_decay,
        "cross_validation": [trial._asdict() for trial in trials],
    }
    missing = _told_missing(training.files, classes)
    notes = (
        *training.notes,
        *missing,
        *_told_groups(train_files, test_files),
        *_told_trials(trials),
    )
    top1 = None
    if test_files:
        testing = read_clip_features(plain, test_files, progress)
        scores, sentence = _score(fitted, testing, classes)
        report, notes, top1 = scores | report, (*notes, *testing.notes, sentence), scores["top1"]
    return FittedProbe(_around(plain, fitted, classes), top1, report, notes)


def _check_once(source: Path, files: Sequence[ClipFile]) -> None:
    seen: set[str] = set()
    for file in files:
        if file.name in seen:
            raise AttentadError(f"{source} lists {file.name} twice; keep one line.")
        seen.add(file.name)


def _check_labels(
    source: Path,
    files: Sequence[ClipFile],
    train_files: Sequence[ClipFile],
    classes: Sequence[str],
) -> None:
    for file in files:
        if file.label not in classes:
            raise AttentadError(
                f"{source}: the clip {file.name} has the label {file.label!r}, which is not in "
                f"the class list ({', '.join(classes)})."
            )
    trained = {file.label for file in train_files}
    if len(trained) < 2:
        raise AttentadError(
            f"{source}: all training clips are of {first_few(trained)}; give clips of two classes "
            "or more."
        )


def _fit(
    recipe: LinearProbeRecipe, training: ClipFeatures, classes: Sequence[str]
) -> tuple[LinearClassifier, float, list[Trial]]:
    labels, weight_decay = _labels(training.files, classes), recipe.classifier.weight_decay
    trials: list[Trial] = []
    if weight_decay is None:
        groups = [file.group or file.name for file in training.files]
        folds = recipe.classifier.folds
        trials = cross_validate(training.features, labels, len(classes), groups, folds=folds)
        weight_decay = chosen(trials).weight_decay
    fitted = fit_linear(training.features, labels, len(classes), weight_decay)
    return fitted, weight_decay, trials


def _labels(files: Sequence[ClipFile], classes: Sequence[str]) -> Ints:
    return np.array([classes.index(file.label) for file in files], dtype=np.int64)


def _score(
    fitted: LinearClassifier, testing: ClipFeatures, classes: Sequence[str]
) -> tuple[dict[str, Any], str]:
    """Scores on the test clips as plain values, and as a sentence."""
    labels = _labels(testing.files, classes)
    result = recognition_scores(fitted.logits(testing.features), labels, classes=classes)
    majority = float(np.bincount(labels).max() / len(labels))
    low, high = wilson_interval(int(result.confusion.trace()), len(labels))
    by_class = ", ".join(
        f"{name} {100 * share:.1f} %"
        for name, share in zip(classes, result.class_accuracy, strict=True)
        if not np.isnan(share)
    )
    sentence = (
        f"{number_of(labels, 'test clip')}: top-1 {100 * result.top1:.1f} %, 95 % interval "
        f"{100 * low:.1f} to {100 * high:.1f} (Wilson, clips taken as independent); the most "
        f"frequent class has {100 * majority:.1f} %; by class: {by_class}."
    )
    scores = {**result.to_dict(), "clips": len(labels), "majority": majority}
    return scores | {"interval": [low, high]}, sentence


def _told_groups(train_files: Sequence[ClipFile], test_files: Sequence[ClipFile]) -> list[str]:
    """What is to be known of which clips belong together."""
    trained = {file.group for file in train_files if file.group}
    if not trained:
        return [
            "nothing says which clips were cut from one video (column `group` of the CSV): scores "
            "are too good where such clips are on both sides of a split."
        ]
    both = sorted(trained & {file.group for file in test_files})
    told = f"clips of {first_few(both)} both train and test, so that the score is too good."
    return [told] if both else []


def _told_missing(train_files: Sequence[ClipFile], classes: Sequence[str]) -> list[str]:
    trained = {file.label for file in train_files}
    missing = [name for name in classes if name not in trained]
    return [f"no training clip is of {first_few(missing)}: never found."] if missing else []


def _told_trials(trials: Sequence[Trial]) -> list[str]:
    if not trials:
        return []
    best = chosen(trials)
    return [
        f"weight decay {best.weight_decay:g}, chosen of {len(trials)} by cross-validation over the "
        f"training clips, where it has top-1 {100 * best.top1:.1f} %."
    ]


def _around(plain: Backbone, fitted: LinearClassifier, classes: Sequence[str]) -> Backbone:
    probe = with_classifier(plain, classes)
    assert isinstance(probe.network, LinearProbe)
    probe.network.weight.copy_(torch.from_numpy(fitted.weight))
    probe.network.bias.copy_(torch.from_numpy(fitted.bias))
    return replace(probe, network=probe.network.to(best_device()).eval())
