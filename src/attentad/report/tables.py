"""Tables of numbers: on the terminal, and as CSV, Markdown or LaTeX files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attentad.core import AttentadError
from attentad.core.files import write_bytes
from attentad.core.formats.csv_rows import csv_text

if TYPE_CHECKING:
    from rich.table import Table as RichTable

TABLE_SUFFIXES = (".csv", ".md", ".tex")

# What TeX takes for a command, and how it is written instead.
_TEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
}


@dataclass(frozen=True)
class Table:
    """Cells of text.

    Args:
        columns: headings; the first column names the rows.
        rows: one text per column each.
        note: a line below the table, such as the protocol, or "".
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def transposed(table: Table) -> Table:
    """Rows as columns, for a terminal that is narrower than a table of many columns."""
    columns = (table.columns[0], *(row[0] for row in table.rows))
    cells = zip(table.columns[1:], *(row[1:] for row in table.rows), strict=True)
    return Table(columns, tuple(cells), note=table.note)


def to_csv(table: Table) -> str:
    """Comma-separated values; the note is left out."""
    return csv_text([table.columns, *table.rows])


def to_markdown(table: Table) -> str:
    """A pipe table; numbers to the right."""
    rules = ["---"] + ["---:"] * (len(table.columns) - 1)
    lines = [table.columns, tuple(rules), *table.rows]
    text = "".join(f"| {' | '.join(_markdown(cell) for cell in line)} |\n" for line in lines)
    return f"{text}\n{_markdown(table.note)}\n" if table.note else text


def to_latex(table: Table) -> str:
    """A `tabular` with the rules of booktabs; the note becomes a comment."""
    lines = [f"% {' '.join(table.note.split())}"] if table.note else []
    lines += [f"\\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}", "\\toprule"]
    lines += [_latex_row(table.columns), "\\midrule", *map(_latex_row, table.rows)]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def to_rich(table: Table) -> RichTable:
    """The table for `rich.console.Console.print`."""
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable()
    for number, heading in enumerate(table.columns):
        shown.add_column(Text(heading), justify="right" if number else "left")
    for row in table.rows:
        shown.add_row(*map(Text, row))
    return shown


def write_table(path: str | Path, table: Table) -> None:
    """Write by suffix: `.csv`, `.md` (Markdown) or `.tex` (LaTeX).

    Raises:
        AttentadError: the suffix is another one, or the file cannot be written.
    """
    render = {".csv": to_csv, ".md": to_markdown, ".tex": to_latex}.get(Path(path).suffix.lower())
    if render is None:
        raise AttentadError(
            f"{path}: a table is written as {', '.join(TABLE_SUFFIXES)}; choose one of these."
        )
    write_bytes(path, render(table).encode())


def _markdown(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def _latex_row(cells: tuple[str, ...]) -> str:
    escaped = ("".join(_TEX.get(sign, sign) for sign in " ".join(cell.split())) for cell in cells)
    return " & ".join(escaped) + r" \\"
