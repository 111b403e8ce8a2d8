"""What `detect` has found so far, kept in files beside its output until that is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from attentad.core import AttentadError, Timeline, VideoDetections
from attentad.core.files import write_bytes
from attentad.core.found import Curve, Found, Profile

_SUFFIX: Final = ".safetensors"


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
            return _unpacked(load(self._file(key).read_bytes()))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttentadError):
            return None

    def keep(self, key: str, entry: Entry) -> None:
        """Write an entry, whole or not at all.

        Raises:
            AttentadError: it cannot be written.
        """
        # Not as .npz: Ctrl-C in the midst of writing a zip file prints a traceback.
        write_bytes(self._file(key), save(_packed(entry)))

    def remove(self) -> None:
        """Delete all entries, and notes on videos that have none: the output is written."""
        for file in (*self.folder.glob(f"*{_SUFFIX}"), *self.folder.glob("*.json")):
            with suppress(OSError):
                file.unlink()
        self.tidy()

    def tidy(self) -> None:
        """Delete the folder if it is empty; a file that another run is writing keeps it."""
        with suppress(OSError):
            self.folder.rmdir()

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"


def key_of(*facts: Any) -> str:
    """A name for what plain values and bytes determine."""
    digest = hashlib.sha256()
    for fact in facts:
        content = fact if isinstance(fact, bytes) else json.dumps(fact).encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:32]


def _packed(entry: Entry) -> dict[str, NDArray[Any]]:
    found = entry.found
    told = {
        "timeline": entry.timeline.to_dict(),
        "notes": entry.notes,
        "curves": [(curve.name, curve.kind) for curve in found.curves],
        "profiles": [profile.name for profile in found.profiles],
    }
    arrays: dict[str, NDArray[Any]] = {
        "told": np.frombuffer(json.dumps(told).encode(), dtype=np.uint8),
        "segments": found.detections.segments,
        "scores": found.detections.scores,
        "labels": found.detections.labels,
    }
    if found.class_probabilities is not None:
        arrays["class_probabilities"] = found.class_probabilities
    for i, curve in enumerate(found.curves):
        arrays |= {f"time_sec_{i}": curve.time_sec, f"value_{i}": curve.value}
    arrays |= {f"profile_{i}": profile.value for i, profile in enumerate(found.profiles)}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _unpacked(arrays: Mapping[str, NDArray[Any]]) -> Entry:
    told = json.loads(arrays["told"].tobytes())
    curves = tuple(
        Curve(name, arrays[f"time_sec_{i}"], arrays[f"value_{i}"], kind)
        for i, (name, kind) in enumerate(told["curves"])
    )
    detections = VideoDetections(arrays["segments"], arrays["scores"], arrays["labels"])
    probabilities = arrays.get("class_probabilities")
    profiles = [Profile(name, arrays[f"profile_{i}"]) for i, name in enumerate(told["profiles"])]
    found = Found(detections, probabilities, curves, profiles)
    return Entry(found, Timeline(**told["timeline"]), tuple(told["notes"]))
