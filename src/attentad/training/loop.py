"""The training loop for any task, on Lightning Fabric.

The only module of the project that imports Lightning when it runs.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from traceback import clear_frames
from typing import Any, Literal, NamedTuple, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from pydantic import ValidationError
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessExitedException

from attentad.core import AttentadError
from attentad.core.files import remove_leftovers
from attentad.core.phase import Phase
from attentad.training.checkpoint import Position, Run, load_checkpoint, load_weights
from attentad.training.ema import ema_start
from attentad.training.epoch import Validate, loss_row, train_epoch, validated
from attentad.training.items import Collate, EpochBatches, epoch_batches, make_loader
from attentad.training.logs import Row, read_rows, write_log
from attentad.training.optimizer import make_optimizer
from attentad.training.ranks import leave_group, on_first, rank
from attentad.training.settings import TrainingSettings
from attentad.training.state import State, Update, save
from attentad.training.task import Task, load_saved, passes_of
from attentad.training.terminal import stop_requests, training_bar

_STARTS: dict[str, Literal["popen", "spawn", "fork"]] = {
    "auto": "popen",
    "ddp": "popen",
    "ddp_spawn": "spawn",
    "ddp_fork": "fork",
}
# Fabric announces devices and precision at level INFO on stderr.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


@dataclass(frozen=True)
class FitResult:
    """What training left behind.

    Args:
        best: `best.ckpt`, the weights with the best score; None without `select_by`.
        last: `last.ckpt`, the trainer's whole state.
        log: `log.jsonl`; `log.csv` lies beside it.
        rows: the log, one row an epoch.
        best_score: value of `select_by` of the best weights.
        best_epoch: their epoch, from 1.
        rank: number of this process; only process 0 should write and print what follows.
    """

    best: Path | None
    last: Path
    log: Path
    rows: list[Row]
    best_score: float | None
    best_epoch: int | None
    rank: int

    def weights(self) -> dict[str, Tensor]:
        """The weights to ship, on the CPU: the best, else the last; averaged where EMA is on."""
        return load_weights(self.best or self.last)


def fit(
    task: Task,
    train_data: Any,
    settings: TrainingSettings,
    out: str | Path,
    *,
    collate: Collate | None = None,
    validate: Validate | None = None,
    fingerprint: str = "",
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
    on_epoch: Callable[[Row], None] | None = None,
) -> FitResult:
    """Train a task's network; the same arguments give the same weights, interrupted or not.

    Every source of randomness is seeded from `settings.seed` and the place in training (epoch,
    step, item), so that a run that was killed and resumed ends, on a CPU, bit for bit like one
    that was not. For this an item may depend on its index, the epoch and the global random
    generators only, and `task` may draw from the global generators but must not keep one of its
    own. Seed before building the network too (`seeding.seed_initial`).

    With several devices every process calls `fit`, sees its own part of each epoch's items, and
    the loss is the mean over a process's own batch; gradients are then averaged, so a step
    equals one of a single process with a batch `devices` times as large wherever the loss is a
    plain mean over items. A loss that is normalised within the batch (such as by its number of
    positives) is so per process. Strategy `ddp` (also what `auto` means) runs the
    program's own command again for each further process; `ddp_spawn` needs arguments that can be
    pickled.

    Args:
        task: trained in place; afterwards its network holds the last weights (without EMA), so
            take `FitResult.weights()`. Loss terms are logged as their means over the epoch's
            items, under `PHASE/TERM` where there are several phases.
        train_data: a data set of items (`len` and `[]`); `set_epoch(epoch)`, from 0, is called
            where it exists, in the process that makes the items.
        out: folder of `last.ckpt`, `best.ckpt`, `log.jsonl` and `log.csv`.
        collate: items → batch; a batch's `video` names its videos in errors.
        validate: called in process 0 with the plain network in evaluation mode, without
            gradients and, where EMA is on, with the averaged weights.
        fingerprint: names recipe and data; a run that is resumed must have the same.
        resume: go on from `out/last.ckpt` if there is one.
        overwrite: delete what an earlier run left in `out` and start anew.
        progress: a bar on stderr; None shows it only on a terminal.
        on_epoch: called in process 0 with each new row of the log.

    Raises:
        AttentadError: the device is missing; `out` holds another run; a checkpoint is damaged or
            of another recipe; a loss or weight is not finite; a data item is bad; a validation
            metric is missing; the user asked to stop (the state is saved then).
    """
    fabric = _fabric(settings, task.phases)
    given = (train_data, settings, Path(out), collate, validate, fingerprint)
    order = _Order(*given, resume, overwrite, progress, on_epoch)
    # The task is an argument of its own: a launcher that spawns looks for modules to unshare.
    try:
        outcome = fabric.launch(partial(_outcome, order), task)
    except ProcessExitedException as error:
        raise AttentadError(
            f"a training process died ({error}); resume to go on from {Path(out) / 'last.ckpt'}."
        ) from error
    if isinstance(outcome, AttentadError):
        raise outcome
    return FitResult(**outcome)


class _Order(NamedTuple):
    """What `fit` was called with."""

    train_data: Any
    settings: TrainingSettings
    out: Path
    collate: Collate | None
    validate: Validate | None
    fingerprint: str
    resume: bool
    overwrite: bool
    progress: bool | None
    on_epoch: Callable[[Row], None] | None


def _outcome(order: _Order, fabric: Fabric, task: Task) -> dict[str, Any] | AttentadError:
    """The result's fields or the error, as values that also come back from a spawned process."""
    if fabric.world_size > 1:
        atexit.register(leave_group)  # registering it again does no harm
    try:
        with _determinism(order.settings.deterministic):
            return vars(_train(order, fabric, task))
    except AttentadError as error:
        # The frames would keep data workers and the connection to other processes alive.
        clear_frames(error.__traceback__)
        return error


