"""Soft-NMS of temporal segments: the rules of the field as options."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from attentad.core import AttentadError, Segments
from attentad.core.arrays import Floats, Ints
from attentad.core.names import check_choice
from attentad.suppression.greedy import LOWEST_KEY, Candidates, Rule, take
from attentad.suppression.nms import check_keep, checked, checked_groups

SOFT_RULES: Final = ("gauss", "adaptive", "linear")
NEGATIVE: Final = ("error", "drop", "keep")

# Stands for log 0: finite, so that a zero score stays ahead of the segments already taken (-inf),
# and so large that no decay changes it.
_LOG_ZERO = -1e300
# A fraction this near to a number of so few decimals is that number, but for rounding.
_DECIMALS, _ROUNDING = 12, 1e-15


def soft_nms(
    segments: ArrayLike,
    scores: ArrayLike,
    *,
    sigma: float = 0.5,
    method: str = "gauss",
    t1: float = 0.5,
    t2: float = 0.9,
    duration_sec: float | None = None,
    tiou_threshold: float = 0.5,
    plus_one: bool = False,
    score_floor: float = 0.0,
    negative: str = "error",
    legacy_drop_last: bool = False,
    keep: int | None = None,
    groups: ArrayLike | None = None,
) -> tuple[Ints, Floats]:
    """Soft-NMS (Bodla et al. 2017): overlap lowers a score instead of removing the segment.

    The best remaining segment is taken, again and again; each other one whose tIoU with it
    exceeds the rule's threshold has its score multiplied by the rule's factor. Published code
    calls six things Soft-NMS (peers.md §3; specs csa §6, hamnet §1.5, amnet §2.8), which these
    options tell apart: BMN `adaptive`; G-TAD `gauss`, long segments left out beforehand; AFSD and
    ActionFormer `gauss` with a `score_floor`; HAM-Net `gauss` with `plus_one` and negative scores
    kept. Ours breaks ties by order, computes in float64 and ends when nothing is left.

    Args:
        segments: (N, 2) seconds.
        scores: (N,). On a tie the first in order is taken.
        sigma: width of the Gaussian decay, > 0; larger is milder.
        method: `gauss` multiplies by exp(−tIoU²/sigma) at any overlap; `adaptive` (BSN, BMN) does
            above t1 + (t2 − t1)·w, w the length of the taken segment as a fraction of
            `duration_sec`, and computes in such fractions as their code does, so that ties fall
            alike in all videos; `linear` multiplies by 1 − tIoU above `tiou_threshold`.
        t1: threshold of `adaptive` for the shortest segments.
        t2: threshold of `adaptive` for a segment as long as the video.
        duration_sec: length of the video, needed by `adaptive`.
        tiou_threshold: of `linear`, 0..1.
        plus_one: one second more on lengths and intersections, as if seconds were pixels
            (HAM-Net); segments less than a second apart overlap, too.
        score_floor: stop as soon as the best remaining score is lower; 0 for none.
        negative: scores below 0 are an `error`, or `drop` them, or `keep` them: decayed towards
            0 as the others are, and so raised (HAM-Net).
        legacy_drop_last: stop while one candidate is left, which is lost, be it the only one of
            its video (earlier releases of BMN and AFSD).
        keep: at most so many, of each group; None for all.
        groups: (N,) integers. Each group is suppressed by itself, in one pass with the others
            (classes of a video, windows, videos); None for one group.

    Returns:
        Indices of the segments taken and their decayed scores, both (M,); with groups, one after
        the other in ascending order.

    Raises:
        AttentadError: an option is unknown or out of range, a score is negative or not finite.
    """
    if not sigma > 0:
        raise AttentadError(f"the sigma of Soft-NMS must be positive, not {sigma}.")
    if not 0 <= tiou_threshold <= 1:
        raise AttentadError(f"tiou_threshold must lie in 0..1, not {tiou_threshold}.")
    check_choice(method, SOFT_RULES, "rule of Soft-NMS")
    rows, values = checked(segments, scores)
    extra = float(plus_one)
    if method == "adaptive":
        rows = _in_fractions(rows, duration_sec)
        extra /= duration_sec or 1.0
    members = checked_groups(groups, len(values))
    check_keep(keep)
    check_choice(negative, NEGATIVE, "treatment of negative scores")
    if negative == "error" and values.size and values.min() < 0:
        raise AttentadError(
            f"Soft-NMS needs scores that are not negative, not {values.min():g}; give "
            "probabilities, not logits."
        )
    chosen = np.flatnonzero(values >= (-np.inf if negative == "keep" else 0))
    rows, values = rows[chosen], values[chosen]
    threshold = _thresholds(method, rows, t1, t2, tiou_threshold)
    candidates = Candidates(rows[:, 0], rows[:, 1] + extra, values, threshold)
    taken, decayed = _decayed(
        candidates, members[chosen], method, sigma, score_floor, keep, legacy_drop_last
    )
    return chosen[taken], decayed


def _thresholds(
    method: str,
    rows: Segments,
    t1: float,
    t2: float,
    tiou_threshold: float,
) -> Floats | None:
    """The tIoU above which each of (N, 2), once taken, lowers others; None for 0."""
    if method == "gauss":
        return None
    if method == "linear":
        return np.full(len(rows), tiou_threshold)
    return t1 + (t2 - t1) * (rows[:, 1] - rows[:, 0])


def _in_fractions(rows: Segments, duration_sec: float | None) -> Segments:
    """Segments as fractions of the video.

    BMN decides on fractions such as 0.35, whose tIoU often equals the threshold: 0.35 of the
    duration in seconds, divided by it again, must be 0.35, not its neighbour.
    """
    if not (duration_sec is not None and duration_sec > 0):
        raise AttentadError(
            f"Soft-NMS with the rule adaptive needs the video's duration, not {duration_sec}."
        )
    fractions = rows / duration_sec
    decimal = np.round(fractions, _DECIMALS)
    near = np.abs(decimal - fractions) <= _ROUNDING * np.maximum(np.abs(fractions), 1.0)
    return np.where(near, decimal, fractions)


def _decayed(
    candidates: Candidates,
    groups: Ints,
    method: str,
    sigma: float,
    score_floor: float,
    keep: int | None,
    legacy_drop_last: bool,
) -> tuple[Ints, Floats]:
    """Positions among the candidates, whose keys are their scores, and their decayed scores."""
    least, as_bmn = 2 if legacy_drop_last else 1, method == "adaptive"
    floor = score_floor if score_floor > 0 else LOWEST_KEY
    values = candidates.key
    if method == "linear" or (values < 0).any():
        decay = _multiply_linear if method == "linear" else partial(_multiply_gauss, sigma)
        return take(candidates, groups, Rule(decay, floor, least, as_bmn), keep)
    # The decays are products of exponentials, so they are sums here: key = sigma·log(score), and
    # a neighbour costs tIoU². No exponential in the loop, and no underflow.
    initial = np.maximum(_log(values) * sigma, LOWEST_KEY)
    if score_floor > 0:
        floor = float(_log(np.array([score_floor]))[0] * sigma)
    rule = Rule(_subtract_square, floor, least, as_bmn)
    taken, key = take(candidates._replace(key=initial), groups, rule, keep)
    return taken, values[taken] * np.exp((key - initial[taken]) / sigma)


def _subtract_square(key: Floats, overlap: Floats) -> None:
    np.multiply(overlap, overlap, out=overlap)
    np.subtract(key, overlap, out=key)


def _multiply_gauss(sigma: float, key: Floats, overlap: Floats) -> None:
    # What was taken, -inf, must not meet a factor of 0.
    np.multiply(key, np.exp(overlap * overlap / -sigma), out=key, where=key > -np.inf)


def _multiply_linear(key: Floats, overlap: Floats) -> None:
    np.multiply(key, np.maximum(1.0 - overlap, 0.0), out=key, where=key > -np.inf)


def _log(scores: Floats) -> Floats:
    positive = scores > 0
    return np.where(positive, np.log(np.where(positive, scores, 1.0)), _LOG_ZERO)
