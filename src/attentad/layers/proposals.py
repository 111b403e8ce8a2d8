"""Boundaries and a map of proposals: what BMN and G-TAD have in common around their networks.

A *cell* (d, s) of the map is the proposal [s, s + d + 1) in grid coordinates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.core import AttentadError, Timeline, VideoDetections, tiou
from attentad.core.found import Curve, Found, Truth
from attentad.layers.boundary_matching import valid_cells
from attentad.layers.step_curves import step_curves

BoundaryRule = Literal["center", "edge"]
BoundaryRegion = Literal["steps", "duration"]
Candidates = Literal["peaks", "all"]
Pairing = Literal["inclusive", "exclusive"]
Confidence = Literal["product", "sqrt"]


class ProposalOutput(NamedTuple):
    """Probabilities: start and end (B, T); the maps of proposals [d, s] (B, D, T).

    `regression` and `classification` estimate the proposal's tIoU with the best action; they are
    0 where a proposal would reach beyond the grid.
    """

    start: Tensor
    end: Tensor
    regression: Tensor
    classification: Tensor


def proposal_targets(
    truth: Truth,
    timeline: Timeline,
    *,
    max_duration: int | None = None,
    boundary_rule: BoundaryRule = "center",
    boundary_region: BoundaryRegion = "steps",
    map_shift_steps: float = 0.0,
) -> dict[str, NDArray[np.float32]]:
    """Boundary labels and the tIoU map of one view.

    Args:
        truth: the video's actions; those outside the timeline are ignored, as are all classes.
        timeline: of the view, T steps.
        max_duration: D; T by default.
        boundary_rule: a step is a boundary when its `center` (i + ½) or its `edge` (i) is less than
            1.5 steps away: the IoA rule with threshold ½ of the public codes. Use `center` with
            inclusive decoding, `edge` with exclusive.
        boundary_region: half-width of the region around a boundary: 1.5 `steps`, or a tenth of the
            action's `duration` as in the BMN paper, at least 1.5 steps wide in all.
        map_shift_steps: how much later the actions are for the map, but not for the boundaries.

    Returns:
        `start` and `end` (T,) in {0, 1}; `iou` (D, T), each proposal's tIoU with the best action
        (clipped to the view), 0 where the proposal would reach beyond the grid.
    """
    length = timeline.length
    duration = length if max_duration is None else max_duration
    actions = timeline.grid(timeline.clip(truth.segments))
    clipped = np.clip(actions + map_shift_steps, 0, length)
    inside = clipped[:, 1] > clipped[:, 0]
    actions, clipped = actions[inside], clipped[inside]
    region = np.full(len(actions), 1.5)
    if boundary_region == "duration":
        region = np.maximum(0.75, (actions[:, 1] - actions[:, 0]) / 10)
    points = np.arange(length) + (0.5 if boundary_rule == "center" else 0.0)
    near = np.abs(points[:, None, None] - actions[None]) < region[:, None]
    iou = np.zeros((duration, length), dtype=np.float32)
    cells = valid_cells(length, duration)
    d, s = np.nonzero(cells)
    boxes = np.stack([s, s + d + 1], axis=1).astype(np.float64)
    iou[cells] = tiou(boxes, clipped).max(axis=1, initial=0.0)
    labels = np.any(near, axis=1).astype(np.float32)
    return {"start": labels[:, 0], "end": labels[:, 1], "iou": iou}


def countable_cells(iou: Tensor, valid: Tensor | None) -> Tensor:
    """Cells of a map (B, D, T) that lie inside the grid and touch no step without video."""
    batch, duration, length = iou.shape
    cells = torch.from_numpy(valid_cells(length, duration)).to(iou.device)
    if valid is None:
        return cells.expand(batch, -1, -1)
    missing = nn.functional.pad((~valid).long().cumsum(1), (1, 0))
    starts = torch.arange(length, device=iou.device)
    ends = starts + 1 + torch.arange(duration, device=iou.device)[:, None]
    gaps = missing[:, ends.clamp(max=length)] - missing[:, None, :-1]
    return cells & (gaps == 0)


def decode_proposals(
    outputs: ProposalOutput,
    timelines: Sequence[Timeline],
    valid: Tensor | None = None,
    *,
    candidates: Candidates = "peaks",
    pairing: Pairing = "inclusive",
    confidence: Confidence = "product",
    boundary_scores: bool = True,
    max_proposals: int = 1000,
) -> list[Found]:
    """Proposals of each view in seconds, best first, labels −1, and its boundary probabilities.

    A proposal's score is p_s · p_e · p_c · p_r.

    Args:
        outputs: of the network, B views.
        timelines: of the views.
        valid: (B, T); proposals that reach beyond the last valid step are left out.
        candidates: `peaks`, pairs of probable boundaries: first start, last end, local maxima, or
            more than half the maximum; `all` pairs.
        pairing: whether a proposal's end probability is that of its last step s + d (`inclusive`)
            or of the step after it (`exclusive`; no proposal then ends with the view).
        confidence: the proposal's own score: p_c · p_r, or its square root as in the BMN paper.
        boundary_scores: whether p_s · p_e multiplies it.
        max_proposals: how many to keep.

    Raises:
        AttentadError: the outputs are not finite.
    """
    start, end, regression, classification = finite_arrays(outputs)
    conf = regression * classification
    if confidence == "sqrt":
        conf = np.sqrt(conf)
    batch, duration, length = conf.shape
    steps = [length] * batch if valid is None else valid.sum(1).tolist()
    shift = 0 if pairing == "inclusive" else 1
    curves = boundary_curves(outputs, timelines, valid)
    results = []
    for item, timeline in enumerate(timelines):
        p_s, p_e = start[item, : steps[item]], end[item, : steps[item]]
        s, e = np.arange(steps[item])[:, None], np.arange(steps[item])[None, :]
        d = e - shift - s
        pairs = (d >= 0) & (d < duration)
        if candidates == "peaks":
            # The first step is always a candidate start, the last one a candidate end.
            pairs &= ((s == 0) | _peaks(p_s)[:, None]) & ((e == len(p_e) - 1) | _peaks(p_e)[None])
        s, e = np.nonzero(pairs)
        d = d[pairs]
        scores = conf[item, d, s]
        if boundary_scores:
            scores = scores * p_s[s] * p_e[e]
        boxes = timeline.seconds(np.stack([s, s + d + 1], axis=1))
        proposals = best_proposals(boxes, scores, timeline, max_proposals)
        results.append(Found(proposals, curves=curves[item]))
    return results


def best_proposals(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], timeline: Timeline, limit: int
) -> VideoDetections:
    """The best `limit` boxes (N, 2) in seconds that lie in the video, cut to it, labels −1."""
    boxes = timeline.clip(boxes)
    # A cell beyond the video has no length left.
    kept = np.flatnonzero(boxes[:, 1] > boxes[:, 0])
    order = kept[np.argsort(-scores[kept], kind="stable")][:limit]
    labels = np.full(len(order), -1, dtype=np.int64)
    return VideoDetections(boxes[order], scores[order], labels)


def boundary_curves(
    outputs: Any, timelines: Sequence[Timeline], valid: Tensor | None
) -> list[list[Curve]]:
    """`start` and `end` probability (B, T) of the outputs as curves of each view."""
    boundaries = {"start": outputs.start, "end": outputs.end}
    return step_curves(boundaries, timelines, valid, "boundaries")


def finite_arrays(outputs: Iterable[Tensor]) -> list[NDArray[np.float64]]:
    """A network's outputs in double precision.

    Raises:
        AttentadError: they are not finite.
    """
    arrays = [part.detach().double().cpu().numpy() for part in outputs]
    if not all(np.isfinite(part).all() for part in arrays):
        raise AttentadError("the detector's outputs are not finite: check features and weights.")
    return arrays


def _peaks(probability: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Steps above both neighbours, or above half the maximum."""
    padded = np.pad(probability, 1, constant_values=np.inf)
    local = (probability > padded[:-2]) & (probability > padded[2:])
    peaks: NDArray[np.bool_] = local | (probability > 0.5 * probability.max(initial=0))
    return peaks
