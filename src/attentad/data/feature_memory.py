"""What training data keep of features in memory, and what they ask of all of them."""

from __future__ import annotations

from typing import Generic, TypeVar

from attentad.core import AttentadError
from attentad.data.features import FeatureStore

CACHE_BYTES = 1 << 30

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """Values kept as long as all of them together take no more than `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._left_bytes = limit_bytes
        self._kept: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: Key, value: Value, size_bytes: int) -> None:
        """Keep a value if it still fits."""
        if size_bytes <= self._left_bytes:
            self._kept[key] = value
            self._left_bytes -= size_bytes

    def get(self, key: Key) -> Value | None:
        """The value, or None if it was not kept."""
        return self._kept.get(key)


def same_width(store: FeatureStore, video: str, width: int, others: int) -> int:
    """`width`, which must be that of the other videos, where some were read before.

    Args:
        store: for the error sentence.
        video: its id.
        width: C of its features.
        others: C of those read before; 0 for none.

    Raises:
        AttentadError: the widths differ.
    """
    if others and width != others:
        raise AttentadError(
            f"{store.source}: video {video} has features of width {width}, the others {others}; "
            "extract all with one encoder."
        )
    return width
