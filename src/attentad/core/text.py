"""The code pages of text files: UTF-8, UTF-16 by its mark, else Windows-1252, which is said."""

from __future__ import annotations

import codecs
from pathlib import Path

from attentad.core.errors import AttentadError
from attentad.core.notes import note

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def utf8(content: bytes, path: str | Path) -> bytes:
    """Text in one of three code pages, as UTF-8 without a byte order mark.

    What is not UTF-8, and not marked as UTF-16, is taken for Windows-1252, in which spreadsheets
    on Windows write, and a note says so.

    Raises:
        AttentadError: it is none of the three; `path` is named.
    """
    if content.startswith(codecs.BOM_UTF8):
        content = content[len(codecs.BOM_UTF8) :]
    if content.startswith(_UTF_16):
        return _decoded(content, "utf-16", "UTF-16", path).encode()
    if content.isascii():
        head = content[:64]
        if len(head) >= 8 and 2 * head.count(0) >= len(head) - 1:
            raise AttentadError(f"{path} seems to be UTF-16 without a mark; save it as UTF-8.")
        return content
    try:
        content.decode()
    except UnicodeDecodeError:
        text = _decoded(content, "cp1252", "Windows-1252", path)
        note(
            f"{path} is not UTF-8; it was read as Windows-1252. Save it as UTF-8 if that is wrong."
        )
        return text.encode()
    return content


def _decoded(content: bytes, code_page: str, name: str, path: str | Path) -> str:
    try:
        return content.decode(code_page)
    except UnicodeDecodeError as error:
        raise AttentadError(
            f"{path} is no text in UTF-8 or {name} (byte {error.start}); save it as UTF-8."
        ) from None
