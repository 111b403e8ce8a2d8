"""A thread that works ahead: the same items, errors where they belong, and no thread left."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator

import pytest

from attentad.video.ahead import ahead


@pytest.mark.parametrize("most", [1, 3, 100])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_the_same_items(most: int, count: int) -> None:
    with ahead(iter(range(count)), most) as items:
        assert list(items) == list(range(count))


def test_no_more_wait_than_may() -> None:
    made: list[int] = []
    enough = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 4:
                enough.set()
            yield number

    with ahead(numbers(), 3) as items:
        assert next(items) == 0
        assert enough.wait(60)  # one taken, three waiting, one in hand
        assert made == [0, 1, 2, 3, 4]
    assert len(made) < 100


def test_an_error_comes_in_its_place() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise ValueError("after the first")

    with ahead(numbers(), 5) as items:
        assert next(items) == 1
        with pytest.raises(ValueError, match="after the first"):
            next(items)


def test_an_error_of_the_taker_ends_the_thread() -> None:
    before = threading.active_count()

    def take() -> None:
        with ahead(iter(range(10**9)), 2) as items:
            next(items)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take()
    assert threading.active_count() == before


def test_warnings_are_caught_by_who_asked() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        warnings.warn("the end is lost", UserWarning, stacklevel=1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with ahead(numbers(), 2) as items:
            assert list(items) == [1]
    assert [str(warning.message) for warning in caught] == ["the end is lost"]
