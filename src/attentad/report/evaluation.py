"""The table of average precision: what evaluations say, as rows of text for the template."""

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
    """What a detector reaches: on average, and at each threshold."""

    detector: str
    average: Cell
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """A class, or the mean over classes: a row per detector."""

    name: str
    instances: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class PrecisionTable:
    """AP in percent by class, detector (rows) and tIoU threshold (columns).

    The first group is the mean over classes; then come the classes, best first.
    """

    protocol: str
    thresholds: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def averages(self) -> list[tuple[str, str]]:
        """Detector and its average mAP, of those that have one."""
        rows = self.groups[0].rows
        return [(row.detector, row.average.text) for row in rows if row.average.text != MISSING]


def precision_table(evaluations: Mapping[str, Mapping[str, Any] | None]) -> PrecisionTable | None:
    """Lay the evaluations of one or several detectors out; None where none holds an mAP.

    A threshold or class that not all of them have is there all the same, with dashes. Actions are
    the most that any detector's evaluation counts.

    Args:
        evaluations: detector → what `metrics.DetectionResult.to_dict` returns: `protocol`, `mAP`
            (threshold → value in 0..1), `average_mAP`, `per_class` (name → its `AP` by threshold,
            `average_AP`, `ground_truth`), `ground_truth` with the number of `instances`. What is
            missing or not finite shows as a dash.
    """
    means = {}
    for detector, item in evaluations.items():
        if item and (item.get("mAP") or _number(item.get("average_mAP")) is not None):
            count = _mapping(item.get("ground_truth")).get("instances")
            average = item.get("average_mAP")
            means[detector] = {"AP": item.get("mAP"), "average_AP": average, "ground_truth": count}
    if not means:
        return None
    shown = {detector: _mapping(evaluations[detector]) for detector in means}
    keys = (key for mean in means.values() for key in _mapping(mean["AP"]))
    thresholds = tuple(dict.fromkeys(keys))
    per_class = {detector: _mapping(item.get("per_class")) for detector, item in shown.items()}
    classes = []
    for name in dict.fromkeys(name for items in per_class.values() for name in items):
        values = {detector: items.get(name) for detector, items in per_class.items()}
        classes.append(_group(name, values, thresholds))
    classes.sort(key=lambda group: -max(_value(row.average) for row in group.rows))
    protocols = dict.fromkeys(str(item.get("protocol") or "") for item in shown.values())
    return PrecisionTable(
        ", ".join(filter(None, protocols)),
        thresholds,
        (_group("Mean", means, thresholds), *classes),
    )


def _group(name: str, values: Mapping[str, Any], thresholds: tuple[str, ...]) -> Group:
    rows, counts = [], []
    for detector, value in values.items():
        item = _mapping(value)
        by_threshold = _mapping(item.get("AP"))
        cells = tuple(_cell(by_threshold.get(threshold)) for threshold in thresholds)
        rows.append(Row(detector, _cell(item.get("average_AP")), cells))
        counts.append(_number(item.get("ground_truth")))
    told = [count for count in counts if count is not None]
    return Group(name, f"{max(told):.0f}" if told else MISSING, tuple(rows))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _value(cell: Cell) -> float:
    return -1.0 if cell.text == MISSING else float(cell.text)


def _cell(value: Any) -> Cell:
    number = _number(value)
    if number is None:
        return Cell(MISSING)
    return Cell(f"{100 * number:.1f}", round(10 * min(1.0, max(0.0, number))))
