"""The mAP table: what an evaluation says, as rows of text for the template."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MISSING = "–"


@dataclass(frozen=True)
class Cell:
    """A value in percent and its shade 0..10 (−1 for none)."""

    text: str
    shade: int = -1


@dataclass(frozen=True)
class Row:
    """One line: a class, or the mean over classes."""

    name: str
    cells: tuple[Cell, ...]
    average: Cell
    instances: str


@dataclass(frozen=True)
class EvaluationTable:
    """AP by class (rows, best first) and tIoU threshold (columns), in percent."""

    protocol: str
    thresholds: tuple[str, ...]
    mean: Row
    classes: tuple[Row, ...]


@dataclass(frozen=True)
class ComparisonRow:
    """One line, a cell per detector: a mean over classes, or a class."""

    name: str
    cells: tuple[Cell, ...]
    instances: str
    is_mean: bool


@dataclass(frozen=True)
class ComparisonTable:
    """A column per detector, in percent: mAP on average and by tIoU, then each class's AP."""

    protocol: str
    detectors: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]

    @property
    def averages(self) -> tuple[tuple[str, Cell], ...]:
        """Each detector's name and average mAP."""
        return tuple(zip(self.detectors, self.rows[0].cells, strict=True))


def evaluation_table(evaluation: Mapping[str, Any] | None) -> EvaluationTable | None:
    """Lay out what `metrics.DetectionResult.to_dict` returns; None where there is no mAP in it.

    Args:
        evaluation: `protocol`, `mAP` (threshold → value in 0..1), `average_mAP`, `per_class`
            (name → its `AP` by threshold, `average_AP`, `ground_truth`), `ground_truth` with the
            number of `instances`. What is missing or not finite shows as a dash.
    """
    if not evaluation:
        return None
    means = _mapping(evaluation.get("mAP"))
    thresholds = tuple(str(threshold) for threshold in means)
    average = _number(evaluation.get("average_mAP"))
    if average is None and not thresholds:
        return None
    rows = [
        _row(str(name), _mapping(item).get("AP"), thresholds, "average_AP", _mapping(item))
        for name, item in _mapping(evaluation.get("per_class")).items()
    ]
    truth = _mapping(evaluation.get("ground_truth"))
    facts = {"average": average, "ground_truth": truth.get("instances")}
    return EvaluationTable(
        protocol=str(evaluation.get("protocol", "")),
        thresholds=thresholds,
        mean=_row("Mean", means, thresholds, "average", facts),
        classes=tuple(sorted(rows, key=lambda row: -_value(row.average))),
    )


def comparison_table(
    evaluations: Mapping[str, Mapping[str, Any] | None],
) -> ComparisonTable | None:
    """Lay the evaluations of several detectors out side by side; None where none holds an mAP.

    A threshold or class that not all of them have is a row all the same, with dashes. Classes
    come in falling order of what the best detector reaches; actions are the most that any counts.

    Args:
        evaluations: detector → what `evaluation_table` takes, or None.
    """
    found = [(name, evaluation_table(item)) for name, item in evaluations.items()]
    tables = {name: table for name, table in found if table is not None}
    if not tables:
        return None
    rows = [_compared_row("average", [table.mean for table in tables.values()], is_mean=True)]
    for threshold in dict.fromkeys(t for table in tables.values() for t in table.thresholds):
        parts = [_at_threshold(table, threshold) for table in tables.values()]
        rows.append(_compared_row(threshold, parts, is_mean=True))
    by_class = [{row.name: row for row in table.classes} for table in tables.values()]
    classes = [
        _compared_row(name, [known.get(name) for known in by_class], is_mean=False)
        for name in dict.fromkeys(name for known in by_class for name in known)
    ]
    rows += sorted(classes, key=lambda row: -max(map(_value, row.cells)))
    protocols = dict.fromkeys(table.protocol for table in tables.values() if table.protocol)
    return ComparisonTable(", ".join(protocols), tuple(tables), tuple(rows))


def _compared_row(name: str, parts: Sequence[Row | None], *, is_mean: bool) -> ComparisonRow:
    counts = [int(part.instances) for part in parts if part and part.instances != MISSING]
    cells = tuple(Cell(MISSING) if part is None else part.average for part in parts)
    return ComparisonRow(name, cells, str(max(counts)) if counts else MISSING, is_mean)


def _at_threshold(table: EvaluationTable, threshold: str) -> Row | None:
    """The mean over classes at one threshold, as a row whose average that is."""
    if threshold not in table.thresholds:
        return None
    cell = table.mean.cells[table.thresholds.index(threshold)]
    return Row(threshold, (), cell, table.mean.instances)


def _row(
    name: str,
    values: Any,
    thresholds: tuple[str, ...],
    average: str,
    facts: Mapping[str, Any],
) -> Row:
    by_threshold = _mapping(values)
    count = _number(facts.get("ground_truth"))
    return Row(
        name,
        tuple(_cell(_number(by_threshold.get(threshold))) for threshold in thresholds),
        _cell(_number(facts.get(average))),
        MISSING if count is None else f"{count:.0f}",
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _value(cell: Cell) -> float:
    return -1.0 if cell.text == MISSING else float(cell.text)


def _cell(value: float | None) -> Cell:
    if value is None:
        return Cell(MISSING)
    return Cell(f"{100 * value:.1f}", round(10 * min(1.0, max(0.0, value))))
