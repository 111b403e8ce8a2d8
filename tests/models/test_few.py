"""A draw of a few training videos: which, said, nested, and refused where there are not so many."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench import make_data

from attentad.core import AttentadError
from attentad.core.notes import Note
from attentad.models.sets import read_sets
from attentad.recipes.load import DetectionRecipe, load_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    make_data(folder)
    return folder


def train_ids(folder: Path, *changes: str) -> list[str]:
    recipe = load_recipe(folder / "recipe.yaml", changes)
    assert isinstance(recipe, DetectionRecipe)
    sets = read_sets(recipe.data)
    assert sets.test is not None
    assert sorted(sets.test.videos) == ["v00", "v04", "v08"]
    return list(sets.train.videos)


def test_fewer_videos_are_the_first_of_more_and_all_are_said(folder: Path) -> None:
    draws = []
    for count in (1, 2, 5):
        with pytest.warns(Note, match=f"draw 3 of {count} of 9 training videos: v") as said:
            draws.append(train_ids(folder, f"data.few={{videos: {count}, draw: 3}}"))
        assert all(video in str(said[0].message) for video in draws[-1])
    assert [len(draw) for draw in draws] == [1, 2, 5]
    assert draws[0] == draws[1][:1] == draws[2][:1]
    assert draws[1] == draws[2][:2]
    assert set(draws[2]) < set(train_ids(folder))


def test_another_draw_has_other_videos(folder: Path) -> None:
    with pytest.warns(Note):
        draws = {tuple(train_ids(folder, f"data.few={{videos: 3, draw: {k}}}")) for k in range(5)}
    assert len(draws) > 1


def test_more_than_there_are_is_refused(folder: Path) -> None:
    with pytest.raises(AttentadError, match=r"data.few.videos is 10, but there are 9 training"):
        train_ids(folder, "data.few={videos: 10}")
