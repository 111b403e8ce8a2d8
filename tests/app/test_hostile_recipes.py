"""Recipes made to harm, or that YAML reads as something else: a sentence within a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from attentad.core import AttentadError
from attentad.models.build import check_detector
from attentad.recipes.load import DetectionRecipe, load_recipe
from attentad.recipes.yaml_text import MOST_CHARACTERS, MOST_VALUES, parse_yaml

LEVELS = "\n".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9))
BOMB = f"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n{LEVELS}\n"
MERGES = "a0: &a0 {x: 1}\n" + "\n".join(
    f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 9)
)

HOSTILE = {
    "aliases of aliases": (BOMB, "by aliases"),
    "merges of merges": (MERGES, "by aliases"),
    "an alias of itself": ("a: &a [*a]", "alias inside"),
    "deep lists": ("a: " + "[" * 20_000, "nested too deeply"),
    "deep mappings": ("{a: " * 90 + "1" + "}" * 90, "nested too deeply"),
    "long": ("a" * (MOST_CHARACTERS + 1), "too many for a recipe"),
    "many values": (f"[{'1,' * (MOST_VALUES + 1)}]", "values"),
    "a number of many digits": ("a: " + "1" * 5000, "not valid YAML"),
    "a call": ("a: !!python/object/apply:os.system [ls]", "not valid YAML"),
    "no number": ("a: !!int x", "not valid YAML"),
    "no date": ("a: !!timestamp x", "not valid YAML"),
    "no truth": ("a: !!bool x", "not valid YAML"),
    "nothing": ("a: !!int ''", "not valid YAML"),
    "a list as key": ("? [1]\n: 2", "not valid YAML"),
    "a control character": ("a: \x07", "not valid YAML"),
    "a key twice": ("a: 1\nb: 2\na: 3", "the key 'a' twice"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_yaml_gives_one_sentence(kind: str) -> None:
    text, words = HOSTILE[kind]
    with pytest.raises(AttentadError, match=words) as caught:
        parse_yaml(text, "recipe mine.yaml")
    assert str(caught.value).startswith("recipe mine.yaml ")
    assert len(str(caught.value)) < 400


def test_aliases_that_save_writing_are_read() -> None:
    text = "base: &base {a: 1}\nb: {<<: *base, c: 2}\nd: [*base, *base]"
    assert parse_yaml(text, "r") == {
        "base": {"a": 1},
        "b": {"a": 1, "c": 2},
        "d": [{"a": 1}, {"a": 1}],
    }


def test_a_bomb_in_a_recipe_file(tmp_path: Path) -> None:
    (tmp_path / "bomb.yaml").write_text(BOMB + "about: *a8\n")
    with pytest.raises(AttentadError, match=r"bomb.yaml has more than"):
        load_recipe(tmp_path / "bomb.yaml")


@pytest.mark.parametrize("name", ["2024-02-30", "2024-05-01", "2024-05-01 10:00:00"])
def test_a_session_may_be_named_by_its_date(name: str) -> None:
    recipe = load_recipe("salads50/bmn", [f"data.test=[{name}]"])
    assert isinstance(recipe, DetectionRecipe)
    assert recipe.data.test == (name,)


@pytest.mark.parametrize("name", ["2024", "no", "1.5"])
def test_what_yaml_takes_for_no_text_is_told_to_be_quoted(name: str) -> None:
    with pytest.raises(AttentadError, match=r"data.test.0: .*quotes"):
        load_recipe("salads50/bmn", [f"data.test=[{name}]"])
    recipe = load_recipe("salads50/bmn", [f"data.test=['{name}']"])
    assert isinstance(recipe, DetectionRecipe)
    assert recipe.data.test == (name,)


@pytest.mark.parametrize(
    "override",
    [
        "a" * 10**5,
        "." * 10**5 + "=1",
        "detector.network." + "a." * 10**4 + "b=1",
        "training.epochs=" + "[" * 10**4,
        "about=[" + "1," * 5000 + "]",
        "training.epochs=1." + "1" * 400,
        "training.seed=-1",
        "\x1b[31m=\x1b",
    ],
)
def test_odd_overrides_give_short_sentences(override: str) -> None:
    with pytest.raises(AttentadError) as caught:
        check_detector(load_recipe("salads50/bmn", [override]))  # type: ignore[arg-type]
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()
