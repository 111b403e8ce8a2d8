"""Suppression of the detections of one video: any method, windows merged, box voting."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from attentad.core import AttentadError, Segments, VideoDetections, tiou
from attentad.core.arrays import Floats, Ints
from attentad.core.detections import concatenate
from attentad.core.names import check_choice
from attentad.suppression.nms import check_keep, limited, nms
from attentad.suppression.soft import SOFT_RULES, soft_nms

METHODS: Final = (*SOFT_RULES, "hard", "none")
VOTING_WEIGHTS: Final = ("score", "score_tiou")
# Pairs of segments compared at a time: bounds the memory, not the result.
_PAIRS = 2_000_000


def suppress(detections: VideoDetections, **options: Any) -> VideoDetections:
    """Suppress the detections of one video, or of one window of it, best first in the result.

    Args:
        detections: of all classes; those of one class count as one call of the method.
        options: see `suppress_each`.

    Raises:
        AttentadError: as `suppress_each`.
    """
    return suppress_each([detections], **options)[0]


def suppress_each(
    videos: Sequence[VideoDetections],
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
    voting_weight: str = "score",
    sigma: float = 0.5,
    t1: float = 0.5,
    t2: float = 0.9,
    duration_sec: float | None = None,
    negative: str = "error",
    legacy_drop_last: bool = False,
) -> list[VideoDetections]:
    """Suppress each of several videos, or windows, by itself: one pass over all their classes.

    Args:
        videos: detections of each; the results come in their order, best first in each.
        method: `gauss`, `adaptive` and `linear` are the rules of `soft_nms`; `hard` is `nms`;
            `none` only sorts and cuts.
        per_class: classes do not suppress one another. Proposals (label −1) are one class.
        tiou_threshold: of `hard` and `linear`.
        ties: of `hard`, see `nms`.
        plus_one: see `soft_nms`; not of `none`.
        max_length_sec: segments at least this long are left out first (G-TAD: 300 frames).
        score_floor: detections whose score ends below it are left out.
        keep: at most so many per class, or per video when not `per_class`.
        keep_total: at most so many per video.
        voting_tiou: box voting (spec csa §6; ActionFormer, OpenTAD: .95): each segment kept
            becomes the weighted mean of all that competed with it and have at least this tIoU
            with it, itself included. None for none.
        voting_weight: of `voting_tiou`, see `vote_segments`.
        sigma: this and all that follow: see `soft_nms`; the other methods do not use them.
        t1, t2, duration_sec: of `adaptive`; the videos are equally long there.
        negative: `keep` also keeps what the other methods find below a `score_floor` of 0.
        legacy_drop_last: of the Soft-NMS rules.

    Raises:
        AttentadError: as `nms` and `soft_nms`, and for an unknown method or weight.
    """
    check_choice(method, METHODS, "suppression method")
    check_choice(voting_weight, VOTING_WEIGHTS, "weight of votes")
    if voting_tiou is not None and not 0 < voting_tiou <= 1:
        raise AttentadError(f"voting_tiou must lie above 0 and up to 1, not {voting_tiou}.")
    check_keep(keep)
    check_keep(keep_total)
    video, items = np.repeat(np.arange(len(videos)), [len(v) for v in videos]), concatenate(videos)
    if max_length_sec is not None:
        short = items.segments[:, 1] - items.segments[:, 0] < max_length_sec
        video, items = video[short], items[short]
    groups = _groups(video, items.labels) if per_class else video
    if method in SOFT_RULES:
        rows, scores = soft_nms(
            items.segments,
            items.scores,
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
            groups=groups,
        )
    else:
        if method == "hard":
            rows = nms(
                items.segments,
                items.scores,
                tiou_threshold,
                keep=keep,
                ties=ties,
                plus_one=plus_one,
                groups=groups,
            )
        else:
            rows = _best(items.scores, groups, keep)
        if score_floor > 0 or negative != "keep":
            rows = rows[items.scores[rows] >= score_floor]
        scores = items.scores[rows]
    segments = items.segments[rows]
    if voting_tiou is not None:
        segments = _voted(segments, groups[rows], items, groups, voting_tiou, voting_weight)
    order = _best(scores, video[rows], keep_total)
    rows = rows[order]
    kept = VideoDetections(segments[order], scores[order], items.labels[rows])
    bounds = np.searchsorted(video[rows], np.arange(len(videos) + 1)).tolist()
    return [kept[a:b] for a, b in pairwise(bounds)]


def _groups(video: Ints, labels: Ints) -> Ints:
    """One number for each class of each video, ascending by video, then class."""
    if not len(labels):
        return labels
    lowest = int(labels.min())
    return video * (int(labels.max()) - lowest + 1) + labels - lowest


def _best(scores: Floats, groups: Ints, keep: int | None) -> Ints:
    """Rows best first, at most `keep` of each group, group by group."""
    order = np.argsort(-scores, kind="stable")
    order = order[np.argsort(groups[order], kind="stable")]
    ordered = groups[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return order[rank < limited(keep, len(order))]


def _voted(
    kept: Segments,
    kept_groups: Ints,
    items: VideoDetections,
    groups: Ints,
    tiou_threshold: float,
    weight: str,
) -> Segments:
    """Each group's kept segments by the votes of all of its candidates."""
    voted = kept.copy()
    for group in np.unique(kept_groups):
        rows, candidates = kept_groups == group, items[groups == group]
        voted[rows] = vote_segments(
            kept[rows], candidates.segments, candidates.scores, tiou_threshold, weight
        )
    return voted


