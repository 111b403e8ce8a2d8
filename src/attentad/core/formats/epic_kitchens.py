"""EPIC-KITCHENS-100: one CSV for each subset, a row an action."""

from __future__ import annotations

from attentad.core.formats.clock_times import seconds_of
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.source import Source

COLUMNS = ("video_id", "start_timestamp", "stop_timestamp", "verb", "noun")


def read_epic_kitchens(source: Source) -> Contents:
    """Columns video_id, start_timestamp and stop_timestamp (`00:00:01.56`), verb and noun.

    An action is a verb and a noun, as its task counts them, and the label is both: `put-down
    plate`. The narration, in free words, is none. The subset is that of the file's name
    (`EPIC_100_validation.csv`).

    Raises:
        AttentadError: a column is missing or a value is not what it must be.
    """
    source.table.require(COLUMNS)
    gathered = Gathered(source.path)
    for where, row in source.table.records():
        video = row["video_id"].strip()
        gathered.video(video, where, subset=source.subset)
        times = [seconds_of(row[name], where) for name in COLUMNS[1:3]]
        words = (row["verb"].strip(), row["noun"].strip())
        gathered.instance(video, times, " ".join(word for word in words if word), where)
    return Contents(gathered.annotations())
