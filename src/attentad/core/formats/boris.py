"""The tabular events of BORIS, a program in which behaviour is annotated."""

from __future__ import annotations

from pathlib import Path

from attentad.core.detections import Detections, label_name
from attentad.core.formats.csv_rows import write_csv

_COLUMNS = (
    *("Observation id", "Media file name", "Subject", "Behavior", "Behavior type"),
    *("Time", "Comment"),
)


def write_boris(path: Path, detections: Detections) -> None:
    """Write the columns of BORIS's tabular export, a row per START and STOP, by time."""
    rows = [_COLUMNS]
    for video, items in detections.videos.items():
        events = []
        for (start, end), score, label in items.rows():
            told = (label_name(label, detections.classes), f"score {score:.4f}")
            events += [(start, "START", *told), (end, "STOP", *told)]
        for time, kind, name, comment in sorted(events, key=lambda event: event[0]):
            media = (Path(video).name, video, "No focal subject")
            rows.append((*media, name, kind, f"{time:.3f}", comment))
    write_csv(path, rows)
