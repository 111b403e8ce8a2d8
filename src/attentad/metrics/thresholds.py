"""tIoU thresholds as users write them, and as text."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeAlias

import numpy as np

from attentad.core import AttentadError

_MOST_THRESHOLDS = 1000
_ADVICE = "write start:stop:step such as 0.3:0.7:0.1, or a list such as 0.5,0.75,0.95"

# How the values between the ends of a range are made.
Spacing: TypeAlias = Literal["linspace", "decimal"]


def parse_tiou(tiou: str | Sequence[float], spacing: Spacing = "linspace") -> tuple[float, ...]:
    """tIoU thresholds from what a user gives.

    Args:
        tiou: `start:stop:step` with both ends included ("0.3:0.7:0.1"), a list ("0.5,0.75"),
            one number, or numbers already.
        spacing: how a range is made, which the last digit of a tIoU may hang on. `linspace`, as
            ActivityNet's evaluation and its heirs do it: `np.linspace(start, stop, count)`, so that
            the ninth of "0.5:0.95:0.05" is 0.8999999999999999, which a tIoU of exactly .9
            reaches. `decimal`: the decimals themselves, as tools have them that list or are
            given them one by one; 0.9 is then the number nearest to .9.

    Raises:
        AttentadError: it is none of these, a threshold is outside (0, 1], or one is given twice.
    """
    if not isinstance(tiou, str):
        values = tuple(map(float, tiou))
    else:
        try:
            if ":" in tiou:
                values = _inclusive_range(tiou, spacing)
            else:
                values = tuple(map(float, tiou.split(",")))
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


def _inclusive_range(text: str, spacing: Spacing) -> tuple[float, ...]:
    start, stop, step = (Decimal(part.strip()) for part in text.split(":"))
    if step <= 0 or stop < start or (stop - start) / step > _MOST_THRESHOLDS:
        raise ValueError(text)
    count = int((stop - start) / step) + 1
    decimals = tuple(float(start + step * i) for i in range(count))
    if spacing == "decimal":
        return decimals
    # The range ends where its last step does, which need not be at `stop`.
    return tuple(np.linspace(decimals[0], decimals[-1], count).tolist())
