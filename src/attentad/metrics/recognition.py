"""Recognition: top-k and mean class accuracy over splits, and video-level mAP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attentad.core import AttentadError
from attentad.core.arrays import Floats, Ints, ratio


@dataclass(frozen=True)
class RecognitionResult:
    """Accuracies of one label per clip, in each of S splits, and their means over the splits.

    Args:
        classes: K names.
        splits: S names.
        clips: (S,) clips scored in each split.
        split_top1: (S,) in 0..1.
        split_top5: (S,) in 0..1; among the best K where there are fewer than five classes.
        split_mean_class: (S,) in 0..1: mean over the classes that occur in the split of the
            share of their clips that is right.
        confusion: (K, K) clips of the class of the row taken for that of the column, of all
            splits together.
    """

    classes: tuple[str, ...]
    splits: tuple[str, ...]
    clips: Ints
    split_top1: Floats
    split_top5: Floats
    split_mean_class: Floats
    confusion: Ints

    @property
    def top1(self) -> float:
        """Top-1 accuracy, 0..1: the mean over the splits, each of equal weight."""
        return float(self.split_top1.mean())

    @property
    def top5(self) -> float:
        """Top-5 accuracy, 0..1: the mean over the splits."""
        return float(self.split_top5.mean())

    @property
    def mean_class_accuracy(self) -> float:
        """Mean class accuracy, 0..1: the mean over the splits."""
        return float(self.split_mean_class.mean())

    @property
    def class_accuracy(self) -> Floats:
        """(K,) share of each class's clips that is right, splits together; NaN without clips."""
        return _shares(self.confusion)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, 0..1; `std` is the deviation between splits, 0 for one."""
        measures = {
            "top1": self.split_top1,
            "top5": self.split_top5,
            "mean_class_accuracy": self.split_mean_class,
        }
        counts = self.confusion.sum(axis=1)
        per_class = {
            name: {"accuracy": float(share) if count else None, "clips": int(count)}
            for name, share, count in zip(self.classes, self.class_accuracy, counts, strict=True)
        }
        return {
            **{name: float(values.mean()) for name, values in measures.items()},
            "std": {name: float(values.std()) for name, values in measures.items()},
            "splits": {
                split: {
                    "clips": int(self.clips[row]),
                    **{name: float(values[row]) for name, values in measures.items()},
                }
                for row, split in enumerate(self.splits)
            },
            "per_class": per_class,
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
        }


@dataclass(frozen=True)
class VideoMapResult:
    """Video-level classification of several labels per video.

    Args:
        classes: C names.
        average_precision: (C,) in 0..1, not interpolated; NaN for a class of no video.
        truth_count: (C,) videos of each class.
        videos: how many were scored.
        threshold: a class is predicted where its score reaches this.
        exact_set_accuracy: share of the videos whose predicted set of classes is the true one.
    """

    classes: tuple[str, ...]
    average_precision: Floats
    truth_count: Ints
    videos: int
    threshold: float
    exact_set_accuracy: float

    @property
    def mean_ap(self) -> float:
        """Mean over the classes that occur, 0..1."""
        return float(np.nanmean(self.average_precision))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, 0..1; the AP of a class of no video is None."""
        return {
            "mAP": self.mean_ap,
            "exact_set_accuracy": self.exact_set_accuracy,
            "threshold": self.threshold,
            "videos": self.videos,
            "per_class": {
                name: {"AP": float(value) if count else None, "videos": int(count)}
                for name, value, count in zip(
                    self.classes, self.average_precision, self.truth_count, strict=True
                )
            },
        }


def recognition_scores(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    splits: ArrayLike | None = None,
) -> RecognitionResult:
    """Top-1, top-5 and mean class accuracy, each split scored alone and the splits averaged.

    Among classes of equal score the one of smaller index is taken to be the better.

    Args:
        scores: (N, K), larger is surer; any scale.
        labels: (N,) true class indices.
        classes: K names; by default the indices.
        splits: (N,) the split of each row, numbers or text; None for one split named "all". A
            clip that is tested in several splits has a row for each.

    Raises:
        AttentadError: a shape is wrong, there is no row, a score is NaN, or a label is no class
            index.
    """
    table = _checked_scores(scores, classes)
    rows, count = table.shape
    truth = _array(labels, "labels")
    if truth.shape != (rows,):
        raise AttentadError(
            f"{rows} rows of scores need as many labels; their shape is {truth.shape}."
        )
    if not np.issubdtype(truth.dtype, np.integer):
        raise AttentadError(f"labels must be class indices, not of type {truth.dtype}.")
    for row in np.flatnonzero((truth < 0) | (truth >= count)):
        raise AttentadError(
            f"the label of row {row} is {truth[row]}, but there are {count} classes, 0 to "
            f"{count - 1}."
        )
    names, split = _split_rows(splits, rows)
    own = table[np.arange(rows), truth][:, None]
    # Place of the true class: how many are better, or as good and earlier.
    place = (table > own).sum(axis=1)
    place += ((table == own) & (np.arange(count) < truth[:, None])).sum(axis=1)
    guess = table.argmax(axis=1)
    confusion = np.zeros((len(names), count, count), dtype=np.int64)
    np.add.at(confusion, (split, truth, guess), 1)
    clips = np.bincount(split, minlength=len(names))
    return RecognitionResult(
        classes=_names(classes, count),
        splits=names,
        clips=clips,
        split_top1=np.bincount(split, place < 1, len(names)) / clips,
        split_top5=np.bincount(split, place < 5, len(names)) / clips,
        split_mean_class=np.array([float(np.nanmean(_shares(part))) for part in confusion]),
        confusion=confusion.sum(axis=0),
    )


