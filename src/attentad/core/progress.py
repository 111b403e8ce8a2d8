"""One way to show progress: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

Item = TypeVar("Item")
Progress = Callable[[float, int], None]
NamedProgress = Callable[[float, int, str], None]

EVERY_SEC: Final = 30.0  # a line in a log file
_NAME_WIDTH: Final = 32


class Report(Protocol):
    """Called with how much is done of a total, and the name of what is worked on."""

    def __call__(self, done: float, total: int, name: str = "", /) -> None: ...


def counted(items: Sequence[Item], progress: Progress | None) -> Iterator[Item]:
    """The items; `progress` is told of (done, total) before each and at the end."""
    for done, item in enumerate(items):
        if progress is not None:
            progress(done, len(items))
        yield item
    if progress is not None:
        progress(len(items), len(items))


def each_named(
    names: Sequence[str], progress: NamedProgress | None
) -> Iterator[tuple[str, Progress]]:
    """The names, each with what is to be told of the progress within its work.

    `progress` is told of (done, total, name), where `done` grows by 1 with every name, in
    fractions as the work on it goes on.
    """
    report = progress or (lambda done, total, name: None)
    for done, name in enumerate(names):
        report(done, len(names), name)
        yield name, partial(_within, report, done, len(names), name)
    report(len(names), len(names), "")


def _within(
    report: NamedProgress, before: int, total: int, name: str, part: float, whole: int
) -> None:
    report(before + min(part / max(whole, 1), 1.0), total, name)


@contextmanager
def progress_bar(title: str) -> Iterator[Report]:
    """Yield `report(done, total, name)`, which shows progress on stderr while the block runs."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(title)
        return
    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}", markup=False),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task(title, total=None, name="")

        def report(done: float, total: int, name: str = "", /) -> None:
            bar.update(task, completed=done, total=total, name=_short(name))

        yield report


@dataclass
class Lines:
    """Progress as a line now and then.

    Args:
        title: what each begins with.
        every_sec: from one line to the next.
        clock: seconds, whatever they are counted from.
        say: takes a line.
    """

    title: str
    every_sec: float = EVERY_SEC
    clock: Callable[[], float] = time.monotonic
    say: Callable[[str], None] = field(
        default=lambda line: print(line, file=sys.stderr, flush=True)
    )
    _last: tuple[float, float] | None = None  # time and what was done then

    def __call__(self, done: float, total: int, name: str = "", /) -> None:
        """Say it if the time for a line has come."""
        now = self.clock()
        if self._last is None:
            self._last = now, done
        then, done_then = self._last
        if now - then < self.every_sec:
            return
        self._last = now, done
        told = [f"{self.title}: {int(done)} of {total}"]
        if name:
            told.append(f"{_short(name)} at {100 * (done - int(done)):.0f} %")
        if done > done_then:
            left_sec = (total - done) * (now - then) / (done - done_then)
            told.append(f"about {timedelta(seconds=round(left_sec))} left")
        self.say(", ".join(told))


def _short(name: str) -> str:
    """A name that fits into a line, cut in the middle."""
    shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in name)
    if len(shown) <= _NAME_WIDTH:
        return shown
    half = (_NAME_WIDTH - 1) // 2
    return f"{shown[:half]}…{shown[-half:]}"
