"""tIoU thresholds as users write them, and as text."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from attentad.core import AttentadError

_MOST_THRESHOLDS = 1000
_ADVICE = "write start:stop:step such as 0.3:0.7:0.1, or a list such as 0.5,0.75,0.95"


def parse_tiou(tiou: str | Sequence[float]) -> tuple[float, ...]:
    """tIoU thresholds from what a user gives.

    Args:
        tiou: `start:stop:step` with both ends included ("0.3:0.7:0.1"), a list ("0.5,0.75"),
            one number, or numbers already. Decimal arithmetic: the third of "0.1:0.7:0.1" is 0.3
            and not 0.30000000000000004.

    Raises:
        AttentadError: it is none of these, a threshold is outside (0, 1], or one is given twice.
    """
    if not isinstance(tiou, str):
        values = tuple(map(float, tiou))
    else:
        try:
            values = _inclusive_range(tiou) if ":" in tiou else tuple(map(float, tiou.split(",")))
        except (InvalidOperation, ValueError):
            raise AttentadError(
                f"tIoU thresholds {tiou!r} are not understood; {_ADVICE}."
            ) from None
    if not values or not all(0 < value <= 1 for value in values):
        given = ", ".join(map(tiou_key, values)) or "none"
        raise AttentadError(
            f"tIoU thresholds must lie above 0 and up to 1; {_ADVICE}; given: {given}."
        )
    if len(set(values)) < len(values):
        raise AttentadError("a tIoU threshold is given twice; name each once.")
    return values


def tiou_key(value: float) -> str:
    """A threshold as text: 0.3 → "0.3"."""
    return f"{value:.10g}"


def by_threshold(tiou: Sequence[float], values: np.ndarray) -> dict[str, Any]:
    """Threshold as text → its value, or row of values, of J; plain, for JSON."""
    return dict(zip(map(tiou_key, tiou), values.tolist(), strict=True))


def _inclusive_range(text: str) -> tuple[float, ...]:
    start, stop, step = (Decimal(part.strip()) for part in text.split(":"))
    if step <= 0 or stop < start or (stop - start) / step > _MOST_THRESHOLDS:
        raise ValueError(text)
    return tuple(float(start + step * i) for i in range(int((stop - start) / step) + 1))
