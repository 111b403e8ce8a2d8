"""The columns of W-TALC's annotations: one NumPy file each, with an entry per video or class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from attentad.core import AttentadError
from attentad.core.files import read_bytes
from attentad.core.formats.safe_pickle import read_npy
from attentad.core.formats.stored_array import StoredArray

Value = TypeVar("Value")
_DEEPEST = 4


def read_column(
    path: Path, read: Callable[[Any], Value], what: str, videos: Sequence[str] | None = None
) -> list[Value]:
    """The entries of a column.

    Args:
        path: the `.npy` file, of an array of text, numbers or objects.
        read: makes a value of an entry (plain lists, text, bytes, numbers), or raises ValueError
            or TypeError.
        what: what an entry must be, for error sentences.
        videos: those that the entries belong to, as many; None for a column of classes or videos.

    Raises:
        AttentadError: the file is missing, damaged or unsafe; an entry is something else.
    """
    rows = read_npy(path)
    if videos is not None:
        check_count(len(rows), videos, path)
    values = []
    for i in range(len(rows)):
        try:
            values.append(read(_plain(rows[i])))
        except (ValueError, TypeError, OverflowError, RecursionError):
            place = f"entry {i}" if videos is None else f"the entry of video {videos[i]}"
            raise AttentadError(
                f"{path}: {place} must be {what}; download the file again."
            ) from None
    return values


def check_count(count: int, videos: Sequence[str], path: Path) -> None:
    """Make sure that a file has an entry for each video.

    Raises:
        AttentadError: it has more or fewer.
    """
    if count != len(videos):
        raise AttentadError(
            f"{path} has {count} entries for the {len(videos)} videos of videoname.npy; take all "
            "files from one release."
        )


def text(value: Any) -> str:
    """Text, which Python 2 and 3 wrote as bytes, that is not empty."""
    plain = value.decode() if type(value) is bytes else value
    if type(plain) is not str or not plain.strip():
        raise ValueError
    return plain.strip()


def seconds(value: Any) -> float:
    """A finite number, in whatever arrays of one."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError
    return float(value)


def duration(value: Any) -> float:
    """A number of seconds above 0."""
    duration_sec = seconds(value)
    if duration_sec <= 0:
        raise ValueError
    return duration_sec


def segment_list(value: Any) -> list[tuple[float, float]]:
    """Pairs of seconds, perhaps none."""
    return [(seconds(start), seconds(end)) for start, end in _items(value)]


def label_list(value: Any) -> list[str]:
    """Class names, perhaps none; a single one may stand alone."""
    return [text(value)] if isinstance(value, str | bytes) else [text(x) for x in _items(value)]


def label_list_or_row(classes: Sequence[str]) -> Callable[[Any], list[str]]:
    """Reads class names, or a row of 0 and 1, one for each of `classes`."""

    def read(value: Any) -> list[str]:
        row = value if isinstance(value, list) else []
        if row and all(type(x) in (int, float, bool) for x in row):
            if len(row) != len(classes) or not set(row) <= {0, 1}:
                raise ValueError
            return [name for name, there in zip(classes, row, strict=True) if there]
        return label_list(value)

    return read


def read_ambiguous(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Segments of `Ambiguous_test.txt`, lines `video start end`; empty without the file.

    Raises:
        AttentadError: a line reads otherwise.
    """
    segments_of: dict[str, list[tuple[float, float]]] = {}
    if not path.exists():
        return segments_of
    for number, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        try:
            video, (start, end) = fields[0], map(float, fields[1:])
            if not 0 <= end - start < math.inf:
                raise ValueError
        except ValueError:
            raise AttentadError(
                f"{path}, line {number} must read `video start end`, not {line.strip()[:60]!r}; "
                "correct or remove it."
            ) from None
        segments_of.setdefault(video, []).append((start, end))
    return segments_of


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError
    return value


def _plain(value: Any, depth: int = 0) -> Any:
    """An entry in plain Python values: arrays and tuples as lists."""
    if depth > _DEEPEST:
        raise ValueError
    if isinstance(value, StoredArray):
        value = value.load() if value.items is None else value.items
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return value
