"""Temporal action segmentation, a label for every frame: accuracy, edit score, segmental F1.

Accuracy of frames (MoF), the segmental edit score (Lea et al., ICRA 2016) and the segmental F1 at
overlaps of 10, 25 and 50 % (Lea et al., "Temporal Convolutional Networks for Action Segmentation
and Detection", CVPR 2017), as MS-TCN (Abu Farha and Gall, CVPR 2019) evaluates them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attentad.core import AttentadError
from attentad.core.arrays import Floats, Ints
from attentad.core.names import check_choice
from attentad.core.wording import first_few, number_of
from attentad.metrics.segmental import counts_of_runs, edit_of_runs, f1_score, label_runs
from attentad.metrics.thresholds import by_threshold, parse_tiou

FRAMEWISE_PROTOCOLS: Mapping[str, str] = {
    "ms-tcn": "accuracy of all frames together; one F1 of the true and false positives and false "
    "negatives of all videos; mean edit score of the videos",
    "ed-tcn": "accuracy, edit score and F1 of each video, and of each the mean",
}

FRAMEWISE_TIOU = (0.1, 0.25, 0.5)

# Predictions at every k-th frame, repeated k times, overhang a video's end by less than k frames.
MOST_SURPLUS_FRAMES = 16


@dataclass(frozen=True)
class FramewiseResult:
    """Scores of V label sequences, by video, and what they come to by the protocol.

    Args:
        protocol: a key of `FRAMEWISE_PROTOCOLS`.
        tiou: the J overlaps of the F1.
        videos: V ids.
        frames: (V,) frames of the truth.
        correct: (V,) those whose label is predicted.
        foreground: (V,) frames of the truth that are not background.
        foreground_correct: (V,) those whose label is predicted.
        edit_scores: (V,) in 0..1.
        true_positives: (V, J) predicted segments that find one of the truth.
        false_positives: (V, J) the others.
        false_negatives: (V, J) segments of the truth that none finds.
        ground_truth: counts, the labels that are background.
        detections: counts; `undetected_videos` and `videos_outside_ground_truth`, those of only one
            side, which are left out; `unknown_labels`, predicted and never true, with their
            frames; `surplus_frames`, video → frames predicted beyond its end.
    """

    protocol: str
    tiou: tuple[float, ...]
    videos: tuple[str, ...]
    frames: Ints
    correct: Ints
    foreground: Ints
    foreground_correct: Ints
    edit_scores: Floats
    true_positives: Ints
    false_positives: Ints
    false_negatives: Ints
    ground_truth: Mapping[str, Any]
    detections: Mapping[str, Any]

    @property
    def accuracy(self) -> float:
        """Share of the frames whose label is right, 0..1 (MoF)."""
        return self._share(self.correct, self.frames)

    @property
    def foreground_accuracy(self) -> float:
        """The same among the frames that are not background in truth; NaN where none is."""
        return self._share(self.foreground_correct, self.foreground)

    @property
    def edit(self) -> float:
        """Mean edit score of the videos, 0..1."""
        return float(self.edit_scores.mean())

    @property
    def f1(self) -> Floats:
        """Segmental F1 at each overlap, (J,) in 0..1."""
        counts = self.true_positives, self.false_positives, self.false_negatives
        if self.protocol == "ms-tcn":
            return f1_score(*(count.sum(axis=0) for count in counts))
        return f1_score(*counts).mean(axis=0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, 0..1."""
        by_video = {
            video: {
                "frames": int(self.frames[row]),
                "accuracy": float(self.correct[row] / self.frames[row]),
                "edit": float(self.edit_scores[row]),
                "true_positives": by_threshold(self.tiou, self.true_positives[row]),
                "false_positives": by_threshold(self.tiou, self.false_positives[row]),
                "false_negatives": by_threshold(self.tiou, self.false_negatives[row]),
            }
            for row, video in enumerate(self.videos)
        }
        without = self.foreground_accuracy
        return {
            "protocol": self.protocol,
            "tiou": list(self.tiou),
            "accuracy": self.accuracy,
            "accuracy_without_background": None if np.isnan(without) else without,
            "edit": self.edit,
            "F1": by_threshold(self.tiou, self.f1),
            "videos": by_video,
            "ground_truth": dict(self.ground_truth),
            "detections": dict(self.detections),
        }

    def _share(self, part: Ints, whole: Ints) -> float:
        if not whole.sum():
            return float("nan")
        if self.protocol == "ms-tcn":
            return float(part.sum() / whole.sum())
        # A video without such a frame says nothing.
        return float((part[whole > 0] / whole[whole > 0]).mean())


