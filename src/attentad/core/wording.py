"""Names, numbers and values of others in sentences."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Collection, Iterable
from typing import Final

# Of a value that somebody else wrote, of a word that may be a path, and of a whole sentence.
MOST_QUOTED: Final = 80
MOST_IN_A_WORD: Final = 400
MOST_IN_A_SENTENCE: Final = 4000

# What moves a terminal's cursor, ends a line, turns the writing round, or cannot be printed.
_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_QUOTED = re.compile(rf"(?<!\w)(?P<mark>['\"])(?P<inside>[^'\"]{{{MOST_QUOTED},}}?)(?P=mark)(?!\w)")
_LONG_WORD = re.compile(rf"\S{{{MOST_IN_A_WORD + 1},}}")


def number_of(items: Collection[object], one: str, many: str = "") -> str:
    """`1 video`, `3 videos`; `many` where an s does not make the plural."""
    return f"{len(items)} {one if len(items) == 1 else many or one + 's'}"


def and_more(items: Collection[object], named: int = 1) -> str:
    """` and 4 more` of five items of which one was named; nothing where all were."""
    return f" and {len(items) - named} more" if len(items) > named else ""


def first_few(names: Iterable[str], count: int = 3) -> str:
    """The first names, and how many follow."""
    listed = list(names)
    return ", ".join(listed[:count]) + and_more(listed, count)


def reason_of(error: BaseException) -> str:
    """What an error of a library says, on one line and without a full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(". ") if lines else type(error).__name__


def quoted(value: object) -> str:
    """A value of a file or a user as a sentence may show it: at most 80 characters of its `repr`.

    The time that this takes does not grow with the value, however deep or long it is.
    """
    return shortened(_SHORT.repr(value), MOST_QUOTED)


def shortened(text: str, length: int) -> str:
    """Text of at most `length` characters, where need be with its middle left out."""
    if len(text) <= length:
        return text
    end = (length - 1) // 3
    return f"{text[: length - 1 - end]}…{text[len(text) - end :]}"


def visible(text: str) -> str:
    """Text with control characters and what is no character as escapes, such as \\x1b."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def sentence(text: str) -> str:
    """A sentence fit for a terminal, whatever names and values stand in it.

    Control characters are shown as escapes; of what stands in quotes at most 80 characters stay.
    """
    whole = visible(text)
    whole = _QUOTED.sub(lambda f: f["mark"] + _inside(f["inside"]) + f["mark"], whole)
    whole = _LONG_WORD.sub(lambda found: shortened(found[0], MOST_IN_A_WORD), whole)
    return shortened(whole, MOST_IN_A_SENTENCE)


def _inside(text: str) -> str:
    return shortened(text, MOST_QUOTED - 2)


class _Short(reprlib.Repr):
    """`repr` of the outermost levels and the first items."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, MOST_QUOTED, MOST_QUOTED

    def repr_int(self, x: int, level: int) -> str:
        # Python itself refuses to write out thousands of digits.
        return repr(x) if x.bit_length() <= 4 * MOST_QUOTED else f"{x.bit_length()} bits"


_SHORT: Final = _Short()
