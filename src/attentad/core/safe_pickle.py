"""Pickles taken apart without running them: plain data and numpy arrays, and nothing else.

A pickle is a program for a small stack machine, and two of its instructions call whatever it
names. Here the instructions are read one by one (`pickletools.genops`) and carried out by a
machine that has no such calls: it builds dicts, lists, tuples, text and numbers, and knows by name
the few steps in which numpy writes an array, which it does itself from the raw bytes. Any other
instruction or name ends the reading. Nothing is ever imported, looked up or called for a file.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from attentad.core.errors import AttentadError

Column: TypeAlias = list[Any] | tuple[Any, ...] | NDArray[Any]


def columns_of_pickle(content: bytes, path: str | Path) -> dict[str, Column]:
    """The columns of a pickled dict: name → its list, tuple or 1-D array; other entries left out.

    Protocols 0 to 5; arrays as numpy 1 and 2 write them, of truth values, numbers and text of
    fixed length, without a copy of their bytes. What lists hold is not looked at. Time and memory
    grow with the length of the file and never faster.

    Args:
        content: the whole pickle.
        path: where it is from.

    Raises:
        AttentadError: it holds anything but plain data and numpy arrays, which is then not opened;
            it is cut short or no pickle; it is no dict of text → values.
    """
    try:
        if content[:4] == b"PK\x03\x04":
            raise _RefusedError("a PyTorch archive")
        top = _Machine(allowance=2 * len(content) + 1024).run(content)
    except _RefusedError as error:
        raise AttentadError(
            f"{path} holds more than plain data and numpy arrays ({error}) and is not opened, as "
            "that could run a program; save its columns as numpy arrays, CSV or JSON."
        ) from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError):
        raise AttentadError(
            f"{path} is no whole pickle; it may be damaged or of another kind, so copy or write "
            "it again."
        ) from None
    if not isinstance(top, dict) or not all(type(name) is str for name in top):
        raise AttentadError(f"{path} is no pickled dict of columns; write it as one, or as CSV.")
    values = {
        name: value.values if isinstance(value, _Array) else value for name, value in top.items()
    }
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1)
    }


class _RefusedError(Exception):
    """The pickle asks for something that is no plain data."""


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


@dataclass(eq=False)
class _Array:
    """An array while its pickle is read; the values come after it was first named."""

    values: NDArray[Any] | None = None


_SYMBOLS = {
    ("numpy", "ndarray"): _Symbol("ndarray"),
    ("numpy", "dtype"): _Symbol("dtype"),
    ("_codecs", "encode"): _Symbol("encode"),
    ("builtins", "bytes"): _Symbol("bytes"),
    ("__builtin__", "bytes"): _Symbol("bytes"),
} | {
    (f"numpy.{core}.{module}", name): _Symbol(name)
    for core in ("core", "_core")
    for module, name in (
        ("multiarray", "_reconstruct"),
        ("multiarray", "scalar"),
        ("numeric", "_frombuffer"),
    )
}

# Truth values, integers, floats, and text or bytes of a fixed length above 0.
_PLAIN_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9][0-9]{0,6}")

_VALUES = frozenset(
    (
        *("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_KEYS = (str, int, float, bytes, bool, type(None))


@dataclass
class _Machine:
    """The stack machine, less everything that calls.

    Args:
        allowance: bytes that may still be copied. A short program can name one long text many
            times over, and would otherwise fill the memory with its copies.
    """

    allowance: int
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, content: bytes) -> Any:
        stack, memo = self.stack, self.memo
        for opcode, argument, _ in pickletools.genops(content):
            name = opcode.name
            if name in _VALUES:
                stack.append(argument)
            elif name in ("GET", "BINGET", "LONG_BINGET"):
                stack.append(memo[int(argument)])  # type: ignore[arg-type]
            elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
                memo[int(argument)] = stack[-1]  # type: ignore[arg-type]
            elif name == "MEMOIZE":
                memo[len(memo)] = stack[-1]
            elif name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            elif name in _TUPLES:
                self._tuple(_TUPLES[name])
            elif name == "STOP":
                break
            elif name not in ("PROTO", "FRAME"):
                step = _STEPS.get(name)
                if step is None:
                    raise _RefusedError(f"the instruction {name}")
                step(self, argument)
        return stack.pop()

    def _tuple(self, size: int) -> None:
        if len(self.stack) < size:
            raise ValueError("the stack is too short")
        self.stack[-size:] = [tuple(self.stack[-size:])]

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def tuple_since_mark(self, _: Any) -> None:
        self.stack.append(tuple(self.since_mark()))

    def list_since_mark(self, _: Any) -> None:
        self.stack.append(self.since_mark())

    def dict_since_mark(self, _: Any) -> None:
        items = self.since_mark()
        self.stack.append({})
        self._set(items)

    def empty_list(self, _: Any) -> None:
        self.stack.append([])

    def empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def append(self, _: Any) -> None:
        item = self.stack.pop()
        _only(self.stack[-1], list).append(item)

    def append_since_mark(self, _: Any) -> None:
        items = self.since_mark()
        _only(self.stack[-1], list).extend(items)

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def set_since_mark(self, _: Any) -> None:
        self._set(self.since_mark())

    def _set(self, items: list[Any]) -> None:
        target = _only(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            # The hash of nested tuples can take exponential time.
            if type(key) not in _KEYS:
                raise _RefusedError("a dict with keys that are no text or numbers")
            target[key] = value

    def global_by_argument(self, argument: Any) -> None:
        module, _, name = str(argument).partition(" ")
        self._push_symbol(module, name)

    def global_from_stack(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._push_symbol(_only(module, str), _only(name, str))

    def _push_symbol(self, module: str, name: str) -> None:
        symbol = _SYMBOLS.get((module, name))
        if symbol is None:
            named = re.sub(r"[^\w.]", "?", f"{module}.{name}"[:60])
            raise _RefusedError(f"'{named}'")
        self.stack.append(symbol)

    def reduce(self, _: Any) -> None:
        arguments, symbol = _only(self.stack.pop(), tuple), self.stack.pop()
        if not isinstance(symbol, _Symbol) or symbol.name not in _CALLS:
            raise _RefusedError("a call")
        self.stack.append(_CALLS[symbol.name](self, *arguments))

    def build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _Dtype) and isinstance(state, tuple):
            _, order, *parts = state[:5]
            if order not in ("<", ">", "|", "=") or parts != [None, None, None]:
                raise _RefusedError("an array of compound values")
            target.order = order
        elif isinstance(target, _Array) and target.values is None and isinstance(state, tuple):
            _, shape, dtype, _, raw = state
            target.values = _array(raw, dtype, shape)
        else:
            raise _RefusedError("an object with a state of its own")

    def spend(self, size: int) -> None:
        self.allowance -= size
        if self.allowance < 0:
            raise ValueError("the data are larger than the file")

    def encode(self, text: Any, encoding: Any) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise _RefusedError("a call")
        self.spend(len(_only(text, str)))
        return str(text).encode("latin-1")

    def empty_bytes(self) -> bytes:
        return b""

    def new_array(self, *_: Any) -> _Array:
        return _Array()

    def new_dtype(self, code: Any, *_: Any) -> _Dtype:
        if not _PLAIN_DTYPE.fullmatch(_only(code, str)):
            raise _RefusedError(f"an array of type {code[:20]!r}")
        return _Dtype(code)

    def scalar(self, dtype: Any, raw: Any) -> Any:
        self.spend(len(raw))
        return _array(raw, dtype, ()).item()

    def array_from_buffer(self, raw: Any, dtype: Any, shape: Any, _: Any) -> _Array:
        return _Array(_array(raw, dtype, shape))


def _array(raw: Any, dtype: Any, shape: Any) -> NDArray[Any]:
    """Raw bytes as an array, without a copy, if they are exactly as many as the shape needs.

    The order of several axes is passed over, as only arrays of one axis leave this module.
    """
    if isinstance(raw, str):  # the byte strings of Python 2
        raw = raw.encode("latin-1")
    if not isinstance(raw, bytes | bytearray):
        raise _RefusedError("an array of objects")
    sizes = [int(_only(size, int)) for size in _only(shape, tuple)]
    if min(sizes, default=0) < 0:
        raise ValueError("an array has no negative size")
    kind = _only(dtype, _Dtype).numpy()
    return (np.frombuffer(raw, kind) if raw else np.zeros(0, kind)).reshape(sizes)


def _only(value: Any, kind: type) -> Any:
    """`value`, which must be of that very type: nothing that only behaves like it."""
    if type(value) is not kind:
        raise ValueError(f"{kind.__name__} expected")
    return value


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "TUPLE": _Machine.tuple_since_mark,
    "LIST": _Machine.list_since_mark,
    "DICT": _Machine.dict_since_mark,
    "EMPTY_LIST": _Machine.empty_list,
    "EMPTY_DICT": _Machine.empty_dict,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_since_mark,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_since_mark,
    "GLOBAL": _Machine.global_by_argument,
    "STACK_GLOBAL": _Machine.global_from_stack,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}

# What the names of `_SYMBOLS` stand for when a pickle "calls" them.
_CALLS: dict[str, Callable[..., Any]] = {
    "_reconstruct": _Machine.new_array,
    "_frombuffer": _Machine.array_from_buffer,
    "scalar": _Machine.scalar,
    "dtype": _Machine.new_dtype,
    "encode": _Machine.encode,
    "bytes": _Machine.empty_bytes,
}
