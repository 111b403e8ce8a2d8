"""Work that one thread does ahead of another, as decoding while a network is busy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from queue import Empty, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def ahead(items: Iterable[Item], most: int) -> Iterator[Iterator[Item]]:
    """The same items in the same order, made by a thread of their own while the block runs.

    FFmpeg and torch let go of Python's lock, so that the two threads keep two cores busy. An error
    of `items` is raised where the item would have come. What is left when the block ends is not
    made; the thread is done by then.

    Args:
        items: used by that thread alone as long as the block runs.
        most: items that may wait to be taken.
    """
    waiting: Queue[Item | _End] = Queue(most)
    stopped = Event()

    def make() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                waiting.put(item)
                if stopped.is_set():
                    break
        except BaseException as raised:
            error = raised
        waiting.put(_End(error))

    # In this thread's context: what catches warnings here catches those of the other thread.
    thread = Thread(target=copy_context().run, args=(make,), daemon=True)
    thread.start()
    try:
        yield _taken(waiting)
    finally:
        stopped.set()
        while thread.is_alive():  # it may be waiting for a place
            _take_all(waiting)
            thread.join(timeout=0.01)


class _End:
    """Comes after the last item, with the error that ended them, if there was one."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _taken(waiting: Queue[Item | _End]) -> Iterator[Item]:
    while not isinstance(item := waiting.get(), _End):
        yield item
    if item.error is not None:
        raise item.error


def _take_all(waiting: Queue[Item | _End]) -> None:
    try:
        while True:
            waiting.get_nowait()
    except Empty:
        return
