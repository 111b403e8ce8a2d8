"""Modules that are built for T steps, on sequences of any other length."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


def attend_at_any_length(
    module: nn.Module, feature: Tensor, context: Tensor, valid: Tensor | None = None
) -> Tensor:
    """Run an attention module, also one of fixed `length` N on T ≠ N steps.

    The steps are dealt to ⌈T / N⌉ sequences in turn, each of which spans the whole video as the
    random snippets of training do; within a sequence steps are repeated evenly up to N, as training
    repeats those of a short video, and the first of a step's copies gives its result.

    Args:
        module: of the attention contract; without an attribute `length` it takes any T.
        feature: F, (B, C, T).
        context: R, (B, C_in, T).
        valid: (B, T).

    Returns:
        (B, C, T).
    """
    batch, channels, steps = feature.shape
    length = getattr(module, "length", steps)
    if length == steps:
        attended: Tensor = module(feature, context, valid)
        return attended
    rows, first = dealt_rows(steps, length)
    dealt = torch.from_numpy(rows).to(feature.device)

    def deal(tensor: Tensor) -> Tensor:
        """(B, …, T) → (B · parts, …, N)."""
        return tensor[..., dealt].movedim(-2, 1).flatten(0, 1)

    part = module(deal(feature), deal(context), None if valid is None else deal(valid))
    whole = part.unflatten(0, (batch, len(rows))).movedim(1, -2).reshape(batch, channels, -1)
    return whole[..., torch.from_numpy(first).to(feature.device)]


def dealt_rows(steps: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Which step stands where: (parts, N) steps, and (T,) the place in it, flat, of each step."""
    parts = -(-steps // length)
    rows = np.empty((parts, length), dtype=np.int64)
    first = np.empty(steps, dtype=np.int64)
    for part in range(parts):
        own = np.arange(part, steps, parts)
        rows[part] = own[np.arange(length) * len(own) // length]
        first[own] = part * length + -(-np.arange(len(own)) * length // len(own))
    return rows, first
