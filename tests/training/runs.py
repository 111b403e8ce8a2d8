"""Trainings that tests start in processes of their own: `python runs.py NAME FOLDER`."""

from __future__ import annotations

import atexit
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attentad.core import AttentadError
from attentad.core.phase import Phase
from attentad.training.loop import FitResult, fit
from attentad.training.seeding import seed_initial
from attentad.training.settings import TrainingSettings

ITEMS, BATCH, STEPS = 26, 4, 7


class Task(nn.Module):
    """A network and a function of (network, batch) → loss terms."""

    def __init__(self, network: nn.Module, loss: Callable[..., dict[str, Tensor]]) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self.phases: tuple[Phase, ...] = (Phase(),)

    def forward(self, batch: Any, phase: str) -> dict[str, Tensor]:
        return self.loss(self.network, batch)


class Points:
    """Items that differ from epoch to epoch and draw from each global generator."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(ITEMS, 5, generator=generator)
        self.y = self.x @ torch.randn(5, 2, generator=generator)
        self.epoch = -1

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, index: int) -> dict[str, Any]:
        drawn = np.random.rand()  # noqa: NPY002
        noise = torch.randn(5) * 0.1 + random.random() + drawn + self.epoch
        return {"x": self.x[index] + noise, "y": self.y[index], "video": f"video{index}"}


def network() -> nn.Module:
    seed_initial(3)
    return nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
    )


def loss(net: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A squared error over outputs sampled at random."""
    out = net(batch["x"])
    drawn = float(np.random.rand())  # noqa: NPY002
    kept = (torch.rand_like(out) < 0.7) * (drawn + random.random())
    error = ((out - batch["y"]).square() * kept).mean()
    return {"error": error, "total": error + 0.01 * out.square().mean()}


def validate(net: nn.Module) -> dict[str, float]:
    assert not net.training
    return {"score": -float(net(Points().x).square().mean()) + float(torch.rand(()))}


def killed_at(call: int) -> Callable[..., dict[str, Tensor]]:
    """The loss, but the process is killed (SIGKILL) when it is called for the n-th time."""
    calls = 0

    def run(net: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss(net, batch)

    return run


def settings(**changes: Any) -> TrainingSettings:
    values: dict[str, Any] = {
        "epochs": 4,
        "batch_size": BATCH,
        "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.1},
        "schedule": {"name": "cosine", "warmup_epochs": 1},
        "clip_norm": 1.0,
        "ema_decay": 0.9,
        "select_by": "score",
        "accelerator": "cpu",
    }
    return TrainingSettings(**values | changes)


def train(out: Path, batch_loss: Any = loss, **options: Any) -> FitResult:
    chosen = options.pop("settings", settings())
    return fit(Task(network(), batch_loss), Points(), chosen, out, validate=validate, **options)


def in_child(action: Callable[[], object]) -> int:
    """Run in a forked process; its exit status (negative: the signal that ended it)."""
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kills(folder: Path) -> None:
    """Kill in mid-epoch and resume, in four ways; all weights must equal the undisturbed ones."""
    cases = [(every, workers) for every in (None, 3) for workers in (0, 2)]
    for every, workers in cases:
        chosen = settings(checkpoint_every_steps=every, workers=workers)
        out = folder / f"{every}-{workers}"
        # Twice: in the second epoch and, resumed, in one after it.
        for call in (STEPS + 5, STEPS + 4):
            start = partial(train, out, killed_at(call), settings=chosen, resume=True)
            assert in_child(start) == -signal.SIGKILL, (every, workers)
    train(folder / "whole")
    for every, workers in cases:
        chosen = settings(checkpoint_every_steps=every, workers=workers)
        train(folder / f"{every}-{workers}", settings=chosen, resume=True)


def slow(folder: Path) -> None:
    """A training that can be killed from outside at any moment."""

    def waiting(net: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        time.sleep(0.05)
        return loss(net, batch)

    try:
        train(folder, waiting, settings=settings(checkpoint_every_steps=2), resume=True)
    except AttentadError as error:
        print(error)
        sys.exit(2)


def line_loss(net: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {"total": (net(batch["x"]) - batch["y"]).square().mean()}


LINE = {
    "epochs": 3,
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "accelerator": "cpu",
}


class Line:
    """Items without randomness, of which 26 divide among two processes."""

    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        x = torch.linspace(-1, 1, ITEMS)[index]
        return {"x": torch.stack([x, x * x]), "y": (3 * x - 1)[None]}


def line(out: Path, batch_loss: Any = line_loss, **changes: Any) -> FitResult:
    seed_initial(5)
    chosen = TrainingSettings(**LINE | changes)
    return fit(Task(nn.Linear(2, 1), batch_loss), Line(), chosen, out, resume=True)


def ddp(folder: Path) -> None:
    """Run as a script by each of two processes, which Fabric's own launcher starts."""
    seen: list[Tensor] = []
    # Runs after what `fit` registers, the last thing before Python shuts down.
    atexit.register(lambda: (folder / f"threads{result.rank}.txt").write_text(threads()))

    def watched(net: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        seen.append(batch["x"][:, 0])
        return line_loss(net, batch)

    seed_initial(5)
    net = nn.Linear(2, 1)
    chosen = TrainingSettings(**LINE, batch_size=4, devices=2)
    rows: list[Any] = []
    result = fit(Task(net, watched), Line(), chosen, folder, on_epoch=rows.append)
    content = {"net": net.state_dict(), "seen": torch.cat(seen), "rows": len(rows)}
    torch.save(content, folder / f"rank{result.rank}.pt")
    # One process alone has bad data; both must end with the same message.
    bad = Bad() if result.rank == 1 else Line()
    try:
        fit(Task(nn.Linear(2, 1), line_loss), bad, chosen, folder / "bad")
    except AttentadError as error:
        (folder / f"error{result.rank}.txt").write_text(str(error))


def threads() -> str:
    """The names of this process's threads."""
    return " ".join(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))


class Bad(Line):
    def __getitem__(self, index: int) -> dict[str, Tensor]:
        raise AttentadError("this item is bad.")


def spawned(folder: Path) -> None:
    """Functions launched in two processes: forked, killed and resumed, and spawned."""
    torch.set_num_threads(1)
    several = {"batch_size": 4, "devices": 2, "checkpoint_every_steps": 2}
    line(folder / "fork", strategy="ddp_fork", **several)
    line(folder / "spawn", strategy="ddp_spawn", **several)
    try:
        line(folder / "killed", killed_line, strategy="ddp_fork", **several)
    except AttentadError as error:
        (folder / "killed.txt").write_text(str(error))
    line(folder / "killed", strategy="ddp_fork", **several)


CALLS = 0


def killed_line(net: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Kills its process in the second of four steps of the second epoch, after a checkpoint."""
    global CALLS
    CALLS += 1
    if CALLS == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return line_loss(net, batch)


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"kills": kills, "slow": slow, "ddp": ddp, "spawned": spawned}[sys.argv[1]](Path(sys.argv[2]))
