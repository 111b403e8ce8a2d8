"""A label for every frame, all of them kept: what frame-wise scores are made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attentad.core.errors import AttentadError
from attentad.core.formats.frame_labels import SPAN
from attentad.core.formats.frame_table import frame_columns, holds_frame_table
from attentad.core.formats.source import Source
from attentad.core.wording import quoted

# The line above the labels in what MS-TCN and its heirs write.
_RECOGNITION = "### Frame level recognition: ###"
_SUFFIXES = ("", ".txt", ".csv", ".tsv", ".recog")
# Four days at 30 frames per second: a span of more is no video's.
_MOST_FRAMES = 10_000_000
# The label of a frame in which no column of a table is 1.
NOTHING = "background"


def read_frame_sequences(path: str | Path) -> dict[str, NDArray[np.str_]]:
    """Label sequences of a file, or of all files in a folder: video → (T,) label of each frame.

    A file is of the video that it is named like, and holds a label a line; `first-last label`,
    frames counted from 1; all labels in one line, as MS-TCN writes predictions (under
    `### Frame level recognition: ###`); or a table with a column of 0 and 1 for each label, no
    frame with two (`background` where it has none). No label is taken for background here.

    Raises:
        AttentadError: a file is missing or laid out otherwise, a frame has no label or two, or
            two files are of one video.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if _may_hold_labels(file))
        if not files:
            raise AttentadError(f"{path} holds no files of frame labels (.txt, .csv or no suffix).")
    videos: dict[str, NDArray[np.str_]] = {}
    owner: dict[str, Path] = {}
    for file in files:
        source = Source(file)
        if source.video in owner:
            raise AttentadError(
                f"video {source.video} has labels in {owner[source.video]} and in {file}; keep one."
            )
        owner[source.video], videos[source.video] = file, _labels(source)
    return videos


def _may_hold_labels(file: Path) -> bool:
    suffix = Path(file.name.lower().removesuffix(".gz")).suffix
    return file.is_file() and suffix in _SUFFIXES and not file.name.startswith(".")


def _labels(source: Source) -> NDArray[np.str_]:
    lines = [line.strip() for line in source.text.splitlines() if line.strip()]
    if not lines:
        raise AttentadError(f"{source.path} is empty; it needs a label for each frame.")
    if lines[0].startswith("###"):
        if _RECOGNITION not in lines[:-1]:
            raise AttentadError(
                f"{source.path} has no line of labels below {_RECOGNITION!r}; write it again."
            )
        return np.array(lines[lines.index(_RECOGNITION) + 1].split())
    if all(SPAN.fullmatch(line) for line in lines):
        return _of_spans(source.path, lines)
    if holds_frame_table(source):
        return _of_table(source)
    if len(lines) == 1:
        return np.array(lines[0].split())
    for number, line in enumerate(lines, start=1):
        if "," in line or "\t" in line or "{" in line:
            raise AttentadError(
                f"{source.path}: label {number} reads {quoted(line)}; frame labels stand one a "
                "line, with no other columns."
            )
    return np.array(lines)


def _of_spans(path: Path, lines: list[str]) -> NDArray[np.str_]:
    labels: list[str] = []
    for line in lines:
        span, label = line.split()
        first, last = span.split("-")
        if int(last) > _MOST_FRAMES:
            raise AttentadError(f"{path}: {quoted(line)} names more frames than a video has.")
        if int(first) != len(labels) + 1 or int(last) < int(first):
            raise AttentadError(
                f"{path}: {quoted(line)} must begin at frame {len(labels) + 1}, after the line "
                "above, so that each frame has one label."
            )
        labels += [label] * (int(last) - len(labels))
    return np.array(labels)


def _of_table(source: Source) -> NDArray[np.str_]:
    names, present = frame_columns(source)
    several = present.sum(axis=0) > 1
    if several.any():
        raise AttentadError(
            f"{source.path}: frame {int(np.argmax(several))} (from 0) has several labels, but "
            "frame-wise scores need one; score such labels as detections."
        )
    return np.array([*names, NOTHING])[np.where(present.any(axis=0), present.argmax(axis=0), -1)]
