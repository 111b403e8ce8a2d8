"""The stack machine that pickles are programs for, less everything that calls.

Its instructions are read one by one (`pickletools`) and carried out here: it builds dicts, lists,
tuples, text and numbers, and knows by name the few steps in which numpy writes an array, which it
does itself from the raw bytes. Any other instruction or name ends the reading. Nothing is ever
imported, looked up or called for a file.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from mmap import mmap
from typing import Any

import numpy as np

from attentad.core.formats.stored_array import LongText, StoredArray


class RefusedError(Exception):
    """The pickle asks for something that is no plain data."""


class DamagedError(Exception):
    """It is cut short, or no pickle."""


def run_pickle(content: bytes | mmap, *, objects: bool = False) -> Any:
    """What a pickle of protocol 0 to 5 holds; arrays in it as `StoredArray`.

    Memory grows with the length of the file and no faster. Of a mapped file, long runs of bytes
    are not read at all: they come as views of it.

    Args:
        content: the whole pickle, or a mapped file that stands where the pickle begins.
        objects: also take arrays of objects, if these are plain data or arrays.

    Raises:
        RefusedError: it holds anything but plain data and numpy arrays.
        DamagedError: it is cut short or no pickle.
    """
    try:
        return _Machine(allowance=2 * len(content) + 1024, objects=objects).run(content)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise DamagedError(str(error)) from None


@dataclass(frozen=True)
class _Symbol:
    """One of the names that a pickle of arrays uses; it calls nothing."""

    name: str


@dataclass(eq=False)
class _Dtype:
    """A numpy data type while its pickle is read; the byte order comes after the code."""

    code: str
    order: str = "="

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


_SYMBOLS = {
    (module, name): _Symbol(name)
    for modules, name in (
        (("numpy",), "ndarray"),
        (("numpy",), "dtype"),
        (("_codecs",), "encode"),
        (("builtins", "__builtin__"), "bytes"),
        (("numpy.core.multiarray", "numpy._core.multiarray"), "_reconstruct"),
        (("numpy.core.multiarray", "numpy._core.multiarray"), "scalar"),
        (("numpy.core.numeric", "numpy._core.numeric"), "_frombuffer"),
    )
    for module in modules
}

# Truth values, integers, floats, and text or bytes of a fixed length above 0.
_PLAIN_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9][0-9]{0,6}")
_OBJECT_DTYPE = re.compile(r"O[48]?")
_MOST_AXES = 32

# Instructions followed by a length (of so many bytes) and as many bytes of data.
_SIZED = dict.fromkeys(("BINSTRING", "BINBYTES", "BINUNICODE"), 4) | dict.fromkeys(
    ("BINBYTES8", "BINUNICODE8", "BYTEARRAY8"), 8
)
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
# Text and bytes from here on stay in a mapped file.
_LONG_BYTES = 4096

_VALUES = frozenset(
    (
        *("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_KEYS = (str, int, float, bytes, bool, type(None))


def _instructions(content: bytes | mmap) -> Iterator[tuple[str, Any]]:
    """The name and argument of each instruction up to the end of the pickle."""
    if isinstance(content, bytes):
        for opcode, argument, _ in pickletools.genops(content):
            yield opcode.name, argument
        return
    whole = memoryview(content)
    file: Any = content  # of a file, the readers of arguments use no more than a mapped one has
    name = ""
    while name != "STOP":
        opcode = _OPCODES[content.read(1)]
        name, place = opcode.name, content.tell()
        width = _SIZED.get(name, 0)
        size = int.from_bytes(whole[place : place + width], "little")
        if size >= _LONG_BYTES:
            start = place + width
            content.seek(start + size)  # ValueError if the file ends before
            view = whole[start : start + size]
            yield name, LongText(view) if "UNICODE" in name else view
        else:
            yield name, None if opcode.arg is None else opcode.arg.reader(file)


@dataclass
class _Machine:
    """The stack machine.

    Args:
        allowance: bytes that may still be copied. A short program can name one long text many
            times over, and would otherwise fill the memory with its copies.
        objects: whether arrays of objects are taken.
    """

    allowance: int
    objects: bool = False
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, content: bytes | mmap) -> Any:
        for name, argument in _instructions(content):
            if name in _VALUES:
                self.stack.append(argument)
            elif name == "STOP":
                break
            else:
                self._step(name, argument)
        return self.stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        stack, memo = self.stack, self.memo
        match name:
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[int(argument)])
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[int(argument)] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                stack.append(_CONSTANTS[name])
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._taken(int(name[-1]))))
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "MARK":
                self.marks.append(len(stack))
            case "EMPTY_LIST":
                stack.append([])
            case "LIST":
                stack.append(self._since_mark())
            case "APPEND":
                (item,) = self._taken(1)
                _only(stack[-1], list).append(item)
            case "APPENDS":
                items = self._since_mark()
                _only(stack[-1], list).extend(items)
            case "EMPTY_DICT":
                stack.append({})
            case "DICT":
                stack.append(_set({}, self._since_mark()))
            case "SETITEM":
                _set(stack[-3], self._taken(2))
            case "SETITEMS":
                items = self._since_mark()
                _set(stack[-1], items)
            case "GLOBAL":
                module, _, name = str(argument).partition(" ")
                stack.append(_symbol(module, name))
            case "STACK_GLOBAL":
                module, name = self._taken(2)
                stack.append(_symbol(_only(module, str), _only(name, str)))
            case "REDUCE":
                self._reduce()
            case "BUILD":
                self._build()
            case "PROTO" | "FRAME":
                pass
            case _:
                raise RefusedError(f"the instruction {name}")

    def _taken(self, size: int) -> list[Any]:
        """The topmost values, taken off the stack."""
        if len(self.stack) < size:
            raise ValueError("the stack is too short")
        items = self.stack[-size:]
        del self.stack[-size:]
        return items

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _reduce(self) -> None:
        symbol, arguments = self._taken(2)
        if not isinstance(symbol, _Symbol) or symbol.name not in _CALLS:
            raise RefusedError("a call")
        self.stack.append(_CALLS[symbol.name](self, *_only(arguments, tuple)))

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _Dtype) and isinstance(state, tuple):
            _, order, *parts = state[:5]
            if order not in ("<", ">", "|", "=") or parts != [None, None, None]:
                raise RefusedError("an array of compound values")
            target.order = order
        elif (
            isinstance(target, StoredArray)
            and target.raw is None
            and target.items is None
            and isinstance(state, tuple)
        ):
            _, shape, dtype, fortran, values = state
            self._fill(target, values, dtype, shape, fortran=bool(fortran))
        else:
            raise RefusedError("an object with a state of its own")

    def spend(self, size: int) -> None:
        self.allowance -= size
        if self.allowance < 0:
            raise ValueError("the data are larger than the file")

    def encode(self, text: Any, encoding: Any) -> bytes | LongText:
        if encoding not in ("latin1", "latin-1"):
            raise RefusedError("a call")
        if isinstance(text, LongText):
            return text
        self.spend(len(_only(text, str)))
        return str(text).encode("latin-1")

    def new_dtype(self, code: Any, *_: Any) -> _Dtype:
        plain = _PLAIN_DTYPE.fullmatch(_only(code, str))
        if not plain and not (self.objects and _OBJECT_DTYPE.fullmatch(code)):
            raise RefusedError(f"an array of type {code[:20]!r}")
        return _Dtype(code)

    def scalar(self, dtype: Any, raw: Any) -> Any:
        array = StoredArray()
        self._fill(array, raw, dtype, ())
        if not isinstance(array.raw, bytes | bytearray):
            raise ValueError("a number takes few bytes")
        self.spend(len(array.raw))
        return array.load().item()

    def array_from_buffer(
        self, raw: Any, dtype: Any, shape: Any, order: Any, axes: Any = None
    ) -> StoredArray:
        if order not in ("C", "F") or axes is not None:
            raise ValueError("axes in an order of their own")
        array = StoredArray()
        self._fill(array, raw, dtype, shape, fortran=order == "F")
        return array

    def _fill(
        self, array: StoredArray, values: Any, dtype: Any, shape: Any, *, fortran: bool = False
    ) -> None:
        """Give `array` its values, if they are exactly as many as the shape needs."""
        sizes = tuple(_only(size, int) for size in _only(shape, tuple))
        if len(sizes) > _MOST_AXES or min(sizes, default=0) < 0:
            raise ValueError("an array has few axes and no negative size")
        if _OBJECT_DTYPE.fullmatch(_only(dtype, _Dtype).code):
            if len(_only(values, list)) != math.prod(sizes):
                raise ValueError("an array has as many values as its shape needs")
            array.shape, array.items = sizes, values
            return
        if type(values) is str:  # the byte strings of Python 2
            self.spend(len(values))
            values = values.encode("latin-1")
        if not isinstance(values, bytes | bytearray | memoryview | LongText):
            raise RefusedError("an array of objects")
        kind = dtype.numpy()
        # How many bytes a long text stands for shows when it is read.
        if not isinstance(values, LongText) and len(values) != math.prod(sizes) * kind.itemsize:
            raise ValueError("an array has as many values as its shape needs")
        array.shape, array.dtype, array.raw, array.fortran = sizes, kind, values, fortran


def _only(value: Any, kind: type) -> Any:
    """`value`, which must be of that very type: nothing that only behaves like it."""
    if type(value) is not kind:
        raise ValueError(f"{kind.__name__} expected")
    return value


def _set(target: Any, items: list[Any]) -> dict[Any, Any]:
    """Add keys and values in turn to a dict."""
    _only(target, dict)
    for key, value in zip(items[::2], items[1::2], strict=True):
        # The hash of nested tuples can take exponential time.
        if type(key) not in _KEYS:
            raise RefusedError("a dict with keys that are no text or numbers")
        target[key] = value
    return target


def _symbol(module: str, name: str) -> _Symbol:
    symbol = _SYMBOLS.get((module, name))
    if symbol is None:
        named = re.sub(r"[^\w.]", "?", f"{module}.{name}"[:60])
        raise RefusedError(f"'{named}'")
    return symbol


# What the names of `_SYMBOLS` stand for when a pickle "calls" them.
_CALLS: dict[str, Callable[..., Any]] = {
    "_reconstruct": lambda machine, *_: StoredArray(),
    "_frombuffer": _Machine.array_from_buffer,
    "scalar": _Machine.scalar,
    "dtype": _Machine.new_dtype,
    "encode": _Machine.encode,
    "bytes": lambda machine: b"",
}
