"""Arrays that lie in a file as raw bytes, until their values are wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LongText:
    """Text that stays in the file, in UTF-8: how Python 3 writes bytes for Python 2."""

    view: memoryview

    def latin1(self) -> bytes:
        """The bytes that it stands for."""
        return str(self.view, "utf-8").encode("latin-1")


@dataclass(eq=False)
class StoredArray:
    """An array of a pickle; of a mapped file, the values stay there until `load`.

    Args:
        shape: sizes of its axes.
        dtype: of its values; None for an array of objects.
        raw: the bytes of its values.
        items: the objects of an array of objects, in the order of its axes.
        fortran: whether the first axis changes fastest.
    """

    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] | None = None
    raw: bytes | bytearray | memoryview | LongText | None = None
    items: list[Any] | None = None
    fortran: bool = False

    def load(self) -> NDArray[Any]:
        """The values, without a copy where the file holds them as they are.

        Raises:
            ValueError: they are objects, or not as many as the shape needs.
        """
        raw = self.raw.latin1() if isinstance(self.raw, LongText) else self.raw
        if raw is None or self.dtype is None:
            raise ValueError("the array holds objects")
        if len(raw) != math.prod(self.shape) * self.dtype.itemsize:
            raise ValueError("the array does not have as many values as its shape needs")
        values = np.frombuffer(raw, self.dtype) if len(raw) else np.zeros(0, self.dtype)
        return values.reshape(self.shape, order="F" if self.fortran else "C")
