"""A paper's table with our values: on the terminal, as files, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attentad.app.table.figures import video_figures
from attentad.app.table.runs import RowRun, RowScore
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
    lines = []
    first = None
    for item in rows:
        ours = (_NONE, "", "", "")
        if item.mean is not None:
            difference = "" if first is None else f"{100 * (item.mean[-1] - first):+.2f}"
            first = item.mean[-1] if first is None else first
            size, speed = f"{item.parameters:,}", f"{item.ms_per_video:.1f}"
            ours = (_ours(item)[-1], difference, size, speed)
        lines.append((item.row.name, _papers(table, item)[-1], *ours))
    return Table(columns, tuple(lines), note=_note(table, rows, data))


def full_table(table: PaperTable, rows: Sequence[RowScore], data: str) -> Table:
    """Every column of the paper, and beside them every column of ours."""
    values = [f"{whose} {name}" for whose in ("paper", "ours") for name in table.columns]
    lines = []
    for item in rows:
        ours = [_NONE] * len(table.columns) + ["", ""]
        if item.mean is not None:
            ours = [*_ours(item), f"{item.parameters}", f"{item.ms_per_video:.1f}"]
        lines.append((item.row.name, *_papers(table, item), *ours))
    columns = ("", *values, "parameters", "ms/video")
    return Table(columns, tuple(lines), note=_note(table, rows, data))


def write_outputs(
    folder: Path, table: PaperTable, rows: Sequence[RowScore], runs: Sequence[RowRun], data: str
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
        "rows": [
            {
                "name": item.row.name,
                "paper": item.row.paper,
                "values_by_seed": item.values,
                "parameters": item.parameters or None,
                "ms_per_video": item.ms_per_video or None,
                "runs": [str(folder) for folder in item.runs],
            }
            for item in rows
        ],
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
    last = [100 * float(item.mean[-1]) for item in shown if item.mean is not None]
    deviations = [100 * float(item.deviation[-1]) for item in shown if item.deviation is not None]
    paper = [item.row.paper[-1] if item.row.paper else None for item in shown]
    figures = {
        "bars": bars_figure(
            [item.row.name for item in shown],
            last,
            [np.nan if value is None else value for value in paper],
            deviations if len(deviations) == len(shown) else None,
            (f"ours, {data}", f"paper, {table.published_on}"),
            f"{table.measure} {table.columns[-1]} (%)",
        ),
        "loss": loss_figure({item.row.name: _mean_loss(item) for item in shown}),
    }
    if table.measure == "mAP":
        figures |= video_figures([run for run in runs if run.seed == 0])
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


def _papers(table: PaperTable, item: RowScore) -> list[str]:
    """The paper's values of a row, one per column."""
    values = item.row.paper or (None,) * len(table.columns)
    return [_NONE if value is None else f"{value:g}" for value in values]


def _ours(item: RowScore) -> list[str]:
    """Our values of a row that was run, one per column."""
    assert item.mean is not None
    means = [f"{100 * value:.2f}" for value in item.mean]
    if item.deviation is None:
        return means
    pairs = zip(means, item.deviation, strict=True)
    return [f"{mean} ± {100 * deviation:.2f}" for mean, deviation in pairs]
