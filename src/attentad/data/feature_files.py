"""The kinds of files that hold features: which arrays are in one, and each as numbers."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError
from attentad.core.formats.npy import (
    MOST_EXPANSION,
    check_member,
    npz_names,
    read_npy_array,
    read_npz_array,
    reading,
)
from attentad.core.names import video_id

if TYPE_CHECKING:
    import h5py
    from torch import Tensor

ArrayReader = Callable[[], NDArray[Any]]
# A single array of such a name is the file's, and goes by the name of the file.
_ONLY_NAMES = ("features", "feature", "arr_0", "feats", "")


class FileKind(NamedTuple):
    """A kind of file.

    Args:
        names: of the arrays in a file.
        read: one of them by its name.
    """

    names: Callable[[Path], list[str]]
    read: Callable[[Path, str], NDArray[Any]]


def array_readers(file: Path) -> dict[str, ArrayReader]:
    """Name of each array in a file → reads it; a single one may be named like the file.

    Raises:
        AttentadError: the file is of an unknown kind, missing or damaged. The readers raise it
            where the array itself is.
    """
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise AttentadError(f"{file} is no feature file; known kinds: {', '.join(KINDS)}.")
    if not file.exists():
        raise AttentadError(f"{file} does not exist; check the path.")
    names = kind.names(file)
    if len(names) == 1 and names[0] in _ONLY_NAMES:
        return {video_id(file): partial(kind.read, file, names[0])}
    return {name: partial(kind.read, file, name) for name in names}


def _one(file: Path) -> list[str]:
    return [""]


def _read_npy(file: Path, name: str) -> NDArray[Any]:
    return read_npy_array(file)


def _read_csv(file: Path, name: str) -> NDArray[Any]:
    with reading(file, file):
        with file.open(encoding="utf-8-sig") as lines:
            first = [cell.strip().strip('"') for cell in lines.readline().split(",")]
        header = _is_header(first)
        with file.open(encoding="utf-8-sig") as lines:
            array = np.loadtxt(lines, delimiter=",", skiprows=int(header), ndmin=2)
    counts = len(array) > 1 and bool((array[:, 0] == np.arange(len(array))).all())
    if counts and header and first[0] in ("", "Unnamed: 0"):
        return array[:, 1:]
    if counts and array.shape[1] > 1:
        raise AttentadError(
            f"{file}: the first column counts the rows, so it is no feature; write the file without"
            " its index."
        )
    return array


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a first row names columns: one is no number, or they count 0, 1, 2 as pandas does."""
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        return True
    return len(cells) > 1 and numbers == list(range(len(cells)))


def _pt_names(file: Path) -> list[str]:
    return list(_pt_entries(file))


def _read_pt(file: Path, name: str) -> NDArray[Any]:
    where = f"{file}, key {name!r}," if name else str(file)
    with reading(file, where):
        return _tensor_values(_pt_entries(file)[name])


def _pt_entries(file: Path) -> dict[str, Any]:
    """What a file of `torch.save` holds, by its keys as text; a single thing by no name."""
    import torch

    with reading(file, file):
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                for member in archive.infolist():
                    check_member(member, file.stat().st_size)
        content = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(content, dict):
            return {"": content}
        entries = {str(key): value for key, value in content.items()}
        if len(entries) < len(content):
            raise ValueError("two of its keys read the same")
        return entries


def _tensor_values(value: Any) -> NDArray[Any]:
    """The numbers of a tensor; those that numpy does not know, such as bfloat16, as float32."""
    import torch

    if not isinstance(value, torch.Tensor):
        raise ValueError(f"it is a {type(value).__name__}, not a tensor; save torch.tensor of it")
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        raise ValueError("it is no plain tensor of numbers; save its dense values")
    _check_stored(value)
    value = value.detach()
    if value.is_floating_point() and value.dtype != torch.float64:
        value = value.float()
    return value.resolve_conj().resolve_neg().numpy()


def _check_stored(tensor: Tensor) -> None:
    # A view may repeat few numbers any number of times.
    stored_bytes = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > stored_bytes:
        raise ValueError(
            f"it is said to have {tensor.numel()} numbers, but is stored in {stored_bytes} bytes"
        )


@contextmanager
def _opened_h5(file: Path, where: str | Path) -> Iterator[h5py.File]:
    try:
        import h5py
    except ImportError:
        raise AttentadError(
            f"{file} needs h5py to be read; install it with `pip install attentad[hdf5]`."
        ) from None
    with reading(file, where), h5py.File(file, "r") as archive:
        yield archive


def _h5_names(file: Path) -> list[str]:
    import h5py

    names: list[str] = []
    with _opened_h5(file, file) as archive:
        archive.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
    return names


def _read_h5(file: Path, name: str) -> NDArray[Any]:
    with _opened_h5(file, f"{file}, data set {name},") as archive:
        stored = archive[name]
        if stored.external is not None or stored.is_virtual:
            raise ValueError("its values lie in other files, which are not opened")
        if stored.dtype.kind not in "biufc":
            raise ValueError(f"it holds {stored.dtype}, not numbers")
        # What was never written is filled up, to any size.
        file_bytes = file.stat().st_size
        if stored.size * stored.dtype.itemsize > MOST_EXPANSION * file_bytes:
            raise ValueError(
                f"it is said to have {stored.size} numbers, more than {file_bytes} bytes give"
            )
        return np.asarray(stored[()])


KINDS = {
    ".npy": FileKind(_one, _read_npy),
    ".npz": FileKind(npz_names, read_npz_array),
    ".pt": FileKind(_pt_names, _read_pt),
    ".h5": FileKind(_h5_names, _read_h5),
    ".hdf5": FileKind(_h5_names, _read_h5),
    ".csv": FileKind(_one, _read_csv),
}
