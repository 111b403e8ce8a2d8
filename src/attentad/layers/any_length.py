"""Modules that are built for T steps, on sequences of any other length."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class Dealing:
    """T steps dealt to ⌈T / N⌉ sequences of N in turn, each of which spans the whole video.

    So do the random snippets of training. Within a sequence steps are repeated evenly up to N, as
    training repeats those of a short video, and the first of a step's copies gives its result.

    Args:
        steps: T.
        length: N.
    """

    def __init__(self, steps: int, length: int) -> None:
        rows, first = dealt_rows(steps, length)
        self._rows, self._first = torch.from_numpy(rows), torch.from_numpy(first)

    def deal(self, tensor: Tensor | None) -> Tensor | None:
        """(B, …, T) → (B · parts, …, N); None stays None."""
        if tensor is None:
            return None
        return tensor[..., self._rows.to(tensor.device)].movedim(-2, 1).flatten(0, 1)

    def gather(self, dealt: Tensor) -> Tensor:
        """(B · parts, …, N) → (B, …, T)."""
        parts = dealt.unflatten(0, (-1, len(self._rows))).movedim(1, -2)
        return parts.flatten(-2)[..., self._first.to(dealt.device)]


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
