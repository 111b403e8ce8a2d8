"""A paper's table with our values: on the terminal, as files, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attentad.app.table.figures import rows_scores, rows_timeline
from attentad.app.table.runs import RowRun, RowScore, plain_scores
from attentad.core.files import write_json
from attentad.recipes.paper_tables import PaperTable
from attentad.report import Table, save_figure, write_table
from attentad.report.table_figures import bars_figure, loss_figure
from attentad.training.logs import read_log

_NONE = "–"


def summary_table(table: PaperTable, rows: Sequence[RowScore], data: str) -> Table:
    """One line per row: the last column of the paper and of ours, size and speed.

    The differences are to the first row that was run.
    """
    last = table.columns[-1]
    columns = ("", f"paper {last}", f"ours {last}", "difference", "parameters", "ms/video")
    first = next((item for item in rows if item.mean is not None), None)
    lines = []
    for item in rows:
        paper = item.row.paper
        cells = [item.row.name, _paper(paper[-1] if paper else None)]
        if item.mean is None or first is None or first.mean is None:
            lines.append((*cells, _NONE, "", "", ""))
            continue
        difference = "" if item is first else f"{100 * (item.mean[-1] - first.mean[-1]):+.2f}"
        cells += [_value(item, -1), difference]
        lines.append((*cells, f"{item.parameters:,}", f"{item.ms_per_video:.1f}"))
    return Table(columns, tuple(lines), note=_note(table, rows, data))


def full_table(table: PaperTable, rows: Sequence[RowScore], data: str) -> Table:
    """Every column of the paper, and beside them every column of ours."""
    columns = [
        "",
        *(f"paper {name}" for name in table.columns),
        *(f"ours {name}" for name in table.columns),
        "parameters",
        "ms/video",
    ]
    lines = []
    for item in rows:
        paper = item.row.paper or (None,) * len(table.columns)
        cells = [item.row.name, *map(_paper, paper)]
        if item.mean is None:
            cells += [_NONE] * len(table.columns) + ["", ""]
        else:
            cells += [_value(item, column) for column in range(len(table.columns))]
            cells += [f"{item.parameters}", f"{item.ms_per_video:.1f}"]
        lines.append(tuple(cells))
    return Table(tuple(columns), tuple(lines), note=_note(table, rows, data))


def write_outputs(
    folder: Path,
    table: PaperTable,
    rows: Sequence[RowScore],
    runs: Sequence[RowRun],
    data: str,
) -> None:
    """Write table.md, table.csv, table.tex, table.json and the figures into a folder."""
    full = full_table(table, rows, data)
    for suffix in (".md", ".csv", ".tex"):
        write_table(folder / f"table{suffix}", full)
    content = {
        "title": table.title,
        "published_on": table.published_on,
        "data": data,
        "measure": table.measure,
        "columns": table.columns,
        "rows": plain_scores(rows),
    }
    write_json(folder / "table.json", content)
    for name, figure in _figures(table, rows, runs, data).items():
        for suffix in (".svg", ".png"):
            save_figure(figure, folder / f"{name}{suffix}")


def _figures(
    table: PaperTable, rows: Sequence[RowScore], runs: Sequence[RowRun], data: str
) -> dict[str, Any]:
    """Bars of the last column, loss curves, and a test video: timelines and detection scores.

    These are CSA's Figures 2 and 3, and HAM-Net's 3 and 5.
    """
    shown = [item for item in rows if item.mean is not None]
    deviations = [item.deviation for item in shown]
    last = [100 * item.mean[-1] if item.mean is not None else np.nan for item in shown]
    paper = [item.row.paper[-1] if item.row.paper else None for item in shown]
    figures = {
        "bars": bars_figure(
            [item.row.name for item in shown],
            last,
            [np.nan if value is None else value for value in paper],
            None
            if any(value is None for value in deviations)
            else [100 * float(value[-1]) for value in deviations if value is not None],
            (f"ours, {data}", f"paper, {table.published_on}"),
            f"{table.measure} {table.columns[-1]} (%)",
        ),
        "loss": loss_figure({item.row.name: _mean_loss(item) for item in shown}),
    }
    if table.measure == "mAP":
        first = [run for run in runs if run.seed == 0]
        figures["timeline"] = rows_timeline(first)
        figures["scores"] = rows_scores(first)
    return figures


def _mean_loss(item: RowScore) -> list[float]:
    """Training loss by epoch, the mean over a row's runs."""
    logs = [read_log(folder / "log.jsonl")["total"] for folder in dict.fromkeys(item.runs)]
    return [float(value) for value in np.mean(logs, axis=0)]


def _note(table: PaperTable, rows: Sequence[RowScore], data: str) -> str:
    counts = [len(item.values) for item in rows if item.values is not None]
    seeds = max(counts, default=0)
    spread = f"mean ± deviation over {seeds} seeds" if seeds > 1 else "one seed"
    return (
        f"{table.title}. {table.measure} in percent; the paper's values on {table.published_on}, "
        f"ours on {data}, {spread}: other data, no reproduction of the paper's values"
    )


def _paper(value: float | None) -> str:
    return _NONE if value is None else f"{value:g}"


def _value(item: RowScore, column: int) -> str:
    assert item.mean is not None
    text = f"{100 * item.mean[column]:.2f}"
    return text if item.deviation is None else f"{text} ± {100 * item.deviation[column]:.2f}"
