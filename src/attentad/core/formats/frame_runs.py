"""Labels of frames, as runs: the segments in which a label stands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attentad.core.arrays import Bools
from attentad.core.segments import Segments


def runs(present: Bools, fps: float) -> Segments:
    """Frames (T,) → (N, 2) seconds; frame i lasts from i/fps to (i+1)/fps."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(np.int8)))
    segments: Segments = edges.reshape(-1, 2) / fps
    return segments


def label_runs(labels: NDArray[np.str_], fps: float) -> list[tuple[float, float, str]]:
    """A label a frame → start and end in seconds, and label of each run, in order."""
    if not len(labels):
        return []
    starts = np.concatenate([[0], np.flatnonzero(labels[1:] != labels[:-1]) + 1])
    ends = np.concatenate([starts[1:], [len(labels)]])
    return [
        (start / fps, end / fps, str(labels[start]))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
