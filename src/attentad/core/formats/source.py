"""A file of annotations that is being looked at: its text, and the JSON, XML or table in it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import cached_property
from pathlib import Path
from typing import Any

from attentad.core.errors import AttentadError
from attentad.core.files import parse_json, read_utf8
from attentad.core.formats.csv_rows import Table, separator_of, split_rows, table_of_text
from attentad.core.names import without_suffix

# What stands after a video's name in the names of files about it, besides the suffix.
_ENDINGS = (".boris", ".frames", ".label-studio", "_labels", "_groundTruth")
_SUBSETS = {
    **{"train": "training", "training": "training", "test": "test", "testing": "test"},
    **{"val": "validation", "valid": "validation", "validation": "validation"},
}


class Source:
    """A file, each view of which is made once, when a format first asks for it.

    Args:
        path: the file, `.gz` too.
        fps: frames per second of its videos, for formats that count frames and do not say.
    """

    def __init__(self, path: Path, fps: float | None = None) -> None:
        self.path = path
        self.fps = fps

    @cached_property
    def content(self) -> bytes:
        """The text as UTF-8."""
        return read_utf8(self.path)

    @cached_property
    def text(self) -> str:
        """The text."""
        return self.content.decode()

    @cached_property
    def suffix(self) -> str:
        """`.csv` and so on, in lower case, without `.gz`."""
        return Path(self.path.name.lower().removesuffix(".gz")).suffix

    @cached_property
    def kind(self) -> str:
        """`json`, `xml` or `text`: by the first sign, or by the suffix where that says more."""
        first = self.content.lstrip()[:1]
        if self.suffix in (".csv", ".tsv", ".annot"):
            return "text"
        if self.suffix in (".json", ".boris") or first in (b"{", b"["):
            return "json"
        return "xml" if first == b"<" else "text"

    @cached_property
    def json(self) -> Any:
        """What the JSON says; None where it is none by kind.

        Raises:
            AttentadError: it is JSON by kind and cannot be parsed.
        """
        if self.kind != "json":
            return None
        return parse_json(self.content, self.path, allow_nan=True)

    @cached_property
    def xml(self) -> ET.Element | None:
        """The root element; None where the file is no XML by kind.

        Raises:
            AttentadError: it is XML by kind and cannot be parsed, or declares a document type.
        """
        if self.kind != "xml":
            return None
        # A document type may declare entities that grow to any size, or read other files.
        if "<!DOCTYPE" in self.text or "<!ENTITY" in self.text:
            raise AttentadError(
                f"{self.path} declares a document type, which no annotation needs and which may "
                "do harm; remove it or export the file again."
            )
        try:
            return ET.fromstring(self.text)
        except (ET.ParseError, RecursionError, ValueError) as error:
            raise AttentadError(
                f"{self.path} is not valid XML ({error}); export it again."
            ) from None

    @cached_property
    def table(self) -> Table:
        """The text as a table, its header in the first line.

        Raises:
            AttentadError: it is no table.
        """
        return table_of_text(self.text, self.path)

    @cached_property
    def words(self) -> list[str]:
        """The cells of the first line that is not blank, as `table` takes them apart."""
        first = next((line for line in self.text.splitlines() if line.strip()), "")
        try:
            _, rows = split_rows(first, separator_of(first), self.path)
        except AttentadError:
            return []
        return [cell.strip() for row in rows[:1] for cell in row]

    @cached_property
    def video(self) -> str:
        """The video that a file about one is named like."""
        name = self.path.name.removesuffix(".gz")
        stem = name[: -len(Path(name).suffix)] if Path(name).suffix else name
        for ending in _ENDINGS:
            stem = stem.removesuffix(ending)
        return without_suffix(stem)

    @cached_property
    def subset(self) -> str:
        """The subset that the file is named after, as `anet_anno_train.json`; empty without."""
        stem = self.path.name.lower().split(".")[0].replace("-", "_")
        named = {_SUBSETS[word] for word in stem.split("_") if word in _SUBSETS}
        return named.pop() if len(named) == 1 else ""

    def frame_rate(self, example: str, option: str = "--fps 25") -> float:
        """`fps`, which this file does not say itself.

        Raises:
            AttentadError: it was not given.
        """
        if self.fps is not None:
            return self.fps
        raise AttentadError(
            f"{self.path} counts frames ({example}) and does not say how many there are a second; "
            f"convert it with `attentad convert auto {self.path} annotations.json {option}`, "
            "with the videos' own number."
        )


def video_of(path: str) -> str:
    """The id of a video by its file's path or address: the name without folders and suffix."""
    return without_suffix(path.replace("\\", "/").rstrip("/").rpartition("/")[2])
