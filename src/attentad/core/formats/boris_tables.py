"""Tables of BORIS: tabular and aggregated events, and the five columns that it imports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attentad.core.errors import AttentadError
from attentad.core.formats.boris_events import (
    OVERLAP,
    Event,
    Left,
    add_events,
    tell_subjects,
)
from attentad.core.formats.clock_times import seconds_of
from attentad.core.formats.csv_rows import SEPARATORS, Table, checked_width, split_rows, write_csv
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.marks import Marks
from attentad.core.formats.source import Source, video_of
from attentad.core.notes import note
from attentad.core.wording import first_few

_IMPORTED = ("time", "subject", "code", "modifier", "comment")
_AGGREGATED = ("Observation id", "Subject", "Behavior", "Behavior type", "Start (s)", "Stop (s)")
_TABULAR = ("Subject", "Behavior", "Time")
# BORIS 8 and 7, and what older ones wrote.
_KIND = ("Behavior type", "Status")
_MEDIA = ("Media file name", "Media file", "Media file path")
_RATE = ("FPS", "FPS (frame/s)")
# Older tables have their facts above the header.
_HEADER_WITHIN = 60
_NOTHING = ("", "NA", "NaN", "None")


def holds_aggregated(source: Source) -> bool:
    """A header with Start (s) and Stop (s)."""
    return set(_AGGREGATED[1:]) <= set(source.words)


def holds_tabular(source: Source) -> bool:
    """A header, not always in the first line, with Behavior, Time and the kind of event."""
    return _tabular(source) is not None


def holds_imported(source: Source) -> bool:
    """The five columns."""
    return tuple(source.words) == _IMPORTED


def read_aggregated(source: Source) -> Contents:
    """A row a state, with start and stop; points are left out with a note.

    Raises:
        AttentadError: a value is not what it must be.
    """
    source.table.require(_AGGREGATED)
    table = source.table.with_decimal_points(("Start (s)", "Stop (s)"))
    media = _first(table, _MEDIA)
    records = table.records()
    later = _later_media([(row["Observation id"], row[media]) for _, row in records])
    gathered, left, skipped = Gathered(source.path), Left(), Skipped()
    for where, row in records:
        video = _video(row, media, where)
        if row[media] in later.get(row["Observation id"], ()):
            skipped.add(row["Observation id"], row[media])
            continue
        gathered.video(video, where, fps=_rate(row))
        named = f"{row['Behavior']} at {row['Start (s)']} s in {video}"
        if row["Behavior type"].upper().startswith("POINT"):
            left.points.append(named)
        elif row["Start (s)"] in _NOTHING or row["Stop (s)"] in _NOTHING:
            left.unpaired.append(named)
        else:
            start, end = (seconds_of(row[name], where) for name in ("Start (s)", "Stop (s)"))
            gathered.instance(video, (start, end), row["Behavior"], where)
    left.tell(source.path)
    skipped.tell(source.path)
    tell_subjects(source.path, (row["Subject"] for _, row in records), _modifiers(table, records))
    return Contents(gathered.annotations())


def read_tabular(source: Source) -> Contents:
    """A row an event, START, STOP or POINT, paired per video, subject, behaviour and modifiers.

    Raises:
        AttentadError: a value is not what it must be.
    """
    found = _tabular(source)
    assert found is not None
    table = found.with_decimal_points(("Time",))
    kind, media = _first(table, _KIND), _first(table, _MEDIA)
    records = table.records()
    observed = [(row.get("Observation id", ""), row[media]) for _, row in records]
    later = _later_media(observed)
    gathered, left, skipped = Gathered(source.path), Left(), Skipped()
    events = []
    for (observation, file), (where, row), modifiers in zip(
        observed, records, _modifiers(table, records), strict=True
    ):
        if file in later.get(observation, ()):
            skipped.add(observation, file)
            continue
        if row["Time"] in _NOTHING or row[media] in _NOTHING:
            left.other.append(row["Behavior"])
            continue
        video = _video(row, media, where)
        gathered.video(video, where, fps=_rate(row))
        events.append(
            Event(
                video,
                seconds_of(row["Time"], where),
                _event_kind(row[kind], where),
                row["Subject"],
                row["Behavior"],
                modifiers,
                where,
            )
        )
    add_events(gathered, events, left)
    left.tell(source.path)
    skipped.tell(source.path)
    tell_subjects(source.path, (event.subject for event in events), (e.modifiers for e in events))
    return Contents(gathered.annotations())


def read_imported(source: Source) -> Contents:
    """The five columns of one video, which the file is named like; start and stop take turns.

    Raises:
        AttentadError: a value is not what it must be.
    """
    table = source.table.with_decimal_points(("time",))
    gathered, left = Gathered(source.path), Left()
    gathered.video(source.video, str(source.path))
    events = [
        Event(
            source.video,
            seconds_of(row["time"], where),
            "STATE",
            row["subject"],
            row["code"],
            row["modifier"],
            where,
        )
        for where, row in table.records()
    ]
    add_events(gathered, events, left)
    left.tell(source.path)
    return Contents(gathered.annotations())


def write_imported(path: Path, video: str, marks: Marks) -> None:
    """Write the table that BORIS imports into an observation, which is one of a video.

    A behaviour starts and stops in turns, so instances of a class that overlap belong to subjects
    of their own, `overlap 2` and so on.
    """
    write_csv(path, [_IMPORTED, *state_events(marks)])


def state_events(marks: Marks) -> list[tuple[float, str, str, str, str]]:
    """Time, subject, code, modifier and comment of each start and stop, by time."""
    events = []
    for label, number, rows in marks.lanes():
        subject = "" if number == 1 else f"{OVERLAP}{number}"
        for row in rows:
            for time in marks.segments[row].tolist():
                events.append((round(time, 3), subject, label, "", marks.told(row)))
    return sorted(events, key=lambda event: event[0])


class Skipped:
    """Media files of observations that go on over several, whose own time is not known."""

    def __init__(self) -> None:
        self._files: dict[str, list[str]] = {}
        self._events = 0

    def add(self, observation: str, file: str) -> None:
        """Count an event in a later file."""
        self._events += 1
        files = self._files.setdefault(observation, [])
        if file not in files:
            files.append(file)

    def tell(self, path: Path) -> None:
        """Say what was left out."""
        for observation, files in self._files.items():
            note(
                f"{path}: observation {observation!r} goes on over several files, counts time "
                "through all of them and does not say how long each is, so the events in "
                f"{first_few(files)} were left out ({self._events} in all); give the project "
                "(.boris), which says it."
            )


def _later_media(observed: list[tuple[str, str]]) -> dict[str, set[str]]:
    """Observation → its media files but the first, in whose time alone an event is counted."""
    files: dict[str, list[str]] = {}
    for observation, file in observed:
        of_one = files.setdefault(observation, [])
        if file not in of_one and file not in _NOTHING:
            of_one.append(file)
    return {observation: set(of_one[1:]) for observation, of_one in files.items()}


def _tabular(source: Source) -> Table | None:
    lines = source.text.splitlines()[:_HEADER_WITHIN]
    for number, line in enumerate(lines):
        for separator in SEPARATORS:
            names = [name.strip().strip('"') for name in line.split(separator)]
            if set(_TABULAR) <= set(names) and set(_KIND) & set(names):
                below = "\n".join(source.text.splitlines()[number + 1 :])
                numbers, rows = split_rows(below, separator, source.path)
                placed = [number + 1 + own for own in numbers]
                return checked_width(Table(source.path, names, placed, rows, separator))
    return None


def _first(table: Table, names: tuple[str, ...]) -> str:
    found = next((name for name in names if name in table.header), None)
    if found is None:
        raise AttentadError(f"{table.path} lacks the column {names[0]!r}; export it with all.")
    return found


def _video(row: Mapping[str, str], media: str, where: str) -> str:
    video = video_of(row[media].strip())
    if not video:
        raise AttentadError(f"{where} names no media file; export the events of videos.")
    return video


def _rate(row: Mapping[str, str]) -> str | None:
    text = next((row[name] for name in _RATE if name in row), "")
    try:
        return text if 0 < float(text) < float("inf") else None
    except ValueError:
        return None


def _event_kind(text: str, where: str) -> str:
    kind = text.strip().upper()
    if kind not in ("START", "STOP", "POINT"):
        raise AttentadError(f"{where}: an event is START, STOP or POINT, not {text!r}.")
    return kind


def _modifiers(table: Table, records: list[tuple[str, dict[str, str]]]) -> list[str]:
    names = [name for name in table.header if name.startswith("Modifier")]
    return ["|".join(row[name] for name in names if row[name]) for _, row in records]
