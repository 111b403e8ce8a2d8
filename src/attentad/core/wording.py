"""Names and numbers of things in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable


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
