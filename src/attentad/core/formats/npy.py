"""Arrays of numbers or text in `.npy` and `.npz` files, which may be damaged or made to harm.

Nothing is unpickled, and no memory is taken before it is sure that the file can fill it.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from attentad.core.errors import AttentadError
from attentad.core.wording import reason_of

# Deflate, which zip and HDF5 use, makes at most so many bytes of one.
MOST_EXPANSION: Final = 1032
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that numpy writes
_KINDS = "biufcUS"
_CHUNK_BYTES = 1 << 20


def read_npy_array(path: str | Path) -> NDArray[Any]:
    """The array of a `.npy` file.

    Raises:
        AttentadError: the file is missing, damaged, or holds anything but numbers or text.
    """
    path = Path(path)
    with reading(path, path), path.open("rb") as file:
        return _read_npy(file, path.stat().st_size)


def npz_names(path: str | Path) -> list[str]:
    """Names of the arrays in a `.npz` file.

    Raises:
        AttentadError: the file is missing or damaged, no archive, or has a name twice.
    """
    path = Path(path)
    with reading(path, path), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"it holds {twice[0]} twice")
        return [name.removesuffix(".npy") for name in names]


def read_npz_array(path: str | Path, name: str) -> NDArray[Any]:
    """One array of a `.npz` file.

    Raises:
        AttentadError: as `read_npy_array`, or the file has no such array.
    """
    path = Path(path)
    with reading(path, f"{path}, array {name},"), zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        member = archive.getinfo(f"{name}.npy" if f"{name}.npy" in members else name)
        check_member(member, path.stat().st_size)
        with archive.open(member) as file:
            return _read_npy(file, member.file_size)


def read_only_array(path: str | Path) -> NDArray[Any]:
    """The array of a `.npy` file, or of a `.npz` file that holds one; the content says which.

    Raises:
        AttentadError: as `read_npy_array`, or there are several.
    """
    path = Path(path)
    with reading(path, path), path.open("rb") as file:
        is_npy = file.read(len(npy_format.MAGIC_PREFIX)) == npy_format.MAGIC_PREFIX
    if is_npy:
        return read_npy_array(path)
    names = npz_names(path)
    if len(names) != 1:
        raise AttentadError(f"{path} holds {len(names)} arrays where one is needed.")
    return read_npz_array(path, names[0])


@contextmanager
def reading(path: Path, where: str | Path) -> Iterator[None]:
    """Tell whatever a library finds wrong with a file as an error of ours.

    Args:
        path: the file.
        where: the file, or a part of it, to begin the sentence with.

    Raises:
        AttentadError: anything was raised in the block.
    """
    try:
        yield
    except AttentadError:
        raise
    except FileNotFoundError:
        raise AttentadError(f"{path} does not exist; check the path.") from None
    except OSError as error:
        raise AttentadError(
            f"{where} could not be read ({error.strerror or reason_of(error)}); it may be damaged "
            "or not yours to read, so copy or make it again."
        ) from error
    except Exception as error:  # damage brings the libraries to raise errors of many kinds
        raise AttentadError(
            f"{where} could not be read ({reason_of(error)}); it may be damaged or of another "
            "kind, so copy or make it again."
        ) from error


def check_member(member: zipfile.ZipInfo, archive_bytes: int) -> None:
    """Make sure that a file in an archive is no larger than the archive can make it.

    Raises:
        ValueError: it is, or is packed in a way that arrays are not.
    """
    if member.compress_type not in _PACKINGS:
        raise ValueError(f"{member.filename} is packed as arrays are not")
    packed_bytes = min(member.compress_size, archive_bytes)
    if member.file_size > MOST_EXPANSION * packed_bytes:
        raise ValueError(
            f"{member.filename} is said to have {member.file_size} bytes, more than "
            f"{packed_bytes} packed ones give"
        )


def _read_npy(file: IO[bytes], size: int) -> NDArray[Any]:
    """The array of an open file of `size` bytes, whose header must tell of just what follows."""
    version = npy_format.read_magic(file)
    if version == (3, 0):  # for names of columns
        raise ValueError("it is a table of named columns, not an array of numbers")
    header = npy_format.read_array_header_1_0
    if version != (1, 0):
        header = npy_format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the headers of Python 2 are read well
        shape, fortran, dtype = header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which could run a program")
    if dtype.names is not None:
        raise ValueError(f"it is a table of columns named {', '.join(dtype.names)}, not an array")
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise ValueError(f"it holds {dtype}, which is neither numbers nor text")
    told, left = math.prod(shape) * dtype.itemsize, size - file.tell()
    if told != left or min(shape, default=0) < 0:
        raise ValueError(f"its header tells of {told} bytes of values, but {left} follow")
    values = np.empty(told, np.uint8)
    room = values.data
    while room:
        count = file.readinto(room[:_CHUNK_BYTES])  # type: ignore[attr-defined]
        if not count:
            raise EOFError("it ends early")
        room = room[count:]
    return values.view(dtype).reshape(shape, order="F" if fortran else "C")
