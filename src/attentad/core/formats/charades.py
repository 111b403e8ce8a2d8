"""Charades: a row a video, its actions in one cell."""

from __future__ import annotations

from attentad.core.errors import AttentadError
from attentad.core.files import read_text
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.source import Source

COLUMNS = ("id", "actions", "length")
_CLASSES = "Charades_v1_classes.txt"


def read_charades(source: Source) -> Contents:
    """Columns id, length (seconds) and actions, `c092 11.90 21.20;c147 0.00 12.60`.

    A label is the code of the class, or its name where `Charades_v1_classes.txt` stands beside the
    file. The subset is that of the file's name (`Charades_v1_train.csv`).

    Raises:
        AttentadError: a column is missing or an action does not read so.
    """
    source.table.require(COLUMNS)
    names = _class_names(source)
    gathered = Gathered(source.path)
    for where, row in source.table.records():
        video = row["id"].strip()
        gathered.video(video, where, duration=row["length"].strip(), subset=source.subset)
        for action in filter(None, map(str.strip, row["actions"].split(";"))):
            fields = action.split()
            if len(fields) != 3:
                raise AttentadError(
                    f"{where}: an action must read `class start end`, not {action!r}."
                )
            gathered.instance(video, fields[1:], names.get(fields[0], fields[0]), where)
    return Contents(gathered.annotations())


def _class_names(source: Source) -> dict[str, str]:
    listed = source.path.with_name(_CLASSES)
    if not listed.is_file():
        return {}
    lines = (line.strip().partition(" ") for line in read_text(listed).splitlines())
    return {code: name.strip() for code, _, name in lines if name.strip()}
