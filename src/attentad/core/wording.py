"""Names and numbers of things in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def number_of(items: Collection[object], one: str, many: str = "") -> str:
    """`1 video`, `3 videos`; `many` where an s does not make the plural."""
    return f"{len(items)} {one if len(items) == 1 else many or one + 's'}"


def first_few(names: Iterable[str], count: int = 3) -> str:
    """The first names, and how many follow: `a, b, c and 4 more`."""
    listed = list(names)
    rest = f" and {len(listed) - count} more" if len(listed) > count else ""
    return ", ".join(listed[:count]) + rest