def _train(order: _Order, fabric: Fabric, task: Task) -> FitResult:
    settings, out, items = order.settings, order.out, len(order.train_data)
    batches_of = partial(
        epoch_batches,
        items,
        settings.batch_size,
        seed=settings.seed,
        rank=rank(),
        world_size=fabric.world_size,
        drop_last=settings.drop_last,
    )
    batches = EpochBatches(batches_of, len(passes_of(task.phases)))
    _check_work(items, batches.steps, settings, order.validate)
    loader = make_loader(
        order.train_data,
        batches,
        seed=settings.seed,
        collate=order.collate,
        workers=settings.workers,
        pin_memory=fabric.device.type == "cuda",
    )
    run = Run.of(order.fingerprint, settings, items, fabric.world_size)
    on_first(lambda: _prepare_folder(out, order.resume, order.overwrite))
    state = _start(fabric, task, settings, out, run, batches.steps)
    position, rows = state.position, read_rows(out, state.position.epoch)
    bar = training_bar(order.progress if rank() == 0 else False, settings.epochs, state.steps)

    with stop_requests() as stopping, bar as tick:
        while position.epoch < settings.epochs:
            batches.epoch, batches.first_step = position.epoch, position.step
            train_epoch(state, iter(loader), batches.sizes(), stopping, tick)
            row = loss_row(state)
            row |= validated(state, order.validate, row["total"])
            rows.append(row | {"seconds": position.seconds})
            on_first(lambda: write_log(out, rows))
            position.next_epoch()
            save(state)
            if order.on_epoch is not None and rank() == 0:
                order.on_epoch(dict(rows[-1]))
    return FitResult(
        best=out / "best.ckpt" if position.best_epoch is not None else None,
        last=state.last,
        log=out / "log.jsonl",
        rows=rows,
        best_score=position.best_score,
        best_epoch=position.best_epoch,
        rank=rank(),
    )


def _start(
    fabric: Fabric, task: Task, settings: TrainingSettings, out: Path, run: Run, steps: int
) -> State:
    """The state to begin with: of `last.ckpt` where there is one, else fresh."""
    last, module = out / "last.ckpt", cast(nn.Module, task)
    passes = [
        [_update(task, phases, settings) for phases in each] for each in passes_of(task.phases)
    ]
    # Not `Fabric.setup`: its module would also convert the batch and compute losses in half
    # precision; see `task.mixed_precision`.
    fabric.strategy.module_to_device(module)
    state = State(
        fabric=fabric,
        settings=settings,
        out=out,
        run=run,
        steps=steps,
        task=module,
        network=task.network,
        module=fabric.strategy.setup_module(module),
        passes=passes,
        prefixes={p.name: f"{p.name}/" if len(task.phases) > 1 else "" for p in task.phases},
        average=ema_start(task.network) if settings.ema_decay is not None else None,
        position=Position(),
    )
    if last.exists():
        checkpoint = load_checkpoint(last)
        run.check(last, checkpoint, state.optimizers)
        load_saved(module, checkpoint["task"], last)
        for name, optimizer in state.optimizers.items():
            optimizer.load_state_dict(checkpoint["optimizers"][name])
        fabric.strategy.precision.load_state_dict(checkpoint["scaler"])
        for name, value in (state.average or {}).items():
            value.copy_(checkpoint["average"][name])
        state.position = Position.from_dict(checkpoint["position"])
        if rank() > 0:
            state.position.sums = {}  # saved as the sum over all processes
    return state


