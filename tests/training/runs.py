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


def part(inputs: int, outputs: int, plain: bool) -> nn.Sequential:
    """Layers with statistics, noise and a frozen parameter, or without all of them."""
    layers = [nn.Linear(inputs, 6), nn.BatchNorm1d(6), nn.Dropout(0.2), nn.Tanh()]
    if plain:
        layers = [layers[0], layers[-1]]
    else:
        layers[1].weight.requires_grad_(False)
    return nn.Sequential(*layers, nn.Linear(6, outputs))


class Turns(nn.Module):
    """A network, a guide that learns to rebuild its outputs, and a teacher built anew."""

    unsaved = ("teacher",)

    def __init__(self, phases: tuple[Phase, ...], *, plain: bool = False, stop_at: int = 0) -> None:
        super().__init__()
        seed_initial(7)
        self.network, self.guide = part(5, 2, plain), part(2, 2, plain)
        self.teacher = part(5, 2, plain)
        self.phases, self.plain, self.stop_at = phases, plain, stop_at
        self.calls, self.ramp, self.stop_by = 0, 0.0, signal.SIGKILL
        self.seen: list[tuple[str, float]] = []

    def set_epoch(self, epoch: int) -> None:
        self.ramp = (epoch + 1) / 4

    def forward(self, batch: Mapping[str, Tensor], phase: str) -> dict[str, Tensor]:
        self.calls += 1
        if self.calls == self.stop_at:
            os.kill(os.getpid(), self.stop_by)
        self.seen.append((phase, float(batch["x"].sum())))
        out = self.network(batch["x"])
        rebuilt = (self.guide(out) - out).square().mean()
        error = (out - batch["y"]).square().mean()
        taught = (out - self.teacher(batch["x"]).detach()).square().mean()
        if not self.plain:
            error = error * (1 + torch.rand(()) + random.random())
        own = error + 0.1 * taught + self.ramp * rebuilt
        terms = {"guide": rebuilt, "main": own, "joint": rebuilt + own}
        return {"error": error, "total": terms[phase]}


SGD = {"name": "sgd", "lr": 0.05}
KINDS = {
    "step": (Phase("guide", ("guide",), SGD), Phase("main", ("network",))),
    "epoch": (Phase("guide", ("guide",), SGD, "epoch"), Phase("main", ("network",), None, "epoch")),
    "shared": (
        Phase("guide", ("network", "guide")),
        Phase("main", ("network",), shares_step=True),
    ),
}


def turns(out: Path, task: nn.Module, **changes: Any) -> FitResult:
    chosen = settings(**{"epochs": 2, "checkpoint_every_steps": 2} | changes)
    return fit(task, Points(), chosen, out, validate=validate, resume=True)


def turns_killed(folder: Path) -> None:
    """Each kind of task, undisturbed and killed in several of its phases, and resumed."""
    for kind, phases in KINDS.items():
        # 14 steps of two phases, or 28 of one.
        for call in (2, 9, 16, 27):
            out = folder / f"{kind}-{call}"
            start = partial(turns, out, Turns(phases, stop_at=call))
            assert in_child(start) == -signal.SIGKILL, (kind, call)
            turns(out, Turns(phases))
        turns(folder / kind, Turns(phases))


def turns_ddp(folder: Path) -> None:
    """Each kind of task in two forked processes, undisturbed, and killed and resumed."""
    torch.set_num_threads(1)
    several = {"devices": 2, "strategy": "ddp_fork", "drop_last": True}
    for kind, phases in KINDS.items():
        turns(folder / f"{kind}-plain", Turns(phases, plain=True), **several)
        turns(folder / kind, Turns(phases), **several)
        try:
            turns(folder / f"{kind}-killed", Turns(phases, stop_at=11), **several)
        except AttentadError as error:
            assert "training process died" in str(error)  # noqa: PT017
        turns(folder / f"{kind}-killed", Turns(phases), **several)


RUNS = {
    "kills": kills,
    "slow": slow,
    "ddp": ddp,
    "spawned": spawned,
    "turns_killed": turns_killed,
    "turns_ddp": turns_ddp,
}
if __name__ == "__main__":
    torch.set_num_threads(1)
    RUNS[sys.argv[1]](Path(sys.argv[2]))
