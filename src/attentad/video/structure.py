"""Whether a file ends before its own structure does: the mark of a broken copy or recording."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_UNKNOWN_RIFF = (0, 0xFFFFFFFF)
_MEDIA_BOXES = (b"mdat", b"moof", b"moov")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067


def is_truncated(path: Path, format_name: str) -> bool:
    """Whether the sizes that the file states reach beyond its end; reads a few headers only.

    Args:
        path: the file.
        format_name: FFmpeg's name of its format. Where that states no sizes (a transport
            stream), nothing is known, and the answer is no.
    """
    reaches_beyond = next((_CHECKS[n] for n in format_name.split(",") if n in _CHECKS), None)
    if reaches_beyond is None:
        return False
    with path.open("rb") as file:
        return reaches_beyond(file, os.fstat(file.fileno()).st_size)


def _boxes(file: BinaryIO, total: int) -> bool:
    at = 0
    while at + 8 <= total:
        header = _read(file, at, 16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if size < 8:  # 0: up to the end of the file
            return False
        if at + size > total:
            return kind in _MEDIA_BOXES
        at += size
    return False


def _riff(file: BinaryIO, total: int) -> bool:
    at = 0
    while at + 8 <= total:
        header = _read(file, at, 8)
        size = int.from_bytes(header[4:], "little")
        if header[:4] != b"RIFF" or size in _UNKNOWN_RIFF:
            return False
        at += 8 + size
    return at > total + 1  # a last byte of padding may be left out


def _asf(file: BinaryIO, total: int) -> bool:
    at = 0
    while at + 24 <= total:
        header = _read(file, at, 24)
        size = int.from_bytes(header[16:], "little")
        if size < 24:
            return False
        if header[:16] == _ASF_DATA:
            return at + size > total
        at += size
    return False


def _ebml(file: BinaryIO, total: int) -> bool:
    at = 0
    for element in (_EBML, _SEGMENT):
        header = _read(file, at, 12)
        if len(header) < 12 or int.from_bytes(header[:4], "big") != element or not header[4]:
            return False
        width = 9 - header[4].bit_length()
        size = int.from_bytes(header[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        if size == (1 << 7 * width) - 1:  # not known when it was written
            return False
        at += 4 + width + size
    return at > total


def _flash(file: BinaryIO, total: int) -> bool:
    """A whole file ends with the size of its last tag."""
    last = int.from_bytes(_read(file, max(0, total - 4), 4), "big")
    if last < 11 or total < 4 + last:
        return True
    tag = _read(file, total - 4 - last, 4)
    return int.from_bytes(tag[1:], "big") + 11 != last


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


_CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov": _boxes,
    "avi": _riff,
    "asf": _asf,
    "matroska": _ebml,
    "flv": _flash,
}
