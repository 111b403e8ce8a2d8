"""Every example of docs/formats.md is read, under its own name and by what it holds."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from attentad.core import read_annotations
from attentad.core.formats.annotations import FORMATS
from attentad.core.formats.exports import EXPORTS

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
SECTIONS = re.findall(r"^### (\S+)\n(.*?)(?=^##)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"^```\w+ (\S+)(?: fps=(\d+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Layouts that are known in order to be refused.
REFUSED = {"detections", "soccernet"}


def test_the_page_has_a_section_and_a_row_for_each_layout() -> None:
    named = [name for name, _ in SECTIONS]
    assert sorted(named) == sorted({*FORMATS, "thumos14"} - REFUSED)
    rows = re.findall(r"^\| `([\w-]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(named)
    assert all(f"`{suffix}`" in PAGE.read_text() for suffix in EXPORTS)


@pytest.mark.parametrize(("name", "text"), SECTIONS, ids=[name for name, _ in SECTIONS])
def test_every_example_is_read(tmp_path: Path, name: str, text: str) -> None:
    examples = EXAMPLE.findall(text)
    assert examples
    for file, _, content in examples:
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    path = tmp_path / examples[0][0].split("/")[0]
    fps = float(examples[0][1]) if examples[0][1] else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_annotations(path, fps=fps)
        named = read_annotations(path, fps=fps, layout=name)
    assert any(item.labels for item in found.videos.values())
    assert found.classes == named.classes
    assert list(found.videos) == list(named.videos)
