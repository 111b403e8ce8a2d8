"""CSV that a spreadsheet shows and does not run, and that reads back as it was."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentad.core import (
    Annotations,
    Detections,
    VideoAnnotation,
    VideoDetections,
    as_segments,
    read_annotations,
    read_detections,
)
from attentad.core.formats.annotations import write_annotations
from attentad.core.formats.csv_rows import cell_text, csv_text, safe_cell
from attentad.core.formats.detections import write_detections

FORMULAS = ("=1+1", "+1+1", "-A2", "-2-", "@SUM(A1)", "\tx", "'=1", "''-x")


@given(st.text(st.sampled_from("'=+-@\t\ra1.e ")))
def test_a_cell_reads_back_as_it_was(text: str) -> None:
    assert cell_text(safe_cell(text)) == text


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    ((cell, number),) = csv.reader(io.StringIO(csv_text([[text, -1.5]]), newline=""))
    assert cell == f"'{text}"
    assert number == "-1.5"


def test_plain_cells_are_written_as_they_are() -> None:
    row = ["run", "'quoted'", "a=b", "", 3, "-75.00", "-100.00 … -50.00", "-1.5e-3"]
    assert csv_text([row]) == "run,'quoted',a=b,,3,-75.00,-100.00 … -50.00,-1.5e-3\n"


@pytest.mark.parametrize("name", ["=1+1", "-2", "-b", "@x", "'=1", "'-2"])
def test_names_survive_annotations_and_detections(tmp_path: Path, name: str) -> None:
    segments = as_segments([[0.0, 1.0]])
    annotations = Annotations({name: VideoAnnotation(segments, (name,))}, (name,))
    write_annotations(tmp_path / "a.csv", annotations)
    again = read_annotations(tmp_path / "a.csv")
    assert {video: item.labels for video, item in again.videos.items()} == {name: (name,)}
    one = VideoDetections(segments, np.array([0.5]), np.array([0]))
    write_detections(tmp_path / "d.csv", Detections({name: one}, (name,)))
    detections = read_detections(tmp_path / "d.csv")
    assert (list(detections.videos), detections.classes) == ([name], (name,))
