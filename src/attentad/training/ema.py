"""An exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def ema_start(network: nn.Module) -> dict[str, Tensor]:
    """The average before the first step: a copy of parameters and buffers."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def ema_rate(decay: float, step: int, warmup: bool) -> float:
    """The decay at step n, from 1; in warm-up at most (1 + n) / (10 + n)."""
    return min(decay, (1 + step) / (10 + step)) if warmup else decay


@torch.no_grad()
def ema_update(average: Mapping[str, Tensor], network: nn.Module, decay: float) -> None:
    """average ← decay · average + (1 − decay) · weights, in place; integer buffers are copied."""
    floats: tuple[list[Tensor], list[Tensor]] = ([], [])
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            floats[0].append(average[name])
            floats[1].append(value)
        else:
            average[name].copy_(value)
    torch._foreach_lerp_(floats[0], floats[1], 1 - decay)


@contextmanager
def weights_applied(network: nn.Module, weights: Mapping[str, Tensor] | None) -> Iterator[None]:
    """Let the network hold `weights` inside the block; None leaves it as it is."""
    if weights is None:
        yield
        return
    own = ema_start(network)
    network.load_state_dict(dict(weights))
    try:
        yield
    finally:
        network.load_state_dict(own)
