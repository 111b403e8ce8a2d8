"""A convolution over sampled points with what comes right after it: ReLU and a 1×1 convolution.

Every cell has some hundreds of channels between the two, the largest thing in the networks that
read proposals. On a processor they are made some channels at a time, and so are the projected
steps that they are sampled from; no part of the kernel or of its gradient is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attentad.layers.sparse_rows import SparseProduct

# A processor's cache holds the sampled rows of so many.
CHANNELS = 128


class Source(NamedTuple):
    """Features that are projected and sampled.

    Args:
        first: of the kernel's points, the one whose slice projects the features first.
        points: how many do.
        column: what is sampled has rows t·N + column, column = 0..N − 1; those of the points begin
            at this one. Where another source has the same, the sum of both is sampled.
    """

    first: int
    points: int
    column: int


def in_parts(feature: Tensor) -> bool:
    """Whether `relu_linear` is for this feature: in float32 or double on a processor."""
    return feature.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def relu_linear(
    product: SparseProduct,
    sources: Sequence[Source],
    features: Sequence[Tensor],
    kernel: tuple[Tensor, Tensor],
    then: nn.Linear,
) -> Tensor:
    """`then` of the ReLU of a convolution over sampled points: (B, R, C).

    Args:
        product: which samples R cells.
        sources: of the sampled rows.
        features: (B, C_in, T) of each source.
        kernel: weight (points, C_out, C_in) and bias (C_out,) of the convolution.
        then: reads its C_out channels.
    """
    steps = [feature.transpose(1, 2).contiguous() for feature in features]
    fixed = (product, sources, torch.is_grad_enabled())
    result: Tensor = _SampledConv.apply(*fixed, *kernel, then.weight, then.bias, *steps)
    return result


class _SampledConv(torch.autograd.Function):
    """See `relu_linear`; the steps are (B, T, C_in)."""

    @staticmethod
    def forward(
        ctx: Any,
        product: SparseProduct,
        sources: Sequence[Source],
        keep: bool,
        weight: Tensor,
        bias: Tensor,
        reader: Tensor,
        reader_bias: Tensor,
        *steps: Tensor,
    ) -> Tensor:
        batch, length, _ = steps[0].shape
        result = reader_bias.repeat(batch, product.shape[0], 1)
        kept = []
        for part in _parts(weight):
            table = weight.new_zeros(batch, product.shape[1], part.stop - part.start)
            for source, step in zip(sources, steps, strict=True):
                for point, rows in _points(source, table, length):
                    rows.addmm_(step.flatten(0, 1), weight[point, part].t())
            for cells, item in zip(result, table, strict=True):
                sampled = product.times(item).add_(bias[part]).relu_()
                cells.addmm_(sampled, reader[:, part].t())
                kept += [sampled] if keep else []
        ctx.save_for_backward(weight, reader, *steps, *kept)
        ctx.fixed = product, sources
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        product, sources = ctx.fixed
        weight, reader, *saved = ctx.saved_tensors
        steps, kept = saved[: len(sources)], iter(saved[len(sources) :])
        grad_weight, grad_reader = torch.empty_like(weight), torch.zeros_like(reader)
        grad_bias = weight.new_zeros(weight.shape[1])
        grad_steps = [torch.zeros_like(step) for step in steps]
        batch, length, _ = steps[0].shape
        for part in _parts(weight):
            table = weight.new_empty(batch, product.shape[1], part.stop - part.start)
            for grad, item in zip(grads[0], table, strict=True):
                sampled = next(kept)
                grad_reader[:, part].addmm_(grad.t(), sampled)
                grad_sampled = torch.ops.aten.threshold_backward(grad @ reader[:, part], sampled, 0)
                grad_bias[part] += grad_sampled.sum(0)
                item.copy_(product.transposed_times(grad_sampled))
            for source, step, grad_step in zip(sources, steps, grad_steps, strict=True):
                for point, rows in _points(source, table, length):
                    # Written over what happens to be there.
                    grad_weight[point, part].addmm_(rows.t(), step.flatten(0, 1), beta=0)
                    grad_step.flatten(0, 1).addmm_(rows, weight[point, part])
        grad_reader_bias = grads[0].sum((0, 1))
        return None, None, None, grad_weight, grad_bias, grad_reader, grad_reader_bias, *grad_steps


def _parts(weight: Tensor) -> list[slice]:
    """The channels C_out of a kernel, some at a time."""
    channels = weight.shape[1]
    return [slice(i, min(i + CHANNELS, channels)) for i in range(0, channels, CHANNELS)]


def _points(source: Source, table: Tensor, length: int) -> Iterator[tuple[int, Tensor]]:
    """Each point's number in the kernel and its rows (B·T, C) of the table, a view."""
    by_point = table.view(len(table) * length, -1, table.shape[2]).unbind(1)
    points = by_point[source.column : source.column + source.points]
    return enumerate(points, source.first)
