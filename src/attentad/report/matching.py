"""Which detections find which true instances, for the page's marks and its first threshold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from attentad.core import Segments, VideoDetections, tiou
from attentad.core.arrays import Bools, Floats, Ints

MATCH_TIOU = 0.5
READABLE = 400
"""Detections of a video that can be told apart on its timeline."""

Match = tuple[Floats, Ints | None]
"""Scores of a video's detections, and what `found_by` says; None without ground truth."""


def same_class_overlap(detections: VideoDetections, segments: Segments, labels: Ints) -> Floats:
    """tIoU of each detection with each true instance of its class, (N, M); 0 across classes.

    A detection without a class (label −1) is compared with every instance.
    """
    alike = (detections.labels[:, None] == labels[None, :]) | (detections.labels[:, None] < 0)
    return np.where(alike, tiou(detections.segments, segments), 0.0)


def found_by(overlap: Floats, scores: Floats) -> Ints:
    """For each true instance the detection that finds it, (M,); −1 for none.

    Detections choose in falling order of score, each the free instance that it overlaps most,
    by at least 0.5. So a detection's match depends on higher scores only, and one matching
    serves every score threshold.
    """
    owner = np.full(overlap.shape[1], -1, dtype=np.int64)
    for row in np.argsort(-scores, kind="stable"):
        free = np.where(owner < 0, overlap[row], 0.0)
        if free.size and free.max() >= MATCH_TIOU:
            owner[int(free.argmax())] = row
    return owner


def best_threshold(scores: Floats, hit: Bools, instances: int) -> float:
    """The score from which on F1 = 2·hits / (detections + instances) is highest.

    Args:
        scores: (N,) of all videos.
        hit: (N,) whether that detection finds an instance.
        instances: number of true instances.

    Returns:
        One of `scores` (of equal F1 the highest), or 0 where there is no detection.
    """
    if not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(hit[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + instances)
    # Equal scores pass the threshold together: only the last of them is a place to stand.
    ranked = scores[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    return float(ranked[int(np.argmax(np.where(last, f1, -1.0)))])


def first_threshold(videos: Iterable[Match]) -> float:
    """Where a detector's score slider begins.

    Args:
        videos: scores (N,) of each video and their matches.

    Returns:
        The threshold of the best F1 over the annotated videos; without any that helps, half of
        the highest score, or, where no score is positive, halfway from the lowest to the highest;
        but so high that no more than 400 detections a video pass, on average.
    """
    videos = list(videos)
    annotated = [(scores, owner) for scores, owner in videos if owner is not None]
    hits = [np.isin(np.arange(len(scores)), owner) for scores, owner in annotated]
    if any(hit.any() for hit in hits):
        scores = np.concatenate([scores for scores, _ in annotated])
        return best_threshold(scores, np.concatenate(hits), sum(len(o) for _, o in annotated))
    every = np.concatenate([np.zeros(0), *(scores for scores, _ in videos)])
    if not len(every):
        return 0.0
    highest = float(every.max())
    middle = highest / 2 if highest > 0 else (highest + float(every.min())) / 2
    readable = READABLE * len(videos)
    return max(middle, float(-np.sort(-every)[readable - 1])) if len(every) > readable else middle
