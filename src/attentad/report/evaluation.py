"""The mAP table: what an evaluation says, as rows of text for the template."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
