"""From the windows of a long video to its detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attentad.core import AttentadError, VideoDetections
from attentad.core.detections import concatenate
from attentad.suppression.methods import suppress


def merge_windows(
    windows: Sequence[VideoDetections],
    *,
    how: str = "per_window",
    **options: Any,
) -> VideoDetections:
    """The detections of a video from those of its overlapping windows, suppressed and sorted.

    Args:
        windows: one entry per window, in seconds of the video (not of the window).
        how: `per_window` suppresses each window, then the union of what is left, whose scores
            have already decayed (G-TAD on THUMOS14); `global` suppresses the union only.
        options: see `suppress`; the same in both passes, box voting included. Without a `method`
            nothing is suppressed: the windows are joined and sorted.

    Raises:
        AttentadError: `how` is unknown, or as `suppress`.
    """
    if how not in ("per_window", "global"):
        raise AttentadError(f"windows are merged per_window or global, not {how!r}.")
    options.setdefault("method", "none")
    if how == "per_window":
        windows = [suppress(window, **options) for window in windows]
    return suppress(concatenate(windows), **options)
