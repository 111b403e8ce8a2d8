"""From material and plan to a recipe, in a file that trains again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from attentad.app.own.material import Material
from attentad.app.own.order import Order
from attentad.app.own.split import Split
from attentad.backbones import BACKBONES
from attentad.core import AttentadError, VideoAnnotation, write_annotations
from attentad.core.files import write_bytes
from attentad.core.formats.csv_rows import write_csv
from attentad.core.formats.video_labels import CSV_COLUMNS
from attentad.data.features import read_sidecar
from attentad.recipes.load import DetectionRecipe, load_recipe, said_by
from attentad.recipes.own_plan import Amount, picture_rate, plan
from attentad.video import probe

RECIPE_NAME: Final = "recipe.yaml"
ANNOTATIONS_NAME: Final = "annotations.json"
LABELS_NAME: Final = "labels.csv"
# What the user says of the detector that holds for the baseline too.
_SHARED: Final = (
    *("evaluation.", "suppression.", "view.", "training.epochs=", "training.batch_size="),
    *("training.seed=", "training.accelerator=", "training.deterministic="),
)
OVERLAP: Final = 0.1  # of the shorter of two actions; where ends touch is no overlap


@dataclass(frozen=True)
class Planned:
    """What will be trained, and why.

    Args:
        recipe: of the model.
        baseline: of what is trained beside it, or None.
        reasons: a sentence each.
    """

    recipe: DetectionRecipe
    baseline: DetectionRecipe | None
    reasons: tuple[str, ...]


def plan_sampling(order: Order, material: Material) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Options of the backbone, with the rate of pictures where the user leaves it, and why."""
    told = any(setting.startswith("fps=") for setting in order.backbone_settings)
    if told or order.backbone not in (None, "image"):
        return order.backbone_settings, ()
    rates = []
    for path in material.files.values():
        with suppress(AttentadError):  # extraction says that the file is broken
            rates.append(probe(path).fps)
    rate, why = picture_rate(material.action_sec, rates)
    return (*order.backbone_settings, f"fps={rate:g}"), (why,)


def plan_training(order: Order, material: Material, split: Split, cores: int) -> Planned:
    """The recipes, by what the features' sidecars and the training videos are.

    Raises:
        AttentadError: an override does not fit, or the plan has no such detector.
    """
    amount = measured(order, material, split, cores)
    chosen = plan(amount, order.override("detector.name"))
    data = _data_settings(order, material, split)
    # The recipe's own name of the detector is that of the plan.
    own = [text for text in order.overrides if not text.startswith("detector.name=")]
    recipe = _recipe(chosen.recipe, [*chosen.settings, *data, *own])
    baseline = None
    if recipe.detector.name == "tcn":
        beside = plan(amount, "framewise")
        shared = [text for text in own if text.startswith(_SHARED)]
        baseline = _recipe(beside.recipe, [*beside.settings, *data, *shared])
    told = (f"As you say: {', '.join(order.overrides)}.",) if order.overrides else ()
    return Planned(recipe, baseline, (*chosen.reasons, *told))


def measured(order: Order, material: Material, split: Split, cores: int) -> Amount:
    """How much there is to learn from, in the videos that the kept model trains on."""
    videos = [video for video, subset in split.subsets.items() if subset in split.train]
    sidecars = [read_sidecar(order.features / f"{video}.json") for video in videos]
    counts = np.sum([*material.counts(videos).values()], axis=0)
    items = [material.annotations.videos[video] for video in videos]
    lengths = [float(end - start) for item in items for start, end in item.segments]
    crossed = sum(overlapped(item) for item in items)
    return Amount(
        duration_sec=[told.duration_sec or 0.0 for told in sidecars],
        instances=dict(zip(material.classes, counts.tolist(), strict=True)),
        action_sec=lengths,
        overlapped=crossed / max(1, len(lengths)),
        fps=sidecars[0].fps / sidecars[0].stride_frames,
        cores=cores,
    )


def overlapped(item: VideoAnnotation) -> int:
    """How many of a video's actions one of another class overlaps by more than a tenth."""
    order = np.argsort(item.segments[:, 0], kind="stable")
    touched: set[int] = set()
    for place, i in enumerate(order):
        start, end = item.segments[i]
        for j in order[place + 1 :]:
            other_start, other_end = item.segments[j]
            if other_start >= end:
                break
            least = OVERLAP * min(end - start, other_end - other_start)
            if item.labels[i] != item.labels[j] and min(end, other_end) - other_start > least:
                touched |= {int(i), int(j)}
    return len(touched)


def write_plan(order: Order, material: Material, planned: Planned, split: Split) -> None:
    """Write the annotations in their subsets, and the recipe with its reasons."""
    if material.labels is None:
        write_annotations(order.out / ANNOTATIONS_NAME, material.annotations)
    else:
        rows = [
            (video, label, split.subsets[video])
            for video, labels in material.labels.videos.items()
            for label in labels or ("",)
        ]
        write_csv(order.out / LABELS_NAME, [(*CSV_COLUMNS, "subset"), *rows])
    again = f"attentad train {order.out / RECIPE_NAME} --out ANOTHER_FOLDER"
    folds = "  (with --fold all: each part tests a model trained on the others)"
    head = [
        again + (folds if split.folds else ""),
        "trains this again; change what you like. Made by `attentad train own`:",
        *planned.reasons,
        split.told,
    ]
    body = yaml.safe_dump(said_by(planned.recipe), sort_keys=False, allow_unicode=True, width=100)
    text = "".join(f"# {line}\n" for line in head) + body
    write_bytes(order.out / RECIPE_NAME, text.encode())


def _recipe(name: str, settings: Sequence[str]) -> DetectionRecipe:
    recipe = load_recipe(name, settings)
    assert isinstance(recipe, DetectionRecipe)
    return recipe


def _data_settings(order: Order, material: Material, split: Split) -> list[str]:
    data: dict[str, Any] = {
        "root": str(order.out.resolve()),
        "features": order.features.name,
        "classes": material.classes,
        "train": split.train,
        "test": split.test if material.labels is None else (),
        "folds": split.folds if material.labels is None else (),
        **_known(material),
    }
    encoder = order.backbone
    if encoder is not None and encoder not in BACKBONES:
        data["encoder"] = str(Path(encoder).resolve())
    return [f"data.{key}={json.dumps(value)}" for key, value in data.items()]


def _known(material: Material) -> Mapping[str, str]:
    if material.labels is None:
        return {"annotations": ANNOTATIONS_NAME}
    return {"video_labels": LABELS_NAME}
