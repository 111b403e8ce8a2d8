"""Where the class scores of snippets come from: columns of R, or a classifier fitted to R."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from attentad.core import AttentadError
from attentad.core.validation import Index, PositiveNumber
from attentad.data.features import FeatureStore
from attentad.data.training_items import TrainingItems
from attentad.models.snippet_classifier import (
    SnippetClassifier,
    fit_snippet_classifier,
    snippet_targets,
)
from attentad.recipes.load import DetectionRecipe


@dataclass(frozen=True)
class SnippetScores:
    """How class scores are read out of R.

    Args:
        columns: K columns of R, in class order.
        activation: `none`, `sigmoid`, or `softmax` over the classes and the background.
        background: column of the background class, or None.
        temperature: scores are divided by it before the activation.
    """

    columns: tuple[Index, ...]
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    background: Index | None = None
    temperature: PositiveNumber = 1.0

    def read(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """R (n, C) → class scores (n, K)."""
        columns = [*self.columns, *([] if self.background is None else [self.background])]
        scores = features[:, columns] / self.temperature
        if self.activation == "sigmoid":
            scores = 1 / (1 + np.exp(-scores))
        elif self.activation == "softmax":
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores = scores / scores.sum(axis=1, keepdims=True)
        return scores[:, : len(self.columns)]

    def check_fit(self, feature_dim: int, classes: int) -> None:
        """Make sure that R of `feature_dim` columns has them, one for each class.

        Raises:
            AttentadError: it has not.
        """
        last = max(*self.columns, self.background or 0, 0)
        if len(self.columns) != classes or last >= feature_dim:
            raise AttentadError(
                f"the class scores are read from {len(self.columns)} columns up to {last}, but "
                f"there are {classes} classes and {feature_dim} columns."
            )


SNIPPET_SCORES: Final = TypeAdapter(SnippetScores)

# What names proposals: R (n, C) → class scores (n, K) by `read`.
Labeller = SnippetScores | SnippetClassifier


def snippet_labeller(
    recipe: DetectionRecipe, store: FeatureStore, items: TrainingItems, classes: tuple[str, ...]
) -> Labeller | None:
    """What reads class scores out of R, as the recipe's `labels` say; None if a file has them.

    A classifier is fitted to the tracks of the training items.

    Raises:
        AttentadError: nothing says which columns of R are class scores, or they do not fit the
            classes; or the training videos have nothing to fit a classifier to.
    """
    if recipe.labels.source == "classifier":
        settings = recipe.labels.classifier.model_dump()
        labelled = _labelled_snippets(items)
        return fit_snippet_classifier(labelled, seed=recipe.training.seed, **settings)
    if recipe.labels.source != "snippets":
        return None
    return _score_columns(recipe, store, classes, items.feature_dim)


def _labelled_snippets(
    items: TrainingItems,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Features and targets of each training video."""
    for video, truth in items.truths.items():
        track = items.read(video)
        centres = track.timeline.centres_sec()
        targets = snippet_targets(centres, truth.segments, truth.labels, truth.classes)
        yield track.array, targets


def _score_columns(
    recipe: DetectionRecipe, store: FeatureStore, classes: tuple[str, ...], feature_dim: int
) -> SnippetScores:
    """Which columns of R are the classes' scores, from the recipe or else from a sidecar."""
    told = recipe.data.scores
    if told is not None:
        columns = tuple(range(told.first, told.first + len(classes)))
        last = max(columns[-1], told.background or 0)
        if last >= feature_dim:
            raise AttentadError(
                f"data.scores: {len(classes)} classes from column {told.first} on need "
                f"{last + 1} columns, but the features have {feature_dim}."
            )
        return SnippetScores(columns, told.activation, told.background, told.temperature)
    sidecar = store.sidecar(next(iter(store.readers)))
    if sidecar is None or sidecar.score_columns is None:
        raise AttentadError(
            f"{store.source} does not say which columns are class scores; set data.scores.first, "
            "fit a classifier (labels.source=classifier) or label by file (labels.source=file)."
        )
    first, stop = sidecar.score_columns
    if stop > feature_dim:
        raise AttentadError(
            f"{store.source}: a sidecar's score_columns end at {stop}, but the features have "
            f"{feature_dim} columns; correct the sidecar."
        )
    missing = [name for name in classes if name not in sidecar.score_classes]
    if missing:
        raise AttentadError(
            f"the features' class scores lack the class {missing[0]!r}; they have "
            f"{', '.join(sidecar.score_classes)}."
        )
    return SnippetScores(tuple(first + sidecar.score_classes.index(name) for name in classes))
