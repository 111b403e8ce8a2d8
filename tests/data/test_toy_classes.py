"""Which classes are in which toy video: as many as asked, dealt evenly, the same each time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError
from attentad.data.toy.classes import checked_range, present_classes, read_classes_per_video
from attentad.data.toy.scene import CLASSES

RANGES = st.tuples(st.integers(1, 8), st.integers(1, 8)).map(lambda pair: (min(pair), max(pair)))
VIDEOS = st.lists(
    st.tuples(st.integers(4, 10), st.sampled_from(["test", "training"])), min_size=1, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(VIDEOS, RANGES, st.integers(0, 2**40))
def test_every_subset_holds_every_class_as_often(
    videos: list[tuple[int, str]], classes_per_video: tuple[int, int], seed: int
) -> None:
    actions, subsets = zip(*videos, strict=True)
    chosen = present_classes(actions, subsets, classes_per_video, seed)
    low, high = classes_per_video
    for count, classes in zip(actions, chosen, strict=True):
        assert len(set(classes)) == len(classes)
        assert min(low, count) <= len(classes) <= min(high, count)
    for subset in set(subsets):
        dealt = [c for c, of in zip(chosen, subsets, strict=True) if of == subset]
        times = Counter(name for classes in dealt for name in classes)
        assert len(times) == min(len(CLASSES), times.total())
        assert max(times.values()) - min(times[name] for name in CLASSES) <= 2
    # Neither later videos nor those of another subset matter.
    shorter = present_classes(actions[:-1], subsets[:-1], classes_per_video, seed)
    assert shorter == chosen[:-1]
    alone = [count for count, of in videos if of == "test"]
    assert present_classes(alone, ["test"] * len(alone), classes_per_video, seed) == [
        classes for classes, of in zip(chosen, subsets, strict=True) if of == "test"
    ]


def test_numbers_of_classes_are_all_there_and_seeds_differ() -> None:
    chosen = present_classes([8] * 90, ["test"] * 90, (1, 3), 0)
    sizes = Counter(map(len, chosen))
    assert set(sizes) == {1, 2, 3}
    assert min(sizes.values()) > 15
    assert chosen != present_classes([8] * 90, ["test"] * 90, (1, 3), 1)
    assert len({frozenset(classes) for classes in chosen}) > 30


def test_subsets_are_dealt_apart_and_evenly_for_ever() -> None:
    chosen = present_classes([10] * 600, ["test", "training"] * 300, (3, 5), 0)
    test, training = chosen[::2], chosen[1::2]
    assert test != training
    for dealt in (test, training):
        times = Counter(name for classes in dealt for name in classes)
        assert max(times.values()) - min(times.values()) <= 2


@pytest.mark.parametrize(
    ("text", "expected"), [("1:3", (1, 3)), (" 2 ", (2, 2)), ("8 : 8", (8, 8))]
)
def test_ranges_are_read(text: str, expected: tuple[int, int]) -> None:
    assert read_classes_per_video(text) == expected
    assert checked_range(expected) == expected


@pytest.mark.parametrize("text", ["", "1-3", "1:2:3", "a:b", "1.5", "1:", ":3", "1:٣"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(AttentadError, match=r"is no range; write LOW:HIGH, such as 1:3\.$"):
        read_classes_per_video(text)


@pytest.mark.parametrize("text", ["0:3", "3:1", "1:9", "-1:2", "0"])
def test_ranges_out_of_range(text: str) -> None:
    with pytest.raises(AttentadError, match=r"give LOW:HIGH with 1 <= LOW <= HIGH <= 8\.$"):
        read_classes_per_video(text)
