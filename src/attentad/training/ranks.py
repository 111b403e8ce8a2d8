"""What several training processes do together; with one process each is a plain call."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import distributed

from attentad.core import AttentadError

T = TypeVar("T")


def rank() -> int:
    """The number of this process among those that train together, from 0."""
    return distributed.get_rank() if _several() else 0


def largest(value: int) -> int:
    """The largest of all processes' values."""
    if not _several():
        return value
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor(value, device=device)
    distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
    return int(tensor)


def gathered(value: T) -> list[T]:
    """All processes' values (anything picklable), in the order of their ranks."""
    if not _several():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def raise_together(message: str | None) -> None:
    """Raise in every process as soon as one of them has a message; otherwise none would wait.

    Raises:
        AttentadError: with the message of the first process that has one.
    """
    if largest(message is not None):
        raise AttentadError(next(text for text in gathered(message) if text is not None))


def on_first(action: Callable[[], T]) -> T:
    """Do something in process 0 alone; all processes get its result, or its AttentadError."""
    if not _several():
        return action()
    outcome: list[Any] = [None, None]
    if rank() == 0:
        try:
            outcome[0] = action()
        except AttentadError as error:
            outcome[1] = str(error)
    distributed.broadcast_object_list(outcome, src=0)
    if outcome[1] is not None:
        raise AttentadError(outcome[1])
    return outcome[0]


def leave_group() -> None:
    """End the connection to the other processes, if there is one, and its threads.

    Without this, a thread of gloo that lets go of its last tensor while Python shuts down aborts
    the process. The threads end with the last reference to the group; wrapped networks hold some
    in cycles.
    """
    if _several():
        distributed.destroy_process_group()
        gc.collect()


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized()
