"""Events of BORIS, a program in which behaviour is annotated, paired to instances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from attentad.core.formats.gathered import Gathered
from attentad.core.notes import note
from attentad.core.wording import first_few, number_of

# What BORIS writes for no subject.
NO_SUBJECT = "No focal subject"
# What we call subjects to whom instances belong that overlap others of their class.
OVERLAP = "overlap "


class Event(NamedTuple):
    """One event.

    Args:
        video: id of the video.
        time_sec: since the start of the video.
        kind: `START`, `STOP` or `POINT`; `STATE` where a start and a stop look alike and take
            turns.
        subject: who shows it; empty for nobody in particular.
        behaviour: what is shown; the label.
        modifiers: what is said of it further.
        where: its place in the file, for errors.
    """

    video: str
    time_sec: float
    kind: str
    subject: str
    behaviour: str
    modifiers: str
    where: str


@dataclass
class Left:
    """What was not read, to be said in a note: a name for each event."""

    points: list[str] = field(default_factory=list)
    unpaired: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def tell(self, path: object) -> None:
        """Say what was left out, one note a kind."""
        told = (
            (self.points, "point event", "have no duration and were left out"),
            (self.unpaired, "event", "have no START or no STOP and were left out"),
            (self.other, "event", "have no time in a video and were left out"),
        )
        for names, one, why in told:
            if names:
                verb = (
                    why if len(names) > 1 else why.replace("have", "has", 1).replace("were", "was")
                )
                note(f"{path}: {number_of(names, one)} {verb}: {first_few(names)}.")


def add_events(gathered: Gathered, events: Iterable[Event], left: Left) -> None:
    """Pair START and STOP of each video, subject, behaviour and modifiers, and add them.

    Events come in the order of their file, which is that of time within each video.
    """
    opened: dict[tuple[str, str, str, str], Event] = {}
    paired: list[tuple[Event, Event]] = []
    for event in sorted(events, key=lambda event: event.time_sec):
        key = (event.video, event.subject, event.behaviour, event.modifiers)
        kind = event.kind
        if kind == "STATE":
            kind = "STOP" if key in opened else "START"
        if kind == "POINT":
            left.points.append(_named(event))
        elif kind == "START":
            if key in opened:
                left.unpaired.append(_named(opened[key]))
            opened[key] = event
        elif key in opened:
            paired.append((opened.pop(key), event))
        else:
            left.unpaired.append(_named(event))
    left.unpaired += [_named(event) for event in opened.values()]
    for start, stop in sorted(paired, key=lambda pair: pair[0].time_sec):
        gathered.instance(
            start.video, (start.time_sec, stop.time_sec), start.behaviour, start.where
        )


def tell_subjects(path: object, subjects: Iterable[str], modifiers: Iterable[str]) -> None:
    """Say what the labels do not."""
    named = sorted({s for s in subjects if s not in ("", NO_SUBJECT) and not s.startswith(OVERLAP)})
    if len(named) > 1:
        note(f"{path}: labels are behaviours; whose they are ({first_few(named)}) is not kept.")
    told = sorted({text for text in modifiers if text not in ("", "None", "NA")})
    if told:
        note(f"{path}: labels are behaviours; modifiers ({first_few(told)}) are not kept.")


def _named(event: Event) -> str:
    return f"{event.behaviour} at {event.time_sec:g} s in {event.video}"
