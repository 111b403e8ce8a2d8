"""The optimiser, with a learning-rate factor and weight decay per group of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from attentad.core import AttentadError
from attentad.core.phase import Phase
from attentad.training.settings import OPTIMIZER_OPTIONS, OptimizerSettings
from attentad.training.task import learning_parts


def parameter_groups(
    task: nn.Module, settings: OptimizerSettings, phases: Sequence[Phase] = (Phase(),)
) -> list[dict[str, Any]]:
    """Parameters that learn in the phases, grouped by learning-rate factor and weight decay.

    A name in `lr_multipliers` or `weight_decays` matches a parameter of that name and all
    parameters of a module of that name (`layer1` matches `layer1.0.weight`, not `layer10.weight`);
    names within the task's `network` go without `network.`.

    Returns:
        Groups with keys params, lr, weight_decay and lr_factor, in the task's order.

    Raises:
        AttentadError: such a name matches nothing, or nothing is trainable.
    """
    names = [name for name, _ in task.named_parameters()]
    factors = _absolute("lr_multipliers", settings.lr_multipliers, names)
    decays = _absolute("weight_decays", settings.weight_decays, names)
    parts = [part for phase in phases for part in learning_parts(task, phase)]
    learning = {parameter for part in parts for parameter in part.parameters()}
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in task.named_parameters():
        if not parameter.requires_grad or parameter not in learning:
            continue
        factor = _longest_match(name, factors, 1.0)
        exempt = parameter.ndim <= 1 and not settings.decay_1d
        decay = 0.0 if exempt else _longest_match(name, decays, settings.weight_decay)
        rates = {"lr": settings.lr * factor, "weight_decay": decay, "lr_factor": factor}
        groups.setdefault((factor, decay), {"params": []} | rates)["params"].append(parameter)
    if not groups:
        raise AttentadError("the network has no trainable parameters; unfreeze some.")
    return list(groups.values())


def make_optimizer(
    task: nn.Module, settings: OptimizerSettings, phases: Sequence[Phase] = (Phase(),)
) -> torch.optim.Optimizer:
    """The optimiser that the settings name; see `parameter_groups` for errors."""
    groups = parameter_groups(task, settings, phases)
    algorithm: Any = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    options = settings.model_dump(include=OPTIMIZER_OPTIONS[settings.name])
    optimizer: torch.optim.Optimizer = algorithm[settings.name](groups, lr=settings.lr, **options)
    return optimizer


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give each group `lr` times its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]


def _absolute(option: str, values: Mapping[str, float], names: list[str]) -> dict[str, float]:
    """The values by module or parameter of the task; recipes leave out `network.`."""
    absolute: dict[str, float] = {}
    for given, value in values.items():
        # Recipes of before the sites called them attention.
        former = re.sub(r"(^|\.)attention(?=\.|$)", r"\1sites", given)
        tried = (f"network.{given}", given, f"network.{former}")
        prefixes = [prefix.rstrip(".") for prefix in tried]
        matching = [prefix for prefix in prefixes if any(_matches(n, prefix) for n in names)]
        if not matching:
            parts = sorted({name.removeprefix("network.").split(".")[0] for name in names})
            raise AttentadError(
                f"optimizer.{option}: {given} is no module or parameter of the network; "
                f"it has {', '.join(parts)}."
            )
        absolute[matching[0]] = value
    return absolute


def _matches(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def _longest_match(name: str, values: Mapping[str, float], default: float) -> float:
    matching = [prefix for prefix in values if _matches(name, prefix)]
    return values[max(matching, key=len)] if matching else default