def merge_windows(
    windows: Sequence[VideoDetections], *, how: str = "per_window", **options: Any
) -> VideoDetections:
    """The detections of a video from those of its overlapping windows, suppressed and sorted.

    Args:
        windows: one entry per window, in seconds of the video (not of the window).
        how: `per_window` suppresses each window, then the union of what is left, whose scores
            have already decayed (G-TAD on THUMOS14); `global` suppresses the union only.
        options: see `suppress_each`; the same in both passes, box voting included. Without a
            `method` nothing is suppressed: the windows are joined and sorted.

    Raises:
        AttentadError: `how` is unknown, or as `suppress_each`.
    """
    if how not in ("per_window", "global"):
        raise AttentadError(f"windows are merged per_window or global, not {how!r}.")
    options.setdefault("method", "none")
    if how == "per_window":
        windows = suppress_each(windows, **options)
    return suppress(concatenate(windows), **options)


def vote_segments(
    kept: Segments,
    segments: Segments,
    scores: Floats,
    tiou_threshold: float,
    weight: str = "score",
) -> Segments:
    """Each of `kept` as the weighted mean of the segments that nearly equal it.

    Args:
        kept: (M, 2) seconds.
        segments: (N, 2) seconds, the candidates that vote.
        scores: (N,); candidates of negative score do not vote.
        tiou_threshold: candidates with at least this tIoU vote.
        weight: of a vote, `score` (TriDet, OpenTAD) or `score_tiou`, score times tIoU
            (ActionFormer's `seg_voting`; spec actionformer §6).

    Returns:
        (M, 2); where no weight is cast, the segment stays as it is.
    """
    weights = np.maximum(scores, 0.0)
    voted = kept.copy()
    step = max(1, _PAIRS // max(1, len(segments)))
    for first in range(0, len(kept), step):
        rows = slice(first, first + step)
        overlap = tiou(kept[rows], segments)
        ballots = weights * overlap if weight == "score_tiou" else weights
        ballots = np.where(overlap >= tiou_threshold, ballots, 0.0)
        total = ballots.sum(axis=1, keepdims=True)
        np.divide(ballots @ segments, total, out=voted[rows], where=total > 0)
    return voted
