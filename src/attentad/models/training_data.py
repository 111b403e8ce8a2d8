"""The training items of a recipe: views with targets from segments, or snippets with labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError
from attentad.data.clocks import Clock
from attentad.data.detection_data import DetectionData
from attentad.data.features import FeatureStore
from attentad.data.weak_data import WeakData
from attentad.detection import Detector
from attentad.models.model import build_views
from attentad.models.sets import AnnotatedSets
from attentad.recipes.load import DetectionRecipe


def segment_data(
    recipe: DetectionRecipe,
    detector: Detector,
    sets: AnnotatedSets,
    store: FeatureStore,
    clock: Clock | None,
) -> DetectionData:
    """The views of the training videos with the detector's targets.

    Raises:
        AttentadError: the recipe has a label list, which no times can be had from; as
            `DetectionData`.
    """
    if sets.video_labels is not None:
        raise AttentadError(
            f"data.video_labels is for detectors that learn from it, but {recipe.detector.name} "
            "learns from segments; leave it out or take another detector.name."
        )
    view = recipe.view
    return DetectionData(
        store,
        sets.train,
        views=build_views(recipe),
        targets=partial(detector.targets, **_target_options(recipe)),
        clock=clock,
        min_coverage=view.min_coverage if view.name == "windows" else None,
        drop_cut=view.drop_cut,
        gtad_half_shift=view.gtad_half_shift,
        by_length=recipe.data.by_length,
    )


def weak_data(
    recipe: DetectionRecipe, detector: Detector, sets: AnnotatedSets, store: FeatureStore
) -> WeakData:
    """Snippets of the training videos with the classes of the whole video.

    Raises:
        AttentadError: no training video has a class; detections with negative scores, which the
            detector may give, would stop suppression; as `WeakData`.
    """
    labels = {video: sets.video_classes(video) for video in sets.train.videos}
    if not any(len(classes) for classes in labels.values()):
        source = sets.video_labels.source if sets.video_labels is not None else "the annotations"
        raise AttentadError(
            f"{source}: none of the {len(labels)} training videos has a label; label some."
        )
    if recipe.suppression.negative == "error" and not recipe.detector.decode.get("drop_negative"):
        raise AttentadError(
            f"suppression.negative: scores of {recipe.detector.name} may lie below 0; set it to "
            "keep or drop."
        )
    return WeakData(
        store,
        labels,
        classes=len(sets.classes),
        length=recipe.view.length,
        sampling=recipe.view.sampling,
        targets=partial(detector.targets, **recipe.detector.targets),
        seed=recipe.training.seed,
    )


def multi_hot(sets: AnnotatedSets, videos: Mapping[str, Any]) -> NDArray[np.bool_]:
    """(V, K): true where the video has the class, by its video-level labels."""
    rows = np.zeros((len(videos), len(sets.classes)), dtype=bool)
    for row, video in zip(rows, videos, strict=True):
        row[sets.video_classes(video)] = True
    return rows


def _target_options(recipe: DetectionRecipe) -> dict[str, Any]:
    """A target's shape follows the network's: arguments of the same name are passed on."""
    shared = ("max_duration", "layout")
    network = recipe.detector.network
    return {key: network[key] for key in shared if key in network} | recipe.detector.targets
