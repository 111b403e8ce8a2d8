"""Networks, inputs and targets made of numbers in closed form, for values that public code gave.

The same numbers, filled into the public networks, gave the values in the tests of this folder. The
public code was run on a processor in double precision, its calls of `.cuda()` left out; of code
that is compiled there (G-TAD's Align1D, DBG's PropTcfg) a loop over the published kernel's
formulas in plain Python took the place. Losses that draw cells at random have targets with equally
many cells in each band, of which all are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.core import Timeline

# Kernels that have their sampled points in front: (points, C_out, C_in), and last in public.
_POINTS_FIRST = ("matching.weight", "align.weight", "pfg.weight")
BATCH = 2
DURATION_SEC = 20.0


def numbers(seed: int, *shape: int) -> NDArray[np.float64]:
    """The first values of SplitMix64 from the counter seed · 2³² on, in −1..1, row by row."""
    with np.errstate(over="ignore"):
        z = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(seed << 32)
        z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1).reshape(shape)


def filled(network: nn.Module, modules: Mapping[str, str]) -> nn.Module:
    """The network with the weights that the public one was given, in evaluation mode.

    The k-th parameter there (from 1, a module's weight before its bias) is numbers(k, *its shape),
    times √(6 / fan in) if it is a weight and times 0.1 if it is a bias.

    Args:
        modules: name of every module with weights in the public network, in its order → ours.
    """
    parameters = dict(network.named_parameters())
    names = [f"{ours}.{part}" for ours in modules.values() for part in ("weight", "bias")]
    assert sorted(names) == sorted(parameters)
    for k, name in enumerate(names, 1):
        parameter = parameters[name]
        if name in _POINTS_FIRST:
            points, out_dim, in_dim = parameter.shape
            values = numbers(k, out_dim, in_dim, points).transpose(2, 0, 1)
        else:
            values = numbers(k, *parameter.shape)
        is_bias = name.endswith("bias")
        fan_in = parameter.numel() / parameter.shape[1 if name in _POINTS_FIRST else 0]
        scale = 0.1 if is_bias else (6 / fan_in) ** 0.5
        parameter.data = torch.from_numpy(values * scale).float()
    return network.eval()


def timeline(length: int) -> Timeline:
    """A video of `DURATION_SEC` in so many steps."""
    return Timeline(length, length / DURATION_SEC, 1.0, 1.0, DURATION_SEC)


def features(feature_dim: int, length: int, scale: float = 1.0) -> Tensor:
    """Features (B, C_in, T)."""
    return torch.from_numpy(scale * numbers(100, BATCH, feature_dim, length)).float()


def boundaries(length: int) -> dict[str, Tensor]:
    """Labels `start` and `end`, (B, T) in {0, 1}, of which some are 1."""
    start, end = numbers(50, BATCH, length) > 0.4, numbers(51, BATCH, length) > 0.5
    return {"start": torch.from_numpy(start).float(), "end": torch.from_numpy(end).float()}


def overlaps(cells: NDArray[np.bool_], values: Sequence[float], rest: float) -> Tensor:
    """A map of tIoU (B, H, W): the cells take turns with `values`, as often with each.

    Args:
        cells: (H, W), those of the map, row by row; the others are 0.
        rest: of the last cells, for which no whole turn is left.
    """
    maps = np.zeros((BATCH, *cells.shape))
    count = cells.sum()
    rank = np.arange(count)
    for item in range(BATCH):
        turn = np.asarray(values)[(rank + item) % len(values)]
        whole = rank < count // len(values) * len(values)
        maps[item][cells] = np.where(whole, turn, rest)
    return torch.from_numpy(maps).float()


def near(value: float) -> Any:
    """What single precision says of it."""
    return pytest.approx(value, rel=1e-5, abs=2e-6)


def assert_near(
    found: Tensor, mean: float, weighted: float, entries: Mapping[tuple[int, ...], float]
) -> None:
    """Compare with public values: the mean, some entries, and Σ numbers(999) · found."""
    values = found.detach().double()
    weights = torch.from_numpy(numbers(999, *values.shape))
    assert values.mean().item() == near(mean)
    assert (weights * values).sum().item() == near(weighted)
    for place, value in entries.items():
        assert values[place].item() == near(value)