def framewise_scores(
    truth: Mapping[str, ArrayLike],
    predicted: Mapping[str, ArrayLike],
    *,
    classes: Sequence[str],
    background: Collection[int] = (),
    tiou: str | Sequence[float] = FRAMEWISE_TIOU,
    protocol: str = "ms-tcn",
    strict: bool = False,
) -> FramewiseResult:
    """Accuracy, edit score and segmental F1 of predicted label sequences.

    The videos that both sides have are scored; the others are left out and named. A prediction
    may overhang the end of its video by up to `MOST_SURPLUS_FRAMES` frames, as those of every
    k-th frame do: these frames belong to segments, but have no part in accuracy, as in MS-TCN's
    evaluation.

    Args:
        truth: video → (T,) class index of each frame.
        predicted: video → (T',) class index of each frame, T ≤ T' ≤ T + `MOST_SURPLUS_FRAMES`.
        classes: the names that indices count.
        background: class indices of frames in which nothing happens: edit score and F1 ignore
            their segments, in truth and in prediction.
        tiou: overlaps of the F1, as `parse_tiou`.
        protocol: a key of `FRAMEWISE_PROTOCOLS`.
        strict: make it an error when only one side has a video, or a predicted label is never true.

    Raises:
        AttentadError: the sides share no video, a video has no frame or other lengths than these,
            an index is no class, an option is out of range, or `strict` finds something.
    """
    check_choice(protocol, FRAMEWISE_PROTOCOLS, "frame-wise protocol")
    overlaps = parse_tiou(tiou)
    if not all(0 <= index < len(classes) for index in background):
        raise AttentadError(f"background {sorted(background)} is not among {len(classes)} classes.")
    shared, facts = _shared_videos(truth, predicted, strict)
    sequences = {
        video: (
            _indices(truth[video], classes, f"the truth of video {video}"),
            _indices(predicted[video], classes, f"the prediction of video {video}"),
        )
        for video in shared
    }
    surplus = {video: _surplus(video, *pair) for video, pair in sequences.items()}
    marks = np.array(sorted(set(background)), dtype=np.int64)
    rows = [_video_scores(*pair, overlaps, marks) for pair in sequences.values()]
    occurring = _frames_by_label([pair[0] for pair in sequences.values()], classes)
    predicted_frames = _frames_by_label([pair[1] for pair in sequences.values()], classes)
    known = {*occurring, *(classes[index] for index in marks.tolist())}
    unknown = {name: count for name, count in predicted_frames.items() if name not in known}
    if strict and unknown:
        raise AttentadError(
            f"the truth never has the predicted label {next(iter(unknown))!r}; correct the labels, "
            "or do without strict."
        )
    result = _result(protocol, overlaps, shared, rows)
    hits = int(result.true_positives[:, 0].sum())
    return replace(
        result,
        ground_truth={
            "videos": len(shared),
            "frames": int(result.frames.sum()),
            "segments": hits + int(result.false_negatives[:, 0].sum()),
            "labels": occurring,
            "background": [classes[row] for row in marks.tolist() if classes[row] in occurring],
        },
        detections={
            **facts,
            "segments": hits + int(result.false_positives[:, 0].sum()),
            "unknown_labels": unknown,
            "surplus_frames": {video: count for video, count in surplus.items() if count},
        },
    )


