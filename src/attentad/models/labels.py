"""Where the class scores of snippets come from: columns of R, or a classifier fitted to R."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError
from attentad.data.features import FeatureStore
from attentad.data.training_items import TrainingItems
from attentad.models.model import SnippetScores
from attentad.models.snippet_classifier import (
    SnippetClassifier,
    fit_snippet_classifier,
    snippet_targets,
)
from attentad.recipes.load import DetectionRecipe


def snippet_scores(
    recipe: DetectionRecipe, store: FeatureStore, data: TrainingItems, classes: tuple[str, ...]
) -> SnippetScores | SnippetClassifier | None:
    """What reads class scores out of R, as the recipe's `labels` say; None if a file has them.

    Args:
        recipe: of the detector.
        store: its features.
        data: its training items, to whose tracks a classifier is fitted.
        classes: K class names in the order of the model.

    Raises:
        AttentadError: nothing says which columns of R are class scores, or they do not fit the
            classes; or the training videos have nothing to fit a classifier to.
    """
    if recipe.labels.source == "classifier":
        settings = recipe.labels.classifier.model_dump()
        return fit_snippet_classifier(
            _labelled_snippets(data), seed=recipe.training.seed, **settings
        )
    if recipe.labels.source != "snippets":
        return None
    return _score_columns(recipe, store, classes, data.feature_dim)


def _labelled_snippets(
    data: TrainingItems,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Features and targets of each training video."""
    for video, truth in data.truths.items():
        features, timeline, _ = data.read(video)
        centres = timeline.centres_sec()
        yield features, snippet_targets(centres, truth.segments, truth.labels, truth.classes)


def _score_columns(
    recipe: DetectionRecipe, store: FeatureStore, classes: tuple[str, ...], feature_dim: int
) -> SnippetScores:
    """Which columns of R are the classes' scores, from the recipe or else from a sidecar."""
    told = recipe.data.scores
    if told is not None:
        columns = tuple(range(told.first, told.first + len(classes)))
        if columns[-1] >= feature_dim:
            raise AttentadError(
                f"data.scores: {len(classes)} classes from column {told.first} on need "
                f"{columns[-1] + 1} columns, but the features have {feature_dim}."
            )
        return SnippetScores(columns, told.activation, told.background, told.temperature)
    sidecar = store.sidecar(next(iter(store.readers)))
    if sidecar is None or sidecar.score_columns is None:
        raise AttentadError(
            f"{store.source} does not say which columns are class scores; set data.scores.first, "
            "fit a classifier (labels.source=classifier) or label by file (labels.source=file)."
        )
    first = sidecar.score_columns[0]
    missing = [name for name in classes if name not in sidecar.score_classes]
    if missing:
        raise AttentadError(
            f"the features' class scores lack the class {missing[0]!r}; they have "
            f"{', '.join(sidecar.score_classes)}."
        )
    return SnippetScores(tuple(first + sidecar.score_classes.index(name) for name in classes))
