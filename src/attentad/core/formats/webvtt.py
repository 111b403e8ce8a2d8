"""WebVTT: detections as captions of their video."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from attentad.core.detections import VideoDetections, label_name
from attentad.core.files import write_bytes


def write_webvtt(path: Path, items: VideoDetections, classes: tuple[str, ...]) -> None:
    """Write the detections of one video as captions, by their start."""
    cues = ["WEBVTT"]
    for row in np.argsort(items.segments[:, 0], kind="stable"):
        start, end = items.segments[row]
        name = label_name(int(items.labels[row]), classes)
        # A cue may not contain "-->" nor a line break, and < and & start markup.
        name = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        name = " ".join(name.split())
        cues.append(f"{_clock(start)} --> {_clock(end)}\n{name} ({items.scores[row]:.2f})")
    write_bytes(path, ("\n\n".join(cues) + "\n").encode())


def _clock(seconds: float) -> str:
    milliseconds = max(0, round(seconds * 1000))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
