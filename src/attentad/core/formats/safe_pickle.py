"""Pickles and object arrays of numpy, read without running them: plain data and nothing else."""

from __future__ import annotations

import math
import warnings
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from attentad.core.errors import AttentadError
from attentad.core.formats.pickle_machine import DamagedError, RefusedError, run_pickle
from attentad.core.formats.stored_array import StoredArray

Column: TypeAlias = list[Any] | tuple[Any, ...] | NDArray[Any]


def columns_of_pickle(content: bytes, path: str | Path) -> dict[str, Column]:
    """The columns of a pickled dict: name → its list, tuple or 1-D array; other entries left out.

    Protocols 0 to 5; arrays as numpy 1 and 2 write them, of truth values, numbers and text of
    fixed length, without a copy of their bytes. What a list holds is for the caller to check.
    Memory grows with the length of the file and no faster.

    Args:
        content: the whole pickle.
        path: where it is from.

    Raises:
        AttentadError: it holds anything but plain data and numpy arrays, which is then not opened;
            it is cut short or no pickle; it is no dict of text → values.
    """
    try:
        if content[:4] == b"PK\x03\x04":
            raise RefusedError("a PyTorch archive")
        top = run_pickle(content)
    except RefusedError as error:
        raise AttentadError(
            f"{path} holds more than plain data and numpy arrays ({error}) and is not opened, as "
            "that could run a program; save its columns as numpy arrays, CSV or JSON."
        ) from None
    except DamagedError:
        raise AttentadError(
            f"{path} is no whole pickle; it may be damaged or of another kind, so copy or write "
            "it again."
        ) from None
    if not isinstance(top, dict) or not all(type(name) is str for name in top):
        raise AttentadError(f"{path} is no pickled dict of columns; write it as one, or as CSV.")
    columns: dict[str, Column] = {}
    for name, value in top.items():
        if isinstance(value, list | tuple):
            columns[name] = value
        elif isinstance(value, StoredArray) and value.dtype is not None and len(value.shape) == 1:
            columns[name] = value.load()
    return columns


def read_npy(path: str | Path) -> list[Any] | NDArray[Any]:
    """The array of a `.npy` file, of numbers and text, or of objects that are plain data or arrays.

    Object arrays are what `np.save` makes of sequences that differ in length; their part of the
    file is a pickle, of Python 2 or 3, protocol 0 to 5. The file is mapped rather than read, so
    that only what is used of a large one takes memory; do not change it meanwhile.

    Args:
        path: the file.

    Returns:
        An array of numbers or text as such, mapped; an array of objects as a list (of lists, where
        it has several axes) with plain Python values and `StoredArray` in it. What they are is for
        the caller to check.

    Raises:
        AttentadError: the file is missing or damaged, is no `.npy`, or holds anything but plain
            data and arrays, which is then not opened.
    """
    path = Path(path)
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the headers of Python 2 are read well
            version = npy_format.read_magic(file)
            header = {
                (1, 0): npy_format.read_array_header_1_0,
                (2, 0): npy_format.read_array_header_2_0,
            }[version]
            shape, _, dtype = header(file)
            if not shape:
                raise ValueError("a single value is no column")
            if not dtype.hasobject:
                mode: Literal["r"] | None = "r" if math.prod(shape) else None
                return np.load(path, mmap_mode=mode, allow_pickle=False)
            content = mmap(file.fileno(), 0, access=ACCESS_READ)
            content.seek(file.tell())
        array = run_pickle(content, objects=True)
        if not isinstance(array, StoredArray) or array.items is None or array.shape != shape:
            raise DamagedError("another array than the header tells of")
        lists = max((math.prod(shape[:axes]) for axes in range(1, len(shape))), default=0)
        if lists > len(content):
            raise DamagedError("more lists, of nothing, than bytes")
    except FileNotFoundError:
        raise AttentadError(f"{path} does not exist; check the path.") from None
    except OSError as error:
        raise AttentadError(
            f"{path} could not be read ({error.strerror or error}); check that it is a file of "
            "yours."
        ) from None
    except RefusedError as error:
        raise AttentadError(
            f"{path} holds more than plain data and numpy arrays ({error}) and is not opened, as "
            "that could run a program; save it without."
        ) from None
    except Exception:  # a damaged header brings numpy to pass on errors of many kinds
        raise AttentadError(
            f"{path} is no whole NumPy array file; it may be damaged or of another kind, so copy "
            "or download it again."
        ) from None
    return _nested(array.items, array.shape)


def _nested(items: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Objects in the order of their axes as lists in lists."""
    for axis in range(len(shape) - 1, 0, -1):
        size, count = shape[axis], math.prod(shape[:axis])
        items = [items[i * size : (i + 1) * size] for i in range(count)]
    return items
