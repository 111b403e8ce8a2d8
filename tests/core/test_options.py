"""Types of options from recipes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from attentad.core.options import describe, fits

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
        # What is not of YAML is not judged.
        (Path, ["x", 1], [], "Path"),
    ],
)
def test_values_and_types(hint: Any, right: list[Any], wrong: list[Any], words: str) -> None:
    assert all(fits(value, hint) for value in right)
    assert not any(fits(value, hint) for value in wrong)
    assert describe(hint) == words
