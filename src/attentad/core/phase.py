"""A phase of training: which parts learn, with which optimiser, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Phase:
    """One of the objectives that a task trains by.

    Args:
        name: in the log, in errors, and what `Task.forward` is told.
        parts: names of the task's submodules that learn in this phase, such as `network.encoder`;
            empty for all that can learn. The others are without gradients and in evaluation mode
            while it lasts, so that neither weights nor running statistics of theirs move.
        optimizer: settings that replace those of the recipe's `training.optimizer`, by key.
        each: phases of each `step` follow one another within every step, on the same batch; a
            phase of each `epoch` makes a pass of its own over the data, one after the other in
            every epoch, all on the same batches in the same order.
        shares_step: whether gradients add to those of the phase before it, and its optimiser takes
            the step for both.

    Raises:
        ValueError: it shares a step and yet has an optimiser or an epoch of its own.
    """

    name: str = "main"
    parts: tuple[str, ...] = ()
    optimizer: dict[str, Any] | None = None
    each: Literal["step", "epoch"] = "step"
    shares_step: bool = False

    def __post_init__(self) -> None:
        if self.shares_step and (self.optimizer is not None or self.each == "epoch"):
            raise ValueError(f"phase {self.name} shares a step: no optimizer or epoch is its own")
