"""`attentad train`: a recipe → a model file, detections on the test videos, and their score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import nn

from attentad.backbones import RECOGNISERS
from attentad.core import AttentadError, Sampling, write_detections
from attentad.core.files import write_json
from attentad.data.clips import ClipData
from attentad.data.detection_data import DetectionData, collate
from attentad.data.features import FeatureStore
from attentad.data.weak_data import WeakData, weak_collate
from attentad.metrics import DetectionResult, VideoMapResult
from attentad.models.clip_scores import clip_accuracy
from attentad.models.labels import snippet_scores
from attentad.models.model import (
    DetectorModel,
    RecogniserModel,
    best_device,
    build_detector,
    build_recogniser,
    check_detector,
    file_sha256,
    load_recogniser,
    save_detector,
    save_recogniser,
    with_network,
)
from attentad.models.score import rehearse, score_detector
from attentad.models.sets import AnnotatedSets, make_clock, open_store, read_sets
from attentad.models.training_data import segment_data, weak_data
from attentad.models.video_scores import video_scores
from attentad.recipes.load import DetectionRecipe, RecognitionRecipe, check_arguments, recipe_hash
from attentad.training.loop import fit
from attentad.training.seeding import seed_initial
from attentad.training.weights import load_into

MODEL_NAME = "model.safetensors"


@dataclass(frozen=True)
class TrainRun:
    """Where the model is, and its score in 0..1 on the test part: average mAP, or accuracy.

    The score is None where the recipe names no test subset.
    """

    model: Path
    score: float | None
    result: DetectionResult | None = None
    video_classification: VideoMapResult | None = None


class _Common(TypedDict):
    resume: bool
    overwrite: bool
    on_epoch: Callable[[dict[str, Any]], None] | None


def train(
    recipe: DetectionRecipe | RecognitionRecipe,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> TrainRun | None:
    """Train what the recipe says and score it on its test subsets.

    Writes OUT/model.safetensors, OUT/log.jsonl, OUT/log.csv, OUT/last.ckpt, and for a detector
    OUT/detections.json and OUT/evaluation.json. With several devices only process 0 returns a
    result; the others return None.

    Raises:
        AttentadError: the recipe does not fit the data; see its message.
    """
    common: _Common = {"resume": resume, "overwrite": overwrite, "on_epoch": on_epoch}
    if isinstance(recipe, RecognitionRecipe):
        return train_recogniser(recipe, out, **common)
    return train_detector(recipe, out, **common)


def train_detector(
    recipe: DetectionRecipe,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> TrainRun | None:
    """Train a detector on features; see `train`."""
    data = recipe.data
    sets = read_sets(data)
    store = open_store(data)
    clock = make_clock(data)
    options = recipe.detector
    detector = check_detector(recipe)
    _check_test(recipe, sets, store)
    train_data: WeakData | DetectionData
    scores = None
    if detector.supervision == "video":
        train_data = weak_data(recipe, detector, sets, store)
    else:
        train_data = segment_data(recipe, detector, sets, store, clock)
        scores = snippet_scores(recipe, train_data, sets.classes)
    seed_initial(recipe.training.seed)
    network = build_detector(recipe, train_data.feature_dim, len(sets.classes))
    model = DetectorModel(
        recipe=recipe,
        classes=sets.classes,
        feature_dim=train_data.feature_dim,
        network=network,
        clock=clock,
        scores=scores,
        encoder=_matching_encoder(recipe, store),
    )

    for part in (sets.validation, sets.test):
        if part is not None:
            rehearse(with_network(model, network), store, part, sets)

    def batch_loss(module: nn.Module, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        outputs = module(batch["features"], batch["valid"])
        return detector.loss(outputs, batch["targets"], batch["valid"], **options.loss)

    def validate(module: nn.Module) -> dict[str, float]:
        assert sets.validation is not None
        scored = score_detector(with_network(model, module), store, sets.validation, sets)
        return scored.validation()

    fitted = fit(
        network,
        batch_loss,
        train_data,
        recipe.training,
        out,
        collate=weak_collate if detector.supervision == "video" else collate,
        validate=None if sets.validation is None else validate,
        resume=resume,
        overwrite=overwrite,
        on_epoch=on_epoch,
        fingerprint=recipe_hash(recipe, training=True),
    )
    if fitted.rank > 0:
        return None
    load_into(network, fitted.weights(), out)
    trained = with_network(model, network.to(best_device()))
    save_detector(out / MODEL_NAME, trained)
    if sets.test is None:
        return TrainRun(out / MODEL_NAME, None)
    scored = score_detector(trained, store, sets.test, sets)
    write_detections(out / "detections.json", scored.detections)
    write_json(out / "evaluation.json", scored.to_dict())
    result = scored.result
    return TrainRun(out / MODEL_NAME, result.average_map, result, scored.video_classification)


def train_recogniser(
    recipe: RecognitionRecipe,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> TrainRun | None:
    """Train a 3D CNN on trimmed clips; see `train`."""
    data = recipe.data
    common: dict[str, Any] = {
        "sampling": Sampling(**recipe.sampling.model_dump()),
        "mean": recipe.mean,
        "std": recipe.std,
    }
    source = data.root / data.clips
    given = ("source", "subset", "classes", "view", "seed", *common)
    check_arguments(ClipData, data.augment, given, "data.augment")
    train_data = ClipData(
        source,
        subset=data.train,
        classes=data.classes,
        view="random",
        seed=recipe.training.seed,
        **common,
        **data.augment,
    )
    classes = train_data.classes
    seed_initial(recipe.training.seed)
    network = build_recogniser(recipe, classes)
    loss = RECOGNISERS[recipe.recogniser.name].loss

    def batch_loss(module: nn.Module, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        return loss(module(batch["clip"]), batch["label"], **recipe.loss)

    fitted = fit(
        network,
        batch_loss,
        train_data,
        recipe.training,
        out,
        resume=resume,
        overwrite=overwrite,
        on_epoch=on_epoch,
        fingerprint=recipe_hash(recipe, training=True),
    )
    if fitted.rank > 0:
        return None
    load_into(network, fitted.weights(), out)
    trained = RecogniserModel(recipe, classes, network.to(best_device()).eval())
    test_data = ClipData(source, subset=data.test, classes=classes, **common)
    accuracy = clip_accuracy(trained.network, test_data)
    save_recogniser(out / MODEL_NAME, trained)
    write_json(out / "evaluation.json", {"top1": accuracy, "clips": len(test_data.files)})
    return TrainRun(out / MODEL_NAME, accuracy)


def fold_recipe(recipe: DetectionRecipe, fold: str) -> DetectionRecipe:
    """The recipe with another fold held out for testing.

    Raises:
        AttentadError: the recipe has no such fold.
    """
    if fold not in recipe.data.folds:
        known = ", ".join(recipe.data.folds) or "none"
        raise AttentadError(f"the recipe has no fold {fold!r}; its folds are: {known}.")
    data = recipe.data.model_copy(update={"test": (fold,), "train": None})
    return recipe.model_copy(update={"data": data})


def _check_test(recipe: DetectionRecipe, sets: AnnotatedSets, store: FeatureStore) -> None:
    """What scoring will need after training is asked for before it."""
    videos = [
        video for part in (sets.test, sets.validation) if part is not None for video in part.videos
    ]
    for video in videos:
        if video not in store.readers:
            store.load(video)  # raises the error that says what to do
    if videos and check_detector(recipe).supervision == "segments":
        class_scores = video_scores(recipe, sets.classes)
        for video in videos:
            if class_scores(video) is None and not recipe.labels.by_snippets:
                raise AttentadError(
                    f"the class-score file has no row for video {video}; add one or label by "
                    "snippets."
                )


def _matching_encoder(recipe: DetectionRecipe, store: FeatureStore) -> RecogniserModel | None:
    """The recogniser to embed, checked to be the one that made the features."""
    path = recipe.data.encoder
    if path is None:
        return None
    sidecar = store.sidecar(next(iter(store.readers)))
    made_by = "" if sidecar is None else sidecar.encoder.get("sha256", "")
    if made_by != file_sha256(path):
        raise AttentadError(
            f"the features in {store.source} were not made by {path}; extract them again with it."
        )
    return load_recogniser(path)
