"""DBG: Dense Boundary Generator (Lin et al., AAAI 2020). Network, targets, loss, decoding.

A dual-stream base turns two halves of the features into f1, f2 and f = f1 + f2, with an actionness
of each; proposal feature generation (PFG) samples them for every proposal, a *cell* [i, j] = box
[i, j + 1) in grid coordinates, i ≤ j; completeness regression (ACR) says from the actionness how
well a cell fits an action, boundary classification (TBC) says from f how surely an action starts
at i and ends at j. Numbers in brackets refer to the specification csa.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.attention.sites import AttentionChoice, Sites, SiteShape
from attentad.core import AttentadError, Timeline
from attentad.core.found import Found, Truth
from attentad.core.options import Bound, Count, DropRate
from attentad.layers.balanced_loss import WithoutPositive, balanced_bce, drawn_cells
from attentad.layers.masking import masked
from attentad.layers.network_ends import network_input, probability
from attentad.layers.proposal_features import POINTS, ProposalFeatures, proposal_cells, repeat_last
from attentad.layers.proposal_map import CellMap, by_items
from attentad.layers.proposals import (
    best_proposals,
    best_tiou,
    boundary_curves,
    boundary_labels,
    finite_arrays,
    grid_actions,
)
from attentad.layers.relu_dropout import relu_dropout

Streams = Literal["halves", "full"]
HalvedDim: TypeAlias = Annotated[int, Bound("a whole number of at least 2", lambda dim: dim >= 2)]
CPU_ITEMS = 1


class DBGOutput(NamedTuple):
    """Probabilities; the maps are [i, j] (B, T, T), 0 where j < i.

    `actionness` (B, 3, T) is that of f1, f2 and f; `completeness` estimates the proposal's tIoU
    with the best action; `start` and `end` (B, T) are the means of `start_map` over j and of
    `end_map` over i, over the proposals that touch no padding.
    """

    actionness: Tensor
    completeness: Tensor
    start_map: Tensor
    end_map: Tensor
    start: Tensor
    end: Tensor


class DBG(nn.Module):
    """Features (B, C_in, T) → `DBGOutput`.

    Args:
        feature_dim: C_in.
        length: T, steps of a view; a proposal may have as many.
        hidden_dim: channels of the base's first convolution; its second has half as many.
        sampled_dim: channels of the Conv3d over the sampled points.
        map_dim: channels of the convolutions of the proposal maps.
        points: sampled points around the start, inside, and around the end of a proposal.
        streams: what the base's two streams read: `halves` of the channels (RGB and flow), or both
            the `full` feature where it has no meaningful halves.
        tf_relu: whether a ReLU follows the Conv3d, as in the authors' TensorFlow code; their
            PyTorch code has none.
        dropout: probability after the maps' first two convolutions.
        attention: site → name and options of a module. `input` is R itself, both streams together;
            `encoder` is f, what its actionness and the TBC read.

    Raises:
        AttentadError: a setting that does not fit the others.
    """

    def __init__(
        self,
        feature_dim: int,
        length: int,
        *,
        hidden_dim: HalvedDim = 256,
        sampled_dim: Count = 512,
        map_dim: Count = 256,
        points: tuple[Count, Count, Count] = POINTS,
        streams: Streams = "halves",
        tf_relu: bool = False,
        dropout: DropRate = 0.3,
        attention: Mapping[str, AttentionChoice] | None = None,
    ) -> None:
        super().__init__()
        if streams == "halves" and feature_dim % 2:
            raise AttentadError(
                f"DBG's streams = halves needs an even number of channels, not {feature_dim}: set "
                "streams to full."
            )
        self.feature_dim, self.length, self.streams = feature_dim, length, streams
        self.points, self.tf_relu, self.dropout = tuple(points), tf_relu, dropout
        base_dim = hidden_dim // 2
        dims = {"input": feature_dim, "encoder": base_dim}
        shapes = {site: SiteShape(dim, feature_dim, length) for site, dim in dims.items()}
        self.sites = Sites(attention, shapes)
        stream_dim = feature_dim // 2 if streams == "halves" else feature_dim
        self.stream_1 = _stream(stream_dim, hidden_dim, base_dim)
        self.stream_2 = _stream(stream_dim, hidden_dim, base_dim)
        self.actionness = nn.ModuleList(nn.Conv1d(base_dim, 1, 1) for _ in range(3))
        self.pfg = ProposalFeatures(base_dim, sampled_dim, length, points)
        # 1×1 convolutions of the map, applied to its valid cells only.
        self.acr = _map_layers(sum(points), map_dim, 1)
        self.tbc = _map_layers(sampled_dim, map_dim, 2)
        for part in (self.stream_1, self.stream_2, self.actionness, self.acr, self.tbc):
            part.apply(_xavier)
        self.cell_map = CellMap(np.triu(np.ones((length, length), dtype=bool)))

    def forward(self, features: Tensor, valid: Tensor | None = None) -> DBGOutput:
        """Valid (B, T) is true where there is video; see `network_input` for errors."""
        context = network_input("DBG", features, valid, self.feature_dim, self.length)
        hidden = self.sites("input", context, context, valid)
        first, second = hidden.chunk(2, dim=1) if self.streams == "halves" else (hidden, hidden)
        encoded = []
        for stream, part in ((self.stream_1, first), (self.stream_2, second)):
            for conv in stream:
                part = masked(torch.relu(conv(part)), valid)
            encoded.append(part)
        feature = self.sites("encoder", encoded[0] + encoded[1], context, valid)
        inputs = zip(self.actionness, [*encoded, feature], strict=True)
        scores = torch.cat([conv(part) for conv, part in inputs], dim=1)
        actionness = probability(scores, self.pfg.weight)
        # PFG repeats the video's last step where a point lies beyond it.
        score = repeat_last(actionness.mean(1), valid)
        maps = self._proposals(repeat_last(feature, valid), score)
        completeness, start_map, end_map = maps.unbind(1)
        start, end = _boundary_means(start_map, end_map, valid)
        return DBGOutput(actionness, completeness, start_map, end_map, start, end)

    def _proposals(self, feature: Tensor, score: Tensor) -> Tensor:
        """f (B, C, T) and actionness (B, T) → completeness, start and end map, (B, 3, T, T)."""
        first = self.tbc[0]
        assert isinstance(first, nn.Linear)
        # Merging two layers costs as much as the second one on Σ points · C cells.
        enough = len(feature) * len(self.cell_map.positions) >= self.pfg.weight[:, 0].numel()
        merged = enough and not self.tf_relu
        projected = self.pfg.project(feature, first if merged else None)
        inputs = (projected, self.pfg.values(score))
        logits = by_items(partial(self._logits, merged), inputs, CPU_ITEMS)
        return self.cell_map(probability(logits, self.pfg.weight))

    def _logits(self, merged: bool, projected: Tensor, samples: Tensor) -> Tensor:
        boundaries = self.pfg.sample(projected)
        if self.tf_relu:
            boundaries = boundaries.relu_()
        if not merged:
            boundaries = self.tbc[0](boundaries)
        completeness = self._outer_layers(self.acr, self.acr[0](samples))
        return torch.cat([completeness, self._outer_layers(self.tbc, boundaries)], dim=2)

    def _outer_layers(self, layers: Any, hidden: Tensor) -> Tensor:
        hidden = relu_dropout(hidden, self.dropout, self.training)
        hidden = relu_dropout(layers[1](hidden), self.dropout, self.training)
        logits: Tensor = layers[2](hidden)
        return logits


def _stream(in_dim: int, hidden_dim: int, out_dim: int) -> nn.ModuleList:
    first = nn.Conv1d(in_dim, hidden_dim, 3, padding=1)
    return nn.ModuleList([first, nn.Conv1d(hidden_dim, out_dim, 3, padding=1)])


def _map_layers(in_dim: int, hidden_dim: int, out_dim: int) -> nn.ModuleList:
    dims = ((in_dim, hidden_dim), (hidden_dim, hidden_dim), (hidden_dim, out_dim))
    return nn.ModuleList(nn.Linear(*pair) for pair in dims)


def _xavier(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


def _countable_cells(maps: Tensor, valid: Tensor | None) -> Tensor:
    """The cells (B, T, T) with i ≤ j that touch no step without video."""
    batch, length, _ = maps.shape
    cells = torch.ones(length, length, dtype=torch.bool, device=maps.device).triu()
    if valid is None:
        return cells.expand(batch, -1, -1)
    missing = nn.functional.pad((~valid).long().cumsum(1), (1, 0))
    return cells & (missing[:, None, 1:] == missing[:, :-1, None])


def _boundary_means(
    start_map: Tensor, end_map: Tensor, valid: Tensor | None
) -> tuple[Tensor, Tensor]:
    """How surely an action starts and ends at each step, (B, T) each; 0 in the padding (§4.4)."""
    cells = _countable_cells(start_map, valid)
    start = torch.where(cells, start_map, 0.0).sum(2) / cells.sum(2).clamp(min=1)
    end = torch.where(cells, end_map, 0.0).sum(1) / cells.sum(1).clamp(min=1)
    return start, end


def targets(truth: Truth, timeline: Timeline) -> dict[str, NDArray[np.float32]]:
    """What the network should say of one view (§4.2).

    Args:
        truth: the video's actions; those outside the timeline are ignored, as are all classes.
        timeline: of the view, T steps.

    Returns:
        `action` (T,), how much of the step lies in the action that covers most of it; `start` and
        `end` (T,) in {0, 1}, whether the middle of the step is less than a step away from a
        boundary; `iou` (T, T), the tIoU of box [i, j + 1) with the best action (clipped to the
        view), 0 where j < i.
    """
    length = timeline.length
    actions, clipped = grid_actions(truth, timeline)
    steps = np.arange(length)[:, None]
    overlap = np.minimum(steps + 1, clipped[:, 1]) - np.maximum(steps, clipped[:, 0])
    action = overlap.max(axis=1, initial=0.0).astype(np.float32)
    i, j = proposal_cells(length)
    iou = np.zeros((length, length), dtype=np.float32)
    iou[i, j] = best_tiou(i, j + 1, clipped)
    boundaries = boundary_labels(np.arange(length) + 0.5, actions, 1.0)
    return {"action": action, **boundaries, "iou": iou}


def loss(
    outputs: DBGOutput,
    targets: Mapping[str, Tensor],
    valid: Tensor | None = None,
    *,
    action_weight: float = 2.0,
    completeness_weight: float = 10.0,
    ratio_clamp: bool = False,
    without_positive: WithoutPositive = "mean",
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """L = 2·L_action + 10·L_completeness + L_start + L_end (§4.3).

    Args:
        outputs: of the network.
        targets: of `targets`, stacked: `action`, `start`, `end` (B, T), `iou` (B, T, T).
        valid: (B, T); steps without video and proposals that touch one do not count.
        action_weight: of L_action, the mean over the three actionness scores.
        completeness_weight: of L_completeness, see `completeness_loss`.
        ratio_clamp, without_positive: see `balanced_bce`.
        generator: draws the cells of L_completeness.

    Returns:
        `action`, `completeness`, `start`, `end` and their weighted sum `total`, scalars.
    """
    cells = _countable_cells(targets["iou"], valid)

    classification = partial(
        balanced_bce,
        positive_above=0.5,
        ratio_clamp=ratio_clamp,
        without_positive=without_positive,
    )
    scores = outputs.actionness.unbind(1)
    action = [classification(score, targets["action"], where=valid) for score in scores]
    starts = targets["start"][:, :, None].expand_as(cells)
    ends = targets["end"][:, None, :].expand_as(cells)
    terms = {
        "action": torch.stack(action).mean(),
        "completeness": completeness_loss(outputs.completeness, targets["iou"], cells, generator),
        "start": classification(outputs.start_map, starts, where=cells),
        "end": classification(outputs.end_map, ends, where=cells),
    }
    total = action_weight * terms["action"] + completeness_weight * terms["completeness"]
    return {"total": total + terms["start"] + terms["end"], **terms}


def completeness_loss(
    prediction: Tensor, iou: Tensor, where: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Smooth L1 over cells of high, middle and low overlap in balance, the mean of the items.

    In each item all H cells above 0.6 count, of the M cells in (0.2, 0.6] and the L cells up to
    0.2, those without any overlap included, a random share of min(1, H/M) and min(1, 2H/L).

    Args:
        prediction: (B, ...).
        iou: target, same shape.
        where: same shape, true for the cells that count.
        generator: source of the draw; torch's global one by default.

    Returns:
        A scalar; an item adds 0 where no cell was drawn.
    """
    dims = tuple(range(1, iou.ndim))
    bands = [(iou > 0.6) & where, (iou > 0.2) & (iou <= 0.6) & where, (iou <= 0.2) & where]
    chosen = drawn_cells(bands, (1, 2), dims, generator)
    # The masked prediction keeps a NaN outside `where` from leaking into the gradient.
    error = nn.functional.smooth_l1_loss(
        torch.where(chosen, prediction.float(), iou.float()), iou.float(), reduction="none"
    )
    return (error.sum(dims) / chosen.sum(dims).clamp(min=1)).mean()


def decode(
    outputs: DBGOutput,
    timelines: Sequence[Timeline],
    valid: Tensor | None = None,
    *,
    boundary_scores: bool = True,
    max_proposals: Count | None = None,
) -> list[Found]:
    """Proposals of each view in seconds, best first, labels −1, and its boundaries (§4.4).

    Args:
        outputs: of the network, B views.
        timelines: of the views.
        valid: (B, T), that of the network; proposals that touch padding are left out.
        boundary_scores: whether a proposal's completeness is multiplied by its start's and its
            end's probability, as published.
        max_proposals: see `layers.proposals.decode_proposals`.

    Raises:
        AttentadError: the outputs are not finite.
    """
    _, completeness, _, _, start, end = finite_arrays(outputs)
    curves = boundary_curves(outputs, timelines, valid)
    cells = _countable_cells(outputs.completeness, valid).cpu().numpy()
    results = []
    for item, timeline in enumerate(timelines):
        i, j = np.nonzero(cells[item])
        scores = completeness[item, i, j]
        if boundary_scores:
            scores = scores * start[item, i] * end[item, j]
        proposals = best_proposals(i, j + 1, scores, timeline, max_proposals)
        results.append(Found(proposals, curves=curves[item]))
    return results
