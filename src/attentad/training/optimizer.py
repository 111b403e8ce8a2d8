"""The optimiser, with a learning-rate factor and weight decay per group of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from attentad.core import AttentadError
from attentad.training.settings import OptimizerSettings


def parameter_groups(network: nn.Module, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Trainable parameters grouped by learning-rate factor and weight decay.

    A name in `lr_multipliers` or `weight_decays` matches a parameter of that name and all
    parameters of a module of that name (`layer1` matches `layer1.0.weight`, not `layer10.weight`).

    Returns:
        Groups with keys params, lr, weight_decay and lr_factor, in the network's order.

    Raises:
        AttentadError: such a name matches nothing, or nothing is trainable.
    """
    names = [name for name, _ in network.named_parameters()]
    for option in ("lr_multipliers", "weight_decays"):
        for prefix in getattr(settings, option):
            if not any(_matches(name, prefix) for name in names):
                parts = ", ".join(sorted({name.split(".")[0] for name in names}))
                raise AttentadError(
                    f"optimizer.{option}: {prefix} is no module or parameter of the network; "
                    f"it has {parts}."
                )
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        factor = _longest_match(name, settings.lr_multipliers, 1.0)
        exempt = parameter.ndim <= 1 and not settings.decay_1d
        own_decay = _longest_match(name, settings.weight_decays, settings.weight_decay)
        decay = 0.0 if exempt else own_decay
        group = groups.setdefault(
            (factor, decay),
            {
                "params": [],
                "lr": settings.lr * factor,
                "weight_decay": decay,
                "lr_factor": factor,
            },
        )
        group["params"].append(parameter)
    if not groups:
        raise AttentadError("the network has no trainable parameters; unfreeze some.")
    return list(groups.values())


def make_optimizer(network: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimiser that the settings name; see `parameter_groups` for errors."""
    groups = parameter_groups(network, settings)
    if settings.name == "sgd":
        return torch.optim.SGD(
            groups,
            lr=settings.lr,
            momentum=settings.momentum,
            dampening=settings.dampening,
            nesterov=settings.nesterov,
        )
    algorithm = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
    return algorithm(groups, lr=settings.lr, betas=settings.betas)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give each group `lr` times its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]


def _matches(name: str, prefix: str) -> bool:
    prefix = prefix.rstrip(".")
    return name == prefix or name.startswith(prefix + ".")


def _longest_match(name: str, values: Mapping[str, float], default: float) -> float:
    matching = [prefix for prefix in values if _matches(name, prefix)]
    return values[max(matching, key=len)] if matching else default
