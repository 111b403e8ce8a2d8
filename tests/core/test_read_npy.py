"""Object arrays in `.npy` are read as numpy's own unpickling reads them; others run nothing."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import struct
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy_format
from tests.core.test_safe_pickle import attacks

from attentad.core import AttentadError
from attentad.core.formats.safe_pickle import read_npy
from attentad.core.formats.stored_array import StoredArray

PROTOCOLS = (2, 3, 4, 5)


def objects(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def save(path: Path, array: np.ndarray, protocol: int = 4) -> Path:
    """As `np.save` of that time did it: numpy 1.x wrote protocols 2 and 3, numpy 2 writes 4."""
    with path.open("wb") as file:
        npy_format.write_array_header_1_0(file, npy_format.header_data_from_array_1_0(array))
        pickle.dump(array, file, protocol)
    return path


def plain(value: Any) -> Any:
    if isinstance(value, StoredArray):
        return plain(value.items) if value.items is not None else value.load()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def assert_same(mine: Any, theirs: Any) -> None:
    if isinstance(theirs, np.ndarray) and theirs.dtype != object:
        # numpy turns some of them to the byte order of the machine
        assert mine.dtype.newbyteorder("=") == theirs.dtype.newbyteorder("=")
        np.testing.assert_array_equal(mine, theirs)
    elif isinstance(theirs, list | tuple | np.ndarray):
        assert len(mine) == len(theirs)
        for a, b in zip(mine, theirs, strict=True):
            assert_same(a, b)
    else:
        assert mine == theirs
        assert type(mine) is type(theirs)


arrays = st.builds(
    lambda dtype, shape, order: np.asarray(
        np.arange(shape[0] * shape[1]).reshape(shape).astype(dtype), order=order
    ),
    st.sampled_from(["<f4", ">f4", "<f8", "<f2", "i1", "<i8", "?", "S3", "<U2"]),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.sampled_from(["C", "F"]),
)
entries = st.recursive(
    st.one_of(arrays, st.integers(), st.floats(allow_nan=False), st.text(max_size=4), st.binary()),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(entries, min_size=1, max_size=5), st.sampled_from(PROTOCOLS))
@settings(deadline=None, max_examples=200)
def test_reads_what_numpy_reads(
    tmp_path_factory: pytest.TempPathFactory, items: list[Any], protocol: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "objects.npy"
    save(path, objects(items), protocol)
    assert_same(plain(read_npy(path)), np.load(path, allow_pickle=True))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_long_arrays_stay_in_the_file(tmp_path: Path, protocol: int, order: Any) -> None:
    """Long enough for the reader to leave them where they are."""
    rng = np.random.default_rng(0)
    items = [np.asarray(rng.normal(size=(n, 64)), dtype, order=order) for n, dtype in LONG]
    stored = read_npy(save(tmp_path / "x.npy", objects(items), protocol))
    for mine, theirs in zip(stored, items, strict=True):
        assert isinstance(mine, StoredArray)
        assert not isinstance(mine.raw, bytes)
        assert mine.shape == theirs.shape
        np.testing.assert_array_equal(mine.load(), theirs)


LONG = [(40, np.float32), (30, np.float64), (70, np.float16)]


def test_what_np_save_writes(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, objects([["a"], ["b", "c"]]), allow_pickle=True)
    assert read_npy(path) == [["a"], ["b", "c"]]


def python_2_file(items: list[np.ndarray | str], header: bytes) -> bytes:
    """A file as numpy under Python 2 wrote it, where bytes and text are one: BINSTRING."""

    def text(value: bytes) -> bytes:
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        return b"T" + struct.pack("<i", len(value)) + value

    def array(shape: bytes, code: bytes, order: bytes, flags: bytes, values: bytes) -> bytes:
        return (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            b"(K\x01" + shape + b"cnumpy\ndtype\n" + text(code) + b"K\x00K\x01\x87R(K\x03"
            b"U\x01"
            + order
            + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK"
            + flags
            + b"tb\x89"
            + values
            + b"tb"
        )

    parts = []
    for item in items:
        if isinstance(item, str):
            parts.append(text(item.encode()))
        else:
            shape = b"".join(b"J" + struct.pack("<i", size) for size in item.shape)
            parts.append(array(shape + b"\x86", b"f4", b"<", b"\x00", text(item.tobytes())))
    whole = array(
        b"K" + bytes([len(items)]) + b"\x85", b"O8", b"|", b"?", b"](" + b"".join(parts) + b"e"
    )
    header += b" " * (-(len(header) + 11) % 16) + b"\n"
    return (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\x80\x02" + whole + b"."
    )


@pytest.mark.parametrize("size", [b"3", b"3L"])
def test_files_of_python_2(tmp_path: Path, size: bytes) -> None:
    rng = np.random.default_rng(0)
    items = [rng.normal(size=(n, 32)).astype(np.float32) for n in (1, 50)] + ["HighJump"]
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (" + size + b",), }"
    path = tmp_path / "x.npy"
    path.write_bytes(python_2_file(items, header))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = np.load(path, allow_pickle=True, encoding="latin1")
    assert_same(list(theirs), items)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(plain(read_npy(path)), items)


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.array([b"ab", b"c"])])
def test_plain_arrays_come_as_such(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    found = read_npy(tmp_path / "x.npy")
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, array)
    np.save(tmp_path / "none.npy", np.zeros((0, 3)))
    assert len(read_npy(tmp_path / "none.npy")) == 0


@pytest.mark.parametrize("shape", [(2, 3), (2, 1, 2), (3, 0)])
def test_axes_become_lists(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.empty(shape, dtype=object)
    for i, place in enumerate(np.ndindex(shape)):
        array[place] = f"item {i}"
    assert read_npy(save(tmp_path / "x.npy", array)) == array.tolist()
    assert read_npy(save(tmp_path / "f.npy", np.asfortranarray(array))) == array.tolist()


@pytest.mark.parametrize("kind", sorted(set(attacks(Path())) - {"objects in an array"}))
def test_code_is_refused_and_never_run(tmp_path: Path, kind: str) -> None:
    """Of every protocol, as an object of the array and in an array of objects within it."""
    marker = tmp_path / "run"
    bad = attacks(marker)[kind]
    for item, protocol in itertools.product((bad, objects([[bad]])), PROTOCOLS):
        path = save(tmp_path / "x.npy", objects([[1], item]), protocol)
        with pytest.raises(AttentadError, match=r"x\.npy holds more than plain data") as caught:
            read_npy(path)
        assert "\n" not in str(caught.value)
        assert not marker.exists(), (protocol, item)


def whole_file(folder: Path, protocol: int) -> bytes:
    items = [np.arange(2400, dtype=np.float32).reshape(-1, 2), ["a", "b"], 1.5, b"c"]
    return save(folder / "whole.npy", objects(items), protocol).read_bytes()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_cut_anywhere_is_one_sentence(tmp_path: Path, protocol: int) -> None:
    whole = whole_file(tmp_path, protocol)
    path = tmp_path / "x.npy"
    for size in [
        *range(0, 400, 3),
        *range(400, len(whole), 397),
        *range(len(whole) - 60, len(whole)),
    ]:
        path.write_bytes(whole[:size])
        with pytest.raises(AttentadError, match=r"x\.npy is no whole NumPy array file; "):
            read_npy(path)


@given(
    st.sampled_from(PROTOCOLS),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=150)
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_read_or_is_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, protocol: int, changes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    content = bytearray(whole_file(folder, protocol))
    for place, value in changes:
        content[place % len(content)] = value
    (folder / "damaged.npy").write_bytes(content)
    with contextlib.suppress(AttentadError):
        read_npy(folder / "damaged.npy")


def test_sizes_that_do_not_fit(tmp_path: Path) -> None:
    """A long text of protocol 2 shows only when it is read how many bytes it stands for."""
    array = np.full((2000, 2), 7.0)
    path = save(tmp_path / "x.npy", objects([array]), 2)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"M\xd0\x07", b"M\xd1\x07", 1))
    stored = read_npy(path)[0]
    assert stored.shape == (2001, 2)
    with pytest.raises(ValueError, match="as many values as its shape"):
        stored.load()
    path = save(tmp_path / "y.npy", objects([array]), 4)
    path.write_bytes(path.read_bytes().replace(b"M\xd0\x07", b"M\xd1\x07", 1))
    with pytest.raises(AttentadError, match="is no whole NumPy array file"):
        read_npy(path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_large_file_takes_the_memory_of_one_array(tmp_path: Path, protocol: int) -> None:
    items = [np.full((250, 1024), i, np.float32) for i in range(12)]  # 1 MB each
    path = save(tmp_path / "x.npy", objects(items), protocol)
    tracemalloc.start()
    try:
        stored = read_npy(path)
        assert tracemalloc.get_traced_memory()[1] < 200_000
        for i, array in enumerate(stored):
            assert array.load()[7, 7] == i
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("more", [(), (5,)])
def test_lists_of_nothing_without_end(tmp_path: Path, more: tuple[int, ...]) -> None:
    path = save(tmp_path / "x.npy", np.empty((3, 0, *more), dtype=object), 3)
    content = path.read_bytes()
    header = content.replace(b"(3, 0", b"(1000000000, 0").replace(b" " * 9 + b"\n", b"\n")
    path.write_bytes(header.replace(b"K\x03K\x00", b"J\x00\xca\x9a\x3bK\x00", 1))
    with pytest.raises(AttentadError, match="is no whole NumPy array file"):
        read_npy(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x93NUMPY\x03\x00", b"\x93NUMPY\x01\x00\x08\x00{'a': 1}"]
)
def test_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(AttentadError, match="is no whole NumPy array file"):
        read_npy(path)
    with pytest.raises(AttentadError, match=r"none\.npy does not exist"):
        read_npy(tmp_path / "none.npy")


@pytest.mark.parametrize("items", [2, 4])
def test_counts_that_contradict_each_other(tmp_path: Path, items: int) -> None:
    """Three entries by the header, and as many or others by the array itself."""
    whole = save(tmp_path / "whole.npy", objects(["a", "b", "c"]), 2).read_bytes()
    header, pickled = whole[:128], save(tmp_path / "x.npy", objects(["x"] * items), 2).read_bytes()
    assert whole[128:130] == b"\x80\x02"
    size = b"K" + bytes([items]) + b"\x85"
    assert pickled.count(size) == 1
    for contents in (pickled[128:], pickled[128:].replace(size, b"K\x03\x85")):
        (tmp_path / "x.npy").write_bytes(header + contents)
        with pytest.raises(AttentadError, match="is no whole NumPy array file"):
            read_npy(tmp_path / "x.npy")


def test_a_single_value_is_no_column(tmp_path: Path) -> None:
    for array in (np.array(1.5), np.array({"a": 1}, dtype=object)):
        np.save(tmp_path / "x.npy", array, allow_pickle=True)
        with pytest.raises(AttentadError, match="is no whole NumPy array file"):
            read_npy(tmp_path / "x.npy")
