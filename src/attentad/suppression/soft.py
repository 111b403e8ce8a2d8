"""Soft-NMS of temporal segments: one loop, the rules of the field as options."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from attentad.core import AttentadError
from attentad.core.arrays import Floats, Ints
from attentad.core.names import check_choice
from attentad.suppression.nms import TINY_SEC, checked, limited

SOFT_RULES: Final = ("gauss", "adaptive", "linear")
NEGATIVE: Final = ("error", "drop", "keep")

# Stands for log 0: finite, so that a zero score stays ahead of the segments already taken (-inf),
# and so large that no decay changes it.
_LOG_ZERO = -1e300

# Lowers the keys (N,) in place, given the tIoU (N,) with the segment just taken, which it may
# overwrite.
_Decay: TypeAlias = Callable[[Floats, Floats], None]
# From the length of a segment in seconds to the tIoU above which it decays others when taken.
_Threshold: TypeAlias = Callable[[float], float]


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
            `duration_sec`; `linear` multiplies by 1 − tIoU above `tiou_threshold`.
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
        keep: at most so many; None for all.

    Returns:
        Indices of the segments taken and their decayed scores, both (M,).

    Raises:
        AttentadError: an option is unknown or out of range, a score is negative or not finite.
    """
    if not sigma > 0:
        raise AttentadError(f"the sigma of Soft-NMS must be positive, not {sigma}.")
    if not 0 <= tiou_threshold <= 1:
        raise AttentadError(f"tiou_threshold must lie in 0..1, not {tiou_threshold}.")
    extra_sec = float(plus_one)
    threshold = _threshold(method, t1, t2, duration_sec, tiou_threshold, extra_sec)
    rows, values = checked(segments, scores)
    check_choice(negative, NEGATIVE, "treatment of negative scores")
    if negative == "error" and values.size and values.min() < 0:
        raise AttentadError(
            f"Soft-NMS needs scores that are not negative, not {values.min():g}; give "
            "probabilities, not logits."
        )
    candidates = np.flatnonzero(values >= (-np.inf if negative == "keep" else 0))
    start, end = rows[candidates, 0], rows[candidates, 1] + extra_sec
    limit = limited(keep, len(candidates))
    loop = _Loop(start, end, threshold, limit, least=2 if legacy_drop_last else 1)
    taken, decayed = _decayed(values[candidates], method, sigma, score_floor, loop)
    return candidates[taken], decayed


class _Loop(NamedTuple):
    """What the loop goes over; it takes up to `limit` while `least` reach the floor."""

    start: Floats
    end: Floats
    threshold: _Threshold | None
    limit: int
    least: int


def _threshold(
    method: str,
    t1: float,
    t2: float,
    duration_sec: float | None,
    tiou_threshold: float,
    extra_sec: float,
) -> _Threshold | None:
    """The rule's threshold for a taken segment, `extra_sec` longer than it is; None for 0."""
    check_choice(method, SOFT_RULES, "rule of Soft-NMS")
    if method == "gauss":
        return None
    if method == "linear":
        return lambda taken_sec: tiou_threshold
    if not (duration_sec is not None and duration_sec > 0):
        raise AttentadError(
            f"Soft-NMS with the rule adaptive needs the video's duration, not {duration_sec}."
        )
    return lambda taken_sec: t1 + (t2 - t1) * (taken_sec - extra_sec) / duration_sec


def _decayed(
    values: Floats, method: str, sigma: float, score_floor: float, loop: _Loop
) -> tuple[Ints, Floats]:
    """Positions among the candidates of score `values`, as taken, and their decayed scores."""
    floor = score_floor if score_floor > 0 else -np.inf
    if method == "linear" or (values < 0).any():
        decay = _multiply_linear if method == "linear" else partial(_multiply_gauss, sigma)
        return _take(values, loop, decay, floor)
    # The decays are products of exponentials, so they are sums here: key = sigma·log(score), and
    # a neighbour costs tIoU². No exponential in the loop, and no underflow.
    initial = _log(values) * sigma
    if score_floor > 0:
        floor = float(_log(np.array([score_floor]))[0] * sigma)
    taken, key = _take(initial, loop, _subtract_square, floor)
    return taken, values[taken] * np.exp((key - initial[taken]) / sigma)


def _take(keys: Floats, loop: _Loop, decay: _Decay, floor: float) -> tuple[Ints, Floats]:
    """Positions in the order taken, largest key first, and their keys at that time."""
    start, end, threshold, limit, least = loop
    key, index, left = keys.copy(), np.arange(len(keys)), len(keys)
    length = np.maximum(end - start, TINY_SEC)
    taken, taken_key, count = np.empty(limit, dtype=np.int64), np.empty(limit), 0
    overlap, work, zero = np.empty(left), np.empty(left), np.zeros(left)
    while count < limit:
        best = int(key.argmax())
        if key[best] < floor or (least > 1 and _reaching(key, floor) < least):
            break
        taken[count], taken_key[count] = index[best], key[best]
        count += 1
        key[best] = -np.inf
        # Minimum and maximum of two arrays take a third of the time of array and number.
        overlap.fill(end[best])
        np.minimum(overlap, end, out=overlap)
        work.fill(start[best])
        np.maximum(work, start, out=work)
        np.subtract(overlap, work, out=overlap)
        np.maximum(overlap, zero, out=overlap)
        np.add(length, length[best], out=work)
        np.subtract(work, overlap, out=work)
        np.divide(overlap, work, out=overlap)
        if threshold is not None:
            reached = threshold(end[best] - start[best])
            np.multiply(overlap, overlap > reached, out=overlap)
        decay(key, overlap)
        left -= 1
        # What was taken leaves the arrays now and then, not each time.
        if left < 0.9 * len(key) and left > 64:
            alive = key > -np.inf
            key, start, end = key[alive], start[alive], end[alive]
            length, index = length[alive], index[alive]
            overlap, work, zero = np.empty(left), np.empty(left), np.zeros(left)
    return taken[:count], taken_key[:count]


def _reaching(key: Floats, floor: float) -> int:
    """How many of those not taken (−inf) reach the floor."""
    return int(np.count_nonzero((key > -np.inf) & (key >= floor)))


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
