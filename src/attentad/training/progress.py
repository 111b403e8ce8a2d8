"""The progress bar of training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# (epoch from 1, steps done in it, loss of the last step)
Tick = Callable[[int, int, float], None]


@contextmanager
def training_bar(show: bool | None, epochs: int, steps: int) -> Iterator[Tick]:
    """Show a bar over all steps on stderr; None shows it only where that is a terminal."""
    if show is None:
        show = sys.stderr.isatty()
    if not show:
        yield lambda epoch, step, loss: None
        return
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=epochs * steps, epoch=1, epochs=epochs, loss="–")

        def tick(epoch: int, step: int, loss: float) -> None:
            done = (epoch - 1) * steps + step
            bar.update(task, completed=done, epoch=epoch, loss=f"{loss:.4g}")

        yield tick
