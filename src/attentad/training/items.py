"""The order of items and their randomness: pure functions of (seed, epoch)."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from attentad.core import AttentadError
from attentad.training.seeding import ITEM, ORDER, derived_seed, seed_all

Collate = Callable[[list[Any]], Any]


@dataclass(frozen=True)
class ItemFailure:
    """Takes the place of a batch, one of whose items could not be made; carries the message."""

    message: str


def epoch_batches(
    items: int,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
    drop_last: bool = False,
) -> list[list[int]]:
    """The batches of one rank in one epoch, as lists of item indices.

    Step k of all ranks together takes the same items as one process with `world_size` times the
    batch. Every item comes once; the first of the order come again where the items do not divide
    among the ranks, so that all ranks take equally many steps.

    Args:
        items: number of items N, at least 1.
        batch_size: items per step and rank.
        drop_last: leave out a last step that is not full on every rank.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, ORDER, epoch))
    order = torch.randperm(items, generator=generator).tolist()
    if drop_last:
        whole = batch_size * world_size
        order = order[: items // whole * whole]
    else:
        missing = -items % world_size if items else 0
        order += (order * world_size)[:missing]
    own = order[rank::world_size]
    return [own[i : i + batch_size] for i in range(0, len(own), batch_size)]


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Yields batches of (epoch, index); set `epoch` and `first_step` before iterating.

    The key carries the epoch, so that workers which live on from epoch to epoch keep in step.

    Args:
        batches_of: `epoch_batches` with all but its `epoch`.
        passes: over the data in each epoch, all in the same order.
    """

    def __init__(self, batches_of: Callable[..., list[list[int]]], passes: int = 1) -> None:
        self._batches_of, self._passes = batches_of, passes
        self.epoch, self.first_step = 0, 0
        # Of a whole epoch: the same in every epoch and on every rank.
        self.steps = len(self._batches())

    def _batches(self) -> list[list[int]]:
        return self._batches_of(epoch=self.epoch) * self._passes

    def sizes(self) -> list[int]:
        """Items in each step of this epoch."""
        return [len(batch) for batch in self._batches()]

    def __len__(self) -> int:
        return self.steps - self.first_step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in self._batches()[self.first_step :]:
            yield [(self.epoch, index) for index in batch]


class SeededItems(Dataset[Any]):
    """A data set whose item depends on (seed, epoch, index) only, in whatever process it is made.

    Tells the data set the epoch (`set_epoch`, where it has one) and seeds the global generators
    before each item.
    """

    def __init__(self, data: Any, seed: int) -> None:
        self._data, self._seed = data, seed
        self._epoch: int | None = None

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, key: tuple[int, int]) -> Any:
        epoch, index = key
        try:
            if epoch != self._epoch:
                if hasattr(self._data, "set_epoch"):
                    self._data.set_epoch(epoch)
                self._epoch = epoch
            seed_all(self._seed, ITEM, epoch, index)
            return self._data[index]
        except AttentadError as error:
            # A worker's exception would reach the user with the worker's traceback in its text.
            return ItemFailure(str(error))


class _Collate:
    """Stacks items, unless one of them failed; a class because workers may be spawned."""

    def __init__(self, collate: Collate | None) -> None:
        self._collate = collate or default_collate

    def __call__(self, items: list[Any]) -> Any:
        failures = [item for item in items if isinstance(item, ItemFailure)]
        return failures[0] if failures else self._collate(items)


def _prepare_worker(_: int) -> None:
    # Ctrl-C reaches every process of the terminal; the main one stops the workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def make_loader(
    data: Any,
    batches: EpochBatches,
    *,
    seed: int,
    collate: Collate | None = None,
    workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader:
    """A loader of the batches that `batches` names; workers stay alive between epochs."""
    return DataLoader(
        SeededItems(data, seed),
        batch_sampler=batches,
        collate_fn=_Collate(collate),
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=_prepare_worker,
        pin_memory=pin_memory,
        # Its own generator: starting workers must not move the global one.
        generator=torch.Generator().manual_seed(0),
    )


def to_device(batch: Any, device: torch.device) -> Any:
    """Move the tensors in dicts, lists and (named) tuples to a device; leave all else alone."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=device.type == "cuda")
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        moved = [to_device(value, device) for value in batch]
        return type(batch)(*moved) if hasattr(batch, "_fields") else type(batch)(moved)
    return batch


def videos_of(batch: Any) -> list[str]:
    """The names under `video` in a batch (key or attribute), for errors; else []."""
    names = batch.get("video") if isinstance(batch, dict) else getattr(batch, "video", None)
    if names is None:
        return []
    return [names] if isinstance(names, str) else [str(name) for name in names]
