"""Sentences stay one readable line, whatever stands in the files that they speak of."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentad.core import AttentadError
from attentad.core.wording import MOST_QUOTED, quoted, shortened


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def bomb(levels: int) -> Any:
    value: Any = ["x"] * 10
    for _ in range(levels):
        value = [value] * 10
    return value


@pytest.mark.parametrize(
    "value",
    [nested(100_000), bomb(12), "x" * 10**6, 10**5000, [10**5000], b"\x1b" * 500, {"a": "b" * 999}],
    ids=["deep", "bomb", "text", "number", "numbers", "bytes", "mapping"],
)
def test_at_most_80_characters_of_a_value_are_quoted(value: Any) -> None:
    assert len(quoted(value)) <= MOST_QUOTED


def test_short_values_are_quoted_whole() -> None:
    for value in ("run", 3, -1.5, None, ["a", "b"], {"a": 1}, (1, 2)):
        assert quoted(value) == repr(value)


@given(st.text(), st.integers(1, 99))
def test_shortened_text_keeps_both_ends(text: str, length: int) -> None:
    short = shortened(text, length)
    assert len(short) <= length
    assert short == text or (text.startswith(short.split("…")[0]) and "…" in short)


@given(st.text(st.characters(codec=None, categories=("Cc", "Cs", "Zl", "Zp", "Ll"))))
def test_no_name_moves_the_cursor_or_breaks_the_line(name: str) -> None:
    said = str(AttentadError(f"video {name} is broken."))
    assert said.isprintable()
    said.encode()


def test_escapes_are_shown() -> None:
    said = str(AttentadError("video \x1b[31mred\nv is \u202eno more, file \udcff.mp4."))
    assert said == r"video \x1b[31mred\nv is \u202eno more, file \udcff.mp4."


def test_long_values_in_quotes_and_long_words_are_cut() -> None:
    said = str(AttentadError(f"a/b.json: the label '{'run ' * 999}' of the video's is no class."))
    assert said.startswith("a/b.json: the label 'run run")
    assert said.endswith("' of the video's is no class.")
    assert len(said) < 150
    assert len(str(AttentadError(f"video {'v' * 10**6} is broken."))) < 500


def test_prose_is_left_as_it_is() -> None:
    text = "the model's classes are the labels' names, the rows' and 'run', 'jump'; " * 3
    assert str(AttentadError(text)) == text
    error = AttentadError("video 'v' \x07.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
