"""ELAN's tab-delimited text."""

from __future__ import annotations

import re

from attentad.core.errors import AttentadError
from attentad.core.formats.clock_times import seconds_of
from attentad.core.formats.csv_rows import Table, split_rows
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.source import Source, video_of
from attentad.core.notes import note
from attentad.core.wording import first_few

# How a column of times is headed, and what a second is in it; 0 for h:mm:ss.s.
_UNITS = {"ss.msec": 1.0, "hh:mm:ss.ms": 0.0, "hh:mm:ss.mmm": 0.0, "msec": 0.001}
_CLOCKS = ("Begin Time - hh:mm:ss.ms", "End Time - hh:mm:ss.ms")
_CLOCK = re.compile(r"\d+:\d\d:\d\d\.\d+")
_NOT_TIERS = ("tier", "participant", "file", "file path", "file name")


def holds_elan_table(source: Source) -> bool:
    """A header with Begin Time and End Time in a unit of ELAN's, or lines of what stands below."""
    if "\t" not in source.text:
        return False
    return _times(source.words) is not None or _without_header(source) is not None


def read_elan_table(source: Source) -> Contents:
    """Columns Tier, Begin Time, End Time and the annotation's text; or a column for each tier.

    The label is the text, or the tier's name where there is none. The video is that of the column
    of files, or the one that the file is named like.

    Raises:
        AttentadError: a time is not what it must be.
    """
    headed = _times(source.words)
    whole = source.table if headed else _without_header(source)
    assert whole is not None
    begin, end, unit = headed or (*_CLOCKS, 0.0)
    table = whole.with_decimal_points((begin, end))
    texts = _texts(table)
    if not texts and "Tier" not in table.header:
        raise AttentadError(f"{source.path} has no column of annotations; export them too.")
    gathered = Gathered(source.path)
    tiers = set()
    for where, row in table.records():
        file = next((row[name] for name in table.header if name.lower().startswith("file")), "")
        video = video_of(file) or source.video
        gathered.video(video, where)
        start, stop = (seconds_of(row[name], where) * (unit or 1.0) for name in (begin, end))
        tier = row.get("Tier", "").strip()
        tiers.add(tier)
        labels = [row[name].strip() for name in texts if row[name].strip()]
        for label in labels or [tier]:
            gathered.instance(video, (start, stop), label, where)
    if len(tiers) > 1:
        named = first_few(sorted(tiers))
        note(f"{source.path}: labels are the annotations' text; the tiers ({named}) are not kept.")
    return Contents(gathered.annotations())


def _texts(table: Table) -> list[str]:
    """Columns that hold the text of annotations."""
    return [
        name
        for name in table.header
        if name.lower() not in _NOT_TIERS
        and not name.startswith(("Begin Time", "End Time", "Duration"))
        and name
    ]


def _without_header(source: Source) -> Table | None:
    """Lines of tier, participant, times and text, as ELAN writes by default, under a header."""
    lines, rows = split_rows(source.text, "\t", source.path)
    width = len(rows[0]) if rows else 0
    if width < 4 or any(len(row) != width for row in rows):
        return None
    clocks = [place for place in range(width) if all(_CLOCK.fullmatch(row[place]) for row in rows)]
    if len(clocks) < 2 or clocks[0] == 0 or width - 1 in clocks:
        return None
    header = ["Tier", *["participant"] * (width - 2), "Annotation"]
    header[clocks[0]], header[clocks[1]] = _CLOCKS
    return Table(source.path, header, lines, rows, "\t")


def _times(words: list[str]) -> tuple[str, str, float] | None:
    """Columns of begin and end in one unit, and the unit."""
    for name, unit in _UNITS.items():
        begin, end = f"Begin Time - {name}", f"End Time - {name}"
        if begin in words and end in words:
            return begin, end, unit
    return None
