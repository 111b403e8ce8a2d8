"""CalMS21's JSON of mouse behaviour, and the annotation text of Bento (`.annot`)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from attentad.core.errors import AttentadError
from attentad.core.formats.frame_labels import tell_background
from attentad.core.formats.frame_runs import label_runs
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.source import Source
from attentad.core.notes import note

# CalMS21 was filmed at 30 Hz; what is none of the behaviours is `other`.
_FPS, _BACKGROUND = 30.0, "other"
_FACT = re.compile(r"Annotation (start|stop) (time|frame):\s*(\S+)|Annotation framerate:\s*(\S+)")


def holds_calms21(source: Source) -> bool:
    """Annotators, each with sequences of annotated frames."""
    whole = source.json
    first = next(iter(whole.values()), None) if isinstance(whole, dict) else None
    item = next(iter(first.values()), None) if isinstance(first, dict) else None
    return isinstance(item, dict) and "annotations" in item and "metadata" in item


def read_calms21(source: Source) -> Contents:
    """`{annotator: {"task1/train/NAME": {"annotations": [0, 3, …], "metadata": {"vocab"}}}}`.

    A number a frame, which the vocabulary names; `other` is background. The video is the last part
    of the sequence's name, the subset the middle one.

    Raises:
        AttentadError: a sequence is laid out otherwise, or has two annotators.
    """
    fps = _rate(source)
    gathered, background = Gathered(source.path), set[str]()
    for annotator, sequences in source.json.items():
        for name, item in sequences.items():
            where = f"{source.path}: {annotator}, {name}"
            *parts, video = name.split("/")
            if video in gathered:
                raise AttentadError(
                    f"{where} is annotated by another, too; keep one annotator in the file."
                )
            labels = _labels(item, where)
            seconds = len(labels) / fps or None
            subset = {"train": "training"}.get(parts[-1], parts[-1]) if parts else ""
            gathered.video(
                video, where, subset=subset, fps=fps, frames=len(labels) or None, duration=seconds
            )
            for start, end, label in label_runs(labels, fps):
                if label == _BACKGROUND:
                    background.add(label)
                else:
                    gathered.instance(video, (start, end), label, where)
    tell_background(source, background)
    return Contents(gathered.annotations())


def _labels(item: Any, where: str) -> np.ndarray:
    try:
        names = {int(number): str(name) for name, number in item["metadata"]["vocab"].items()}
        return np.array([names[number] for number in item["annotations"]], dtype=np.str_)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise AttentadError(
            f"{where} needs annotations, a number for each frame, and a vocab in metadata that "
            "names each number."
        ) from None


def _rate(source: Source) -> float:
    if source.fps is not None:
        return source.fps
    note(f"{source.path} does not say how many frames a second has; 30 were taken, as CalMS21 has.")
    return _FPS


def holds_annot(source: Source) -> bool:
    """A list of channels and one of annotations."""
    return "List of channels:" in source.text and "List of annotations:" in source.text


def read_annot(source: Source) -> Contents:
    """Bento's text: of each channel and behaviour, lines of start, stop and duration.

    They are seconds where one has a decimal point, else frames from 1. The video is the one that
    the file is named like; `other` is background.

    Raises:
        AttentadError: a line does not read so, or frames are counted and nothing says their rate.
    """
    gathered, video = Gathered(source.path), source.video
    rows = _rows(source)
    in_seconds = any("." in text for _, _, _, times in rows for text in times)
    told = {found[1] or "framerate": found[3] or found[4] for found in _FACT.finditer(source.text)}
    rate = source.fps or _positive(told.get("framerate"))
    if not in_seconds:
        rate = rate or source.frame_rate("Start Stop Duration")
    gathered.video(video, str(source.path), fps=rate)
    channels = {channel for channel, _, _, _ in rows}
    for _, label, where, times in rows:
        start, end = (_number(text, where) for text in times[:2])
        if not in_seconds:
            assert rate is not None
            start, end = (start - 1) / rate, end / rate
        if label != _BACKGROUND:
            gathered.instance(video, (start, end), label, where)
    tell_background(source, {label for _, label, _, _ in rows} & {_BACKGROUND})
    if len(channels) > 1:
        note(f"{source.path}: the channels {', '.join(sorted(channels))} were read together.")
    return Contents(gathered.annotations())


def _rows(source: Source) -> list[tuple[str, str, str, list[str]]]:
    """Channel, behaviour, place and times of each line."""
    channel, label, rows = "", "", []
    for number, line in enumerate(map(str.strip, source.text.splitlines()), start=1):
        if line.endswith("----"):
            channel, label = line.rstrip("-"), ""
        elif line.startswith(">") and channel:
            label = line[1:].strip()
        elif label and line and not line.startswith("Start"):
            times, where = line.split(), f"{source.path}, line {number}"
            if len(times) not in (2, 3):
                raise AttentadError(f"{where} must read start, stop and duration, not {line!r}.")
            rows.append((channel, label, where, times))
    return rows


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise AttentadError(f"{where}: {text!r} is no number; correct it.") from None


def _positive(text: str | None) -> float | None:
    try:
        number = float(text or 0)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None
