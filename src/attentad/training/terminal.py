"""What passes between training and its user: a progress bar, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

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


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether the user or the system asked to stop after this step.

    The first Ctrl-C (SIGINT) or SIGTERM is only noted; a second one acts at once, as usual.
    Outside the main thread signals cannot be caught, and the answer is always False.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
