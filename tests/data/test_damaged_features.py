"""Damaged, unusual and hostile feature files: one sentence that names file and video."""

from __future__ import annotations

import io
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.lib import format as npy_format

from attentad.core import AttentadError
from attentad.data.features import open_features

FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)


def npy(array: Any = FEATURES) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_of_shape(*shape: int, descr: str = "<f4") -> bytes:
    """A header that claims a shape, and the 48 bytes of `FEATURES`."""
    stream = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    npy_format.write_array_header_1_0(stream, header)
    return stream.getvalue() + FEATURES.tobytes()


def npz(member: bytes, packing: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        archive.writestr("features.npy", member)
    return stream.getvalue()


def changed(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def pt(value: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def h5(fill: Callable[[h5py.File], Any]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream.getvalue()


TABLE = np.zeros(4, dtype=[("rgb", "<f4"), ("flow", "<f4")])
BROKEN: dict[str, tuple[str, bytes, str]] = {
    "header cut": (".npy", npy().replace(b"(4, 3), }", b"(4,      "), "could not be read"),
    "named columns": (".npy", npy(TABLE), "columns named rgb, flow"),
    "complex": (".npy", npy(FEATURES * 1j), "complex64"),
    "dates": (".npy", npy(np.zeros((2, 2), "M8[s]")), "neither numbers nor text"),
    "text of numbers": (".npy", npy(np.array([["1.0"]])), "could not be read as numbers"),
    "values cut": (".npy", npy()[:-5], "tells of 48 bytes of values, but 43 follow"),
    "two arrays": (".npy", npy() + npy(), "tells of 48 bytes of values, but"),
    "10^12 rows": (".npy", npy_of_shape(10**12, 3), "could not be read"),
    "a negative size": (".npy", npy_of_shape(-4, -3), "could not be read"),
    "values of no size": (".npy", npy_of_shape(10**12, descr="<U0"), "could not be read"),
    "changed values": (".npz", changed(npz(npy()), 190), "features.*Bad CRC"),
    "no zip": (".npz", b"PK\3\4" + bytes(99), "could not be read"),
    "claims in an archive": (".npz", npz(npy_of_shape(10**12, 3)), "array features"),
    "packed by bzip2": (".npz", npz(npy(), zipfile.ZIP_BZIP2), "packed as arrays are not"),
    "a dict of lists": (".pt", pt({"features": [[1.0]]}), "key 'features'.* is a list"),
    "an object": (".pt", pt(7), "is a int, not a tensor"),
    "a sparse tensor": (".pt", pt(torch.eye(3).to_sparse()), "could not be read"),
    "a row repeated": (".pt", pt(torch.zeros(1, 1).expand(10**6, 10**3)), "stored in 4 bytes"),
    "cut": (".pt", pt(torch.zeros(4, 3))[:-30], "could not be read"),
    "fill values": (
        ".h5",
        h5(lambda f: f.create_dataset("features", (10**6, 10**4), "f4", chunks=(100, 100))),
        "more than .* bytes give",
    ),
    "text": (".h5", h5(lambda f: f.create_dataset("features", data="x")), "not numbers"),
    "named columns in h5": (".h5", h5(lambda f: f.create_dataset("features", data=TABLE)), "not n"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_name_file_and_video(tmp_path: Path, kind: str) -> None:
    suffix, content, words = BROKEN[kind]
    file = tmp_path / f"v03{suffix}"
    file.write_bytes(content)
    with pytest.raises(AttentadError, match=words) as caught:
        open_features(tmp_path).load("v03")
    assert "v03" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_values_in_other_files_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    with h5py.File(tmp_path / "v.h5", "w") as file:
        outside = [(str(tmp_path / "secret.bin"), 0, 48)]
        file.create_dataset("features", (4, 3), "f4", external=outside)
    with pytest.raises(AttentadError, match="lie in other files"):
        open_features(tmp_path / "v.h5").load("v")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64])
def test_tensors_of_every_width(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.from_numpy(FEATURES).to(dtype).requires_grad_(dtype.is_floating_point)
    torch.save({"features": tensor}, tmp_path / "v.pt")
    loaded = open_features(tmp_path).load("v")
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, FEATURES)


def test_keys_that_are_numbers(tmp_path: Path) -> None:
    torch.save({7: torch.from_numpy(FEATURES), 8: torch.zeros(2, 2)}, tmp_path / "v.pt")
    np.testing.assert_array_equal(open_features(tmp_path / "v.pt").load("7"), FEATURES)


def test_arrays_of_every_order_and_byte_order(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "a.npz", columns=np.asfortranarray(FEATURES), big=FEATURES.astype(">f8")
    )
    store = open_features(tmp_path / "a.npz")
    for name in ("columns", "big"):
        np.testing.assert_array_equal(store.load(name), FEATURES)


def test_well_packed_zeros_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "v.npz", features=np.zeros((4096, 2048), np.float32))
    assert open_features(tmp_path).load("v").shape == (4096, 2048)


def test_claims_take_no_memory(tmp_path: Path) -> None:
    """Each claims gigabytes in a few bytes; none of it is taken."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind in ("10^12 rows", "claims in an archive", "a row repeated", "fill values"):
        suffix, content, _ = BROKEN[kind]
        file = tmp_path / f"v{suffix}"
        file.write_bytes(content)
        with pytest.raises(AttentadError):
            open_features(file).load("v")
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 100 * 1024
