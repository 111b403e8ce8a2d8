"""The state of a run: what is saved in `last.ckpt` and what is at hand beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from attentad.core import AttentadError
from attentad.core.phase import Phase
from attentad.training.checkpoint import (
    Position,
    Run,
    Sums,
    all_finite,
    merged_sums,
    save_checkpoint,
)
from attentad.training.ranks import gathered, on_first
from attentad.training.schedule import lr_factor
from attentad.training.settings import TrainingSettings
from attentad.training.task import saved_state

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class Update:
    """An optimiser step and the phases, one after the other, whose gradients it is taken for."""

    phases: list[Phase]
    optimizer: torch.optim.Optimizer
    lr: float
    moves_network: bool


@dataclass
class State:
    """One run in one process. What is saved: task, optimisers, average, scaler, position."""

    fabric: Fabric
    settings: TrainingSettings
    out: Path
    run: Run
    steps: int  # of an epoch, all passes together
    task: nn.Module  # plain; shares its weights with `module`
    network: nn.Module  # of the task; what ships
    module: nn.Module  # as Fabric's strategy wraps the task, for training steps
    passes: list[list[Update]]  # over the data, in each epoch
    prefixes: dict[str, str]  # phase → what its loss terms begin with in the log
    average: dict[str, Tensor] | None  # of the network; None where EMA is off
    position: Position

    @property
    def last(self) -> Path:
        """The file that training resumes from."""
        return self.out / "last.ckpt"

    @property
    def steps_of_pass(self) -> int:
        """The steps that each optimiser takes in an epoch."""
        return self.steps // len(self.passes)

    @property
    def updates(self) -> list[Update]:
        """Those of the pass that the next step belongs to."""
        return self.passes[self.position.step // self.steps_of_pass]

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """By the phase that brings it."""
        return {each.phases[0].name: each.optimizer for updates in self.passes for each in updates}

    def optimizer_steps(self, step: int) -> int:
        """Those that an optimiser has done before a step of this epoch's passes."""
        return self.position.epoch * self.steps_of_pass + step % self.steps_of_pass

    def lr_factor(self, step: int) -> float:
        """The schedule's factor on learning rates at a step of this epoch's passes."""
        return lr_factor(
            self.settings.schedule,
            self.optimizer_steps(step),
            self.steps_of_pass,
            self.settings.epochs,
            self.position.plateau.factor,
        )


def check_weights(state: State) -> None:
    """Raise AttentadError when a weight is no finite number: nothing good can follow."""
    if not all_finite(state.task.state_dict()):
        epoch = state.position.epoch + (state.position.step > 0)
        raise AttentadError(
            f"a weight became infinite or NaN in epoch {epoch}; lower optimizer.lr or set "
            "clip_norm."
        )


def save(state: State) -> None:
    """Write `last.ckpt`; all processes must come here together."""
    sums = merged_sums(gathered(state.position.sums))
    on_first(lambda: _write_last(state, sums))


def _write_last(state: State, sums: Sums) -> None:
    check_weights(state)
    content = {
        "run": asdict(state.run),
        "position": {**asdict(state.position), "sums": sums},
        "task": saved_state(state.task),
        "average": state.average,
        "optimizers": {name: each.state_dict() for name, each in state.optimizers.items()},
        "scaler": state.fabric.strategy.precision.state_dict(),
    }
    save_checkpoint(state.last, content)


def save_best(state: State, metrics: dict[str, float]) -> None:
    """Write `best.ckpt`, the weights to ship and their metrics; in process 0 alone."""
    content = {
        "run": asdict(state.run),
        "epoch": state.position.epoch + 1,
        "metrics": metrics,
        "network": dict(state.average or state.network.state_dict()),
    }
    save_checkpoint(state.out / "best.ckpt", content)
