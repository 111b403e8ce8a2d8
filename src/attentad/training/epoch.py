"""One epoch of training: its steps, its validation, its row in the log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attentad.core import AttentadError
from attentad.core.phase import Phase
from attentad.training.checkpoint import merged_sums
from attentad.training.ema import ema_rate, ema_update, weights_applied
from attentad.training.items import ItemFailure, to_device, videos_of
from attentad.training.logs import Row
from attentad.training.optimizer import set_lr
from attentad.training.ranks import gathered, largest, on_first, raise_together, rank
from attentad.training.schedule import better
from attentad.training.seeding import STEP, VALIDATION, seed_all
from attentad.training.state import State, check_weights, save, save_best
from attentad.training.task import learning, mixed_precision
from attentad.training.terminal import Tick

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Validate = Callable[[nn.Module], Mapping[str, float]]


def train_epoch(
    state: State,
    loader: Iterator[Any],
    sizes: Sequence[int],
    stopping: Callable[[], bool],
    tick: Tick,
) -> None:
    """Take the steps that the epoch still has; save and raise when asked to stop."""
    position, every = state.position, state.settings.checkpoint_every_steps
    state.task.train()
    set_epoch: Any = getattr(state.task, "set_epoch", None)
    if set_epoch is not None:
        set_epoch(position.epoch)
    mark = time.perf_counter()
    while position.step < state.steps:
        batch = _next_batch(loader)
        _stop_if_asked(state, stopping)
        raise_together(batch.message if isinstance(batch, ItemFailure) else None)
        losses = _step(state, to_device(batch, state.fabric.device))
        position.add(losses, sizes[position.step])
        position.step += 1
        now = time.perf_counter()
        position.seconds, mark = position.seconds + now - mark, now
        tick(position.epoch + 1, position.step, _total(state, losses))
        done = position.epoch * state.steps + position.step
        if every is not None and done % every == 0 and position.step < state.steps:
            save(state)
    on_first(lambda: check_weights(state))
    _stop_if_asked(state, stopping)


def _step(state: State, batch: Any) -> dict[str, float]:
    """The optimiser steps of one batch; the loss terms of this process's part of it."""
    position, settings = state.position, state.settings
    factor, updates = state.lr_factor(position.step), state.updates
    losses: dict[str, float] = {}
    seed = (settings.seed, STEP, position.epoch, position.step, rank())
    for i, update in enumerate(updates):
        set_lr(update.optimizer, update.lr * factor)
        for j, phase in enumerate(update.phases):
            # A pass's first phase has the seed that it has where there is no other.
            seed_all(*seed, *([i, j] if i or j else []))
            losses |= _backward(state, phase, batch)
        _update(state, update.optimizer, batch)
    # The average waits while the network does.
    moved = any(update.moves_network for update in updates)
    if state.average is not None and settings.ema_decay is not None and moved:
        step = state.optimizer_steps(position.step) + 1
        rate = ema_rate(settings.ema_decay, step, settings.ema_warmup)
        ema_update(state.average, state.network, rate)
    return losses


def _backward(state: State, phase: Phase, batch: Any) -> dict[str, float]:
    """Add the gradients of a phase's loss; its terms as the log names them."""
    fabric = state.fabric
    with learning(state.task, phase):
        with mixed_precision(state.task, fabric.strategy.precision):
            terms = state.module(batch, phase.name)
        values = torch.stack([term.detach().float() for term in terms.values()]).tolist()
        names = [state.prefixes[phase.name] + name for name in terms]
        losses = dict(zip(names, values, strict=True))
        raise_together(_not_finite(state, losses, batch))
        fabric.backward(terms["total"])
    return losses


def _update(state: State, optimizer: torch.optim.Optimizer, batch: Any) -> None:
    """Take an optimiser's step and forget its gradients."""
    strategy = state.fabric.strategy
    if state.settings.clip_norm is not None:
        norm = strategy.clip_gradients_norm(
            state.module, optimizer, state.settings.clip_norm, error_if_nonfinite=False
        )
        # With a gradient scaler infinite gradients are normal: it leaves the step out and adapts.
        if not _has_scaler(state.fabric) and not norm.isfinite():
            raise_together(_where(state, batch, "the gradient is not finite"))
    strategy.optimizer_step(optimizer)
    optimizer.zero_grad(set_to_none=True)


