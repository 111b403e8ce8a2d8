"""Times of day as text: 00:01:02.5."""

from __future__ import annotations

import re

from attentad.core.errors import AttentadError

_CLOCK = re.compile(r"(-?)(\d+):([0-5]?\d):([0-5]?\d(?:\.\d*)?)")


def seconds_of(text: str, where: str) -> float:
    """Seconds of `h:mm:ss.s`, or of a number of seconds.

    Raises:
        AttentadError: the text is neither; `where` begins the error.
    """
    found = _CLOCK.fullmatch(text.strip())
    try:
        if found is None:
            return float(text)
        seconds = int(found[2]) * 3600 + int(found[3]) * 60 + float(found[4])
    except (ValueError, OverflowError):
        raise AttentadError(f"{where}: {text!r} is no time; write seconds or h:mm:ss.s.") from None
    return -seconds if found[1] else seconds
