"""Options: their types, their one check, and what signature and docstring say of them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from attentad.core import AttentadError
from attentad.core.options import (
    Count,
    DropRate,
    OddCount,
    Positive,
    Share,
    check_options,
    describe,
    fits,
    part_options,
    shared_options,
)

Thresholds = Literal["code", "paper"] | list[float]


@pytest.mark.parametrize(
    ("hint", "right", "wrong", "words"),
    [
        (int, [3, -1], [3.0, True, "3", None], "a whole number"),
        (float, [3, 0.5, float("nan")], [True, "1e-5", None, [1.0]], "a number"),
        (bool, [True, False], [0, 1, "true"], "true or false"),
        (str, ["a"], [1, None], "text"),
        (int | None, [3, None], [0.5, "none"], "a whole number or null"),
        (Literal["a", 0], ["a", 0], ["b", False, None], "a or 0"),
        (list[float], [[], [1, 0.5]], [0.5, ["a"], [None], "ab"], "a list, each a number"),
        (Sequence[int], [[1, 2], (1,)], [[1.5], 1, "12"], "a list, each a whole number"),
        (Thresholds, ["code", [0.1]], ["all", 0.1], "code or paper or a list, each a number"),
        (tuple[int, ...], [[], [1, 2], (1,)], [[0.5], 1], "a list, each a whole number"),
        (tuple[int, int], [[1, 2], (1, 2)], [[1], [1, 2, 3], "12"], "a list of 2, each a who"),
        (tuple[str, int], [["a", 2]], [[2, "a"], "ab"], "a list of 2: text, a whole number"),
        (dict[str, float], [{}, {"a": 1}], [{"a": "b"}, {1: 1}, []], "a mapping, text to a number"),
        (Mapping[str, bool], [{"a": True}], [{"a": 1}], "a mapping, text to true or false"),
        (Count, [1, 7], [0, -1, 1.5, True], "a whole number of at least 1"),
        (Count | None, [1, None], [0, "one"], "a whole number of at least 1 or null"),
        (OddCount, [1, 3], [0, 2, -1], "an odd number of at least 1"),
        (Positive, [0.1, 2], [0, -1, float("nan"), "1"], "a number above 0"),
        (Share, [0, 0.5, 1], [-0.1, 1.5, None], "a number in 0..1"),
        (DropRate, [0, 0.5], [1, -0.1], "a number in 0..1, 1 excluded"),
        (list[Share], [[], [0, 1]], [[0.5, 2]], "a list, each a number in 0..1"),
        # What is not of YAML is not judged.
        (Path, ["x", 1], [], "Path"),
    ],
)
def test_values_and_types(hint: Any, right: list[Any], wrong: list[Any], words: str) -> None:
    assert all(fits(value, hint) for value in right)
    assert not any(fits(value, hint) for value in wrong)
    assert describe(hint).startswith(words)


def test_numbers_of_numpy_are_numbers() -> None:
    assert fits(np.int64(3), int)
    assert fits(np.float32(0.5), float)
    assert not fits(np.bool_(True), int)


class Part:
    """A part.

    Args:
        size: given by the caller.
        rule: `near`, as published;
            or `far`.
        first, second,
            third: three of a kind: alike.

    Raises:
        AttentadError: never.
    """

    def __init__(
        self,
        size: int,
        rule: Literal["near", "far"] = "near",
        *,
        first: float = 0.5,
        second: float,
        third: int | None = None,
        undescribed: bool = False,
        **others: object,
    ) -> None: ...


def test_options_of_a_part() -> None:
    options = part_options(Part, given=("size",))
    assert [tuple(option) for option in options] == [
        ("rule", "near or far", "near", "`near`, as published; or `far`."),
        ("first", "a number", 0.5, "three of a kind: alike."),
        ("second", "a number", inspect.Parameter.empty, "three of a kind: alike."),
        ("third", "a whole number or null", None, "three of a kind: alike."),
        ("undescribed", "true or false", False, ""),
    ]
    assert part_options(lambda: None) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 3}, r"^a.part has no option 'size'; it takes: rule, first, second, third, undes"),
        ({"first": 1, "fourth": 4}, r"^a.part has no option 'fourth'"),
        ({"others": 4}, r"^a.part has no option 'others'"),
        ({"rule": "middle"}, r"^a.part.rule cannot be 'middle'; use near or far.$"),
        ({"rule": "far", "third": "3"}, r"^a.part.third cannot be '3'; use a whole number or null"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AttentadError, match=message):
        check_options(Part, options, given=("size",), where="a.part")


def test_right_options_pass() -> None:
    check_options(Part, {"rule": "far", "first": 1, "third": None}, given=("size",))
    with pytest.raises(AttentadError, match="it takes: none"):
        check_options(lambda: None, {"a": 1})


def test_shared_options() -> None:
    assert shared_options(Part, {"rule": 1, "other": 2, "first": 3}) == {"rule": 1, "first": 3}


def test_a_part_with_another_default() -> None:
    other = partial(Part, second=2.5)
    options = {option.name: option for option in part_options(other, given=("size",))}
    assert options["second"].default == 2.5
    assert options["second"].about == "three of a kind: alike."
    with pytest.raises(AttentadError, match=r"options\.first cannot be 'a'; use a number"):
        check_options(other, {"first": "a"})
