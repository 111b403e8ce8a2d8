"""Class labels for class-agnostic proposals, from snippet scores or from a video-level score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from attentad.core import AttentadError, Timeline, VideoDetections
from attentad.core.arrays import Floats
from attentad.core.names import check_choice

FUSIONS = ("prod", "sqrt", "none")

# Flanks thinner than this (in cells) are rounding dust, not surroundings.
_DUST_CELLS = 1e-6
# Segments thinner than this (in cells) are points: products with their length would lose digits.
_POINT_CELLS = 1e-200


def label_by_snippets(
    proposals: VideoDetections,
    snippet_scores: ArrayLike,
    timeline: Timeline,
    *,
    topk: int = 2,
    fuse: str = "prod",
    contrast: float = 0.0,
) -> VideoDetections:
    """Give each proposal the classes that score best inside it, on average over its snippets.

    Args:
        proposals: class-agnostic; their labels are ignored.
        snippet_scores: (T, K) class scores per snippet; column i is class i. Not negative,
            unless `fuse` is none.
        timeline: of the T snippets. A cell counts with the fraction that the segment covers; a
            segment outside the features, or without length, takes the nearest cell.
        topk: classes per proposal (at most K); on a tie the lower index wins.
        fuse: final score, from proposal score s and class score c: `prod` s·c, `sqrt` √(s·c),
            `none` s.
        contrast: 0 takes the mean inside as c. r > 0 subtracts the mean of the surroundings, r
            times the segment's length on either side as far as there are features (outer-inner
            contrast), and puts negative differences to 0 when fusing.

    Returns:
        topk detections per proposal, best first.

    Raises:
        AttentadError: the scores do not fit the timeline, are negative or not finite, or an
            option is unknown.
    """
    values = np.asarray(snippet_scores, dtype=np.float64)
    if values.ndim != 2 or len(values) != timeline.length or values.shape[1] == 0:
        raise AttentadError(
            f"snippet scores of shape {values.shape} do not fit a timeline of {timeline.length} "
            "steps; give (steps, classes)."
        )
    if not np.isfinite(values).all():
        raise AttentadError("the snippet scores hold NaN or infinite values; extract them anew.")
    _check_sign(values, fuse)
    if contrast < 0:
        raise AttentadError(f"contrast must be 0 or a positive ratio, not {contrast}.")
    start, end = timeline.grid(proposals.segments).T
    sums, covered = _covered_sums(values, start, end)
    nearest = np.clip(np.floor(start), 0, len(values) - 1).astype(np.int64)
    inside = (covered > _POINT_CELLS)[:, None]
    means = np.where(inside, sums / np.where(inside, covered[:, None], 1.0), values[nearest])
    if contrast > 0:
        flank = contrast * (end - start)
        left_sum, left = _covered_sums(values, start - flank, start)
        right_sum, right = _covered_sums(values, end, end + flank)
        around = left + right
        seen = around > _DUST_CELLS
        outside = (left_sum + right_sum) / np.where(seen, around, 1.0)[:, None]
        means = means - np.where(seen[:, None], outside, 0.0)
    return _labelled(proposals, means, topk, fuse)


def label_by_video(
    proposals: VideoDetections, class_scores: ArrayLike, *, topk: int = 2, fuse: str = "prod"
) -> VideoDetections:
    """Give every proposal of a video the classes that the whole video scores best in.

    Args:
        proposals: class-agnostic; their labels are ignored.
        class_scores: (K,) scores of the video, such as UntrimmedNet's or CUHK's. Not negative,
            unless `fuse` is none.
        topk, fuse: as in `label_by_snippets`.

    Returns:
        topk detections per proposal, best first.

    Raises:
        AttentadError: the scores are negative or no finite vector, or an option is unknown.
    """
    scores = np.asarray(class_scores, dtype=np.float64)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise AttentadError(
            f"video-level class scores must be a vector of finite numbers, not shape "
            f"{scores.shape}."
        )
    _check_sign(scores, fuse)
    return _labelled(proposals, np.tile(scores, (len(proposals), 1)), topk, fuse)


def _check_sign(scores: Floats, fuse: str) -> None:
    if fuse != "none" and scores.size and scores.min() < 0:
        raise AttentadError(
            f"class scores as low as {scores.min():g} cannot be multiplied with proposal scores; "
            "give probabilities (a softmax or sigmoid of them), or fuse none."
        )


def _labelled(
    proposals: VideoDetections, class_scores: Floats, topk: int, fuse: str
) -> VideoDetections:
    """The best `topk` columns of (N, K) for each of N proposals, fused and sorted by score."""
    check_choice(fuse, FUSIONS, "way to fuse scores")
    if topk < 1:
        raise AttentadError(f"topk must be at least 1, not {topk}.")
    best = np.argsort(-class_scores, axis=1, kind="stable")[:, :topk]
    given = np.maximum(np.take_along_axis(class_scores, best, axis=1), 0.0)
    scores = np.repeat(proposals.scores[:, None], best.shape[1], axis=1)
    if fuse != "none":
        scores = scores * given
    if fuse == "sqrt":
        scores = np.sqrt(scores)
    order = np.argsort(-scores.ravel(), kind="stable")
    segments = np.repeat(proposals.segments, best.shape[1], axis=0)
    return VideoDetections(
        segments[order], scores.ravel()[order], best.ravel()[order].astype(np.int64)
    )


def _covered_sums(values: Floats, start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """Integrals (N, K) of the piecewise constant (T, K) `values` over [start, end) in grid
    coordinates, and how many cells that covers, (N,); both 0 outside 0..T.
    """
    length = len(values)
    start, end = np.clip(start, 0, length), np.clip(end, 0, length)
    first = np.clip(np.floor(start), 0, length - 1).astype(np.int64)
    last = np.clip(np.ceil(end) - 1, 0, length - 1).astype(np.int64)
    sums_before = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    # Ends are added by hand: differences of cumulative sums alone lose a thin segment's value.
    several = last > first
    head = np.where(several, first + 1 - start, np.maximum(end - start, 0.0))
    tail = np.where(several, end - last, 0.0)
    whole = sums_before[last] - sums_before[np.minimum(first + 1, last)]
    sums = head[:, None] * values[first] + tail[:, None] * values[last] + whole
    return sums, np.maximum(end - start, 0.0)
