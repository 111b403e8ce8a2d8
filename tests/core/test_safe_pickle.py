"""Pickles of plain columns are read as `pickle` itself reads them; all others run nothing."""

from __future__ import annotations

import ast
import builtins
import collections
import contextlib
import datetime
import functools
import itertools
import operator
import os
import pickle
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attentad.core
from attentad.core import AttentadError
from attentad.core.formats.safe_pickle import columns_of_pickle

PROTOCOLS = range(6)
PATH = Path("results.pkl")

dtypes = st.sampled_from(
    [*("?", "i1", "<i2", ">i4", "<i8", "u1", ">u8", "<f2", "<f4", ">f8"), *("<U3", ">U2", "S4")]
)
arrays = st.builds(
    lambda dtype, values: np.array(values).astype(dtype), dtypes, st.lists(st.integers(0, 9))
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.sampled_from([np.float32(0.5), np.int64(-3), np.bool_(True), np.str_("ü")]),
)
nested = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner, inner, inner),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
    ),
    max_leaves=5,
)
columns = st.dictionaries(
    st.text(max_size=4), st.one_of(arrays, st.lists(nested, max_size=4), nested), max_size=4
)


def assert_same(mine: Any, theirs: Any) -> None:
    if isinstance(theirs, np.ndarray):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    else:
        assert mine == theirs
        assert type(mine) is type(theirs)


@given(columns, st.sampled_from(PROTOCOLS))
@settings(deadline=None, max_examples=300)
def test_reads_what_pickle_reads(content: dict[str, Any], protocol: int) -> None:
    found = columns_of_pickle(pickle.dumps(content, protocol), PATH)
    expected = {k: v for k, v in content.items() if isinstance(v, list | tuple | np.ndarray)}
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert_same(found[name], values)


