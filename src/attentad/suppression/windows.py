"""From the windows of a long video to its detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from attentad.core import AttentadError, VideoDetections
from attentad.suppression.nms import SuppressionOptions, concatenate, suppress


def merge_windows(
    windows: Sequence[VideoDetections],
    *,
    how: str = "per_window",
    max_length_sec: float | None = None,
    **options: Unpack[SuppressionOptions],
) -> VideoDetections:
    """The detections of a video from those of its overlapping windows, suppressed and sorted.

    Args:
        windows: one entry per window, in seconds of the video (not of the window).
        how: `per_window` suppresses each window, then the union of what is left, whose scores
            have already decayed (G-TAD on THUMOS14); `global` suppresses the union only.
        max_length_sec: segments of at least this length are left out first, as G-TAD does at
            300 frames; None keeps all.
        options: see `suppress`; the same in both passes. Without a `method` nothing is
            suppressed: the windows are joined and sorted.

    Raises:
        AttentadError: `how` is unknown, or as `suppress`.
    """
    if how not in ("per_window", "global"):
        raise AttentadError(f"windows are merged per_window or global, not {how!r}.")
    options.setdefault("method", "none")
    if max_length_sec is not None:
        windows = [
            window[window.segments[:, 1] - window.segments[:, 0] < max_length_sec]
            for window in windows
        ]
    if how == "per_window":
        windows = [suppress(window, **options) for window in windows]
    return suppress(concatenate(windows), **options)
