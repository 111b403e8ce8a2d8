"""Work on many videos, one at a time: on this machine, on a share of them, on a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from attentad.core import AttentadError
from attentad.core.errors import UnreadableError
from attentad.core.files import read_json, write_json
from attentad.core.progress import NamedProgress, Progress, each_named

Result = TypeVar("Result")


class Work(Protocol):
    """Makes the files of one video, unless they are there."""

    def __call__(self, video: str, within: Progress) -> Sequence[str]:
        """Sentences on what is to be known of the video.

        Raises:
            AttentadError: it cannot be done; the next video may be.
        """
        ...

    def is_done(self, video: str) -> bool:
        """Whether its files are there."""
        ...

    def give_up(self, video: str, why: str) -> None:
        """Keep in a file that the video is not to be tried again."""
        ...


class Outcome(NamedTuple):
    """What became of a video: sentences to know, or one on why there is nothing."""

    notes: Sequence[str] = ()
    failure: str | None = None


# Work with a model; small, and fit to be sent to another machine, where the model is opened.
WithModel = Callable[[Any], Work]
# (work with a model, the same with the model that is open here, videos, progress) → outcomes.
Runner = Callable[[WithModel, Work, Sequence[str], NamedProgress | None], Mapping[str, Outcome]]


@dataclass(frozen=True)
class Worked:
    """What became of the videos.

    Args:
        notes: a sentence on each thing that was left out or read in part.
        failures: video → a sentence on why there is nothing of it.
    """

    notes: Sequence[str] = ()
    failures: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, notes: Sequence[str], outcomes: Mapping[str, Outcome]) -> Worked:
        """Those of all videos, after `notes`.

        Raises:
            AttentadError: nothing could be done.
        """
        failures = {v: outcome.failure for v, outcome in outcomes.items() if outcome.failure}
        if failures and len(failures) == len(outcomes):
            raise AttentadError(" ".join(dict.fromkeys(failures.values())))
        return cls([*notes, *(note for o in outcomes.values() for note in o.notes)], failures)


def untold(done: float, total: int) -> None:
    """`Progress` that nobody asks for."""


def outcome_of(work: Work, video: str, within: Progress) -> Outcome:
    """Do the work of one video."""
    try:
        return Outcome(work(video, within))
    except AttentadError as error:
        return Outcome(failure=str(error))


def in_turn(
    with_model: WithModel, work: Work, videos: Sequence[str], progress: NamedProgress | None
) -> dict[str, Outcome]:
    """The videos one after the other in this process; a `Runner`."""
    return {video: outcome_of(work, video, part) for video, part in each_named(videos, progress)}


@dataclass(frozen=True)
class Shard:
    """One of several shares of the videos, which are dealt out by name like cards.

    Args:
        number: 1..count.
        count: shares that there are.
    """

    number: int
    count: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """Read `NUMBER/COUNT`.

        Raises:
            AttentadError: it is nothing of the kind.
        """
        fit = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if fit is None or not 1 <= int(fit[1]) <= int(fit[2]):
            raise AttentadError(
                f"--shard {text!r} is no share of the videos; write it as 1/8, 2/8, … 8/8 (a Slurm "
                "array that fits is --array=1-8)."
            )
        return cls(int(fit[1]), int(fit[2]))

    def of(self, videos: Sequence[str]) -> list[str]:
        """The videos of this share."""
        return sorted(videos)[self.number - 1 :: self.count]


@dataclass(frozen=True)
class GivenUp:
    """A folder of notes on videos that need not be tried again.

    Args:
        folder: made with the first note.
    """

    folder: Path

    def check(self, name: str, key: str) -> None:
        """Raise the error that is noted of a video.

        Args:
            name: of the note's file.
            key: of all that the error depends on; of an error with another key nothing is said.
        """
        file = self._file(name)
        if not file.exists():
            return
        try:
            told = read_json(file)
            why = str(told["why"]) if told["key"] == key else None
        except (AttentadError, TypeError, KeyError):
            return  # damaged: tried again
        if why is not None:
            raise AttentadError(f"{why} (Not tried again; for that, delete {file}.)")

    def keep(self, name: str, key: str, why: str) -> None:
        """Note why a video is not to be tried again."""
        write_json(self._file(name), {"why": why, "key": key})

    def drop(self, name: str) -> None:
        """It is done after all."""
        self._file(name).unlink(missing_ok=True)
        with suppress(OSError):  # there are other notes, or none ever were
            self.folder.rmdir()

    def trying(self, name: str, key: str, work: Callable[[], Result]) -> Result:
        """Do the work, unless it is noted that this gives nothing; note it where that comes out.

        Raises:
            AttentadError: as `work`, or what is noted.
        """
        self.check(name, key)
        try:
            result = work()
        except UnreadableError as error:
            self.keep(name, key, str(error))
            raise
        self.drop(name)
        return result

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"