def result_file(protocol: int) -> bytes:
    """A dict of the shape that ActionFormer writes."""
    videos = ["video_test_4"] * 3 + ["v_2"]
    numbers = np.arange(4, dtype=np.float32)
    content = {"video-id": videos, "t-start": numbers, "label": np.array([3, 0, 1, 2])}
    content |= {"names": np.array(["a", "bc"]), "score": [0.5, np.float32(1), 2, 1e300]}
    return pickle.dumps(content, protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_numpy_1(protocol: int) -> None:
    new = result_file(protocol)
    old = new
    for module in (b"multiarray", b"numeric"):
        name = b"numpy._core." + module
        size = bytes([len(name)])
        old = old.replace(b"\x8c" + size + name, b"\x8c" + bytes([len(name) - 1]) + name)
        old = old.replace(name, name.replace(b"_core", b"core"))
    assert b"_core" in new
    assert b"_core" not in old
    found, expected = columns_of_pickle(old, PATH), columns_of_pickle(new, PATH)
    for name, values in expected.items():
        assert_same(found[name], values)
    assert found["label"].tolist() == [3, 0, 1, 2]  # type: ignore[union-attr]


def test_arrays_of_python_2() -> None:
    """Its byte strings come as text."""
    content = pickle.dumps({"a": np.array([1, 2])}, 3)
    assert content.count(b"C\x10") == 1
    old = content.replace(b"C\x10", b"U\x10").replace(b"C\x01b", b"U\x01b")
    assert columns_of_pickle(old, PATH)["a"].tolist() == [1, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_other_arrays_and_entries_are_left_out(protocol: int) -> None:
    content = {
        "flat": np.arange(3)[::2],
        "deep": np.asfortranarray(np.ones((2, 3))),
        "empty": np.zeros((0, 4)),
        "none": np.zeros(0),
        "point": np.array(1.5),
        "epoch": 7,
        "more": {"a": 1},
    }
    found = columns_of_pickle(pickle.dumps(content, protocol), PATH)
    assert list(found) == ["flat", "none"]
    assert found["flat"].tolist() == [0, 2]  # type: ignore[union-attr]


def test_a_list_may_hold_itself() -> None:
    values: list[Any] = [1]
    values.append(values)
    found = columns_of_pickle(pickle.dumps({"a": values}), PATH)["a"]
    assert found[1] is found


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class Plain:
    def __init__(self) -> None:
        self.a = 1


def attacks(marker: Path) -> dict[str, Any]:
    """Objects whose unpickling would make `marker`, or could."""
    touch = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w')"
    nested = Calls(getattr, Calls(getattr, Calls(__import__, "os"), "path"), "abspath")
    hidden = np.empty(1, dtype=object)
    hidden[0] = Calls(os.system, touch)
    return {
        "os.system": Calls(os.system, touch),
        "eval": Calls(eval, code),
        "exec": Calls(exec, code),
        "open": Calls(open, str(marker), "w"),
        "import": Calls(__import__, "os"),
        "getattr chain": nested,
        "partial": functools.partial(os.system, touch),
        "attrgetter": operator.attrgetter("system"),
        "a method of numpy": Calls(np.fromfile, str(marker)),
        "numpy load": Calls(np.load, str(marker)),
        "objects in an array": hidden,
        "an instance": Plain(),
        "a class": Plain,
        "a function": builtins.eval,
        "an OrderedDict": collections.OrderedDict(a=1),
        "a date": datetime.date(2020, 1, 1),
        "a set": {1},
        "complex numbers": np.array([1j]),
        "dates": np.array(["2020-01-01"], dtype="datetime64[D]"),
        "records": np.array([(1, 2.0)], dtype="i4,f4"),
        "a subclass of arrays": np.ma.masked_array([1.0], [True]),
        "a memory map's key": {(1, 2): [1]},
    }


@pytest.mark.parametrize("kind", attacks(Path()))
def test_code_is_refused_and_never_run(tmp_path: Path, kind: str) -> None:
    """Of every protocol and wherever in the file it stands."""
    marker = tmp_path / "run"
    bad = attacks(marker)[kind]
    places = [bad, {"a": bad}, {"a": [1, bad]}, [bad, {"a": [1]}]]
    for whole, protocol in itertools.product(places, PROTOCOLS):
        with pytest.raises(AttentadError) as caught:
            columns_of_pickle(pickle.dumps(whole, protocol), PATH)
        told = str(caught.value)
        assert told.startswith("results.pkl holds more than plain data and numpy arrays (")
        assert "\n" not in told
        assert not marker.exists(), (protocol, whole)


HAND_MADE = {
    "INST": b"(S'touch x'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch x'\no.",
    "REDUCE of a text": b"S'os.system'\n(S'touch x'\ntR.",
    "NEWOBJ": b"cos\nsystem\n)\x81.",
    "extension": b"\x80\x02\x82\x01.",
    "persistent id": b"Pabc\n.",
    "a call of a type": b"cnumpy\nndarray\n(I3\ntR.",
    "a symbol as a call": b"c_codecs\nencode\n(Vabc\nVrot13\ntR.",
    "a dotted name": b"cnumpy\nndarray.tofile\n.",
    "a name with a newline from the stack": b"\x80\x04\x8c\x02o\n\x8c\x01s\x93.",
    "out of band": b"\x80\x05\x97.",
    "a state for a list": b"](I1\ntb.",
    "arrays in a dict of state": b"cnumpy\ndtype\n(Vf8\ntR}b.",
    "a dtype with fields": b"cnumpy\ndtype\n(Vf8\ntR(I3\nV<\nN(Va\nt}I-1\nI-1\nI0\ntb.",
    "a torch archive": b"PK\x03\x04rest",
}


@pytest.mark.parametrize("kind", HAND_MADE)
def test_instructions_that_no_data_needs(kind: str) -> None:
    with pytest.raises(AttentadError, match="holds more than plain data") as caught:
        columns_of_pickle(HAND_MADE[kind], PATH)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_columns_are_no_arrays_of_objects(protocol: int) -> None:
    content = pickle.dumps({"a": np.array([1, "b"], dtype=object)}, protocol)
    with pytest.raises(AttentadError, match=r"arrays \(an array of type 'O8'\) and"):
        columns_of_pickle(content, PATH)


def test_tensors_are_named() -> None:
    torch = pytest.importorskip("torch")
    content = pickle.dumps({"score": torch.ones(2)})
    with pytest.raises(AttentadError, match=r"arrays \('torch\._utils\._rebuild_tensor_v2'\) and"):
        columns_of_pickle(content, PATH)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_cut_anywhere_is_one_sentence(protocol: int) -> None:
    whole = result_file(protocol)
    assert len(columns_of_pickle(whole, PATH)) == 5
    for size in range(len(whole)):
        with pytest.raises(AttentadError, match=r"^results\.pkl is no whole pickle; "):
            columns_of_pickle(whole[:size], PATH)


@given(
    st.integers(0, 5),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=600)
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_a_damaged_pickle_is_read_or_is_one_sentence(
    protocol: int, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(result_file(protocol))
    for place, value in changes:
        content[place % len(content)] = value
    with contextlib.suppress(AttentadError):
        columns_of_pickle(bytes(content), PATH)


@given(st.lists(st.sampled_from(b"(.012NK]}ltsaeudbRq\x00\x01\x85\x86\x87\x88\x93\x94h)cI\n<f8")))
@settings(deadline=None, max_examples=600)
def test_nonsense_is_read_or_is_one_sentence(program: list[int]) -> None:
    with contextlib.suppress(AttentadError):
        columns_of_pickle(bytes(program), PATH)


ARRAY = pickle.dumps({"a": np.arange(4, dtype=np.int8)}, 3)
BOMBS = {
    "more values than bytes": ARRAY.replace(b"K\x01K\x04\x85", b"K\x01J\xff\xff\xff\x7f\x85"),
    "fewer values than bytes": ARRAY.replace(b"K\x01K\x04\x85", b"K\x01K\x03\x85"),
    "a negative size": ARRAY.replace(b"K\x01K\x04\x85", b"K\x01J\xff\xff\xff\xff\x85"),
    "an enormous size": ARRAY.replace(
        b"K\x01K\x04\x85", b"K\x01\x8a\xff" + b"\x7f" * 255 + b"\x85"
    ),
    "no values": ARRAY.replace(b"C\x04\x00\x01\x02\x03", b"C\x00"),
    "many axes of 1": ARRAY.replace(b"K\x01K\x04\x85", b"K\x01(K\x04" + b"K\x01" * 99 + b"t"),
    "many axes": ARRAY.replace(b"K\x01K\x04\x85", b"K\x01(" + b"K\x04" * 100_000 + b"t"),
    "a text of no end": b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"abc.",
    "bytes of no end": b"\x80\x05\x96" + struct.pack("<Q", 2**60) + b"abc.",
    "a number of no end": b"I" + b"9" * 100_000 + b"\n.",
    # One text of 100,000 bytes encoded 20,000 times would fill 2 GB.
    "copies of one text": b"\x80\x02]q\x00(c_codecs\nencode\nq\x01X"
    + struct.pack("<I", 100_000)
    + b"a" * 100_000
    + b"q\x02X\x06\x00\x00\x00latin1q\x03"
    + b"\x87q\x04"
    + b"h\x01h\x02h\x03\x86R" * 20_000
    + b"e.",
    # The same of Python 2, whose bytes are text: as the values of 20,000 arrays.
    "arrays of one text": b"\x80\x02cnumpy\ndtype\n(Vi1\ntRq\x00"
    + b"cnumpy.core.numeric\n_frombuffer\nq\x01T"
    + struct.pack("<i", 100_000)
    + b"a" * 100_000
    + b"q\x02]("
    + b"h\x01(h\x02h\x00(J\xa0\x86\x01\x00tVC\ntR" * 20_000
    + b"e.",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_takes_little_memory(kind: str) -> None:
    content = BOMBS[kind]
    assert content != ARRAY
    tracemalloc.start()
    try:
        with pytest.raises(AttentadError, match="is no whole pickle"):
            columns_of_pickle(content, PATH)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(content) + 100_000
    finally:
        tracemalloc.stop()


def test_keys_are_plain() -> None:
    """Tuples of one tuple, thirty deep: their hash would take 2^30 steps."""
    program = b")" + b"q\x00h\x00\x86" * 30
    with pytest.raises(AttentadError, match="keys that are no text or numbers"):
        columns_of_pickle(b"\x80\x02}" + program + b"Ns.", PATH)


@pytest.mark.parametrize("top", [[1], "text", None, {1: [2]}, np.arange(3)])
def test_a_pickle_of_something_else(top: object) -> None:
    with pytest.raises(AttentadError, match=r"^results\.pkl is no pickled dict of columns; "):
        columns_of_pickle(pickle.dumps(top), PATH)


def test_no_file_of_the_package_imports_pickle() -> None:
    folder = Path(attentad.core.__file__).parents[1]
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"pickle", "_pickle", "dill", "cloudpickle"} & set(names), file