def loss_row(state: State) -> Row:
    """The epoch's row: number from 1, learning rate of its last step, mean loss terms.

    `lr` is that of the settings, which a phase may replace; `total` is summed over phases.
    """
    sums = merged_sums(gathered(state.position.sums))
    means = {name: total / items for name, (total, items) in sums.items()}
    lr = state.settings.optimizer.lr * state.lr_factor(state.steps - 1)
    return {"epoch": state.position.epoch + 1, "lr": lr, **means, "total": _total(state, means)}


def _total(state: State, losses: Mapping[str, float]) -> float:
    """What is minimised, over those phases that the losses are of."""
    names = [f"{prefix}total" for prefix in state.prefixes.values()]
    return sum(losses[name] for name in names if name in losses)


def validated(state: State, validate: Validate | None, loss: float) -> Row:
    """Validation metrics of this epoch as `val_…`; keeps the best weights and the plateau."""
    settings, position = state.settings, state.position
    epoch = position.epoch + 1
    metrics: Mapping[str, float] = {}
    if validate is not None and (epoch % settings.validate_every == 0 or epoch == settings.epochs):
        mark = time.perf_counter()
        metrics = on_first(lambda: _metrics(state, validate))
        position.seconds += time.perf_counter() - mark
    name, mode, schedule = settings.select_by, settings.select_mode, settings.schedule
    if name is None:
        position.plateau = position.plateau.after(loss, "min", schedule.patience, schedule.gamma)
    elif metrics:
        if name not in metrics:
            raise AttentadError(
                f"select_by: validation gives no {name}; it gives {', '.join(sorted(metrics))}."
            )
        score = metrics[name]
        if better(score, position.best_score, mode):
            position.best_score, position.best_epoch = score, epoch
            on_first(lambda: save_best(state, dict(metrics)))
        position.plateau = position.plateau.after(score, mode, schedule.patience, schedule.gamma)
    return {f"val_{key}": value for key, value in metrics.items()}


def _metrics(state: State, validate: Validate) -> dict[str, float]:
    """Call `validate` with the weights that would be shipped, and put everything back."""
    seed_all(state.settings.seed, VALIDATION, state.position.epoch)
    network = state.network
    network.eval()
    try:
        with torch.no_grad(), weights_applied(network, state.average):
            return {key: float(value) for key, value in validate(network).items()}
    finally:
        network.train()


def _next_batch(loader: Iterator[Any]) -> Any:
    """The next batch, or an ItemFailure."""
    try:
        return next(loader)
    except RuntimeError as error:
        # torch's words for a worker that vanished; other errors carry the worker's traceback.
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        return ItemFailure(
            f"a data worker died ({str(error).splitlines()[0].rstrip('. ')}); there may be too "
            "little memory for so many workers."
        )


def _stop_if_asked(state: State, stopping: Callable[[], bool]) -> None:
    if not largest(stopping()):
        return
    save(state)
    position = state.position
    raise AttentadError(
        f"training was stopped in epoch {position.epoch + 1} after step {position.step} of "
        f"{state.steps}; its state is in {state.last}: resume it to go on from there."
    )


def _not_finite(state: State, losses: Mapping[str, float], batch: Any) -> str | None:
    for name, value in losses.items():
        if not math.isfinite(value):
            return _where(state, batch, f"the loss term {name} is {value}")
    return None


def _where(state: State, batch: Any, what: str) -> str:
    videos = videos_of(batch)
    named = f" (videos {', '.join(videos)})" if videos else ""
    half = " or train with precision 32-true" if _has_scaler(state.fabric) else ""
    return (
        f"{what} in epoch {state.position.epoch + 1}, step {state.position.step + 1}{named}; check "
        f"their features, lower optimizer.lr or set clip_norm{half}."
    )


def _has_scaler(fabric: Fabric) -> bool:
    return getattr(fabric.strategy.precision, "scaler", None) is not None
