"""Boundaries and a map of proposals: what BMN and G-TAD have in common around their networks.

A *cell* (d, s) of the map is the proposal [s, s + d + 1) in grid coordinates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.core import AttentadError, Timeline, VideoDetections, tiou
from attentad.core.found import Curve, Found, Truth
from attentad.core.options import Count
from attentad.layers.balanced_loss import balanced_bce, balanced_regression
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
    max_duration: Count | None = None,
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
    actions, clipped = grid_actions(truth, timeline, map_shift_steps)
    region = np.full(len(actions), 1.5)
    if boundary_region == "duration":
        region = np.maximum(0.75, (actions[:, 1] - actions[:, 0]) / 10)
    points = np.arange(length) + (0.5 if boundary_rule == "center" else 0.0)
    iou = np.zeros((duration, length), dtype=np.float32)
    cells = valid_cells(length, duration)
    d, s = np.nonzero(cells)
    iou[cells] = best_tiou(s, s + d + 1, clipped)
    return boundary_labels(points, actions, region) | {"iou": iou}


def grid_actions(
    truth: Truth, timeline: Timeline, shift_steps: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The actions in the view, (N, 2) in grid coordinates: whole, and shifted and cut to it."""
    actions = timeline.grid(timeline.clip(truth.segments))
    clipped = np.clip(actions + shift_steps, 0, timeline.length)
    inside = clipped[:, 1] > clipped[:, 0]
    return actions[inside], clipped[inside]


def boundary_labels(
    points: NDArray[Any], actions: NDArray[np.float64], region: NDArray[np.float64] | float
) -> dict[str, NDArray[np.float32]]:
    """`start` and `end` (T,): 1 for points less than `region` away from one of the boundaries."""
    near = np.abs(points[:, None, None] - actions[None]) < np.reshape(region, (-1, 1))
    labels = np.any(near, axis=1).astype(np.float32)
    return {"start": labels[:, 0], "end": labels[:, 1]}


def best_tiou(
    starts: NDArray[np.int64], ends: NDArray[np.int64], actions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """tIoU of each box [start, end) with the action (N, 2) that fits it best; 0 without any."""
    boxes = np.stack([starts, ends], axis=1).astype(np.float64)
    return tiou(boxes, actions).max(axis=1, initial=0.0)


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


def proposal_terms(
    outputs: ProposalOutput,
    targets: Mapping[str, Tensor],
    valid: Tensor | None,
    *,
    ratio_clamp: bool = False,
    added_count: float = 0.0,
    low_includes_zero: bool = False,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """L_start, L_end, L_reg and L_cls, counted over the batch (BMN §4.4).

    Args:
        outputs: of the network.
        targets: of `proposal_targets`, stacked: `start`, `end` (B, T), `iou` (B, D, T).
        valid: (B, T); steps without video and proposals that touch one do not count.
        ratio_clamp: see `balanced_bce`.
        added_count: of L_cls, see `balanced_bce`.
        low_includes_zero, generator: of L_reg, see `balanced_regression`.

    Returns:
        `start`, `end`, `regression` and `classification`, scalars.
    """
    start, end, iou = targets["start"], targets["end"], targets["iou"]
    cells = countable_cells(iou, valid)
    return {
        "start": balanced_bce(outputs.start, start, 0.5, valid, ratio_clamp=ratio_clamp),
        "end": balanced_bce(outputs.end, end, 0.5, valid, ratio_clamp=ratio_clamp),
        "regression": balanced_regression(
            outputs.regression, iou, cells, low_includes_zero=low_includes_zero, generator=generator
        ),
        "classification": balanced_bce(
            outputs.classification,
            iou,
            0.9,
            cells,
            ratio_clamp=ratio_clamp,
            added_count=added_count,
        ),
    }


def decode_proposals(
    outputs: ProposalOutput,
    timelines: Sequence[Timeline],
    valid: Tensor | None = None,
    *,
    candidates: Candidates = "peaks",
    pairing: Pairing = "inclusive",
    confidence: Confidence = "product",
    boundary_scores: bool = True,
    max_proposals: Count | None = None,
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
        max_proposals: how many of a view to keep, the best; all by default, as in the public codes.
            Model files of format 1 and 2 that do not say it keep 1,000.

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
        proposals = best_proposals(s, s + d + 1, scores, timeline, max_proposals)
        results.append(Found(proposals, curves=curves[item]))
    return results


def best_proposals(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    scores: NDArray[np.float64],
    timeline: Timeline,
    limit: int | None,
) -> VideoDetections:
    """The best `limit` boxes [start, end) that lie in the video, cut to it, labels −1."""
    boxes = timeline.clip(timeline.seconds(np.stack([starts, ends], axis=1)))
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
