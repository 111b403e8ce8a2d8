"""Training: a recipe → a model file, detections on the test videos, and their score."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from torch import nn

from attentad.backbones import PRETRAINED, RECOGNISERS, Backbone
from attentad.backbones.backbone import is_same
from attentad.backbones.task import RecognitionTask
from attentad.core import AttentadError, Sampling, write_detections
from attentad.core.files import check_place, remove_leftovers, write_json
from attentad.core.names import told_matches
from attentad.core.options import check_options
from attentad.core.progress import progress_bar
from attentad.data.clips import ClipData
from attentad.data.features import FeatureStore
from attentad.data.training_items import collate
from attentad.metrics import DetectionResult, VideoMapResult
from attentad.models.build import (
    build_detector,
    build_recogniser,
    check_detector,
    detector_options,
    recogniser_backbone,
)
from attentad.models.clip_scores import clip_accuracy
from attentad.models.file import load_backbone, save_backbone, save_detector
from attentad.models.labels import snippet_labeller
from attentad.models.linear_probe import fit_linear_probe
from attentad.models.long_videos import TrainedSteps
from attentad.models.model import DetectorModel, best_device
from attentad.models.score import rehearse, score_detector
from attentad.models.sets import AnnotatedSets, make_clock, open_store, read_sets
from attentad.models.training_data import open_training_data
from attentad.models.video_scores import no_class_scores, video_scores
from attentad.recipes.load import (
    DetectionRecipe,
    LinearProbeRecipe,
    Recipe,
    RecognitionRecipe,
    recipe_hash,
)
from attentad.training.loop import fit
from attentad.training.seeding import seed_initial
from attentad.training.weights import load_into

MODEL_NAME = "model.safetensors"


@dataclass(frozen=True)
class TrainRun:
    """Where the model is, and its score in 0..1 on the test part: average mAP, or accuracy.

    The score is None where the recipe names no test subset. Notes are sentences on the data.
    """

    model: Path
    score: float | None
    result: DetectionResult | None = None
    video_classification: VideoMapResult | None = None
    notes: tuple[str, ...] = ()


class Running(TypedDict, total=False):
    """How a training is run, see `training.loop.fit`."""

    resume: bool
    overwrite: bool
    progress: bool | None
    on_epoch: Callable[[dict[str, Any]], None] | None


def train(recipe: Recipe, out: Path, **running: Unpack[Running]) -> TrainRun | None:
    """Train what the recipe says and score it on its test subsets.

    Writes OUT/model.safetensors, OUT/evaluation.json, where there are epochs OUT/log.jsonl,
    OUT/log.csv and OUT/last.ckpt, and for a detector OUT/detections.json. With several devices
    only process 0 returns a result; the others return None.

    Raises:
        AttentadError: the recipe does not fit the data; see its message.
    """
    remove_leftovers([out / name for name in (MODEL_NAME, "detections.json", "evaluation.json")])
    if isinstance(recipe, RecognitionRecipe):
        return train_recogniser(recipe, out, **running)
    if isinstance(recipe, LinearProbeRecipe):
        return train_linear_probe(recipe, out, **running)
    return train_detector(recipe, out, **running)


def train_detector(
    recipe: DetectionRecipe, out: Path, **running: Unpack[Running]
) -> TrainRun | None:
    """Train a detector on features; see `train`."""
    sets = read_sets(recipe.data)
    store, renamed = open_store(recipe.data, sets.videos)
    notes: tuple[str, ...] = (f"{told_matches(len(renamed))}.",) if renamed else ()
    clock = make_clock(recipe.data)
    detector = check_detector(recipe)
    _check_negative(recipe)
    _check_test(recipe, sets, store)
    items = open_training_data(recipe, sets, store, clock)
    labeller = None
    if not detector.names_classes:
        labeller = snippet_labeller(recipe, store, items, sets.classes)
    encoder, told = _matching_encoder(recipe, store, items.feature_dim)
    notes += told
    seed_initial(recipe.training.seed)
    network = build_detector(recipe, items.feature_dim, len(sets.classes))
    model = DetectorModel(
        recipe=recipe,
        classes=sets.classes,
        feature_dim=items.feature_dim,
        network=network,
        clock=clock,
        labeller=labeller,
        encoder=encoder,
        trained_steps=TrainedSteps.of(items.steps_sec) if recipe.view.name == "rescaled" else None,
    )
    for part in (sets.validation, sets.test):
        if part is not None:
            rehearse(model.around(network), store, part, sets)

    def validate(module: nn.Module) -> dict[str, float]:
        assert sets.validation is not None
        return score_detector(model.around(module), store, sets.validation, sets).validation()

    fitted = fit(
        detector.task(network, detector.loss, **detector_options(recipe, "loss")),
        items,
        recipe.training,
        out,
        collate=collate,
        validate=None if sets.validation is None else validate,
        fingerprint=recipe_hash(recipe, training=True),
        **running,
    )
    if fitted.rank > 0:
        return None
    load_into(network, fitted.weights(), out)
    trained = model.around(network.to(best_device()))
    save_detector(out / MODEL_NAME, trained)
    if sets.test is None:
        return TrainRun(out / MODEL_NAME, None, notes=notes)
    scored = score_detector(trained, store, sets.test, sets)
    write_detections(out / "detections.json", scored.detections)
    write_json(out / "evaluation.json", scored.to_dict())
    result = scored.result
    return TrainRun(
        out / MODEL_NAME, result.average_map, result, scored.video_classification, notes
    )


def train_recogniser(
    recipe: RecognitionRecipe, out: Path, **running: Unpack[Running]
) -> TrainRun | None:
    """Train a 3D CNN on trimmed clips; see `train`."""
    data = recipe.data
    sampling = Sampling(**recipe.sampling.model_dump())
    common: dict[str, Any] = {"sampling": sampling, "mean": recipe.mean, "std": recipe.std}
    source = data.root / data.clips
    drawn: dict[str, Any] = {"view": "random", "seed": recipe.training.seed}
    given = ("source", "subset", "classes", *drawn, *common)
    check_options(ClipData, data.augment, given, "data.augment")
    augmented = {**common, **drawn, **data.augment}
    train_data = ClipData(source, subset=data.train, classes=data.classes, **augmented)
    classes = train_data.classes
    seed_initial(recipe.training.seed)
    network = build_recogniser(recipe, classes)
    loss = RECOGNISERS[recipe.recogniser.name].loss
    fitted = fit(
        RecognitionTask(network, loss, **recipe.loss),
        train_data,
        recipe.training,
        out,
        fingerprint=recipe_hash(recipe, training=True),
        **running,
    )
    if fitted.rank > 0:
        return None
    load_into(network, fitted.weights(), out)
    trained = recogniser_backbone(recipe, classes, network.to(best_device()).eval())
    test_data = ClipData(source, subset=data.test, classes=classes, **common)
    accuracy = clip_accuracy(trained.network, test_data)
    save_backbone(out / MODEL_NAME, trained)
    write_json(out / "evaluation.json", {"top1": accuracy, "clips": len(test_data.files)})
    return TrainRun(out / MODEL_NAME, accuracy)


def train_linear_probe(
    recipe: LinearProbeRecipe, out: Path, **running: Unpack[Running]
) -> TrainRun:
    """Fit a linear classifier of trimmed clips to a frozen backbone's features; see `train`.

    It takes one pass over the clips, so that `resume` starts anew.
    """
    again = running.get("resume") or running.get("overwrite")
    if (out / MODEL_NAME).exists() and not again:
        raise AttentadError(
            f"{out} holds an earlier training; overwrite it or choose another folder."
        )
    check_place(out / MODEL_NAME)
    with progress_bar("clips") as progress:
        fitted = fit_linear_probe(recipe, progress)
    save_backbone(out / MODEL_NAME, fitted.backbone)
    write_json(out / "evaluation.json", fitted.report)
    return TrainRun(out / MODEL_NAME, fitted.top1, notes=fitted.notes)


def _check_negative(recipe: DetectionRecipe) -> None:
    """Scores below 0 would stop suppression; a detector that has such can leave them out."""
    choice = recipe.detector
    signed = "drop_negative" in inspect.signature(check_detector(recipe).decode).parameters
    if signed and recipe.suppression.negative == "error" and not choice.decode.get("drop_negative"):
        raise AttentadError(
            f"suppression.negative: scores of {choice.name} may lie below 0; set it to keep or "
            "drop."
        )


def _check_test(recipe: DetectionRecipe, sets: AnnotatedSets, store: FeatureStore) -> None:
    """What scoring will need after training is asked for before it."""
    videos = [video for part in (sets.test, sets.validation) if part for video in part.videos]
    for video in videos:
        if video not in store.readers:
            store.load(video)  # raises the error that says what to do
    if not videos or recipe.labels.by_snippets or check_detector(recipe).names_classes:
        return
    class_scores = video_scores(recipe, sets.classes)
    for video in videos:
        if class_scores(video) is None:
            raise no_class_scores(video)


def _matching_encoder(
    recipe: DetectionRecipe, store: FeatureStore, feature_dim: int
) -> tuple[Backbone | None, tuple[str, ...]]:
    """The backbone to embed, which made the features, and why there is none, if that is odd.

    It is what the recipe names; else what the features' sidecars name, if that comes trained.
    """
    path = recipe.data.encoder
    sidecar = store.sidecar(next(iter(store.readers)))
    facts = {} if sidecar is None else sidecar.encoder
    rows_differ = len(recipe.data.streams) > 1 or recipe.data.every > 1
    if path is not None:
        if rows_differ:
            raise AttentadError(
                "data.encoder makes every row of one stream of features, and does not go with "
                "data.every or joined streams; leave it out."
            )
        backbone = load_backbone(path)
        if not is_same(facts, backbone.facts):
            raise AttentadError(
                f"the features in {store.source} were not made by {path}; extract them again with "
                "it."
            )
        return backbone, ()
    comes_trained = facts.get("name") in PRETRAINED and isinstance(facts.get("options"), dict)
    if not comes_trained:
        return None, ()
    if rows_differ:
        return None, (
            "the model reads features, not video: with data.every or joined streams no backbone "
            "makes the rows that it learns from.",
        )
    for video in store.readers:
        sidecar = store.sidecar(video)
        if sidecar is None or not is_same(sidecar.encoder, facts):
            raise AttentadError(
                f"the features of {video} in {store.source} are not of the backbone "
                f"{facts['name']} with the options of the others; extract all with one."
            )
    try:
        backbone = PRETRAINED[facts["name"]].told(facts)
        if backbone.width != feature_dim:
            raise AttentadError(f"it makes {backbone.width} columns, the features have others.")
    except AttentadError as error:
        return None, (f"the model reads features, not video: its backbone is not here ({error}).",)
    return backbone, ()
