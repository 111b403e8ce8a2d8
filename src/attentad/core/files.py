"""Writing without leaving half a file behind, and reading JSON with errors a person can use."""

from __future__ import annotations

import gc
import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from attentad.core.errors import AttentadError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well.

    The suffix is kept, for writers that look at it. Missing parent folders are made.

    Raises:
        AttentadError: the folder cannot be made or the file cannot be written (disk full, no
            permission). Nothing is left under either name; an older file at `path` stays whole.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix
        )
        os.close(handle)
        temporary = Path(name)
        # mkstemp makes private files; what a user asked for gets the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise AttentadError(
            f"{path} could not be written ({reason}); free some space or choose another place."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` in one piece or not at all; see `atomic_path` for errors."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON; numpy scalars and arrays are allowed."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    write_bytes(path, orjson.dumps(value, option=options))


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


def read_json(path: str | Path) -> Any:
    """Return the parsed JSON of a file (`.json` or `.json.gz`).

    Raises:
        AttentadError: the file is missing or is not JSON.
    """
    return parse_json(read_bytes(path), path)


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
