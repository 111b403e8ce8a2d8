"""Non-maximum suppression of temporal segments: hard, and Soft-NMS with its rules as options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attentad.core import AttentadError, Segments, VideoDetections, as_segments, no_detections

SOFT_RULES: Final = ("gauss", "adaptive")
METHODS: Final = (*SOFT_RULES, "hard", "none")
TIES: Final = ("first", "last")

# Stands for log 0: finite, so that a zero score stays ahead of the segments already taken (-inf),
# and so large that no decay changes it.
_LOG_ZERO = -1e300
# Keeps the union of two points from being zero; vanishes beside any real length.
_TINY_SEC = 1e-300


class SuppressionOptions(TypedDict, total=False):
    """The keyword arguments of `suppress`, for callers that pass them through."""

    method: str
    per_class: bool
    tiou_threshold: float
    ties: str
    sigma: float
    t1: float
    t2: float
    duration_sec: float | None
    score_floor: float
    keep: int | None
    keep_total: int | None


def nms(
    segments: ArrayLike,
    scores: ArrayLike,
    tiou_threshold: float,
    *,
    keep: int | None = None,
    ties: str = "first",
) -> NDArray[np.int64]:
    """Hard NMS: a segment goes when its tIoU with a kept, better one exceeds the threshold.

    Args:
        segments: (N, 2) seconds.
        scores: (N,).
        tiou_threshold: 0..1.
        keep: at most so many; None for all.
        ties: which of equal scores is the better one: the `first` in order, or the `last` (what
            an ascending sort read from its end gives, as in S-CNN's toolkit).

    Returns:
        Indices of the kept segments, best first.

    Raises:
        AttentadError: a score or a time is not finite, the threshold is outside 0..1, or `ties`
            is unknown.
    """
    if not 0 <= tiou_threshold <= 1:
        raise AttentadError(f"tiou_threshold must lie in 0..1, not {tiou_threshold}.")
    rows, values = _checked(segments, scores)
    order = _descending(values, ties)
    start, end = rows[order, 0], rows[order, 1]
    length = np.maximum(end - start, _TINY_SEC)
    kept: list[int] = []
    limit = _limit(keep, len(order))
    while len(order) and len(kept) < limit:
        kept.append(int(order[0]))
        inter = np.maximum(np.minimum(end, end[0]) - np.maximum(start, start[0]), 0.0)
        stays = inter / (length + length[0] - inter) <= tiou_threshold
        stays[0] = False
        order, start, end, length = order[stays], start[stays], end[stays], length[stays]
    return np.array(kept, dtype=np.int64)


def soft_nms(
    segments: ArrayLike,
    scores: ArrayLike,
    *,
    sigma: float = 0.5,
    method: str = "gauss",
    t1: float = 0.5,
    t2: float = 0.9,
    duration_sec: float | None = None,
    score_floor: float = 0.0,
    keep: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Soft-NMS (Bodla et al. 2017) with Gaussian decay: overlap lowers a score instead of removing.

    The best remaining segment is taken, again and again; each other one whose tIoU with it
    exceeds the rule's threshold has its score multiplied by exp(−tIoU²/sigma).

    Args:
        segments: (N, 2) seconds.
        scores: (N,) not negative. On a tie the first in order is taken.
        sigma: width of the decay, > 0; larger is milder.
        method: `gauss` decays at any overlap. `adaptive` (BSN, BMN) decays above
            t1 + (t2 − t1)·w, w the length of the taken segment as a fraction of `duration_sec`.
        t1: threshold of `adaptive` for the shortest segments.
        t2: threshold of `adaptive` for a segment as long as the video.
        duration_sec: length of the video, needed by `adaptive`.
        score_floor: stop as soon as the best remaining score is lower.
        keep: at most so many; None for all.

    Returns:
        Indices in the order taken and their decayed scores, both (M,), best first.

    Raises:
        AttentadError: an option is unknown or out of range, a score is negative or not finite.
    """
    if method not in SOFT_RULES:
        raise AttentadError(f"Soft-NMS has no rule {method!r}; choose {' or '.join(SOFT_RULES)}.")
    if not sigma > 0:
        raise AttentadError(f"the sigma of Soft-NMS must be positive, not {sigma}.")
    adaptive = method == "adaptive"
    if adaptive and not (duration_sec is not None and duration_sec > 0):
        raise AttentadError(
            f"Soft-NMS with the rule adaptive needs the video's duration, not {duration_sec}."
        )
    rows, values = _checked(segments, scores)
    if values.size and values.min() < 0:
        raise AttentadError(
            f"Soft-NMS needs scores that are not negative, not {values.min():g}; give "
            "probabilities, not logits."
        )
    # The decays are products of exponentials, so they are sums here: key = sigma·log(score), and
    # a neighbour costs tIoU². No exponential in the loop, and no underflow.
    initial = _log(values) * sigma
    floor_key = float(_log(np.array([score_floor]))[0] * sigma) if score_floor > 0 else -np.inf
    key = initial.copy()
    start, end = rows[:, 0].copy(), rows[:, 1].copy()
    length = np.maximum(end - start, _TINY_SEC)
    index = np.arange(len(key))
    limit = _limit(keep, len(key))
    taken = np.empty(limit, dtype=np.int64)
    taken_key = np.empty(limit)
    left, count = len(key), 0
    overlap, work = np.empty(left), np.empty(left)
    while count < limit:
        best = int(key.argmax())
        if key[best] < floor_key:
            break
        taken[count], taken_key[count] = index[best], key[best]
        count += 1
        key[best] = -np.inf
        np.minimum(end, end[best], out=overlap)
        np.maximum(start, start[best], out=work)
        np.subtract(overlap, work, out=overlap)
        np.maximum(overlap, 0.0, out=overlap)
        np.add(length, length[best], out=work)
        np.subtract(work, overlap, out=work)
        np.divide(overlap, work, out=overlap)
        if adaptive and duration_sec is not None:
            threshold = t1 + (t2 - t1) * (end[best] - start[best]) / duration_sec
            np.multiply(overlap, overlap > threshold, out=overlap)
        np.multiply(overlap, overlap, out=overlap)
        np.subtract(key, overlap, out=key)
        left -= 1
        if left < 0.9 * len(key) and left > 64:
            alive = key > -np.inf
            key, start, end = key[alive], start[alive], end[alive]
            length, index = length[alive], index[alive]
            overlap, work = np.empty(left), np.empty(left)
    taken = taken[:count]
    decay = np.exp((taken_key[:count] - initial[taken]) / sigma)
    return taken, values[taken] * decay


def suppress(
    detections: VideoDetections,
    *,
    method: str = "gauss",
    per_class: bool = True,
    tiou_threshold: float = 0.5,
    ties: str = "first",
    sigma: float = 0.5,
    t1: float = 0.5,
    t2: float = 0.9,
    duration_sec: float | None = None,
    score_floor: float = 0.0,
    keep: int | None = None,
    keep_total: int | None = None,
) -> VideoDetections:
    """Suppress the detections of one video, best first in the result.

    Args:
        detections: of one video, or of one window of it.
        method: `gauss` and `adaptive` are the rules of `soft_nms`; `hard` is `nms`; `none` only
            sorts and cuts.
        per_class: classes do not suppress one another. Proposals (label −1) are one class.
        tiou_threshold: of `hard`.
        ties: of `hard`, see `nms`.
        sigma: of Soft-NMS, as are `t1`, `t2` and `duration_sec`.
        t1: see `soft_nms`.
        t2: see `soft_nms`.
        duration_sec: see `soft_nms`.
        score_floor: detections whose score ends below it are left out.
        keep: at most so many per class, or in all when not `per_class`.
        keep_total: at most so many in all.

    Raises:
        AttentadError: as `nms` and `soft_nms`, and for an unknown method.
    """
    if method not in METHODS:
        raise AttentadError(
            f"there is no suppression method {method!r}; choose one of {', '.join(METHODS)}."
        )
    labels = detections.labels
    groups = (
        [np.flatnonzero(labels == label) for label in np.unique(labels)]
        if per_class
        else [np.arange(len(labels))]
    )
    parts = []
    for rows in groups:
        part = detections[rows]
        if method in SOFT_RULES:
            indices, scores = soft_nms(
                part.segments,
                part.scores,
                sigma=sigma,
                method=method,
                t1=t1,
                t2=t2,
                duration_sec=duration_sec,
                score_floor=score_floor,
                keep=keep,
            )
            part = VideoDetections(part.segments[indices], scores, part.labels[indices])
        else:
            if method == "hard":
                kept = nms(part.segments, part.scores, tiou_threshold, keep=keep, ties=ties)
                part = part[kept]
            else:
                best = np.argsort(-part.scores, kind="stable")
                part = part[best[: _limit(keep, len(best))]]
            part = part[part.scores >= score_floor]
        parts.append(part)
    joined = concatenate(parts)
    order = np.argsort(-joined.scores, kind="stable")
    return joined[order[: _limit(keep_total, len(order))]]


def concatenate(parts: Sequence[VideoDetections]) -> VideoDetections:
    """One set of detections after the other; none at all gives an empty set."""
    if not parts:
        return no_detections()
    return VideoDetections(
        np.concatenate([part.segments for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def _limit(keep: int | None, count: int) -> int:
    if keep is None:
        return count
    if keep < 0:
        raise AttentadError(f"the number of segments to keep must not be negative, as {keep} is.")
    return min(keep, count)


def _descending(scores: NDArray[np.float64], ties: str) -> NDArray[np.int64]:
    """Order of falling score; the first or the last of equal ones leads."""
    if ties not in TIES:
        raise AttentadError(f"ties go to the {' or the '.join(TIES)}, not {ties!r}.")
    if ties == "last":
        return np.argsort(scores, kind="stable")[::-1]
    return np.argsort(-scores, kind="stable")


def _log(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    positive = scores > 0
    return np.where(positive, np.log(np.where(positive, scores, 1.0)), _LOG_ZERO)


def _checked(segments: ArrayLike, scores: ArrayLike) -> tuple[Segments, NDArray[np.float64]]:
    rows, values = as_segments(segments), np.asarray(scores, dtype=np.float64)
    if values.shape != (len(rows),):
        raise ValueError(f"{len(rows)} segments have scores of shape {values.shape}")
    if not (np.isfinite(values).all() and np.isfinite(rows).all()):
        raise AttentadError("suppression needs finite times and scores; one is NaN or infinite.")
    return rows, values
