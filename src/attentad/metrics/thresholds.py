"""tIoU thresholds as users write them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from attentad.core import AttentadError

_MOST_THRESHOLDS = 1000


def parse_tiou(text: str | Sequence[float]) -> tuple[float, ...]:
    """tIoU thresholds from what a user types.

    Args:
        text: `start:stop:step` with both ends included ("0.3:0.7:0.1"), a list ("0.5,0.75"),
            one number, or numbers already. Decimal arithmetic: the third of "0.1:0.7:0.1" is 0.3
            and not 0.30000000000000004.

    Raises:
        AttentadError: it is none of these, or a threshold is outside (0, 1].
    """
    if not isinstance(text, str):
        values = tuple(float(value) for value in text)
    else:
        try:
            parts = [Decimal(part.strip()) for part in text.split(":")] if ":" in text else []
            values = tuple(float(part) for part in text.split(",")) if not parts else ()
        except (InvalidOperation, ValueError):
            raise _tiou_error(text) from None
        if parts:
            values = _inclusive_range(parts, text)
    if not values or not all(0 < value <= 1 for value in values):
        raise _tiou_error(text)
    return values


def _inclusive_range(parts: list[Decimal], text: str) -> tuple[float, ...]:
    if len(parts) != 3 or not all(part.is_finite() for part in parts):
        raise _tiou_error(text)
    start, stop, step = parts
    if step <= 0 or stop < start or (stop - start) / step > _MOST_THRESHOLDS:
        raise _tiou_error(text)
    count = int((stop - start) / step) + 1
    return tuple(float(start + step * number) for number in range(count))


def _tiou_error(given: str | Sequence[float]) -> AttentadError:
    return AttentadError(
        f"tIoU thresholds {given!r} are not understood; write start:stop:step such as "
        "0.3:0.7:0.1, or a list such as 0.5,0.75,0.95, all above 0 and up to 1."
    )
