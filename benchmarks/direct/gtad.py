"""G-TAD computed as published: align first, convolve over the whole map.

256 channels are aligned at 36 (or 32) points for every cell of the map, D × T, valid or not, and
the 1×1 convolution reads them all; every GCNeXt block looks for its own neighbours and gathers
their features before its first convolution. Same parameters and state dict as ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attentad.detection.gtad import GTAD
from attentad.layers.align import RoiRule, align_weights
from attentad.layers.boundary_matching import valid_cells
from attentad.layers.gcnext import GCNeXt, nearest
from attentad.layers.masking import masked
from attentad.layers.network_ends import probability
from attentad.layers.proposal_map import ProposalMapConvs
from attentad.layers.proposals import ProposalOutput
from attentad.layers.sparse_rows import SparseProduct, from_entries


class DirectGTAD(GTAD):
    """G-TAD with the same arguments and parameters, in the direct form."""

    def __init__(self, feature_dim: int, length: int, **options: Any) -> None:
        super().__init__(feature_dim, length, **options)
        shape = (length, self.max_duration)
        rule: RoiRule = options.get("roi", "gtad")
        self.align_interior = map_alignment(*shape, self.align.interior, rule)
        self.align_context = map_alignment(*shape, self.align.context, rule)
        cells = torch.from_numpy(valid_cells(*shape))
        self.register_buffer("cells", cells, persistent=False)

    def forward(self, features: Tensor, valid: Tensor | None = None) -> ProposalOutput:
        context = masked(features, valid)
        hidden = self.sites("input", context, context, valid)
        hidden = masked(torch.relu(self.stem(hidden)), valid)
        hidden = self.sites("middle", hidden, context, valid)
        base = direct_gcnext(self.backbone_1, hidden, self.neighbours, valid)
        base = self.sites("encoder", base, context, valid)
        start = self.start_head(direct_gcnext(self.start_graph, base, self.neighbours, valid))
        end = self.end_head(direct_gcnext(self.end_graph, base, self.neighbours, valid))
        feature = direct_gcnext(self.backbone_2, base, self.neighbours, valid)
        feature = self.sites("proposal", feature, context, valid)
        regression, classification = self._maps(feature, valid).unbind(1)
        boundaries = probability(torch.cat([start, end], dim=1), self.map_out.weight)
        return ProposalOutput(boundaries[:, 0], boundaries[:, 1], regression, classification)

    def _maps(self, feature: Tensor, valid: Tensor | None) -> Tensor:
        near, real = neighbour_features(feature, self.neighbours, valid)
        context = (near * real).sum(3) / real.sum(3).clamp(min=1)
        aligned = [
            align(feature.transpose(1, 2)).unflatten(1, (-1, bins))
            for align, feature, bins in (
                (self.align_interior, feature, self.align.interior),
                (self.align_context, masked(context, valid), self.align.context),
            )
        ]
        kernel = self.align.weight.transpose(0, 1).flatten(1)
        cells = torch.cat(aligned, dim=2).flatten(2)
        cells = torch.relu(functional.linear(cells, kernel, self.align.bias))
        cells = torch.relu(self.map_in(cells))
        if isinstance(self.map_convs, ProposalMapConvs):
            image = cells.transpose(1, 2).unflatten(2, self.cells.shape)
            for conv in self.map_convs.convs:
                image = torch.relu(conv(image))
            cells = image.flatten(2).transpose(1, 2)
        else:
            for conv in self.map_convs:
                cells = torch.relu(conv(cells))
        maps = probability(self.map_out(cells), self.map_out.weight).transpose(1, 2)
        return maps.unflatten(2, self.cells.shape) * self.cells


def neighbour_features(feature: Tensor, count: int, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """The nearest steps' features of (B, C, T): (B, C, T, K), and which are real (B, 1, T, K)."""
    rows, real = nearest(feature, count, valid)
    near = functional.embedding(rows, feature.transpose(1, 2).flatten(0, 1)).permute(0, 3, 1, 2)
    return near, torch.ones_like(rows)[:, None] if real is None else real[:, None]


def direct_gcnext(block: GCNeXt, feature: Tensor, count: int, valid: Tensor | None) -> Tensor:
    """A GCNeXt block that convolves [x_neighbour ; x_t] for each of the K edges of a step."""
    time = masked(torch.relu(block.time_in(feature)), valid)
    time = block.time_out(torch.relu(block.time_groups(time)))
    near, _ = neighbour_features(feature, count, valid)
    edges = torch.cat([near, feature[..., None].expand_as(near)], dim=1)
    edge_in = block.edge_in
    edges = torch.relu(functional.conv2d(edges, edge_in.weight[..., None, None], edge_in.bias))
    for conv in (block.edge_groups, block.edge_out):
        edges = functional.conv2d(edges, conv.weight[..., None], conv.bias, groups=conv.groups)
        edges = torch.relu(edges) if conv is block.edge_groups else edges
    return masked(torch.relu(time + feature + edges.max(3).values), valid)


def map_alignment(length: int, max_duration: int, bins: int, rule: RoiRule) -> nn.Module:
    """Alignment over the whole map: features (B, T, C) → (B, D·T·bins, C), (d, s, p) row-major."""
    matrix = align_weights(length, max_duration, bins, rule)
    cells = valid_cells(length, max_duration).ravel()
    region = np.where(cells, cells.cumsum() - 1, cells.sum())
    first, last = matrix.row_starts[region], matrix.row_starts[region + 1]
    cell = np.repeat(np.arange(len(cells)), last - first)
    entry = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
    step, p = np.divmod(matrix.columns[entry], bins)
    shape = (len(cells) * bins, length)
    return SparseProduct(from_entries(cell * bins + p, step, matrix.values[entry], shape))
