"""`attentad table`: say how long it takes, run what is not done, show and write the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from attentad.app.table.output import summary_table, write_outputs
from attentad.app.table.runs import estimate_seconds, is_done, plan_runs, row_scores, run_rows
from attentad.recipes.load import parse_setting
from attentad.recipes.paper_tables import load_table
from attentad.report.result_tables import print_tables


def run_table(
    name: str,
    *,
    data: str,
    root: Path | None,
    out: Path,
    seeds: int = 1,
    folds: Sequence[str] | None = None,
    epochs: int | None = None,
    rows: Sequence[str] | None = None,
    settings: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> None:
    """Run a table; see the command's own help for the arguments.

    Writes OUT/NAME-DATA/table.md, .csv, .tex, .json and figures; the runs are in OUT/runs.

    Raises:
        AttentadError: an argument does not fit, before any work starts.
    """
    table = load_table(name)
    changes = dict(parse_setting(text, "--set") for text in settings)
    if epochs is not None:
        changes["training.epochs"] = epochs
    runs = plan_runs(
        table, data=data, root=root, out=out, seeds=seeds, folds=folds, rows=rows, settings=changes
    )
    waiting = {run.folder for run in runs if not is_done(run)}
    if waiting:
        say(f"{name} on {data}: {len(waiting)} trainings; trying each kind for two epochs")
        say(f"they will take about {_duration(estimate_seconds(runs))}")
    scores = {}
    for number, (run, score, done) in enumerate(run_rows(runs, table), start=1):
        scores[run.folder] = score
        last = f"{100 * score.values[-1]:.2f}"
        where = f"{run.fold + ', ' if run.fold else ''}seed {run.seed}"
        took = "done before" if done else _duration(score.seconds)
        say(f"[{number}/{len(runs)}] {run.row.name}, {where}: {table.columns[-1]} {last} ({took})")
    result = row_scores(table, runs, scores)
    folder = out / f"{name.replace('/', '-')}-{data}"
    write_outputs(folder, table, result, runs, data)
    print_tables([summary_table(table, result, data)])
    say(f"written: {folder}")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
