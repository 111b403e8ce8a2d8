"""Tables with a row a frame and a column a behaviour, 0 or 1: DeepEthogram, SimBA, and ours."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from attentad.core.arrays import Bools
from attentad.core.errors import AttentadError
from attentad.core.formats.csv_rows import Table, write_csv
from attentad.core.formats.frame_labels import BACKGROUND, tell_background
from attentad.core.formats.frame_runs import runs
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.marks import Marks, check_frames
from attentad.core.formats.source import Source
from attentad.core.notes import note
from attentad.core.wording import first_few

_INDEX = ("", "frame", "frames", "unnamed: 0", "index")
_SECONDS = "seconds"
_BITS = frozenset(("0", "1", "0.0", "1.0"))
# Columns of SimBA that are poses and what was made of them, even where they are all 0 or 1.
_POSE = re.compile(r"(Probability_.*|.*_(x|y|p|likelihood))", re.IGNORECASE)


def holds_frame_table(source: Source) -> bool:
    """A header of names, the first of them of an index or all of columns of 0 and 1."""
    words = source.words
    if len(words) < 2 or any(_is_number(word) for word in words):
        return False
    table = source.table
    if not table.rows or not _behaviours(table):
        return False
    return words[0].lower() in _INDEX or len(_behaviours(table)) == len(words)


def read_frame_table(source: Source) -> Contents:
    """A column of 0 and 1 for each behaviour, of the video that the file is named like.

    A column `seconds` tells the frame rate, as in the files that are written here. Among the
    columns of SimBA, poses and features, those of 0 and 1 are behaviours, which a note says.

    Raises:
        AttentadError: nothing says how many frames a second has, or a cell is empty.
    """
    table, where, video = source.table, str(source.path), source.video
    fps = _frame_rate(source)
    names = _behaviours(table)
    others = [name for name in table.header if name not in names and name.lower() not in _INDEX]
    if set(others) - {_SECONDS}:
        note(
            f"{where}: the columns of 0 and 1 were taken for behaviours ({', '.join(names)}), and "
            f"the others were left out ({first_few(others)})."
        )
    gathered = Gathered(source.path)
    frames = len(table.rows)
    gathered.video(video, where, fps=fps, frames=frames, duration=frames / fps)
    background = set(names) & BACKGROUND
    found = []
    for name, present in zip(*frame_columns(source), strict=True):
        if name not in background:
            found += [(*segment, name) for segment in runs(present, fps).tolist()]
    for start, end, label in sorted(found):
        gathered.instance(video, (start, end), label, where)
    tell_background(source, background)
    return Contents(gathered.annotations())


def frame_columns(source: Source) -> tuple[list[str], Bools]:
    """The K behaviours of a table, and in which of the T frames each happens, (K, T)."""
    names = _behaviours(source.table)
    cells = [[float(cell) for cell in source.table.column(name)] for name in names]
    return names, np.array(cells) > 0


def write_frame_table(path: Path, video: str, marks: Marks) -> None:
    """Write columns frame, seconds and one for each label of a video, a row a frame.

    A frame is 1 where its middle lies in an instance.

    Raises:
        AttentadError: nothing says how many frames a second has, or a label has the name of
            another column.
    """
    labels, fps = sorted(set(marks.labels)), marks.fps
    if fps is None:
        raise AttentadError(
            f"{path} has a row for each frame, and nothing says how many frames a second video "
            f"{video} has; give --fps of `attentad convert`."
        )
    check_frames(path, video, marks, fps)
    clash = [name for name in labels if name.lower() in (*_INDEX, _SECONDS)]
    if clash:
        raise AttentadError(f"{path}: the label {clash[0]!r} cannot be a column; rename it.")
    present = _present(marks, labels, fps)
    _tell_lost(path, video, marks, present, fps)
    rows = ([frame, frame / fps, *row] for frame, row in enumerate(present.T.astype(int).tolist()))
    write_csv(path, [["frame", _SECONDS, *labels], *rows])


def _present(marks: Marks, labels: list[str], fps: float) -> Bools:
    """Which label stands in which frame, (K, T)."""
    last = float(marks.segments.max(initial=0.0))
    count = marks.frames or math.ceil(round((marks.duration_sec or last) * fps, 6))
    # The first frame whose middle is not before a time; computed times carry a rounding error.
    bounds = np.ceil(np.round(marks.segments * fps - 0.5, 6)).clip(0, count).astype(np.int64)
    present = np.zeros((len(labels), count), dtype=bool)
    for label, (start, end) in zip(marks.labels, bounds.tolist(), strict=True):
        present[labels.index(label), start:end] = True
    return present


def _tell_lost(path: Path, video: str, marks: Marks, present: Bools, fps: float) -> None:
    kept = sum(len(runs(row, fps)) for row in present)
    if kept < len(marks.labels):
        note(
            f"{path}: {len(marks.labels)} instances of video {video} are {kept} in frames: those "
            "of a class that overlap or touch become one, and those between two frames' middles "
            "none."
        )
    if marks.scores is not None:
        note(f"{path}: frames have no scores; those of the detections are not written.")


def _behaviours(table: Table) -> list[str]:
    """Columns of 0 and 1."""
    return [
        name
        for place, name in enumerate(table.header)
        if name.lower() not in (*_INDEX, _SECONDS)
        and not _POSE.fullmatch(name)
        and all(place < len(row) and row[place].strip() in _BITS for row in table.rows)
    ]


def _frame_rate(source: Source) -> float:
    if source.fps is None and _SECONDS in source.table.header and len(source.table.rows) > 1:
        try:
            first, last = (float(source.table.column(_SECONDS)[row]) for row in (0, -1))
            fps = (len(source.table.rows) - 1) / (last - first)
        except (ValueError, ZeroDivisionError):
            raise AttentadError(f"{source.path}: the column {_SECONDS!r} counts none.") from None
        if fps > 0 and math.isfinite(fps):
            # The times are rounded, the rate is a round number or 30000/1001 and the like.
            return round(fps, 9)
    return source.frame_rate("a row a frame")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
