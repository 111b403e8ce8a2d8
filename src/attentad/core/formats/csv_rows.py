"""CSV, read with errors that name file and line, and written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from attentad.core.errors import AttentadError
from attentad.core.files import read_bytes, write_bytes

# A cell that a spreadsheet would take for a formula, with the apostrophes that keep it from that.
_FORMULA = re.compile(r"(?![+-]?[\d.]+(e[+-]?\d+)?$)'*[=+\-@\t\r]", re.IGNORECASE)


def read_csv_lines(path: Path) -> list[tuple[int, list[str]]]:
    """All rows that are not blank, the header first, each with the number of its line.

    Cells are as they were before `safe_cell`.

    Raises:
        AttentadError: the file is missing or is not CSV.
    """
    text = read_bytes(path).decode("utf-8-sig", "replace")
    reader = csv.reader(io.StringIO(text), skipinitialspace=True)
    try:
        return [(reader.line_num, list(map(cell_text, row))) for row in reader if row]
    except csv.Error as error:
        raise AttentadError(
            f"{path}, line {reader.line_num} is not CSV ({error}); correct it or write it again."
        ) from None


def read_csv_rows(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Rows as (place for errors, column → text, empty where a row ends early).

    Raises:
        AttentadError: as `read_csv_lines`, or one of `columns` is not in the header.
    """
    (_, header), *lines = read_csv_lines(path) or [(1, [])]
    missing = [name for name in columns if name not in header]
    if missing:
        raise AttentadError(
            f"{path} lacks the column {missing[0]!r}; its first line must name "
            f"{', '.join(columns)}."
        )
    blank = dict.fromkeys(header, "")
    return [
        (f"{path}, line {line}", blank | dict(zip(header, row, strict=False)))
        for line, row in lines
    ]


def write_csv(path: str | Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write rows, the header first, whole or not at all; see `write_bytes` for errors."""
    write_bytes(path, csv_text(rows).encode())


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as comma-separated values, none of which a spreadsheet would run."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(safe_cell, row) for row in rows)
    return text.getvalue()


def safe_cell(value: Any) -> Any:
    """A cell that a spreadsheet shows as it is: text that begins like a formula gets a leading `'`.

    Numbers, also those that are text already, stay as they are.
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def cell_text(text: str) -> str:
    """What `safe_cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
