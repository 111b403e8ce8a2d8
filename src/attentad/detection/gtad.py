"""G-TAD: sub-graph localization (Xu et al., CVPR 2020). Network, targets, loss, decoding.

Steps are the nodes of a graph whose edges join neighbours in time and in meaning. GCNeXt blocks
pass features along both; two heads say for every step how surely an action starts or ends there;
SGAlign reads every proposal, a *cell* (d, s) = box [s, s + d + 1) in grid coordinates, out of the
graph, and the localization module says how well it fits an action.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.attention.sites import AttentionChoice, Sites, SiteShape
from attentad.core import AttentadError, Timeline
from attentad.core.found import Truth
from attentad.core.options import Count
from attentad.layers.align import RoiRule, SGAlign
from attentad.layers.boundary_matching import valid_cells
from attentad.layers.gcnext import GCNeXt, nearest, neighbour_mean
from attentad.layers.masking import masked
from attentad.layers.network_ends import network_input, probability
from attentad.layers.proposal_map import CellMap, ProposalMapConvs
from attentad.layers.proposals import (
    BoundaryRule,
    ProposalOutput,
    decode_proposals,
    proposal_targets,
    proposal_terms,
)

RELEASE_ADDED_COUNT = 10.0
HALF_SHIFT_STEPS = 0.5


class GTAD(nn.Module):
    """Features (B, C_in, T) → `ProposalOutput`.

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

    def __init__(
        self,
        feature_dim: int,
        length: int,
        *,
        max_duration: Count | None = None,
        hidden_dim: Count = 256,
        aligned_dim: Count = 512,
        map_dim: Count = 128,
        groups: Count = 4,
        graph_groups: Count = 32,
        neighbours: Count = 3,
        interior_bins: Count = 32,
        context_bins: Count = 4,
        map_kernel: Literal[1, 3] = 1,
        roi: RoiRule = "gtad",
        attention: Mapping[str, AttentionChoice] | None = None,
    ) -> None:
        super().__init__()
        duration = length if max_duration is None else max_duration
        if duration > length:
            raise AttentadError(
                f"G-TAD's max_duration must be 1 to {length} steps, not {duration}."
            )
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
        self.cell_map = CellMap(valid_cells(length, duration))

    def forward(self, features: Tensor, valid: Tensor | None = None) -> ProposalOutput:
        """Valid (B, T) is true where there is video; see `network_input` for errors."""
        context = network_input("G-TAD", features, valid, self.feature_dim, self.length)
        hidden = self.sites("input", context, context, valid)
        hidden = masked(torch.relu(self.stem(hidden)), valid)
        hidden = self.sites("middle", hidden, context, valid)
        base = self.backbone_1(hidden, nearest(hidden, self.neighbours, valid), valid)
        base = self.sites("encoder", base, context, valid)
        # One graph serves the three blocks that read the base.
        graph = nearest(base, self.neighbours, valid)
        heads = ((self.start_graph, self.start_head), (self.end_graph, self.end_head))
        scores = [head(block(base, graph, valid)) for block, head in heads]
        start, end = probability(torch.cat(scores, dim=1), self.map_out.weight).unbind(1)
        feature = self.sites("proposal", self.backbone_2(base, graph, valid), context, valid)
        regression, classification = self._proposals(feature, valid).unbind(1)
        return ProposalOutput(start, end, regression, classification)

    def _proposals(self, feature: Tensor, valid: Tensor | None) -> Tensor:
        context = neighbour_mean(feature, nearest(feature, self.neighbours, valid))
        context = masked(context, valid)
        cells = self.align.relu_linear(feature, context, self.map_in).relu_()
        # The last cell is what the published map has wherever a proposal would leave the grid;
        # 3×3 convolutions see it beside the valid cells.
        if isinstance(self.map_convs, ProposalMapConvs):
            cells = self.map_convs(cells)
        else:
            for conv in self.map_convs:
                cells = conv(cells).relu_()
            cells = cells[:, :-1]
        return self.cell_map(probability(self.map_out(cells), self.map_out.weight))


def _boundary_head(hidden_dim: int, graph_groups: int) -> tuple[GCNeXt, nn.Conv1d]:
    return GCNeXt(hidden_dim, graph_groups), nn.Conv1d(hidden_dim, 1, 1)


def targets(
    truth: Truth,
    timeline: Timeline,
    *,
    max_duration: Count | None = None,
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
    outputs: ProposalOutput,
    targets: Mapping[str, Tensor],
    valid: Tensor | None = None,
    *,
    regression_weight: float = 10.0,
    classification_weight: float = 1.0,
    gtad_release_loss: bool = False,
    low_includes_zero: bool = False,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """L = L_start + L_end + 10·L_reg + L_cls as `total`, with its terms (spec §3.2).

    Args:
        outputs, targets, valid, generator: as of `layers.proposals.proposal_terms`.
        regression_weight: of L_reg.
        classification_weight: of L_cls.
        gtad_release_loss: as released for THUMOS14: the two weights change places, and ten
            imagined positives and negatives join the counts of L_cls.
        low_includes_zero: see `balanced_regression`.
    """
    terms = proposal_terms(
        outputs,
        targets,
        valid,
        added_count=RELEASE_ADDED_COUNT if gtad_release_loss else 0.0,
        low_includes_zero=low_includes_zero,
        generator=generator,
    )
    weights = (regression_weight, classification_weight)
    by_regression, by_classification = weights[::-1] if gtad_release_loss else weights
    map_loss = by_regression * terms["regression"] + by_classification * terms["classification"]
    return {"total": terms["start"] + terms["end"] + map_loss, **terms}


# By p_c · p_r. Both releases pair `exclusive`; the one for ActivityNet takes `peaks`, and at inner
# steps only, which are all that `exclusive` can use; the one for THUMOS14 takes `all`.
decode = partial(decode_proposals, boundary_scores=False)
