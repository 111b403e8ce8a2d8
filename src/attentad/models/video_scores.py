"""Class scores of whole videos, from the file that a recipe's `labels` section names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError
from attentad.data.features import open_features
from attentad.data.thumos14 import THUMOS14_CLASSES
from attentad.recipes.load import DetectionRecipe
from attentad.suppression import (
    read_cuhk_scores,
    read_untrimmednet,
    scores_of,
    untrimmednet_scores,
)

# Video id → (K,) scores in the order of the model's classes; None for a video without any.
VideoScores = Callable[[str], NDArray[np.floating] | None]


def video_scores(recipe: DetectionRecipe, classes: tuple[str, ...]) -> VideoScores:
    """Open the recipe's file of class scores, which lies below `data.root` unless absolute.

    Args:
        recipe: its `labels` say which file in which layout.
        classes: K class names in the order of the model.

    Returns:
        A function that gives None for every video where labels come from R.

    Raises:
        AttentadError: the file is not named, missing or malformed, or its classes are not the
            model's.
    """
    labels = recipe.labels
    if labels.by_snippets:
        return lambda video: None
    if labels.file is None:
        raise AttentadError(
            f"labels.source is {labels.source}, but labels.file is not set; name the file of class "
            "scores."
        )
    path = recipe.data.root / labels.file
    if labels.source == "cuhk":
        by_video = read_cuhk_scores(path, classes)
        return lambda video: scores_of(by_video, video)
    if labels.source == "untrimmednet":
        return _untrimmednet(path, classes)
    return read_class_scores(path, len(classes)).get


def read_class_scores(path: Path, classes: int) -> dict[str, NDArray[np.float32]]:
    """Read video-level class scores: an archive with one array of `classes` scores per video.

    Raises:
        AttentadError: the file is missing or broken, or a row has another length.
    """
    store = open_features(path)
    scores = {}
    for video, read in store.readers.items():
        row = np.asarray(read(), dtype=np.float32).reshape(-1)
        if len(row) != classes or not np.isfinite(row).all():
            raise AttentadError(
                f"{path}: video {video} needs {classes} finite class scores, one per class."
            )
        scores[video] = row
    return scores


def _untrimmednet(path: Path, classes: tuple[str, ...]) -> VideoScores:
    foreign = [name for name in classes if name not in THUMOS14_CLASSES]
    if foreign:
        raise AttentadError(
            "labels.source is untrimmednet, which scores THUMOS14's 20 classes, and "
            f"{foreign[0]!r} is none of them; label by snippets or by a file of your own."
        )
    table = read_untrimmednet(path)
    columns = [THUMOS14_CLASSES.index(name) for name in classes]
    return lambda video: untrimmednet_scores(table, video)[columns]
