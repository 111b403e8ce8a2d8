"""Trainer state on disk: written whole or not at all, read without unpickling code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor

from attentad.core import AttentadError
from attentad.core.files import atomic_path
from attentad.training.schedule import Plateau
from attentad.training.settings import TrainingSettings

FORMAT = 2
# What may change between a run and its resumption without changing its result.
_FREE = {
    "epochs",
    "workers",
    "validate_every",
    "checkpoint_every_steps",
    "accelerator",
    "devices",  # the number of processes is compared as such
    "strategy",
}


# loss term → (sum over the items of an epoch so far, number of those items)
Sums: TypeAlias = dict[str, tuple[float, int]]


@dataclass
class Position:
    """Where training is, apart from tensors.

    Args:
        epoch: epochs finished.
        step: steps done in the epoch after those.
        sums: of the loss terms in this epoch, over this process's items.
        seconds: time that this epoch has taken so far.
        best_score, best_epoch: of the best weights so far; epochs count from 1.
    """

    epoch: int = 0
    step: int = 0
    sums: Sums = field(default_factory=dict)
    seconds: float = 0.0
    best_score: float | None = None
    best_epoch: int | None = None
    plateau: Plateau = field(default_factory=Plateau)

    def add(self, losses: Mapping[str, float], items: int) -> None:
        """Add a step's mean loss terms over its items to the sums."""
        for name, value in losses.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + value * items, count + items)

    def next_epoch(self) -> None:
        """Go to the beginning of the next epoch."""
        self.epoch, self.step, self.sums, self.seconds = self.epoch + 1, 0, {}, 0.0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`."""
        position = cls(**values)
        return replace(position, plateau=Plateau(**values["plateau"]))


@dataclass(frozen=True)
class Run:
    """What a checkpoint belongs to; a resumed run must have the same."""

    fingerprint: str
    settings: dict[str, Any]
    items: int
    processes: int

    @classmethod
    def of(cls, fingerprint: str, settings: TrainingSettings, items: int, processes: int) -> Self:
        """The run of these settings, without those that do not change its result."""
        # A cosine or one cycle spans the whole training, so its length matters.
        spanning = settings.schedule.name in ("cosine", "onecycle")
        free = _FREE - {"epochs"} if spanning else _FREE
        dumped = settings.model_dump(mode="json", exclude=free)
        return cls(fingerprint, _flat(dumped), items, processes)

    def check(self, path: Path, checkpoint: Mapping[str, Any], optimizers: Iterable[str]) -> None:
        """Compare with the run that a checkpoint belongs to.

        Args:
            optimizers: the phases that have one.

        Raises:
            AttentadError: they differ; the message says in what, and what to do.
        """
        advice = "resume with what it was started with, or start again in another folder."
        theirs = Run(**checkpoint["run"])
        for key in sorted(self.settings.keys() | theirs.settings.keys()):
            old, new = theirs.settings.get(key), self.settings.get(key)
            if old != new:
                raise AttentadError(f"{path} was made with {key} = {old}, not {new}; {advice}")
        for name in ("items", "processes"):
            old, new = getattr(theirs, name), getattr(self, name)
            if old != new:
                counts = f"{old} training {name}, not {new}"
                raise AttentadError(f"{path} was made with {counts}; {advice}")
        old, new = (", ".join(names) for names in (checkpoint["optimizers"], optimizers))
        if old != new:
            raise AttentadError(f"{path} was made by the phases {old}, not {new}; {advice}")
        if self.fingerprint != theirs.fingerprint:
            made_by = "another recipe or other data, or by a version with other defaults"
            raise AttentadError(f"{path} was made by {made_by}; {advice}")


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a dict of tensors and plain values with torch's format, whole or not at all.

    Raises:
        AttentadError: it cannot be written.
    """
    with atomic_path(path) as temporary:
        try:
            torch.save({"format": FORMAT, **content}, temporary)
        except RuntimeError as error:
            # torch reports a full disk as an archive of unexpected length.
            raise OSError("the disk may be full") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU.

    Raises:
        AttentadError: the file is missing, damaged, no checkpoint, or of a newer version.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise AttentadError(f"{path} does not exist; train first or check the path.") from error
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        raise AttentadError(
            f"{path} is damaged or no checkpoint of attentad; delete it and train again."
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise AttentadError(f"{path} is no checkpoint of attentad; delete it or give another.")
    if content["format"] > FORMAT:
        raise AttentadError(f"{path} comes from a newer version of attentad; upgrade attentad.")
    if content["format"] == 1 and "optimizer" in content:
        # The state of a run as it was before there were phases.
        content["task"] = {f"network.{key}": value for key, value in content["network"].items()}
        content["optimizers"] = {"main": content.pop("optimizer")}
    return content


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """The weights to use from `best.ckpt` or `last.ckpt`: averaged ones where EMA was on.

    Raises:
        AttentadError: the file is missing, damaged or no checkpoint.
    """
    content = load_checkpoint(Path(path))
    own = "network."
    task: dict[str, Tensor] = content.get("task", {})
    network = {key.removeprefix(own): task[key] for key in task if key.startswith(own)}
    weights = content.get("average") or content.get("network") or network
    if not weights:
        raise AttentadError(f"{path} holds no weights; give best.ckpt or last.ckpt of a training.")
    return weights


def merged_sums(parts: Sequence[Sums]) -> Sums:
    """The sums of all processes together."""
    merged: Sums = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        sums = [part[name] for part in parts if name in part]
        merged[name] = (sum(total for total, _ in sums), sum(count for _, count in sums))
    return merged


def all_finite(tensors: Mapping[str, Tensor]) -> bool:
    """Whether no floating-point tensor holds NaN or an infinity."""
    floats = [value for value in tensors.values() if value.is_floating_point()]
    return not floats or bool(torch.stack([value.isfinite().all() for value in floats]).all())


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `optimizer.lr` → value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        # Their own keys, names of parameters, hold dots; each stays one value.
        if isinstance(value, dict) and key not in ("lr_multipliers", "weight_decays"):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
