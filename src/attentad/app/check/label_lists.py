"""`attentad check` where labels of whole videos train: what a label list says of the videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from attentad.app.check.findings import Finding, attempt
from attentad.core import Annotations
from attentad.core.formats.video_labels import VideoLabels
from attentad.core.wording import first_few, number_of
from attentad.models.sets import read_labels, read_videos, with_listed
from attentad.recipes.load import DetectionRecipe

_DO = "Correct data.video_labels or the file."


def learns_from_labels(recipe: DetectionRecipe) -> bool:
    """Whether the recipe's detector learns from labels of whole videos; its view says so.

    The detectors themselves need torch, which checking does without.
    """
    return recipe.view.name == "snippets"


def listed_videos(recipe: DetectionRecipe) -> tuple[Annotations | None, list[Finding]]:
    """The videos of the label list, for a recipe that has no annotations."""
    return attempt("video_labels", _DO, lambda: read_videos(recipe.data))


def read_list(
    recipe: DetectionRecipe, annotations: Annotations
) -> tuple[VideoLabels | None, list[Finding]]:
    """The recipe's label list, if it has one that can be used."""
    if recipe.data.video_labels is None:
        return None, []
    if not learns_from_labels(recipe):
        what = f"data.video_labels is set, but {recipe.detector.name} learns from segments."
        do = "Leave it out, or take a detector that learns from labels of whole videos."
        return None, [Finding("error", "video_labels", what, do)]
    classes = tuple(recipe.data.classes or annotations.classes)
    return attempt(
        "video_labels", _DO, lambda: read_labels(recipe.data, classes, annotations.videos)
    )


def labelled(annotations: Annotations, labels: VideoLabels, train: Sequence[str]) -> Annotations:
    """The annotations with the list's labels for all that trains, one instance for each.

    What else the list names is added. The instances have no times, so only classes can be counted.
    """
    videos = {}
    for video, item in with_listed(annotations, labels).videos.items():
        names = labels.videos.get(video)
        if item.subset in train and names is not None:
            item = replace(item, segments=np.zeros((len(names), 2)), labels=names)
        videos[video] = item
    return replace(annotations, videos=videos)


def check_list(
    annotations: Annotations, labels: VideoLabels, train: Sequence[str]
) -> Iterator[Finding]:
    """Training videos that a label list leaves out, which is an error, or says hold no action."""
    training = [video for video, item in annotations.videos.items() if item.subset in train]
    lacking = [video for video in training if video not in labels.videos]
    empty = [video for video in training if labels.videos.get(video) == ()]
    if lacking:
        what = (
            f"{labels.source} lacks {number_of(lacking, 'training video')}: {first_few(lacking)}."
        )
        do = "List each with its labels, or with none if it holds no action."
        yield Finding("error", "unlabelled", what, do)
    if empty and len(empty) == len(training):
        what = f"{labels.source} has no label for any of {number_of(training, 'training video')}."
        yield Finding("error", "no_labels", what, "Give those with actions their labels.")
    elif empty:
        what = f"{number_of(empty, 'training video')} without any label: {first_few(empty)}."
        do = "Label them, unless nothing happens there."
        yield Finding("warning", "empty_labels", what, do)
