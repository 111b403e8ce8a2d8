"""What a look at a data set found, and how to say it in a line."""

from __future__ import annotations

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
