"""The learning rate as a pure function of the step, so that resuming needs no state.

Only `plateau` depends on what happened; its state is three numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from attentad.training.settings import ScheduleSettings


def lr_factor(
    settings: ScheduleSettings,
    step: int,
    steps_per_epoch: int,
    epochs: int,
    plateau_factor: float = 1.0,
) -> float:
    """Factor on the learning rate at a step.

    Warm-up rises linearly to 1 at its last step. `step` drops at epoch boundaries, `cosine`
    falls from the end of the warm-up to the end of training (Loshchilov & Hutter 2017, no
    restart), `onecycle` rises and falls along half cosines (Smith & Topin 2018; the learning
    rate only, as torch's OneCycleLR without momentum).

    Args:
        step: optimiser steps done before this one, from the beginning of training.
        plateau_factor: `Plateau.factor`, for the plateau schedule.
    """
    total = steps_per_epoch * epochs
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    if settings.name == "step":
        drops = sum(step // steps_per_epoch >= epoch for epoch in settings.milestones)
        return rise * settings.gamma**drops
    if settings.name == "cosine":
        if step < warmup:
            return rise
        return _half_cosine(1.0, settings.final_factor, (step - warmup) / max(1, total - warmup))
    if settings.name == "onecycle":
        top, last = settings.rise * total - 1, total - 1
        if step <= top:
            return _half_cosine(settings.first_factor, 1.0, step / top if top > 0 else 1.0)
        return _half_cosine(1.0, settings.last_factor, (step - top) / (last - top))
    return rise * plateau_factor if settings.name == "plateau" else rise


def _half_cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


@dataclass(frozen=True)
class Plateau:
    """The state of the plateau schedule.

    Args:
        factor: product of the drops so far.
        best: best value so far; None before the first.
        stuck: values in a row that were no better.
    """

    factor: float = 1.0
    best: float | None = None
    stuck: int = 0

    def after(self, value: float, mode: str, patience: int, gamma: float) -> Plateau:
        """The state after one more value; the factor drops when `stuck` exceeds `patience`."""
        if better(value, self.best, mode):
            return Plateau(self.factor, value, 0)
        if self.stuck + 1 > patience:
            return Plateau(self.factor * gamma, self.best, 0)
        return Plateau(self.factor, self.best, self.stuck + 1)


def better(value: float, best: float | None, mode: str) -> bool:
    """Whether a value beats the best so far (`max` or `min`); NaN never does."""
    if math.isnan(value):
        return False
    return best is None or (value > best if mode == "max" else value < best)
