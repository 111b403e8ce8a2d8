"""Detectors' targets from plain arrays of actions, and their decoding to plain detections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from attentad.core import VideoDetections, as_segments
from attentad.core.found import Found, Truth


def truth_of(actions: Any) -> Truth:
    """Actions (N, 2) in seconds, all of one class."""
    segments = as_segments(actions)
    return Truth(segments, np.zeros(len(segments), dtype=np.int64), 1)


def of_actions(targets: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The same targets, from the actions themselves."""
    return lambda actions, timeline, **options: targets(truth_of(actions), timeline, **options)


def to_detections(decode: Callable[..., list[Found]]) -> Callable[..., list[VideoDetections]]:
    """The same decoding, to the detections alone."""
    return lambda *args, **options: [found.detections for found in decode(*args, **options)]