def _update(task: Task, phases: list[Phase], settings: TrainingSettings) -> Update:
    """The optimiser of a phase and of those that share its steps."""
    try:
        chosen = settings.optimizer.with_changes(phases[0].optimizer or {})
    except ValidationError as error:
        wrong = error.errors()[0]
        key = ".".join(map(str, ("optimizer", *wrong["loc"])))
        raise AttentadError(f"{key} of phase {phases[0].name}: {wrong['msg']}.") from None
    optimizer = make_optimizer(cast(nn.Module, task), chosen, phases)
    moved = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    return Update(phases, optimizer, chosen.lr, not moved.isdisjoint(task.network.parameters()))


def _prepare_folder(out: Path, resume: bool, overwrite: bool) -> None:
    """Refuse to lose an earlier run; tidy what a killed one left half written."""
    earlier = [out / name for name in ("last.ckpt", "best.ckpt", "log.jsonl", "log.csv")]
    if overwrite and not resume:
        for path in earlier:
            path.unlink(missing_ok=True)
    elif earlier[0].exists() and not resume:
        raise AttentadError(
            f"{out} holds an earlier training; resume it, overwrite it or choose another folder."
        )
    remove_leftovers(earlier)


def _check_work(
    items: int, steps: int, settings: TrainingSettings, validate: Validate | None
) -> None:
    if items == 0:
        raise AttentadError("there are no training items; check the training subset.")
    if steps == 0:
        raise AttentadError(
            f"{items} training items do not fill one batch of {settings.batch_size} per "
            "process; lower batch_size or set drop_last to false."
        )
    if settings.select_by is not None and validate is None:
        raise AttentadError(
            f"select_by is {settings.select_by}, but nothing is validated; leave it out."
        )


def _fabric(settings: TrainingSettings, phases: Sequence[Phase]) -> Fabric:
    """Fabric for these settings, once it is sure that the machine has the devices."""
    gpus = torch.cuda.device_count()
    gpu = gpus > 0 if settings.accelerator == "auto" else settings.accelerator == "gpu"
    if gpu and settings.devices > gpus:
        raise AttentadError(
            f"training asks for {settings.devices} GPU(s) and {gpus} can be used; lower devices or "
            "set accelerator to cpu."
        )
    return Fabric(
        accelerator="cuda" if gpu else "cpu",
        devices=settings.devices,
        strategy=_strategy(settings, phases),
        precision=_precision(settings, gpu),
    )


def _strategy(settings: TrainingSettings, phases: Sequence[Phase]) -> str | DDPStrategy:
    """The strategy that the settings name; parts that rest in a phase would block a plain DDP."""
    name = settings.strategy
    plain = len(phases) == 1 and not phases[0].parts
    if plain or (name == "auto" and settings.devices == 1) or name not in _STARTS:
        return name
    return DDPStrategy(start_method=_STARTS[name], find_unused_parameters=True)


def _precision(
    settings: TrainingSettings, gpu: bool
) -> Literal["32-true", "16-mixed", "bf16-mixed"]:
    """The precision that the settings name; `auto` is half on a GPU, bfloat16 where it has it."""
    if settings.precision == "16-mixed" and not gpu:
        raise AttentadError(
            "precision 16-mixed needs a GPU; choose 32-true or bf16-mixed on a CPU."
        )
    if settings.precision != "auto":
        return settings.precision
    if not gpu:
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"


@contextmanager
def _determinism(wanted: bool) -> Iterator[None]:
    """Allow only deterministic algorithms inside the block."""
    if not wanted:
        yield
        return
    # cuBLAS reads it when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