class _VideoScores(NamedTuple):
    """Of one video: its counts of frames (frames, correct, foreground, correct foreground), its
    edit score, and (J, 3) counts of segments."""

    frames: tuple[int, int, int, int]
    edit: float
    counts: Ints


def _video_scores(
    truth: Ints, predicted: Ints, tiou: Sequence[float], background: Ints
) -> _VideoScores:
    right = truth == predicted[: len(truth)]
    foreground = ~np.isin(truth, background)
    frames = (len(truth), right.sum(), foreground.sum(), (right & foreground).sum())
    true_runs, runs = label_runs(truth, background), label_runs(predicted, background)
    return _VideoScores(
        frames, edit_of_runs(true_runs, runs), counts_of_runs(true_runs, runs, tiou)
    )


def _result(
    protocol: str, tiou: tuple[float, ...], videos: Sequence[str], rows: Sequence[_VideoScores]
) -> FramewiseResult:
    """The scores of the videos side by side, without facts."""
    frames, correct, foreground, foreground_correct = np.array([row.frames for row in rows]).T
    hits, false, missed = np.moveaxis(np.array([row.counts for row in rows]), 2, 0)
    return FramewiseResult(
        protocol=protocol,
        tiou=tiou,
        videos=tuple(videos),
        frames=frames,
        correct=correct,
        foreground=foreground,
        foreground_correct=foreground_correct,
        edit_scores=np.array([row.edit for row in rows]),
        true_positives=hits,
        false_positives=false,
        false_negatives=missed,
        ground_truth={},
        detections={},
    )


def _frames_by_label(sequences: Sequence[Ints], classes: Sequence[str]) -> dict[str, int]:
    """Label → its frames, for those that occur, in the order of the classes."""
    counts = np.bincount(np.concatenate(sequences), minlength=len(classes)).tolist()
    return {name: count for name, count in zip(classes, counts, strict=True) if count}


def _shared_videos(
    truth: Mapping[str, ArrayLike], predicted: Mapping[str, ArrayLike], strict: bool
) -> tuple[list[str], dict[str, Any]]:
    """The videos of both sides, and the others named."""
    shared = [video for video in truth if video in predicted]
    if not shared:
        raise AttentadError(
            f"none of the predicted videos ({first_few(predicted)}) is among those with a truth "
            f"({first_few(truth)}); give both sides the same names."
        )
    missing = [video for video in truth if video not in predicted]
    outside = [video for video in predicted if video not in truth]
    if strict and (missing or outside):
        raise AttentadError(
            f"{number_of(missing, 'video')} of the truth lack a prediction, and "
            f"{number_of(outside, 'predicted video')} a truth: {first_few([*missing, *outside])}; "
            "give both sides the same videos, or do without strict."
        )
    facts = {
        "videos": len(predicted),
        "undetected_videos": missing,
        "videos_outside_ground_truth": outside,
    }
    return shared, facts


def _indices(labels: ArrayLike, classes: Sequence[str], where: str) -> Ints:
    values: NDArray = np.asarray(labels)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu":
        raise AttentadError(
            f"{where} must be a class index a frame, (T,), not {values.dtype} of {values.shape}."
        )
    if values.min() < 0 or values.max() >= len(classes):
        raise AttentadError(
            f"{where} holds an index from {values.min()} to {values.max()}, but the {len(classes)} "
            "classes count from 0."
        )
    return values.astype(np.int64)


def _surplus(video: str, truth: Ints, predicted: Ints) -> int:
    more = len(predicted) - len(truth)
    if not 0 <= more <= MOST_SURPLUS_FRAMES:
        raise AttentadError(
            f"video {video} has {number_of(truth, 'frame')} in truth and {len(predicted)} in the "
            "prediction; predict a label for each frame, at the same frames per second."
        )
    return more
