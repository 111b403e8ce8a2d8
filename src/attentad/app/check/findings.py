"""What a look at a data set found, and how to say it in a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple, TypeVar

from rich.console import Console

from attentad.core import AttentadError
from attentad.core.wording import number_of

Severity = Literal["error", "warning", "info"]
Result = TypeVar("Result")

# The worst first.
_COLOURS: Final[dict[Severity, str]] = {"error": "red", "warning": "yellow", "info": "cyan"}


class Finding(NamedTuple):
    """A sentence on what was found and one on what to do.

    `error` stops training or spoils it, `warning` is probably not meant, `info` is worth knowing.
    The kind is a short name of the matter, such as `missing_features`.
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


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, then warnings, then what is worth knowing."""
    return sorted(findings, key=lambda finding: list(_COLOURS).index(finding.severity))


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Those that stop training or spoil it."""
    return [finding for finding in findings if finding.severity == "error"]


def print_findings(findings: Sequence[Finding]) -> None:
    """Print each finding in two lines, what and what to do, and how many there are of each kind."""
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(f"{finding.severity:8}", style=_COLOURS[finding.severity], end="")
        console.print(finding.what, markup=False)
        console.print(f"{'':8}{finding.do}", markup=False, style="dim")
    warnings = [finding for finding in findings if finding.severity == "warning"]
    counted = ((errors(findings), "error"), (warnings, "warning"))
    told = ", ".join(number_of(some, name) for some, name in counted if some)
    console.print(told or "nothing wrong was found", markup=False)
