"""Suppression of the detections of one video: any method, windows merged, box voting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from attentad.core import AttentadError, Segments, VideoDetections, tiou
from attentad.core.arrays import Floats
from attentad.core.detections import concatenate
from attentad.core.names import check_choice
from attentad.suppression.nms import limited, nms
from attentad.suppression.soft import SOFT_RULES, soft_nms

METHODS: Final = (*SOFT_RULES, "hard", "none")
# Pairs of segments compared at a time: bounds the memory, not the result.
_PAIRS = 2_000_000


def suppress(
    detections: VideoDetections,
    *,
    method: str = "gauss",
    per_class: bool = True,
    tiou_threshold: float = 0.5,
    ties: str = "first",
    plus_one: bool = False,
    max_length_sec: float | None = None,
    score_floor: float = 0.0,
    keep: int | None = None,
    keep_total: int | None = None,
    voting_tiou: float | None = None,
    sigma: float = 0.5,
    t1: float = 0.5,
    t2: float = 0.9,
    duration_sec: float | None = None,
    negative: str = "error",
    legacy_drop_last: bool = False,
) -> VideoDetections:
    """Suppress the detections of one video, best first in the result.

    Args:
        detections: of one video, or of one window of it.
        method: `gauss`, `adaptive` and `linear` are the rules of `soft_nms`; `hard` is `nms`;
            `none` only sorts and cuts.
        per_class: classes do not suppress one another. Proposals (label −1) are one class.
        tiou_threshold: of `hard` and `linear`.
        ties: of `hard`, see `nms`.
        plus_one: see `soft_nms`; not of `none`.
        max_length_sec: segments at least this long are left out first (G-TAD: 300 frames).
        score_floor: detections whose score ends below it are left out.
        keep: at most so many per class, or in all when not `per_class`.
        keep_total: at most so many in all.
        voting_tiou: box voting (spec csa §6; ActionFormer, OpenTAD: .95): each segment kept
            becomes the mean, weighted by score, of all that competed with it and have at least
            this tIoU with it, itself included. None for none.
        sigma: this and all that follow: see `soft_nms`; the other methods do not use them.
        t1, t2, duration_sec: of `adaptive`.
        negative: `keep` also keeps what the other methods find below a `score_floor` of 0.
        legacy_drop_last: of the Soft-NMS rules.

    Raises:
        AttentadError: as `nms` and `soft_nms`, and for an unknown method.
    """
    check_choice(method, METHODS, "suppression method")
    if voting_tiou is not None and not 0 < voting_tiou <= 1:
        raise AttentadError(f"voting_tiou must lie above 0 and up to 1, not {voting_tiou}.")
    if max_length_sec is not None:
        lengths = detections.segments[:, 1] - detections.segments[:, 0]
        detections = detections[lengths < max_length_sec]
    groups = [detections]
    if per_class:
        groups = [detections[detections.labels == k] for k in np.unique(detections.labels)]
    parts = []
    for part in groups:
        segments, scores = part.segments, part.scores
        if method in SOFT_RULES:
            rows, scores = soft_nms(
                segments,
                scores,
                sigma=sigma,
                method=method,
                t1=t1,
                t2=t2,
                duration_sec=duration_sec,
                tiou_threshold=tiou_threshold,
                plus_one=plus_one,
                score_floor=score_floor,
                negative=negative,
                legacy_drop_last=legacy_drop_last,
                keep=keep,
            )
            kept = VideoDetections(segments[rows], scores, part.labels[rows])
        else:
            if method == "hard":
                rows = nms(
                    segments, scores, tiou_threshold, keep=keep, ties=ties, plus_one=plus_one
                )
            else:
                rows = np.argsort(-scores, kind="stable")[: limited(keep, len(part))]
            kept = part[rows]
            if score_floor > 0 or negative != "keep":
                kept = kept[kept.scores >= score_floor]
        if voting_tiou is not None:
            voted = vote_segments(kept.segments, part.segments, part.scores, voting_tiou)
            kept = VideoDetections(voted, kept.scores, kept.labels)
        parts.append(kept)
    joined = concatenate(parts)
    order = np.argsort(-joined.scores, kind="stable")
    return joined[order[: limited(keep_total, len(order))]]


def merge_windows(
    windows: Sequence[VideoDetections], *, how: str = "per_window", **options: Any
) -> VideoDetections:
    """The detections of a video from those of its overlapping windows, suppressed and sorted.

    Args:
        windows: one entry per window, in seconds of the video (not of the window).
        how: `per_window` suppresses each window, then the union of what is left, whose scores
            have already decayed (G-TAD on THUMOS14); `global` suppresses the union only.
        options: see `suppress`; the same in both passes, box voting included. Without a `method`
            nothing is suppressed: the windows are joined and sorted.

    Raises:
        AttentadError: `how` is unknown, or as `suppress`.
    """
    if how not in ("per_window", "global"):
        raise AttentadError(f"windows are merged per_window or global, not {how!r}.")
    options.setdefault("method", "none")
    if how == "per_window":
        windows = [suppress(window, **options) for window in windows]
    return suppress(concatenate(windows), **options)


def vote_segments(
    kept: Segments, segments: Segments, scores: Floats, tiou_threshold: float
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
