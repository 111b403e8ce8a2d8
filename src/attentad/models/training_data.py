"""The training items of a recipe: views of its training videos, and what is known of them."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from attentad.core import AttentadError, as_segments
from attentad.core.found import Truth
from attentad.core.wording import number_of
from attentad.data.clocks import Clock
from attentad.data.features import FeatureStore, Sidecar
from attentad.data.tracks import FeatureSource
from attentad.data.training_items import TrainingItems, selection
from attentad.models.build import build_views, check_detector, detector_options
from attentad.models.sets import AnnotatedSets
from attentad.recipes.load import DetectionRecipe

# Labels of whole videos are learned from without times: a step may count as a second.
_STEPS: Final = Sidecar(fps=1, stride_frames=1, window_frames=1)


def open_training_data(
    recipe: DetectionRecipe, sets: AnnotatedSets, store: FeatureStore, clock: Clock | None
) -> TrainingItems:
    """The views of the training videos with the detector's targets.

    Of a detector that learns from the classes of whole videos the segments are taken away here,
    and it needs no clock.

    Raises:
        AttentadError: view or labels are not what the detector learns from; as `TrainingItems`.
    """
    detector, view = check_detector(recipe), recipe.view
    truths = _video_truths(recipe, sets) if detector.weak else _segment_truths(recipe, sets)
    return TrainingItems(
        FeatureSource(store, sets.train.videos, _STEPS if detector.weak else clock),
        truths,
        build_views(recipe),
        partial(detector.targets, **detector_options(recipe, "targets")),
        seed=recipe.training.seed,
        select=selection(
            min_coverage=view.min_coverage if view.name == "windows" else None,
            drop_cut=view.drop_cut,
            gtad_half_shift=view.gtad_half_shift,
            by_length=recipe.data.by_length,
        ),
    )


def _segment_truths(recipe: DetectionRecipe, sets: AnnotatedSets) -> dict[str, Truth]:
    name = recipe.detector.name
    if recipe.view.name == "snippets":
        raise AttentadError(
            f"detector.name: {name} learns from segments; set view.name to rescaled or windows."
        )
    if sets.video_labels is not None:
        raise AttentadError(
            f"data.video_labels is for detectors that learn from it, but {name} learns from "
            "segments; leave it out or take another detector.name."
        )
    if not any(item.labels for item in sets.train.videos.values()):
        raise AttentadError(
            f"none of {number_of(sets.train.videos, 'training video')} has an instance; annotate "
            "some, or name other subsets in data.train."
        )
    numbers = {name: i for i, name in enumerate(sets.classes)}
    return {
        video: Truth(
            item.segments,
            np.array([numbers.get(label, -1) for label in item.labels], dtype=np.int64),
            len(sets.classes),
        )
        for video, item in sets.train.videos.items()
    }


def _video_truths(recipe: DetectionRecipe, sets: AnnotatedSets) -> dict[str, Truth]:
    if recipe.view.name not in ("snippets", "whole"):
        raise AttentadError(
            f"detector.name: {recipe.detector.name} learns from video-level labels; set view.name "
            "to snippets."
        )
    truths = {
        video: Truth(as_segments([]), sets.video_classes(video), len(sets.classes))
        for video in sets.train.videos
    }
    if not any(len(truth.labels) for truth in truths.values()):
        source = sets.video_labels.source if sets.video_labels is not None else "the annotations"
        raise AttentadError(
            f"{source}: none of the {len(truths)} training videos has a label; label some."
        )
    return truths
