"""Writing without leaving half a file behind, and reading JSON with errors a person can use."""

from __future__ import annotations

import gc
import gzip
import json
import os
import re
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from attentad.core.errors import AttentadError
from attentad.core.text import utf8

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_TEMPORARY: Final = re.compile(r"\.(.+)-[a-z0-9_]{8}(\.[^.]*)?", re.DOTALL)
_TRIES: Final = 3


class FileStamp(NamedTuple):
    """What tells a file from another, or from what it was before, without reading it."""

    size_bytes: int
    modified_ns: int


def file_stamp(path: str | Path) -> FileStamp:
    """Size and time of a file.

    Raises:
        AttentadError: it is not there.
    """
    try:
        told = Path(path).stat()
    except OSError as error:
        raise AttentadError(f"{path} could not be read ({error.strerror}).") from error
    return FileStamp(told.st_size, told.st_mtime_ns)


@contextmanager
def atomic_path(path: str | Path, *, only_new: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well.

    The suffix is kept, for writers that look at it. Missing parent folders are made.

    Args:
        path: the file to write.
        only_new: of all that write it at once, on whatever machine, the first stays: the file is
            linked to `path`, which gives way to one that is there.

    Raises:
        AttentadError: the folder cannot be made or the file cannot be written (disk full, no
            permission). Nothing is left under either name; an older file at `path` stays whole.
    """
    path = Path(path)
    temporary, handle = None, None
    try:
        temporary, handle = _temporary_beside(path)
        # mkstemp makes private files; what a user asked for gets the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
        if only_new:
            _link_or_rename(temporary, path)
        else:
            temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise AttentadError(
            f"{path} could not be written ({reason}); free some space or choose another place."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def _link_or_rename(temporary: Path, path: Path) -> None:
    """Give a file its name, unless another has it by now."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        temporary.replace(path)


def check_place(path: str | Path) -> None:
    """Make sure, before the work for it begins, that a file can be written at `path`.

    Raises:
        AttentadError: it cannot, or a folder is there.
    """
    path = Path(path)
    if path.is_dir():
        raise AttentadError(f"{path} is a folder; give the name of a file to write.")
    try:
        temporary, handle = _temporary_beside(path)
        temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)
    except OSError as error:
        raise AttentadError(
            f"{path} cannot be written ({error.strerror}); choose another place."
        ) from error


def remove_leftovers(targets: Iterable[str | Path]) -> None:
    """Delete the temporary files that killed runs left beside these files.

    Those that another run is writing now stay.
    """
    names: defaultdict[Path, set[tuple[str, str]]] = defaultdict(set)
    for target in map(Path, targets):
        names[target.parent].add((target.stem, target.suffix))
    for folder, wanted in names.items():
        with suppress(OSError):
            for file in list(folder.iterdir()):
                fit = _TEMPORARY.fullmatch(file.name)
                if fit is not None and (fit[1], fit[2] or "") in wanted:
                    _remove_unless_held(file)


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Keep other runs, as far as the file system can, from a block that changes several files."""
    handle = None
    if fcntl is not None:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _temporary_beside(path: Path) -> tuple[Path, int | None]:
    """A new temporary file for `path`, and the open handle that says that a run is writing it."""
    for left in reversed(range(_TRIES)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle, name = tempfile.mkstemp(
                dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix
            )
        except FileNotFoundError:  # another run has just removed its empty folder
            if not left:
                raise
            continue
        if fcntl is None:
            os.close(handle)
            return Path(name), None
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return Path(name), handle
        os.close(handle)  # another run took it, not yet locked, for a leftover
    raise FileNotFoundError(f"another run keeps removing {path.parent}")


def _remove_unless_held(file: Path) -> None:
    """Without locks nobody knows who else writes, and the file stays."""
    if fcntl is None:
        return
    with suppress(OSError):
        handle = os.open(file, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink()
        finally:
            os.close(handle)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` in one piece or not at all; see `atomic_path` for errors."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON; numpy scalars and arrays are allowed."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Indented JSON; numpy scalars and arrays are allowed."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(value, option=options)


def read_bytes(path: str | Path) -> bytes:
    """Return the whole of a file, unzipped when its name ends in `.gz`.

    Raises:
        AttentadError: the file is missing or cannot be read.
    """
    path = Path(path)
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                return file.read()
        return path.read_bytes()
    except FileNotFoundError as error:
        raise AttentadError(f"{path} does not exist; check the path.") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise AttentadError(
            f"{path} could not be read ({reason}); it may be damaged or not yours to read, so copy "
            "or make it again."
        ) from error


def read_utf8(path: str | Path) -> bytes:
    """A text file as UTF-8 without a byte order mark, whatever its code page; see `utf8`.

    Raises:
        AttentadError: as `read_bytes` and `utf8`.
    """
    return utf8(read_bytes(path), path)


def read_text(path: str | Path) -> str:
    """The text of a file; see `read_utf8`."""
    return read_utf8(path).decode()


def read_json(path: str | Path) -> Any:
    """Return the parsed JSON of a file (`.json` or `.json.gz`).

    Raises:
        AttentadError: the file is missing or is not JSON.
    """
    return parse_json(read_utf8(path), path)


def parse_json(content: bytes, path: str | Path, *, allow_nan: bool = False) -> Any:
    """Return what JSON says; `path` names the file in errors.

    Args:
        content: the whole text.
        path: where it is from.
        allow_nan: take the NaN and Infinity that Python's own writer leaves in JSON, for readers
            that then say where the number stands.

    Raises:
        AttentadError: it is not JSON.
    """
    with collector_paused():
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as error:
            if allow_nan and (b"NaN" in content or b"Infinity" in content):
                with suppress(ValueError, RecursionError):
                    return json.loads(content, parse_int=_whole_number)
            raise AttentadError(
                f"{path} is not valid JSON ({error}); correct it or write it again."
            ) from error


def _whole_number(digits: str) -> int | float:
    """As orjson has it: beyond 64 bits a float, which may be infinite."""
    return int(digits) if len(digits) < 19 else float(digits)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Hold Python's garbage collector while a large file is parsed.

    That makes millions of objects, none of them garbage, and the collector's walks over them
    would take longer than the parsing.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def check_keys_once(content: bytes, path: str | Path, segments: int) -> None:
    """Make sure that JSON of videos and their segments has lost none to equal keys.

    Parsers keep the last of two equal keys and drop the first without a word. Looking for them is
    slow, so only a file that holds more segments than were read is looked through.

    Args:
        content: the whole text, known to be JSON.
        path: where it is from.
        segments: how many segments were read from it.

    Raises:
        AttentadError: an object has two entries of one name, such as a video listed twice.
    """
    if content.count(b'"segment"') <= segments:
        return

    def check(pairs: list[tuple[str, Any]]) -> None:
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise AttentadError(
                    f"{path} has {key!r} twice, and only one of the two would be read; merge them."
                )
            seen.add(key)

    with suppress(ValueError, RecursionError):
        json.loads(content, object_pairs_hook=check)
