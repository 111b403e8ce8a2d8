"""GCNeXt of G-TAD (Xu et al., CVPR 2020, §3.2): steps exchange features with their neighbours.

Neighbours in time are reached by a convolution, neighbours in meaning are the K steps whose
features are nearest in squared Euclidean distance, the step itself among them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from attentad.layers.masking import masked

GROUP_WIDTH = 4  # channels of one group


class Neighbours(NamedTuple):
    """The K nearest steps of every step.

    Args:
        rows: (B, T, K), the neighbours among all steps of the batch, b·T + t.
        real: (B, T, K), false where a view has fewer than K steps with video and the step stands
            in for a neighbour of its own; None if all are real.
    """

    rows: Tensor
    real: Tensor | None


@torch.no_grad()
def nearest(feature: Tensor, count: int, valid: Tensor | None = None) -> Neighbours:
    """The `count` steps nearest to each step of (B, C, T), itself included, never padding.

    Args:
        feature: finite where there is video. No gradient flows through the choice.
        count: K; a grid of fewer steps has that many neighbours.
        valid: (B, T), true where there is video; steps without it get neighbours as well.
    """
    batch, _, length = feature.shape
    steps = feature.to(torch.promote_types(feature.dtype, torch.float32)).transpose(1, 2)
    with torch.autocast(feature.device.type, enabled=False):
        # Taken from their mean, features with much in common lose no digits in the product.
        steps = steps - steps.mean(1, keepdim=True)
        # |x_s − x_t|² without |x_t|², which changes no order.
        distance = steps.square().sum(2)[:, None] - 2 * steps @ steps.transpose(1, 2)
    distance.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    if valid is not None:
        distance.masked_fill_(~valid[:, None], torch.inf)
    index = distance.topk(min(count, length), dim=2, largest=False).indices
    real = None
    if valid is not None:
        real = valid[:, None].expand(-1, length, -1).gather(2, index)
        index = torch.where(real, index, torch.arange(length, device=index.device)[:, None])
    first = length * torch.arange(batch, device=index.device)[:, None, None]
    return Neighbours(index + first, real)


def gathered(steps: Tensor, neighbours: Neighbours) -> Tensor:
    """Features (B, T, C) of the neighbours: (B, T, K, C)."""
    return functional.embedding(neighbours.rows, steps.flatten(0, 1))


def neighbour_mean(feature: Tensor, neighbours: Neighbours) -> Tensor:
    """Mean of each step's neighbours, (B, C, T) → (B, C, T)."""
    near = gathered(feature.transpose(1, 2), neighbours)
    if neighbours.real is None:
        return near.mean(2).transpose(1, 2)
    summed = (near * neighbours.real[..., None]).sum(2)
    return (summed / neighbours.real.sum(2, keepdim=True).clamp(min=1)).transpose(1, 2)


class GCNeXt(nn.Module):
    """ReLU(temporal(x) + x + semantic(x)) of x (B, C, T); the shape is kept.

    The first convolution of the semantic path, published on [x_neighbour ; x_t], is applied to the
    T steps before neighbours are gathered, which gives the same sums.

    Args:
        dim: C.
        groups: paths of `GROUP_WIDTH` channels between the first and the last convolution.
    """

    def __init__(self, dim: int, groups: int = 32) -> None:
        super().__init__()
        width = groups * GROUP_WIDTH
        self.time_in = nn.Conv1d(dim, width, 1)
        self.time_groups = nn.Conv1d(width, width, 3, padding=1, groups=groups)
        self.time_out = nn.Conv1d(width, dim, 1)
        self.edge_in = nn.Linear(2 * dim, width)
        self.edge_groups = nn.Conv1d(width, width, 1, groups=groups)
        self.edge_out = nn.Conv1d(width, dim, 1)

    def forward(
        self, feature: Tensor, neighbours: Neighbours, valid: Tensor | None = None
    ) -> Tensor:
        """`neighbours` are those of `feature`, see `nearest`; steps without video become zero."""
        time = masked(torch.relu(self.time_in(feature)), valid)
        time = self.time_out(torch.relu(self.time_groups(time)))
        return masked(torch.relu(time + feature + self._semantic(feature, neighbours)), valid)

    def _semantic(self, feature: Tensor, neighbours: Neighbours) -> Tensor:
        steps = feature.transpose(1, 2)
        by_neighbour, by_itself = self.edge_in.weight.chunk(2, dim=1)
        near = gathered(functional.linear(steps, by_neighbour), neighbours)
        own = functional.linear(steps, by_itself, self.edge_in.bias)
        edges = torch.relu(near + own[:, :, None])
        edges = torch.relu(self.edge_groups(edges.flatten(1, 2).transpose(1, 2)))
        outputs: Tensor = self.edge_out(edges)
        return outputs.unflatten(2, neighbours.rows.shape[1:]).max(3).values
