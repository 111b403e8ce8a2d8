"""What trains: a task, and how its phases take turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from attentad.core.phase import Phase
from attentad.training.weights import load_into

if TYPE_CHECKING:
    from lightning_fabric.plugins import Precision


class Task(Protocol):
    """A torch module with a network, its loss, and whatever else takes part in training.

    It may have, beside what is below, `set_epoch(epoch)`, which is called before each epoch (from
    0), and `unsaved`, names of submodules that no checkpoint holds, such as a teacher that is built
    anew from its own file.

    Mixed precision holds inside the task's direct submodules, called as functions; they return 32
    bits, in which the losses around them are computed.
    """

    network: nn.Module  # what ships
    phases: tuple[Phase, ...]

    def forward(self, batch: Any, phase: str) -> Mapping[str, Tensor]:
        """Loss terms of a batch in a phase, scalars; `total` is minimised, all are logged.

        `total` must depend on a parameter that learns, on every batch and in every process, and
        the other terms on none that it does not depend on, unless they are detached.
        """
        ...


def passes_of(phases: Sequence[Phase]) -> list[list[list[Phase]]]:
    """The passes over the data in an epoch → the optimiser steps on a batch → a step's phases.

    Raises:
        ValueError: the first phase shares a step, or two have one name.
    """
    if len({phase.name for phase in phases}) < len(phases) or phases[0].shares_step:
        raise ValueError("phases need names of their own, and the first one a step of its own")
    passes: list[list[list[Phase]]] = []
    for phase in phases:
        if phase.shares_step:
            passes[-1][-1].append(phase)
        elif passes and phase.each == passes[-1][0][0].each == "step":
            passes[-1].append([phase])
        else:
            passes.append([[phase]])
    return passes


def learning_parts(task: nn.Module, phase: Phase) -> list[nn.Module]:
    """The submodules that learn in a phase; the task itself where it names none."""
    return [task.get_submodule(name) for name in phase.parts] or [task]


@contextmanager
def learning(task: nn.Module, phase: Phase) -> Iterator[None]:
    """Let only the phase's parts learn inside the block; see `Phase`."""
    if not phase.parts:
        yield
        return
    parts = learning_parts(task, phase)
    own_modules = {module for part in parts for module in part.modules()}
    own_parameters = {parameter for part in parts for parameter in part.parameters()}
    # A module that holds a learning one stays in training mode: its outputs may depend on it.
    modules = [m for m in task.modules() if m.training and own_modules.isdisjoint(m.modules())]
    parameters = [p for p in task.parameters() if p.requires_grad and p not in own_parameters]
    _set(modules, parameters, False)
    try:
        yield
    finally:
        _set(modules, parameters, True)


def _set(modules: list[nn.Module], parameters: list[nn.Parameter], learns: bool) -> None:
    for module in modules:
        module.training = learns
    for parameter in parameters:
        parameter.requires_grad_(learns)


@contextmanager
def mixed_precision(task: nn.Module, precision: Precision) -> Iterator[None]:
    """Run the task's direct submodules in a precision inside the block, but nothing around them."""

    def run(forward: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = precision.convert_input((args, kwargs))
        with precision.forward_context():
            output = forward(*args, **kwargs)
        return precision.convert_output(output)

    children = list(task.children())
    for child in children:
        vars(child)["forward"] = partial(run, child.forward)
    try:
        yield
    finally:
        for child in children:
            del vars(child)["forward"]


def saved_state(task: nn.Module) -> dict[str, Tensor]:
    """The task's parameters and buffers, without those of its `unsaved` submodules."""
    unsaved = tuple(f"{name}." for name in getattr(task, "unsaved", ()))
    state = task.state_dict()
    return {name: value for name, value in state.items() if not name.startswith(unsaved)}


def load_saved(task: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """The inverse of `saved_state`; see `load_into` for errors."""
    state = task.state_dict()
    unsaved = state.keys() - saved_state(task).keys()
    load_into(task, {name: state[name] for name in unsaved} | dict(tensors), where)
