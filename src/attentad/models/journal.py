"""What `detect` has found so far, kept in files beside its output until that is written."""

from __future__ import annotations

import hashlib
import json
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attentad.core import AttentadError, Timeline, VideoDetections
from attentad.core.files import atomic_path
from attentad.core.found import Curve, Found


@dataclass(frozen=True)
class Entry:
    """What a run knows of one video.

    Args:
        found: in it.
        timeline: of its features.
        notes: a sentence on each thing to know.
    """

    found: Found
    timeline: Timeline
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Journal:
    """A folder with a file for each finished video.

    A file is named by all that its content depends on, so that one of other videos, or of another
    model, is never taken for one of this run.

    Args:
        folder: made with the first entry.
    """

    folder: Path

    @classmethod
    def beside(cls, out: Path) -> Journal:
        """The journal of a run that will write `out`."""
        return cls(out.with_name(f".{out.name}.partial"))

    def read(self, key: str) -> Entry | None:
        """The entry of that key, or None where there is none or it is damaged."""
        try:
            with np.load(self._file(key), allow_pickle=False) as arrays:
                return _unpacked(arrays)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None
        except AttentadError:
            return None

    def keep(self, key: str, entry: Entry) -> None:
        """Write an entry, whole or not at all.

        Raises:
            AttentadError: it cannot be written.
        """
        with atomic_path(self._file(key)) as temporary:
            np.savez(temporary, **_packed(entry))  # type: ignore[arg-type]

    def remove(self) -> None:
        """Delete all entries: the output is written."""
        for file in self.folder.glob("*.npz"):
            with suppress(OSError):
                file.unlink()
        self.tidy()

    def tidy(self) -> None:
        """Delete the folder if it is empty; a file that another run is writing keeps it."""
        with suppress(OSError):
            self.folder.rmdir()

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def key_of(*facts: Any) -> str:
    """A name for what plain values and bytes determine."""
    digest = hashlib.sha256()
    for fact in facts:
        content = fact if isinstance(fact, bytes) else json.dumps(fact).encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:32]


def _packed(entry: Entry) -> dict[str, np.ndarray[Any, Any]]:
    found = entry.found
    told = {
        "timeline": entry.timeline.to_dict(),
        "notes": entry.notes,
        "curves": [(curve.name, curve.kind) for curve in found.curves],
    }
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "told": np.frombuffer(json.dumps(told).encode(), dtype=np.uint8),
        "segments": found.detections.segments,
        "scores": found.detections.scores,
        "labels": found.detections.labels,
    }
    if found.class_probabilities is not None:
        arrays["class_probabilities"] = found.class_probabilities
    for i, curve in enumerate(found.curves):
        arrays |= {f"time_sec_{i}": curve.time_sec, f"value_{i}": curve.value}
    return arrays


def _unpacked(arrays: Any) -> Entry:
    told = json.loads(arrays["told"].tobytes())
    curves = tuple(
        Curve(name, arrays[f"time_sec_{i}"], arrays[f"value_{i}"], kind)
        for i, (name, kind) in enumerate(told["curves"])
    )
    detections = VideoDetections(arrays["segments"], arrays["scores"], arrays["labels"])
    probabilities = arrays.get("class_probabilities")
    found = Found(detections, probabilities, curves)
    return Entry(found, Timeline(**told["timeline"]), tuple(told["notes"]))
