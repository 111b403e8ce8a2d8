"""Soft and hard NMS as most published Python code has them: one class, a numpy loop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attentad.core import Segments, VideoDetections
from attentad.core.detections import concatenate

Array = NDArray[np.float64]


def numpy_soft_nms(
    segments: Segments, scores: Array, sigma: float
) -> tuple[NDArray[np.int64], Array]:
    """All in the order taken, and their decayed scores: each step on those that are left."""
    start, end, current = segments[:, 0], segments[:, 1], scores.copy()
    left = np.ones(len(scores), dtype=bool)
    taken: list[int] = []
    while left.any():
        rows = np.flatnonzero(left)
        best = rows[np.argmax(current[rows])]
        taken.append(int(best))
        left[best] = False
        inter = np.minimum(end[left], end[best]) - np.maximum(start[left], start[best])
        inter = np.maximum(inter, 0.0)
        union = (end[left] - start[left]) + (end[best] - start[best]) - inter
        current[left] *= np.exp(-((inter / union) ** 2) / sigma)
    return np.array(taken, dtype=np.int64), current[taken]


def numpy_nms(segments: Segments, scores: Array, tiou_threshold: float) -> NDArray[np.int64]:
    """What is kept, best first: each step keeps the first that is left and drops its like."""
    start, end = segments[:, 0], segments[:, 1]
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        inter = np.minimum(end[order], end[best]) - np.maximum(start[order], start[best])
        inter = np.maximum(inter, 0.0)
        union = (end[order] - start[order]) + (end[best] - start[best]) - inter
        order = order[inter / union <= tiou_threshold]
    return np.array(kept, dtype=np.int64)


def numpy_suppress(detections: VideoDetections, sigma: float) -> VideoDetections:
    """Gaussian Soft-NMS within each class, one after the other, best first in the result."""
    parts = []
    for label in np.unique(detections.labels):
        part = detections[detections.labels == label]
        taken, decayed = numpy_soft_nms(part.segments, part.scores, sigma)
        parts.append(VideoDetections(part.segments[taken], decayed, part.labels[taken]))
    joined = concatenate(parts)
    return joined[np.argsort(-joined.scores, kind="stable")]
