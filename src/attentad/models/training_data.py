"""The training items of a recipe: views of its training videos, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError, Timeline, as_segments
from attentad.core.found import Truth
from attentad.data.clocks import Clock
from attentad.data.features import FeatureStore, Sidecar
from attentad.data.tracks import FeatureSource
from attentad.data.training_items import TrainingItems, selection
from attentad.detection import Detector
from attentad.models.model import build_views
from attentad.models.sets import AnnotatedSets
from attentad.recipes.load import DetectionRecipe

# Labels of whole videos are learned from without times: a step may count as a second.
_STEPS: Final = Sidecar(fps=1, stride_frames=1, window_frames=1)


def training_items(
    recipe: DetectionRecipe,
    detector: Detector,
    sets: AnnotatedSets,
    store: FeatureStore,
    clock: Clock | None,
) -> TrainingItems:
    """The views of the training videos with the detector's targets.

    Of a detector that learns from labels of whole videos the segments are taken away here, and it
    needs no clock.

    Raises:
        AttentadError: what is labelled is not what the detector learns from; detections with
            negative scores, which it may give, would stop suppression; as `TrainingItems`.
    """
    view, weak = recipe.view, detector.supervision == "video"
    truths = _video_truths(recipe, sets) if weak else _segment_truths(recipe, sets)
    return TrainingItems(
        FeatureSource(store, sets.train.videos, _STEPS if weak else clock),
        truths,
        build_views(recipe),
        partial(_targets, detector.targets, weak, _target_options(recipe)),
        seed=recipe.training.seed,
        select=selection(
            min_coverage=view.min_coverage if view.name == "windows" else None,
            drop_cut=view.drop_cut,
            gtad_half_shift=view.gtad_half_shift,
            by_length=recipe.data.by_length,
        ),
    )


def _segment_truths(recipe: DetectionRecipe, sets: AnnotatedSets) -> dict[str, Truth]:
    if sets.video_labels is not None:
        raise AttentadError(
            f"data.video_labels is for detectors that learn from it, but {recipe.detector.name} "
            "learns from segments; leave it out or take another detector.name."
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
    truths = {
        video: Truth(as_segments([]), sets.video_classes(video), len(sets.classes))
        for video in sets.train.videos
    }
    if not any(len(truth.labels) for truth in truths.values()):
        source = sets.video_labels.source if sets.video_labels is not None else "the annotations"
        raise AttentadError(
            f"{source}: none of the {len(truths)} training videos has a label; label some."
        )
    if recipe.suppression.negative == "error" and not recipe.detector.decode.get("drop_negative"):
        raise AttentadError(
            f"suppression.negative: scores of {recipe.detector.name} may lie below 0; set it to "
            "keep or drop."
        )
    return truths


def _targets(
    targets: Callable[..., Mapping[str, NDArray[Any]]],
    weak: bool,
    options: Mapping[str, Any],
    truth: Truth,
    timeline: Timeline,
) -> Mapping[str, NDArray[Any]]:
    """The detector's targets by the arguments that it takes."""
    if weak:
        return targets(truth.labels, truth.classes, **options)
    return targets(truth.segments, timeline, **options)


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
