"""G-TAD: sub-graph localization (Xu et al., CVPR 2020). Network, targets, loss, decoding.

Steps are the nodes of a graph whose edges join neighbours in time and in meaning. GCNeXt blocks
pass features along both; two heads say for every step how surely an action starts or ends there;
SGAlign reads every proposal, a *cell* (d, s) = box [s, s + d + 1) in grid coordinates, out of the
graph, and the localization module says how well it fits an action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.attention.sites import AttentionChoice, Sites, SiteShape
from attentad.core import AttentadError, Timeline
from attentad.core.found import Found, Truth
from attentad.layers.align import RoiRule, SGAlign
from attentad.layers.balanced_loss import balanced_bce, balanced_regression
from attentad.layers.boundary_matching import valid_cells
from attentad.layers.gcnext import GCNeXt, Neighbours, nearest, neighbour_mean
from attentad.layers.masking import masked
from attentad.layers.proposal_map import ProposalMapConvs
from attentad.layers.proposals import (
    BoundaryRule,
    Candidates,
    Confidence,
    Pairing,
    ProposalOutput,
    countable_cells,
    decode_proposals,
    proposal_targets,
)

CPU_ITEMS = 4
RELEASE_ADDED_COUNT = 10.0
HALF_SHIFT_STEPS = 0.5
GTADOutput = ProposalOutput


class GTAD(nn.Module):
    """Features (B, C_in, T) → `GTADOutput`.

    The defaults are those of ActivityNet-1.3 at T = 100; for THUMOS14 (T = 256) the authors take
    max_duration 64, interior_bins 16, context_bins 16 and map_kernel 3.

    Args:
        feature_dim: C_in.
        length: T, steps of a view.
        max_duration: D, the longest proposal in steps; T by default.
        hidden_dim: channels of the graph's nodes.
        aligned_dim: channels of the first 1×1 convolution over a proposal's aligned features.
        map_dim: channels of the later convolutions over the map of proposals.
        groups: groups of the first convolution.
        graph_groups: paths in a GCNeXt block, 4 channels each.
        neighbours: K, semantic neighbours of a step, the step itself among them.
        interior_bins: aligned points of a proposal's features.
        context_bins: aligned points of the means of their neighbours.
        map_kernel: q, size of the map's two last hidden convolutions.
        roi: which region is aligned, see `layers.align.regions`.
        attention: site → name and options of a module. `input` is R itself, `middle` comes after
            the first convolution, `encoder` is the output of the backbone's first part, what the
            boundary heads and the second part read, and `proposal` the output of the second part,
            which only the proposals are read from.

    Raises:
        AttentadError: a setting that does not fit the others.
    """

    positions: Tensor

    def __init__(
        self,
        feature_dim: int,
        length: int,
        *,
        max_duration: int | None = None,
        hidden_dim: int = 256,
        aligned_dim: int = 512,
        map_dim: int = 128,
        groups: int = 4,
        graph_groups: int = 32,
        neighbours: int = 3,
        interior_bins: int = 32,
        context_bins: int = 4,
        map_kernel: Literal[1, 3] = 1,
        roi: RoiRule = "gtad",
        attention: Mapping[str, AttentionChoice] | None = None,
    ) -> None:
        super().__init__()
        duration = length if max_duration is None else max_duration
        if not 1 <= duration <= length:
            raise AttentadError(
                f"G-TAD's max_duration must be 1 to {length} steps, not {duration}."
            )
        counts = {
            "graph_groups": graph_groups,
            "neighbours": neighbours,
            "interior_bins": interior_bins,
            "context_bins": context_bins,
        }
        for name, value in counts.items():
            if value < 1:
                raise AttentadError(f"G-TAD's {name} must be at least 1, not {value}.")
        if feature_dim % groups or hidden_dim % groups:
            raise AttentadError(
                f"G-TAD's groups = {groups} must divide its {feature_dim} input and {hidden_dim} "
                "hidden channels: set groups to 1."
            )
        self.feature_dim, self.length = feature_dim, length
        self.max_duration, self.neighbours = duration, neighbours
        dims = {"input": feature_dim} | dict.fromkeys(("middle", "encoder", "proposal"), hidden_dim)
        shapes = {site: SiteShape(dim, feature_dim, length) for site, dim in dims.items()}
        self.sites = Sites(attention, shapes)
        self.stem = nn.Conv1d(feature_dim, hidden_dim, 3, padding=1, groups=groups)
        self.backbone_1 = GCNeXt(hidden_dim, graph_groups)
        self.backbone_2 = GCNeXt(hidden_dim, graph_groups)
        self.start_graph, self.start_head = _boundary_head(hidden_dim, graph_groups)
        self.end_graph, self.end_head = _boundary_head(hidden_dim, graph_groups)
        self.align = SGAlign(
            hidden_dim,
            aligned_dim,
            length,
            duration,
            interior=interior_bins,
            context=context_bins,
            rule=roi,
        )
        # 1×1 convolutions of the map, applied to its valid cells only.
        self.map_in = nn.Linear(aligned_dim, map_dim)
        self.map_convs: ProposalMapConvs | nn.ModuleList
        if map_kernel == 1:
            self.map_convs = nn.ModuleList(nn.Linear(map_dim, map_dim) for _ in range(2))
        else:
            self.map_convs = ProposalMapConvs(map_dim, 2, length, duration, "dur_start")
        self.map_out = nn.Linear(map_dim, 2)
        positions = np.flatnonzero(valid_cells(length, duration))
        self.register_buffer("positions", torch.from_numpy(positions), persistent=False)

    def forward(self, features: Tensor, valid: Tensor | None = None) -> GTADOutput:
        """Features (B, C_in, T), valid (B, T) true where there is video → `GTADOutput`.

        Raises:
            AttentadError: C_in or T is not the model's.
        """
        if features.shape[1:] != (self.feature_dim, self.length):
            raise AttentadError(
                f"this G-TAD was built for {self.feature_dim} channels and T = {self.length} "
                f"steps and got {features.shape[1]} and {features.shape[2]}."
            )
        context = masked(features, valid)
        hidden = self.sites("input", context, context, valid)
        hidden = masked(torch.relu(self.stem(hidden)), valid)
        hidden = self.sites("middle", hidden, context, valid)
        base = self.backbone_1(hidden, nearest(hidden, self.neighbours, valid), valid)
        base = self.sites("encoder", base, context, valid)
        # One graph serves the three blocks that read the base.
        graph = nearest(base, self.neighbours, valid)
        start, end = self._boundaries(base, graph, valid)
        feature = self.sites("proposal", self.backbone_2(base, graph, valid), context, valid)
        regression, classification = self._proposals(feature, valid)
        return GTADOutput(start, end, regression, classification)

    def _boundaries(
        self, base: Tensor, graph: Neighbours, valid: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        start = self.start_head(self.start_graph(base, graph, valid))
        end = self.end_head(self.end_graph(base, graph, valid))
        probability = self._probability(torch.cat([start, end], dim=1))
        return probability[:, 0], probability[:, 1]

    def _proposals(self, feature: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        context = neighbour_mean(feature, nearest(feature, self.neighbours, valid))
        projected = self.align.project(feature, masked(context, valid))
        # A few items at a time on the CPU, where fresh memory for a larger block is slow to get.
        chunk = CPU_ITEMS if feature.device.type == "cpu" else len(feature)
        scores = torch.cat([self._scores(part) for part in projected.split(chunk)])
        shape = (len(scores), 2, self.max_duration * self.length)
        maps = scores.new_zeros(shape).index_copy(2, self.positions, scores.transpose(1, 2))
        regression, classification = maps.unflatten(2, (self.max_duration, -1)).unbind(1)
        return regression, classification

    def _scores(self, projected: Tensor) -> Tensor:
        cells = self.map_in(self.align.sample(projected).relu_()).relu_()
        # The last cell is what the published map has wherever a proposal would leave the grid;
        # 3×3 convolutions see it beside the valid cells.
        if isinstance(self.map_convs, ProposalMapConvs):
            cells = self.map_convs(cells[:, :-1], cells[:, -1])
        else:
            for conv in self.map_convs:
                cells = conv(cells).relu_()
            cells = cells[:, :-1]
        return self._probability(self.map_out(cells))

    def _probability(self, logits: Tensor) -> Tensor:
        # In the weights' precision, also under mixed precision: half a float saturates early.
        return torch.sigmoid(logits.to(self.map_out.weight.dtype))


def _boundary_head(hidden_dim: int, graph_groups: int) -> tuple[GCNeXt, nn.Conv1d]:
    return GCNeXt(hidden_dim, graph_groups), nn.Conv1d(hidden_dim, 1, 1)


def targets(
    truth: Truth,
    timeline: Timeline,
    *,
    max_duration: int | None = None,
    boundary_rule: BoundaryRule = "center",
    gtad_half_shift: bool = False,
) -> dict[str, NDArray[np.float32]]:
    """`start` and `end` (T,), `iou` (D, T): what the network should say of one view.

    `boundary_rule` is `center` in the ActivityNet release and `edge` in the one for THUMOS14. See
    `layers.proposals.proposal_targets`.

    Args:
        gtad_half_shift: the THUMOS14 release counts a window from half a step before its first
            snippet when it makes the map (0.4 or 0.6 of a step, as it truncates to frames), but
            not for the boundaries, nor at inference. True moves the map's actions by half a step.
    """
    return proposal_targets(
        truth,
        timeline,
        max_duration=max_duration,
        boundary_rule=boundary_rule,
        map_shift_steps=HALF_SHIFT_STEPS if gtad_half_shift else 0.0,
    )


def loss(
    outputs: GTADOutput,
    targets: Mapping[str, Tensor],
    valid: Tensor | None = None,
    *,
    regression_weight: float = 10.0,
    classification_weight: float = 1.0,
    gtad_release_loss: bool = False,
    low_includes_zero: bool = False,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """L = L_start + L_end + 10·L_reg + L_cls, counted over the batch (spec §3.2).

    Args:
        outputs: of the network.
        targets: of `targets`, stacked: `start`, `end` (B, T), `iou` (B, D, T).
        valid: (B, T); steps without video and proposals that touch one do not count.
        regression_weight: of L_reg.
        classification_weight: of L_cls.
        gtad_release_loss: as released for THUMOS14: the two weights change places, and ten
            imagined positives and negatives join the counts of L_cls.
        low_includes_zero: see `balanced_regression`.
        generator: draws the cells of L_reg, see `balanced_regression`.

    Returns:
        `start`, `end`, `regression`, `classification` and their weighted sum `total`, scalars.
    """
    iou = targets["iou"]
    cells = countable_cells(iou, valid)
    terms = {
        "start": balanced_bce(outputs.start, targets["start"], 0.5, valid),
        "end": balanced_bce(outputs.end, targets["end"], 0.5, valid),
        "regression": balanced_regression(
            outputs.regression,
            iou,
            cells,
            low_includes_zero=low_includes_zero,
            generator=generator,
        ),
        "classification": balanced_bce(
            outputs.classification,
            iou,
            0.9,
            cells,
            added_count=RELEASE_ADDED_COUNT if gtad_release_loss else 0.0,
        ),
    }
    weights = (regression_weight, classification_weight)
    by_regression, by_classification = weights[::-1] if gtad_release_loss else weights
    map_loss = by_regression * terms["regression"] + by_classification * terms["classification"]
    return {"total": terms["start"] + terms["end"] + map_loss, **terms}


def decode(
    outputs: GTADOutput,
    timelines: Sequence[Timeline],
    valid: Tensor | None = None,
    *,
    candidates: Candidates = "peaks",
    pairing: Pairing = "inclusive",
    confidence: Confidence = "product",
    boundary_scores: bool = False,
    max_proposals: int = 1000,
) -> list[Found]:
    """Proposals of each view in seconds, best first, labels −1, by p_c · p_r.

    Both releases pair `exclusive`; the one for ActivityNet takes `peaks` as candidates, the one
    for THUMOS14 `all` (and then more than 1000 proposals; raise `max_proposals`). The former looks
    for peaks at inner steps only, which are all that `exclusive` pairs can use. See
    `layers.proposals.decode_proposals`.

    Raises:
        AttentadError: the outputs are not finite.
    """
    return decode_proposals(
        outputs,
        timelines,
        valid,
        candidates=candidates,
        pairing=pairing,
        confidence=confidence,
        boundary_scores=boundary_scores,
        max_proposals=max_proposals,
    )
