"""Text with a label for each frame, as for 50 Salads and Breakfast."""

from __future__ import annotations

import re
from itertools import groupby

import numpy as np

from attentad.core.formats.frame_runs import label_runs
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.source import Source
from attentad.core.notes import note

# Labels of frames in which nothing happens.
BACKGROUND = frozenset(("background", "SIL", "action_start", "action_end"))
# How the videos of a data set are called, and their frames per second.
_KNOWN = (
    (re.compile(r"rgb-\d\d-\d"), "50 Salads", 30.0),
    (re.compile(r"P\d\d_(cam|webcam|stereo)\d*_P\d\d_\w+"), "Breakfast", 15.0),
)
SPAN = re.compile(r"(\d+)-(\d+)\s+(\S+)")


def holds_frame_labels(source: Source) -> bool:
    """A word on each line, most of them the one above; or `1-30 SIL`."""
    lines = [line for line in source.text.splitlines() if line.strip()]
    if lines and all(SPAN.fullmatch(line.strip()) for line in lines):
        return True
    one_word = all(len(line.split()) == 1 and "," not in line for line in lines)
    return one_word and len(lines) > 1 and sum(1 for _ in groupby(lines)) * 2 <= len(lines)


def read_frame_labels(source: Source) -> Contents:
    """A label a line for each frame, or `first-last label`, frames counted from 1.

    The video is the one that the file is named like. Frames per second are given, or those of
    50 Salads and Breakfast, whose videos have names of their own.

    Raises:
        AttentadError: nothing says how many frames a second has.
    """
    where, video, fps = str(source.path), source.video, _frame_rate(source)
    lines = [line.strip() for line in source.text.splitlines() if line.strip()]
    spans = [SPAN.fullmatch(line) for line in lines]
    if all(spans):
        found = [(int(s[1]) - 1, int(s[2]), s[3]) for s in spans if s is not None]
        frames = max(end for _, end, _ in found)
        instances = [(start / fps, end / fps, label) for start, end, label in found]
    else:
        frames = len(lines)
        instances = label_runs(np.array(lines), fps)
    gathered = Gathered(source.path)
    gathered.video(video, where, fps=fps, frames=frames, duration=frames / fps)
    background = {label for _, _, label in instances} & BACKGROUND
    for start, end, label in instances:
        if label not in background:
            gathered.instance(video, (start, end), label, where)
    tell_background(source, background)
    return Contents(gathered.annotations())


def tell_background(source: Source, background: set[str]) -> None:
    """Say which labels are none."""
    if background:
        named = ", ".join(sorted(background))
        note(f"{source.path}: {named} was taken for background, in which nothing happens.")


def _frame_rate(source: Source) -> float:
    if source.fps is None:
        for pattern, name, fps in _KNOWN:
            if pattern.fullmatch(source.video):
                note(f"{source.path} is named like {name}, so {fps:g} frames a second were taken.")
                return fps
    return source.frame_rate("a label a line")
