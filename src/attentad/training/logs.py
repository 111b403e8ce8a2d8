"""The training log: one row an epoch, as JSON lines and as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attentad.core import AttentadError
from attentad.core.files import read_bytes, write_bytes

Row = dict[str, float]

_NO_LOSS = frozenset({"epoch", "lr", "seconds"})


def write_log(out: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write `log.jsonl` and `log.csv` anew, each whole or not at all.

    Rows are few, so rewriting costs nothing, and a run that was killed leaves no half line. NaN
    is written as null and as an empty field.
    """
    lines = [json.dumps({key: _finite(row[key]) for key in row}) for row in rows]
    write_bytes(out / "log.jsonl", "".join(line + "\n" for line in lines).encode())
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows([{key: _finite(row[key]) for key in row} for row in rows])
    write_bytes(out / "log.csv", text.getvalue().encode())


def read_rows(out: Path, epochs: int) -> list[Row]:
    """The rows of `out/log.jsonl` of the first `epochs` epochs; [] without a log."""
    path = out / "log.jsonl"
    if not path.exists():
        return []
    return [row for row in _rows(path) if row.get("epoch", math.inf) <= epochs]


def read_log(path: str | Path) -> dict[str, list[float]]:
    """Column → one value per epoch, from `log.jsonl`, `log.csv` or the folder that holds them.

    A value that a row lacks is NaN.

    Raises:
        AttentadError: the file is missing or is no training log.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "log.jsonl"
    rows = _rows(path)
    return {name: [row.get(name, math.nan) for row in rows] for name in columns(rows)}


def loss_curves(path: str | Path) -> dict[str, list[float]]:
    """Loss terms and validation values by epoch; `path` as of `read_log`."""
    return {name: values for name, values in read_log(path).items() if name not in _NO_LOSS}


def columns(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """All columns in the order in which they appear, `seconds` last."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return sorted(names, key=lambda name: name == "seconds")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _rows(path: Path) -> list[Row]:
    lines = read_bytes(path).decode("utf-8", "replace").splitlines()
    table = path.suffix == ".csv"
    parsed = csv.DictReader(lines) if table else map(json.loads, lines)
    rows: list[Row] = []
    while True:
        try:
            rows.append(_row(next(parsed)))
        except StopIteration:
            return rows
        except (ValueError, TypeError, AttributeError):
            raise AttentadError(
                f"{path}, line {len(rows) + 1 + table} is no row of a training log; give the "
                f"log.{'csv' if table else 'jsonl'} that training wrote."
            ) from None


def _row(values: Mapping[str, Any]) -> Row:
    return {
        str(key): math.nan if value in (None, "") else _number(value)
        for key, value in values.items()
    }


def _number(value: Any) -> float:
    """A number as it was written: the epoch stays an integer."""
    return value if isinstance(value, int) else float(value)
