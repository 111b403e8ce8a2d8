"""The state of a run: what is saved in `last.ckpt` and what is at hand beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from attentad.core import AttentadError
from attentad.training.checkpoint import (
    Position,
    Run,
    Sums,
    all_finite,
    merged_sums,
    save_checkpoint,
)
from attentad.training.ranks import gathered, on_first
from attentad.training.settings import TrainingSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class State:
    """One run in one process. What is saved: network, optimizer, average, scaler, position."""

    fabric: Fabric
    settings: TrainingSettings
    out: Path
    run: Run
    steps: int  # of an epoch
    network: nn.Module  # plain; shares its weights with `module`
    module: nn.Module  # as Fabric wraps it, for training steps
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor] | None  # None where EMA is off
    position: Position

    @property
    def last(self) -> Path:
        """The file that training resumes from."""
        return self.out / "last.ckpt"


def check_weights(state: State) -> None:
    """Raise AttentadError when a weight is no finite number: nothing good can follow."""
    if not all_finite(state.network.state_dict()):
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
        "run": state.run.to_dict(),
        "position": {**state.position.to_dict(), "sums": sums},
        "network": dict(state.network.state_dict()),
        "average": state.average,
        "optimizer": state.optimizer.state_dict(),
        "scaler": state.fabric.strategy.precision.state_dict(),
    }
    save_checkpoint(state.last, content)


def save_best(state: State, metrics: dict[str, float]) -> None:
    """Write `best.ckpt`, the weights to ship and their metrics; in process 0 alone."""
    content = {
        "run": state.run.to_dict(),
        "epoch": state.position.epoch + 1,
        "metrics": metrics,
        "network": dict(state.average or state.network.state_dict()),
    }
    save_checkpoint(state.out / "best.ckpt", content)
