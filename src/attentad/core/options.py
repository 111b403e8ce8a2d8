"""The options of a part: what its signature and its docstring say of them, and their only check."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, wraps
from itertools import takewhile
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from attentad.core.errors import AttentadError
from attentad.core.wording import quoted


class Bound(NamedTuple):
    """What a number must fulfil beside its type; it stands in the type's annotation.

    Args:
        words: what to use, for an error sentence.
        holds: whether a number will do.
    """

    words: str
    holds: Callable[[float], bool]


Count: TypeAlias = Annotated[int, Bound("a whole number of at least 1", lambda n: n >= 1)]
OddCount: TypeAlias = Annotated[
    int, Bound("an odd number of at least 1", lambda n: n >= 1 and n % 2 == 1)
]
Positive: TypeAlias = Annotated[float, Bound("a number above 0", lambda x: x > 0)]
NotNegative: TypeAlias = Annotated[float, Bound("a number of at least 0", lambda x: x >= 0)]
Share: TypeAlias = Annotated[float, Bound("a number in 0..1", lambda x: 0 <= x <= 1)]
DropRate: TypeAlias = Annotated[float, Bound("a number in 0..1, 1 excluded", lambda x: 0 <= x < 1)]


Part = TypeVar("Part", bound=type)


class Option(NamedTuple):
    """An option of a part, to be read by people.

    Args:
        name: of the keyword argument, which is the key in a recipe.
        type: what can be given, in words, see `describe`.
        default: what holds without it; `inspect.Parameter.empty` where it must be given.
        about: what the docstring says of it; may be empty.
    """

    name: str
    type: str
    default: object
    about: str


def check_options(
    function: Callable[..., Any],
    options: Mapping[str, Any],
    given: Iterable[str] = (),
    where: str = "options",
) -> None:
    """Check options against a signature and its annotations, before the function is called.

    Args:
        function: what will be called, a function or a class.
        options: the keyword arguments that a user gives.
        given: parameters that the caller itself fills, and a user cannot.
        where: key of the recipe that the options stand under, for the error.

    Raises:
        AttentadError: names the first option that `function` does not take, and those it takes;
            or the first whose value is none of those annotated, and what to use.
    """
    hints = _option_hints(function, given)
    for name, value in options.items():
        if name not in hints:
            raise AttentadError(
                f"{where} has no option {name!r}; it takes: {', '.join(hints) or 'none'}."
            )
        if not fits(value, hints[name]):
            raise AttentadError(
                f"{where}.{name} cannot be {quoted(value)}; use {describe(hints[name])}."
            )


def checked(part: Part) -> Part:
    """A class that checks its options also where a program, and no recipe, gives them."""
    construct = part.__init__  # type: ignore[misc]

    @wraps(construct)
    def check_and_construct(self: Any, *shape: Any, **options: Any) -> None:
        check_options(part, options, where=part.__name__)
        construct(self, *shape, **options)

    part.__init__ = check_and_construct  # type: ignore[misc]
    return part


def shared_options(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that `function` takes too: one setting for two functions."""
    taken = inspect.signature(function).parameters
    return {key: value for key, value in options.items() if key in taken}


def part_options(function: Callable[..., Any], given: Iterable[str] = ()) -> list[Option]:
    """The options of a function or class in its order, without those that the caller fills."""
    parameters = inspect.signature(function).parameters
    about = _described_arguments(inspect.getdoc(_plain(function)) or "")
    return [
        Option(name, describe(hint), parameters[name].default, about.get(name, ""))
        for name, hint in _option_hints(function, given).items()
    ]


def fits(value: object, hint: Any) -> bool:
    """Whether `value`, as YAML or JSON gives it, has the annotated type.

    Numbers and their bounds, words, true and false, null, lists and mappings of them are judged,
    other types let through. True is not the number 1; a whole number will do where any number does.

    Args:
        value: of the option.
        hint: the annotation, resolved (`typing.get_type_hints`).
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(value, parts[0]) and all(bound.holds(value) for bound in parts[1:])
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin is tuple and parts[-1:] != (...,):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(parts)
            and all(map(fits, value, parts))
        )
    if origin in (list, tuple, Sequence):
        return isinstance(value, list | tuple) and all(fits(item, parts[0]) for item in value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(
            fits(key, parts[0]) and fits(item, parts[1]) for key, item in value.items()
        )
    if hint in (int, float):
        number = Integral if hint is int else Real
        return isinstance(value, number) and not isinstance(value, bool)
    return type(value) is hint if hint in (bool, str, NoneType) else True


def describe(hint: Any) -> str:
    """What to use for an option of that annotation, for an error sentence."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return " and ".join(bound.words for bound in parts[1:])
    if origin in (Union, UnionType):
        return " or ".join(describe(part) for part in parts)
    if origin is Literal:
        return " or ".join(str(part) for part in parts)
    if origin is tuple and parts[-1:] != (...,):
        words = [describe(part) for part in parts]
        if len(set(words)) == 1:
            return f"a list of {len(words)}, each {words[0]}"
        return f"a list of {len(words)}: {', '.join(words)}"
    if origin in (list, tuple, Sequence):
        return f"a list, each {describe(parts[0])}"
    if origin in (dict, Mapping):
        return f"a mapping, {describe(parts[0])} to {describe(parts[1])}"
    words_of = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return "null" if hint is NoneType else words_of.get(hint, getattr(hint, "__name__", str(hint)))


def _plain(function: Callable[..., Any]) -> Any:
    """The function itself of one with other defaults."""
    return function.func if isinstance(function, partial) else function


def _option_hints(function: Callable[..., Any], given: Iterable[str]) -> dict[str, Any]:
    """Option → annotation, resolved; `Any` without one."""
    annotated = _plain(function)
    annotated = annotated.__init__ if inspect.isclass(annotated) else annotated
    hints = get_type_hints(annotated, include_extras=True)
    taken = set(given)
    return {
        name: hints.get(name, Any)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and name not in taken
    }


def _described_arguments(doc: str) -> dict[str, str]:
    """Argument → text, of the section `Args:` of a docstring (Google style)."""
    _, _, rest = doc.partition("\nArgs:\n")
    section = "".join(takewhile(lambda line: line[0].isspace(), rest.splitlines(keepends=True)))
    described: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", textwrap.dedent(section)):
        names, _, text = " ".join(entry.split()).partition(": ")
        described |= dict.fromkeys(names.split(", "), text)
    return described
