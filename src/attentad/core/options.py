"""Whether an option from a recipe has the type that the function taking it is annotated with."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin


def fits(value: object, hint: Any) -> bool:
    """Whether `value`, as YAML or JSON gives it, has the annotated type.

    Numbers, words, true and false, null, and lists of them are judged, other types let through.
    True is not the number 1; a whole number will do where any number does.

    Args:
        value: of the option.
        hint: the annotation, resolved (`typing.get_type_hints`).
    """
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in get_args(hint))
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in get_args(hint))
    if origin in (list, Sequence):
        (item,) = get_args(hint)
        return isinstance(value, list | tuple) and all(fits(part, item) for part in value)
    if hint is float:
        return type(value) in (int, float)
    if hint in (int, bool, str, NoneType):
        return type(value) is hint
    return True


def describe(hint: Any) -> str:
    """What to use for an option of that annotation, for an error sentence."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return " or ".join(describe(part) for part in get_args(hint))
    if origin is Literal:
        return " or ".join(str(part) for part in get_args(hint))
    if origin in (list, Sequence):
        (item,) = get_args(hint)
        return f"a list, each {describe(item)}"
    words = {int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}
    return words.get(hint, "text" if hint is str else str(getattr(hint, "__name__", hint)))
