"""Suppression of the detections of one video: any method, within classes or across, box voting."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError, VideoDetections
from attentad.core.detections import concatenate
from attentad.suppression.nms import limited, nms
from attentad.suppression.soft import SOFT_RULES, soft_nms
from attentad.suppression.voting import vote_segments

METHODS: Final = (*SOFT_RULES, "hard", "none")


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
        t1: of `adaptive`.
        t2: of `adaptive`.
        duration_sec: of `adaptive`.
        negative: `keep` also keeps what the other methods find below a `score_floor` of 0.
        legacy_drop_last: of the Soft-NMS rules.

    Raises:
        AttentadError: as `nms` and `soft_nms`, and for an unknown method.
    """
    if method not in METHODS:
        raise AttentadError(
            f"there is no suppression method {method!r}; choose one of {', '.join(METHODS)}."
        )
    if voting_tiou is not None and not 0 < voting_tiou <= 1:
        raise AttentadError(f"voting_tiou must lie above 0 and up to 1, not {voting_tiou}.")
    if max_length_sec is not None:
        lengths = detections.segments[:, 1] - detections.segments[:, 0]
        detections = detections[lengths < max_length_sec]
    parts = []
    for part in _competing(detections, per_class):
        if method in SOFT_RULES:
            rows, scores = soft_nms(
                part.segments,
                part.scores,
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
            kept = VideoDetections(part.segments[rows], scores, part.labels[rows])
        else:
            kept = part[_best(part, method, tiou_threshold, ties, plus_one, keep)]
            if score_floor > 0 or negative != "keep":
                kept = kept[kept.scores >= score_floor]
        if voting_tiou is not None:
            voted = vote_segments(kept.segments, part.segments, part.scores, voting_tiou)
            kept = VideoDetections(voted, kept.scores, kept.labels)
        parts.append(kept)
    joined = concatenate(parts)
    order = np.argsort(-joined.scores, kind="stable")
    return joined[order[: limited(keep_total, len(order))]]


def _competing(detections: VideoDetections, per_class: bool) -> list[VideoDetections]:
    """The groups within which detections suppress one another."""
    if not per_class:
        return [detections]
    labels = detections.labels
    return [detections[labels == label] for label in np.unique(labels)]


def _best(
    part: VideoDetections,
    method: str,
    tiou_threshold: float,
    ties: str,
    plus_one: bool,
    keep: int | None,
) -> NDArray[np.int64]:
    """Rows kept by the methods that leave scores alone, best first."""
    if method == "hard":
        return nms(
            part.segments, part.scores, tiou_threshold, keep=keep, ties=ties, plus_one=plus_one
        )
    best = np.argsort(-part.scores, kind="stable")
    return best[: limited(keep, len(best))]
