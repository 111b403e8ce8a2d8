"""What a user should know beside a result: readers say it as a warning, commands print it."""

from __future__ import annotations

import warnings


class Note(UserWarning):
    """One sentence about how a file was read or written, such as what was left out of it."""


def note(text: str) -> None:
    """Say it to whoever asked for the file."""
    warnings.warn(text, Note, stacklevel=3)
