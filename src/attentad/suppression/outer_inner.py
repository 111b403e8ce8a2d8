"""Runs of snippets above a threshold, and their outer-inner scores (HAM-Net; spec hamnet §1.5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from attentad.core import AttentadError
from attentad.core.arrays import Floats, Ints


def runs_above(values: ArrayLike, threshold: float) -> Ints:
    """The maximal runs of snippets whose value exceeds the threshold.

    Args:
        values: (T,), such as HAM-Net's attention.
        threshold: a snippet with exactly this value is in no run.

    Returns:
        (M, 2) first and last snippet of each run, both inside it, in order of time.
    """
    inside = np.zeros(np.size(values) + 2, dtype=np.int8)
    inside[1:-1] = np.asarray(values, dtype=np.float64) > threshold
    change = np.diff(inside)
    return np.stack([np.flatnonzero(change == 1), np.flatnonzero(change == -1) - 1], axis=1)


def outer_inner(
    class_scores: ArrayLike,
    runs: ArrayLike,
    *,
    flank: float = 0.25,
    video_scores: ArrayLike | None = None,
    video_weight: float = 0.2,
) -> Floats:
    """Outer-inner score of every run for every class: how far it stands out from its flanks.

    ψ = mean of the scores inside − mean of those in the two flanks taken together + video_weight ·
    score of the whole video (HAM-Net eq. 16; ζ = .2 in its code). A run [i, j] of n snippets has
    the flanks max(0, ⌊i − flank·n⌋)..i − 1 and j + 1..min(T − 1, ⌊j + flank·n⌋): rounded away
    from the run on the left and towards it on the right, as HAM-Net does, so that a run of one
    snippet has a left flank only. Without any flank their mean is 0.

    Args:
        class_scores: (T, K) per snippet.
        runs: (M, 2) integers, first and last snippet, both inside the run.
        flank: width of each flank as a fraction of the run, at least 0.
        video_scores: (K,) class scores of the video; None adds nothing.
        video_weight: ζ.

    Returns:
        (M, K). May be negative.

    Raises:
        AttentadError: the scores are not (T, K) finite numbers, a run is empty or leaves 0..T − 1,
            `flank` is negative, or `video_scores` is not (K,).
    """
    scores = np.asarray(class_scores, dtype=np.float64)
    if scores.ndim != 2 or not np.isfinite(scores).all():
        raise AttentadError(
            f"outer-inner scores need finite snippet scores (snippets, classes), not shape "
            f"{scores.shape}."
        )
    if not flank >= 0:
        raise AttentadError(f"the flank must not be negative, as {flank} is.")
    first, last = _checked_runs(runs, len(scores))
    size = last - first + 1
    left = np.maximum(0, np.floor(first - flank * size)).astype(np.int64)
    right = np.minimum(len(scores) - 1, np.floor(last + flank * size)).astype(np.int64)
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0)])
    inner = (sums[last + 1] - sums[first]) / size[:, None]
    outer = sums[first] - sums[left] + sums[right + 1] - sums[last + 1]
    result = inner - outer / np.maximum(first - left + right - last, 1)[:, None]
    if video_scores is None:
        return result
    whole = np.asarray(video_scores, dtype=np.float64)
    if whole.shape != scores.shape[1:]:
        raise AttentadError(
            f"the video has scores of shape {whole.shape}, its snippets scores of "
            f"{scores.shape[1]} classes; give one per class."
        )
    return result + video_weight * whole


def _checked_runs(runs: ArrayLike, length: int) -> tuple[Ints, Ints]:
    rows = np.asarray(runs)
    if rows.size == 0:
        rows = np.zeros((0, 2), dtype=np.int64)
    if rows.ndim != 2 or rows.shape[1] != 2 or not np.issubdtype(rows.dtype, np.integer):
        raise AttentadError(
            f"runs are pairs of snippet indices (runs, 2), not {rows.dtype} of shape {rows.shape}."
        )
    first, last = rows.astype(np.int64).T
    wrong = (first < 0) | (last < first) | (last >= length)
    if wrong.any():
        i, j = rows[int(np.argmax(wrong))].tolist()
        raise AttentadError(
            f"the run {i} to {j} is not one of {length} snippets; count from 0, ends included."
        )
    return first, last
