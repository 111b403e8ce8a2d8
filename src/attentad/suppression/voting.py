"""Box voting: segments moved to where their near copies lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attentad.core import Segments, tiou

# Pairs of segments compared at a time: bounds the memory, not the result.
_PAIRS = 2_000_000


def vote_segments(
    kept: Segments, segments: Segments, scores: NDArray[np.float64], tiou_threshold: float
) -> Segments:
    """Each of `kept` as the mean, weighted by score, of the segments that nearly equal it.

    Args:
        kept: (M, 2) seconds.
        segments: (N, 2) seconds, the candidates that vote.
        scores: (N,) their weights; negative ones weigh nothing.
        tiou_threshold: candidates with at least this tIoU vote.

    Returns:
        (M, 2); where no weight is cast, the segment stays as it is.
    """
    weights = np.maximum(scores, 0.0)
    voted = kept.copy()
    step = max(1, _PAIRS // max(1, len(segments)))
    for first in range(0, len(kept), step):
        rows = slice(first, first + step)
        ballots = np.where(tiou(kept[rows], segments) >= tiou_threshold, weights, 0.0)
        total = ballots.sum(axis=1, keepdims=True)
        np.divide(ballots @ segments, total, out=voted[rows], where=total > 0)
    return voted
