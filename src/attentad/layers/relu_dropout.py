"""ReLU and dropout in one step, for large activations on a processor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LEVELS = 1 << 16


class _ReLUDropout(torch.autograd.Function):
    """In place. Where the result is positive the entry was kept and positive: no mask is saved."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, dropped: int) -> Tensor:
        # One 64-bit draw serves four entries, as drawing is what dropout costs on a processor.
        count = hidden.numel()
        draws = torch.empty((count + 3) // 4, dtype=torch.int64, device=hidden.device)
        draws.random_(-(2**63), None)
        level = draws.view(torch.int16)[:count].view(hidden.shape)
        ctx.scale = LEVELS / (LEVELS - dropped)
        kept = (level >= dropped - LEVELS // 2).to(hidden.dtype)
        result = hidden.mul_(kept.mul_(ctx.scale)).relu_()
        ctx.mark_dirty(hidden)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (result,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grads[0], result, 0).mul_(ctx.scale), None


def relu_dropout(hidden: Tensor, probability: float, training: bool) -> Tensor:
    """dropout(ReLU(hidden)), overwriting `hidden`.

    Args:
        hidden: any shape; no operation may need its old values for a gradient.
        probability: of an entry to be dropped, 0..1 (1 excluded), in steps of 2⁻¹⁶. The entries
            kept are scaled to keep the mean.
        training: without it nothing is dropped.
    """
    dropped = round(probability * LEVELS)
    if not training or not dropped:
        return hidden.relu_()
    result: Tensor = _ReLUDropout.apply(hidden, min(dropped, LEVELS - 1))
    return result
