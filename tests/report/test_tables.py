"""Tables as text: what the formats take for commands is escaped."""

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from attentad.core import AttentadError
from attentad.report.tables import (
    Table,
    to_csv,
    to_latex,
    to_markdown,
    to_rich,
    transposed,
    write_table,
)

TABLE = Table(
    ("method", "0.5", "average"),
    (("a_1 & b|c", "12.30", "−4 ± 1 %"), ('x,"y"', "–", "7")),
    note="protocol wtalc",
)


def test_csv_reads_back() -> None:
    assert [tuple(row) for row in csv.reader(io.StringIO(to_csv(TABLE)))] == [
        TABLE.columns,
        *TABLE.rows,
    ]


def test_markdown_has_one_cell_per_column() -> None:
    lines = to_markdown(TABLE).splitlines()
    assert lines[1] == "| --- | ---: | ---: |"
    assert lines[2] == r"| a_1 & b\|c | 12.30 | −4 ± 1 % |"
    assert lines[-1] == "protocol wtalc"


def test_latex_escapes_its_commands() -> None:
    lines = to_latex(TABLE).splitlines()
    assert lines[:3] == ["% protocol wtalc", r"\begin{tabular}{lrr}", r"\toprule"]
    assert lines[3] == r"method & 0.5 & average \\"
    assert lines[5] == r"a\_1 \& b|c & 12.30 & $-$4 $\pm$ 1 \% \\"
    assert to_latex(Table((r"\x{}",), ())).splitlines()[2] == r"\textbackslash{}x\{\} \\"


def test_the_terminal_shows_text_and_no_markup() -> None:
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(to_rich(Table(("m",), (("[red]x",),))))
    assert "[red]x" in console.export_text()


def test_the_suffix_chooses_the_format(tmp_path: Path) -> None:
    for suffix, render in ((".csv", to_csv), (".md", to_markdown), (".tex", to_latex)):
        write_table(tmp_path / f"t{suffix}", TABLE)
        assert (tmp_path / f"t{suffix}").read_text() == render(TABLE)
    with pytest.raises(AttentadError, match=r"t\.xls: a table is written as \.csv, \.md, \.tex"):
        write_table(tmp_path / "t.xls", TABLE)


def test_transposed_twice_is_the_table() -> None:
    assert transposed(TABLE).columns == ("method", "a_1 & b|c", 'x,"y"')
    assert transposed(TABLE).rows[0] == ("0.5", "12.30", "–")
    assert transposed(transposed(TABLE)) == TABLE
