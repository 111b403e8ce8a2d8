"""Which videos a detector trains on, and how often."""

from __future__ import annotations

import numpy as np

from attentad.core import Segments, as_segments


def training_copies(
    segments: Segments, duration_sec: float, *, longest: float = 0.98, short: float = 0.2
) -> int:
    """How often a training video takes part in an epoch as DBG does: 0, 1 or 2 times.

    Source: spec csa §4.4, after DBG's public code.

    Args:
        segments: (N, 2) its actions in seconds.
        duration_sec: of the video.
        longest: a video whose actions' mean share of the duration is at least that is left out.
        short: a video where it is less than that counts twice.

    Returns:
        The number of copies; 1 without any action.
    """
    inside = np.clip(as_segments(segments), 0, duration_sec)
    if not len(inside):
        return 1
    mean = (inside[:, 1] - inside[:, 0]).mean() / duration_sec
    return 0 if mean >= longest else 2 if mean < short else 1
