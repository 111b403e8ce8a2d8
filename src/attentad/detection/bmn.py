"""BMN: Boundary-Matching Network (Lin et al., ICCV 2019). Network, targets, loss, decoding.

A base of 1-d convolutions turns the features into F; two heads say for every step how surely an
action starts or ends there; the proposal evaluation module (PEM) says for every proposal, a *cell*
(d, s) = box [s, s + d + 1) in grid coordinates, how well it fits an action.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from attentad.attention.sites import AttentionChoice, Sites, SiteShape
from attentad.core import AttentadError
from attentad.core.options import Count
from attentad.layers.boundary_matching import Border, BoundaryMatching, SampleRule, valid_cells
from attentad.layers.masking import masked
from attentad.layers.network_ends import network_input, probability
from attentad.layers.proposal_map import CellMap, Layout, ProposalMapConvs
from attentad.layers.proposals import (
    ProposalOutput,
    decode_proposals,
    proposal_targets,
    proposal_terms,
)

Variant = Literal["code", "paper"]


class BMN(nn.Module):
    """Features (B, C_in, T) → `ProposalOutput`.

    Args:
        feature_dim: C_in.
        length: T, steps of a view.
        max_duration: D, the longest proposal in steps; T by default.
        hidden_dim: channels of the 1-d convolutions.
        sampled_dim: channels of the boundary-matching layer's output.
        map_dim: channels of the 2-d convolutions.
        groups: groups of the base's and the heads' 3-convolutions (`code`).
        proposal_dim: channels that the boundary-matching layer reads (`code`): hidden_dim as in
            most implementations by default, 128 in the authors' PaddlePaddle code.
        bins: N, sampled points of the boundary-matching layer.
        samples: S, points averaged in one of them.
        variant: `code`, the public implementations; `paper`, the published table: no groups, F has
            half the channels, one head for both boundaries, no 1-d convolution in the PEM and one
            3×3 convolution instead of two.
        layout: rows × columns of the map under the 2-d convolutions: duration × start or
            start × end (needs D = T). The output is duration × start either way.
        sampling: which interval is sampled, see `layers.boundary_matching.sampled_interval`.
        border: what is sampled outside the grid, see `layers.boundary_matching.interpolation`.
        attention: site → name and options of a module. `input` is R itself, `middle` comes after
            the first base convolution, `encoder` is F, what the boundary heads and the PEM read.

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
        sampled_dim: Count = 512,
        map_dim: Count = 128,
        groups: Count = 4,
        proposal_dim: int | None = None,
        bins: Count = 32,
        samples: Count = 3,
        variant: Variant = "code",
        layout: Layout = "dur_start",
        sampling: SampleRule = "pd",
        border: Border = "legacy",
        attention: Mapping[str, AttentionChoice] | None = None,
    ) -> None:
        super().__init__()
        duration = length if max_duration is None else max_duration
        if duration > length:
            raise AttentadError(f"BMN's max_duration must be 1 to {length} steps, not {duration}.")
        for dim in (feature_dim, hidden_dim):
            if variant == "code" and dim % groups:
                raise AttentadError(
                    f"BMN's groups = {groups} must divide its {dim} channels: set groups to 1."
                )
        self.feature_dim, self.length = feature_dim, length
        self.max_duration, self.variant = duration, variant
        encoder_dim = hidden_dim // 2 if variant == "paper" else hidden_dim
        dims = {"input": feature_dim, "middle": hidden_dim, "encoder": encoder_dim}
        shapes = {site: SiteShape(dim, feature_dim, length) for site, dim in dims.items()}
        self.sites = Sites(attention, shapes)
        if variant == "paper":
            groups, pem_dim, map_convs = 1, encoder_dim, 1
            self.boundary_head = _boundary_head(encoder_dim, hidden_dim, 2, groups)
        else:
            pem_dim, map_convs = proposal_dim or hidden_dim, 2
            self.start_head = _boundary_head(encoder_dim, hidden_dim, 1, groups)
            self.end_head = _boundary_head(encoder_dim, hidden_dim, 1, groups)
            self.pem_conv = nn.Conv1d(encoder_dim, pem_dim, 3, padding=1)
        self.base_1 = nn.Conv1d(feature_dim, hidden_dim, 3, padding=1, groups=groups)
        self.base_2 = nn.Conv1d(hidden_dim, encoder_dim, 3, padding=1, groups=groups)
        self.matching = BoundaryMatching(
            pem_dim,
            sampled_dim,
            length,
            duration,
            bins=bins,
            samples=samples,
            rule=sampling,
            border=border,
        )
        # 1×1 convolutions of the map, applied to its valid cells only.
        self.map_in = nn.Linear(sampled_dim, map_dim)
        self.map_convs = ProposalMapConvs(map_dim, map_convs, length, duration, layout)
        self.map_out = nn.Linear(map_dim, 2)
        self.cell_map = CellMap(valid_cells(length, duration))

    def forward(self, features: Tensor, valid: Tensor | None = None) -> ProposalOutput:
        """Valid (B, T) is true where there is video; see `network_input` for errors."""
        context = network_input("BMN", features, valid, self.feature_dim, self.length)
        hidden = self.sites("input", context, context, valid)
        hidden = masked(torch.relu(self.base_1(hidden)), valid)
        hidden = self.sites("middle", hidden, context, valid)
        hidden = masked(torch.relu(self.base_2(hidden)), valid)
        feature = self.sites("encoder", hidden, context, valid)
        start, end = self._boundaries(feature, valid)
        regression, classification = self._proposals(feature, valid).unbind(1)
        return ProposalOutput(start, end, regression, classification)

    def _boundaries(self, feature: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        heads = (
            [self.boundary_head] if self.variant == "paper" else [self.start_head, self.end_head]
        )
        scores = [head[1](masked(torch.relu(head[0](feature)), valid)) for head in heads]
        start, end = probability(torch.cat(scores, dim=1), self.map_out.weight).unbind(1)
        return start, end

    def _proposals(self, feature: Tensor, valid: Tensor | None) -> Tensor:
        if self.variant == "code":
            feature = masked(torch.relu(self.pem_conv(feature)), valid)
        # Where a proposal leaves the grid the published map samples zeros, so that its cells hold
        # a constant; the 3×3 convolutions see it beside the valid ones.
        outside = torch.relu(self.map_in(torch.relu(self.matching.bias)))
        cells = self.matching.relu_linear(feature, self.map_in).relu_()
        cells = self.map_convs(torch.cat([cells, outside.expand(len(cells), 1, -1)], dim=1))
        return self.cell_map(probability(self.map_out(cells), self.map_out.weight))


def _boundary_head(in_dim: int, hidden_dim: int, out_dim: int, groups: int) -> nn.ModuleList:
    first = nn.Conv1d(in_dim, hidden_dim, 3, padding=1, groups=groups)
    return nn.ModuleList([first, nn.Conv1d(hidden_dim, out_dim, 1)])


targets = proposal_targets


def loss(
    outputs: ProposalOutput,
    targets: Mapping[str, Tensor],
    valid: Tensor | None = None,
    *,
    regression_weight: float = 10.0,
    ratio_clamp: bool = False,
    low_includes_zero: bool = False,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """L = L_start + L_end + 10·L_reg + L_cls as `total`, with its terms (BMN §4.4).

    Args:
        outputs, targets, valid, generator: as of `layers.proposals.proposal_terms`.
        regression_weight: of L_reg.
        ratio_clamp: see `balanced_bce`.
        low_includes_zero: see `balanced_regression`.
    """
    terms = proposal_terms(
        outputs,
        targets,
        valid,
        ratio_clamp=ratio_clamp,
        low_includes_zero=low_includes_zero,
        generator=generator,
    )
    total = terms["start"] + terms["end"] + terms["classification"]
    return {"total": total + regression_weight * terms["regression"], **terms}


decode = decode_proposals