def wilson_interval(right: int, clips: int, *, z: float = 1.96) -> tuple[float, float]:
    """Interval of an accuracy, 0..1 (Wilson 1927): sensible also for few clips, and for 0 or all.

    Args:
        right: how many of the clips; they are taken as independent of each other.
        clips: how many there are, at least 1.
        z: quantile of the normal distribution; 1.96 is a level of 95 %.
    """
    share, spread = right / clips, z * z / clips
    centre = (share + spread / 2) / (1 + spread)
    half = np.sqrt(spread * share * (1 - share) + spread * spread / 4) / (1 + spread)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def video_map(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    threshold: float = 0.5,
) -> VideoMapResult:
    """Video-level classification mAP, not interpolated (HAM-Net; spec hamnet_sta §1.5).

    The AP of a class is the mean of the precision at each of its videos, the videos ranked by
    their score for it; on a tie the earlier row comes first. A class of no video is left out of
    the mean.

    Args:
        scores: (V, C) such as probabilities, larger is surer.
        labels: (V, C) multi-hot: true or 1 where the video has the class.
        classes: C names; by default the indices.
        threshold: of the exact-set accuracy, on the scale of the scores; a score equal to it
            predicts its class.

    Raises:
        AttentadError: a shape is wrong, there is no video, a score or the threshold is NaN, a
            label is neither 0 nor 1, or no video has a class.
    """
    table = _checked_scores(scores, classes)
    given = _array(labels, "labels")
    if given.shape != table.shape:
        raise AttentadError(
            f"multi-hot labels must have the shape of the scores, {table.shape}, not {given.shape}."
        )
    truth = given == 1
    if not (truth | (given == 0)).all():
        raise AttentadError("multi-hot labels must be 0 or 1.")
    if not truth.any():
        raise AttentadError("no video has a class, so there is nothing to evaluate.")
    if np.isnan(threshold):
        raise AttentadError("the threshold of the exact-set accuracy is NaN; give a number.")
    order = np.argsort(-table, axis=0, kind="stable")
    ranked = np.take_along_axis(truth, order, axis=0)
    precision = np.cumsum(ranked, axis=0) / np.arange(1, len(table) + 1)[:, None]
    count = truth.sum(axis=0)
    return VideoMapResult(
        classes=_names(classes, table.shape[1]),
        average_precision=ratio((precision * ranked).sum(axis=0), count),
        truth_count=count,
        videos=len(table),
        threshold=float(threshold),
        exact_set_accuracy=float(((table >= threshold) == truth).all(axis=1).mean()),
    )


def _checked_scores(scores: ArrayLike, classes: Sequence[str] | None) -> Floats:
    try:
        table = _array(scores, "scores").astype(np.float64)
    except (TypeError, ValueError):
        raise AttentadError("scores must be numbers, with one column per class.") from None
    if table.ndim != 2 or not table.size:
        raise AttentadError(
            f"scores must have a row per clip and a column per class; their shape is {table.shape}."
        )
    if np.isnan(table).any():
        row = int(np.argmax(np.isnan(table).any(axis=1)))
        raise AttentadError(f"row {row} of the scores holds NaN; give every class a number.")
    if classes is not None and len(classes) != table.shape[1]:
        raise AttentadError(
            f"the scores have {table.shape[1]} columns, but {len(classes)} classes are named."
        )
    return table


def _array(values: ArrayLike, name: str) -> NDArray:
    try:
        return np.asarray(values)
    except ValueError:
        raise AttentadError(f"the rows of {name} differ in length; give a table.") from None


def _names(classes: Sequence[str] | None, count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count))) if classes is None else tuple(classes)


def _split_rows(splits: ArrayLike | None, rows: int) -> tuple[tuple[str, ...], Ints]:
    """Names of the splits, sorted, and the split of each row."""
    if splits is None:
        return ("all",), np.zeros(rows, dtype=np.int64)
    given = _array(splits, "splits")
    if given.shape != (rows,):
        raise AttentadError(
            f"{rows} rows of scores need as many splits; their shape is {given.shape}."
        )
    names, split = np.unique(given, return_inverse=True)
    return tuple(map(str, names.tolist())), split.astype(np.int64)


def _shares(confusion: Ints) -> Floats:
    """Share of each row on the diagonal, (K,); NaN for an empty row."""
    return ratio(confusion.diagonal(), confusion.sum(axis=1))
