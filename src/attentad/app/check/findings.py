"""What a look at a data set found, and how to say it in a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from attentad.core import AttentadError

Severity = Literal["error", "warning", "info"]
Result = TypeVar("Result")


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


def attempt(
    kind: str, do: str, function: Callable[[], Result]
) -> tuple[Result | None, list[Finding]]:
    """What the function gives, or the AttentadError that it raises as a finding of that kind."""
    try:
        return function(), []
    except AttentadError as error:
        return None, [Finding("error", kind, str(error), do)]
