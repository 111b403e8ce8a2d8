"""Tables of text, separated by comma, semicolon or tab: read with errors that name file and line,
and written."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attentad.core.errors import AttentadError
from attentad.core.files import read_text, write_bytes
from attentad.core.notes import note

SEPARATORS = (",", ";", "\t")

# A cell that a spreadsheet would take for a formula, with the apostrophes that keep it from that.
# Numbers and intervals of them are none.
_NUMBER = r"[+-]?[\d.,]+(e[+-]?\d+)?"
_FORMULA = re.compile(rf"(?!{_NUMBER}( … {_NUMBER})?$)'*[=+\-@\t\r]", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A table as text.

    Args:
        path: the file, for errors.
        header: the names of the columns.
        lines: N numbers of lines in the file.
        rows: N rows, none longer than the header.
        separator: what stands between two cells.
    """

    path: Path
    header: list[str]
    lines: list[int]
    rows: list[list[str]]
    separator: str = ","

    def require(self, columns: Iterable[str]) -> None:
        """Make sure that each of `columns` is in the header, once.

        Raises:
            AttentadError: one is not, or is there twice.
        """
        columns = tuple(columns)
        for name in columns:
            if name not in self.header:
                raise AttentadError(
                    f"{self.path} lacks the column {name!r}; its first line must name "
                    f"{', '.join(columns)}."
                )
            if self.header.count(name) > 1:
                raise AttentadError(f"{self.path} has two columns {name!r}; remove one.")

    def column(self, name: str) -> list[str]:
        """The cells under a name of the header; empty where a row ends early."""
        place = self.header.index(name)
        return [row[place] if place < len(row) else "" for row in self.rows]

    def records(self) -> list[tuple[str, dict[str, str]]]:
        """Rows as (place for errors, column → text, empty where a row ends early)."""
        blank = dict.fromkeys(self.header, "")
        return [
            (f"{self.path}, line {line}", blank | dict(zip(self.header, row, strict=False)))
            for line, row in zip(self.lines, self.rows, strict=True)
        ]

    def with_decimal_points(self, columns: Collection[str]) -> Table:
        """The same with `12.4` where the named columns have `12,4`, which a note says.

        Raises:
            AttentadError: a column has decimal commas and points, so that a comma may stand for
                thousands.
        """
        places = [place for place, name in enumerate(self.header) if name in columns]
        cells = [row[place] for row in self.rows for place in places if place < len(row)]
        commas = [cell for cell in cells if "," in cell]
        if not commas:
            return self
        for line, row in zip(self.lines, self.rows, strict=True):
            for cell in (row[place] for place in places if place < len(row)):
                if "." in cell or cell.count(",") > 1:
                    raise AttentadError(
                        f"{self.path}, line {line} has {cell!r}, and the table {commas[0]!r}: a "
                        "comma may be the decimal sign or stand for thousands; write all numbers "
                        "with a decimal point."
                    )
        note(f"{self.path}: decimal commas were read as such, {commas[0]} for one.")
        rows = [
            [cell.replace(",", ".") if at in places else cell for at, cell in enumerate(row)]
            for row in self.rows
        ]
        return replace(self, rows=rows)


def read_table(path: Path) -> Table:
    """A table, its header in the first line that is not blank.

    Raises:
        AttentadError: the file is missing, is no table, or a row has more cells than the header.
    """
    return table_of_text(read_text(path), path)


def table_of_text(text: str, path: Path) -> Table:
    """As `read_table`, of the text of a file; cells are as they were before `safe_cell`."""
    separator = separator_of(text)
    lines, rows = split_rows(text, separator, path)
    if not rows:
        return Table(path, [], [], [], separator)
    if "'" in text:
        rows = [list(map(cell_text, row)) for row in rows]
    header = [name.strip() for name in rows[0]]
    return checked_width(Table(path, header, lines[1:], rows[1:], separator))


def split_rows(text: str, separator: str, path: Path) -> tuple[list[int], list[list[str]]]:
    """Numbers of lines, and rows that are not blank.

    Raises:
        AttentadError: the text is no table.
    """
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=separator != "\t")
    lines, rows = [], []
    try:
        for row in reader:
            if row:
                lines.append(reader.line_num)
                rows.append(row)
    except csv.Error as error:
        raise AttentadError(
            f"{path}, line {reader.line_num} is not CSV ({error}); correct it or write it again."
        ) from None
    return lines, rows


def separator_of(text: str) -> str:
    """Which of `SEPARATORS` the first line that is not blank has most of; comma without any."""
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    # What stands in quotation marks separates nothing.
    counts = Counter(re.sub(r'"[^"]*"', "", first))
    return max(SEPARATORS, key=lambda separator: counts[separator])


def checked_width(table: Table) -> Table:
    """The table without empty cells beyond its header.

    Raises:
        AttentadError: a row has a cell there that is not empty.
    """
    width = len(table.header)
    if max(map(len, table.rows), default=0) <= width:
        return table
    for line, row in zip(table.lines, table.rows, strict=True):
        surplus = [cell for cell in row[width:] if cell.strip()]
        if surplus:
            name = _NAMES[table.separator]
            raise AttentadError(
                f"{table.path}, line {line} has {len(row)} fields, and the first line names "
                f"{width}: {surplus[0]!r} is one too many. Put text that holds a {name} in "
                f"quotation marks{_DECIMAL if name == 'comma' else '.'}"
            )
    return replace(table, rows=[row[:width] for row in table.rows])


_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
_DECIMAL = ", and write numbers with a decimal point or separate the fields by semicolons."


def read_csv_lines(path: Path) -> list[tuple[int, list[str]]]:
    """All rows that are not blank, the header first, each with the number of its line.

    Cells are as they were before `safe_cell`.

    Raises:
        AttentadError: as `read_table`.
    """
    table = read_table(path)
    headed = [(1, table.header)] if table.header else []
    return [*headed, *zip(table.lines, table.rows, strict=True)]


def read_csv_rows(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Rows as (place for errors, column → text, empty where a row ends early).

    Raises:
        AttentadError: as `read_table`, or one of `columns` is not in the header.
    """
    table = read_table(path)
    table.require(columns)
    return table.records()


def write_csv(path: str | Path, rows: Iterable[Iterable[Any]], separator: str = ",") -> None:
    """Write rows, the header first, whole or not at all; see `write_bytes` for errors."""
    write_bytes(path, csv_text(rows, separator).encode())


def csv_text(rows: Iterable[Iterable[Any]], separator: str = ",") -> str:
    """Rows as separated values, none of which a spreadsheet would run."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerows(map(safe_cell, row) for row in rows)
    return text.getvalue()


def safe_cell(value: Any) -> Any:
    """A cell that a spreadsheet shows as it is: text that begins like a formula gets a leading `'`.

    Numbers, also those that are text already, stay as they are.
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def cell_text(text: str) -> str:
    """What `safe_cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
