"""Detections from class probabilities of steps: runs above thresholds, scored inner minus outer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from torch import Tensor

from attentad.core import AttentadError, Timeline, VideoDetections
from attentad.core.arrays import Floats, Ints
from attentad.core.found import Curve, Found
from attentad.core.options import Share

RunScore = Literal["contrast", "mean"]
Boundaries = Literal["cells", "crossings"]
Thresholds = Literal["dense"] | list[Share]
DENSE = [step / 20 for step in range(1, 20)]  # .05 to .95


def decode_runs(
    probabilities: Tensor,
    timelines: Sequence[Timeline],
    valid: Tensor | None = None,
    *,
    thresholds: Thresholds = "dense",
    score: RunScore = "contrast",
    flank: float = 0.5,
    smoothing: int = 1,
    boundaries: Boundaries = "cells",
    class_probabilities: Floats | None = None,
    video_power: float = 1.0,
) -> list[Found]:
    """Actions of each view in seconds, best first, before suppression, and the classes' curves.

    Args:
        probabilities: (B, K, T) in 0..1 of the classes, without the background.
        timelines: of the B views.
        valid: (B, T), the valid steps of a view first.
        thresholds: every maximal run of steps whose probability exceeds one of them is a candidate
            of that class, once, however many thresholds find it. `dense` is .05 to .95 in steps of
            .05.
        score: see `run_scores`.
        flank: see `run_scores`.
        smoothing: the probabilities become their mean over so many steps first, see `smoothed`.
        boundaries: see `run_boundaries`.
        class_probabilities: (B, K) how surely each video holds each class, where that is known.
        video_power: scores are multiplied with that power of them.

    Raises:
        AttentadError: there is no threshold, or the probabilities are not finite.
    """
    if not len(thresholds):
        raise AttentadError("thresholds must be numbers in 0..1, but there is none.")
    cuts = DENSE if thresholds == "dense" else thresholds
    rows: Floats = probabilities.detach().double().cpu().numpy()
    found = []
    for item, timeline in enumerate(timelines):
        steps = timeline.length if valid is None else int(valid[item].sum())
        curves = rows[item, :, :steps]
        if not np.isfinite(curves).all():
            raise AttentadError(
                "the detector's outputs are not finite: check features and weights."
            )
        curves = smoothed(curves, smoothing)
        runs, levels = runs_of_classes(curves, cuts)
        scores = run_scores(curves, runs, score=score, flank=flank)
        video = None if class_probabilities is None else class_probabilities[item]
        if video is not None:
            scores = scores * video[runs[:, 0]] ** video_power
        segments = timeline.clip(timeline.seconds(run_boundaries(curves, runs, levels, boundaries)))
        kept = np.flatnonzero((scores > 0) & (segments[:, 1] > segments[:, 0]))
        order = kept[np.argsort(-scores[kept], kind="stable")]
        detections = VideoDetections(segments[order], scores[order], runs[order, 0])
        found.append(Found(detections, video, _class_curves(curves, timeline)))
    return found


def smoothed(curves: Floats, steps: int) -> Floats:
    """(K, T) → their running mean over an odd number of steps; at the ends over those there are."""
    if steps == 1 or not curves.shape[1]:
        return curves
    length, half = curves.shape[1], steps // 2
    sums = np.pad(np.cumsum(curves, axis=1), ((0, 0), (1, 0)))
    at = np.arange(length)
    first, stop = np.maximum(at - half, 0), np.minimum(at + half + 1, length)
    means: Floats = (sums[:, stop] - sums[:, first]) / (stop - first)
    return means


def runs_of_classes(curves: Floats, thresholds: Sequence[float]) -> tuple[Ints, Floats]:
    """The maximal runs of each class above each threshold, each once.

    Args:
        curves: (K, T) probabilities.
        thresholds: a step of exactly a threshold is not above it.

    Returns:
        (M, 3) class, first step and the step after the last, ascending; and (M,) the lowest of the
        thresholds that find the run.
    """
    levels = np.unique(np.asarray(thresholds, dtype=np.float64))
    padded = np.pad(curves, ((0, 0), (1, 1)), constant_values=-np.inf)
    found = []
    for level in levels:  # one at a time, since long videos of many classes fill the memory
        change = np.diff((padded > level).astype(np.int8), axis=1)
        label, first = np.nonzero(change == 1)
        found.append(np.stack([label, first, np.nonzero(change == -1)[1]], axis=1))
    level_of = np.repeat(levels, [len(runs) for runs in found])
    runs, at = np.unique(np.concatenate(found), axis=0, return_index=True)
    return runs.astype(np.int64), level_of[at]


def run_scores(
    curves: Floats, runs: Ints, *, score: RunScore = "contrast", flank: float = 0.5
) -> Floats:
    """How surely each run is an action of its class, (M,).

    Args:
        curves: (K, T) probabilities.
        runs: (M, 3) of `runs_of_classes`.
        score: `mean`, of the class's probability inside; `contrast`, that minus its mean in the
            flanks on both sides together, which may be negative (0 is taken off where the video
            leaves no flank).
        flank: width of each flank as a fraction of the run, at least one step.
    """
    label, first, stop = runs.T
    sums = np.pad(np.cumsum(curves, axis=1), ((0, 0), (1, 0)))
    inner: Floats = (sums[label, stop] - sums[label, first]) / (stop - first)
    if score == "mean":
        return inner
    width = np.maximum(1, np.rint(flank * (stop - first))).astype(np.int64)
    left, right = np.maximum(0, first - width), np.minimum(curves.shape[1], stop + width)
    around = sums[label, first] - sums[label, left] + sums[label, right] - sums[label, stop]
    outer: Floats = around / np.maximum(1, first - left + right - stop)
    return inner - outer


def run_boundaries(curves: Floats, runs: Ints, levels: Floats, boundaries: Boundaries) -> Floats:
    """Where each run starts and ends in grid coordinates, (M, 2).

    Args:
        curves: (K, T) probabilities.
        runs: (M, 3) of `runs_of_classes`.
        levels: (M,) threshold of each run.
        boundaries: `cells`, the edges of the first and the last cell; `crossings`, where the line
            through the middles of the cells crosses the threshold (the edge at the video's ends).
    """
    label, first, stop = runs.T
    edges: Floats = np.stack([first, stop], axis=1).astype(np.float64)
    if boundaries == "cells" or not len(runs):
        return edges
    for column, inside, outside in ((0, first, first - 1), (1, stop - 1, stop)):
        there = (outside >= 0) & (outside < curves.shape[1])
        beyond = curves[label, np.where(there, outside, inside)]
        height = curves[label, inside] - beyond
        # The inside is above the level and the outside is not: there is a slope to divide by.
        part = np.where(there, (levels - beyond) / np.where(height > 0, height, 1.0), 0.0)
        middles = np.minimum(inside, outside) + 0.5
        crossing = middles + np.where(inside > outside, part, 1 - part)
        edges[:, column] = np.where(there, crossing, edges[:, column])
    return edges


def _class_curves(curves: Floats, timeline: Timeline) -> list[Curve]:
    times = timeline.centres_sec()[: curves.shape[1]]
    return [Curve(f"class {k}", times, row, "class scores", k) for k, row in enumerate(curves)]
