"""What a look at a data set found, and how to say it in a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One line of what was found and one of what to do.

    Args:
        severity: `error` stops training or spoils it, `warning` is probably not meant, `info` is
            worth knowing.
        kind: a short name of the matter, such as `missing_features`.
        what: a sentence.
        do: a sentence.
    """

    severity: Severity
    kind: str
    what: str
    do: str


def number_of(items: Sequence[object], one: str, many: str = "") -> str:
    """`1 video`, `3 videos`; `many` where an s does not make the plural."""
    return f"{len(items)} {one if len(items) == 1 else many or one + 's'}"


def and_more(items: Sequence[object]) -> str:
    """`, and 4 more` of five items of which one was named; nothing of one."""
    return f", and {len(items) - 1} more" if len(items) > 1 else ""


def first_few(names: Iterable[str]) -> str:
    """The first three names and how many follow."""
    listed = list(names)
    shown = ", ".join(listed[:3])
    return shown + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
