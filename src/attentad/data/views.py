"""Training views of a video's features: the whole video rescaled to T steps, or windows of T."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError, Segments, Timeline

RescaleMode = Literal["bsn", "linear", "as_is"]
EDGE_SEC = 1e-4  # keeps the samples strictly between the first and the last snippet centre


def rescale(
    features: NDArray[np.float32], timeline: Timeline, length: int, *, mode: RescaleMode = "bsn"
) -> tuple[NDArray[np.float32], Timeline]:
    """Rescale (n, C) features to (length, C), with the timeline of the result.

    `bsn` is the scheme of BSN and of the public BMN features (spec csa §5.1): step j of T is the
    mean of the linear interpolant at the start, the middle and the end of the j-th part of the
    covered time; parts wholly before the first or after the last snippet centre are zero. `linear`
    reads the interpolant at the middle of each part and repeats the ends (G-TAD for features other
    than BMN's; `interpolate` without aligned corners). `as_is` takes features that were rescaled
    before, such as BMN's files of 100 rows.

    Args:
        features: (n, C), one row per snippet.
        timeline: where the snippets lie.
        length: T, the number of steps wanted.
        mode: `bsn`, `linear` or `as_is`.

    Raises:
        AttentadError: `as_is` and n is not `length`.
    """
    n = len(features)
    if mode == "as_is":
        if n != length:
            raise AttentadError(
                f"view.mode is as_is, but a video has {n} rows and view.length is {length}; use "
                f"another mode, or set view.length={n} if all have so many."
            )
        return features, timeline.rescaled(length)
    st = timeline.step_sec
    centres = (np.arange(n) + 0.5) * st
    edges = np.arange(length + 1) * (n * st / length)
    if n == 1:
        rescaled = np.repeat(features, length, axis=0)
    elif mode == "linear":
        rescaled = _interpolate(features, (edges[:-1] + edges[1:]) / 2 / st - 0.5)
    else:
        lo = np.maximum(centres[0] + EDGE_SEC, edges[:-1])
        hi = np.minimum(centres[-1] - EDGE_SEC, edges[1:])
        points = [_interpolate(features, at / st - 0.5) for at in (lo, (lo + hi) / 2, hi)]
        rescaled = np.mean(points, axis=0, dtype=np.float32)
        rescaled[(hi < centres[0]) | (lo > centres[-1])] = 0
    return rescaled.astype(np.float32, copy=False), timeline.rescaled(length)


def _interpolate(features: NDArray[np.float32], index: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows of (n, C) at fractional indices, linearly, clamped to the ends."""
    index = np.clip(index, 0, len(features) - 1)
    left = np.minimum(index.astype(np.int64), max(len(features) - 2, 0))
    right = np.minimum(left + 1, len(features) - 1)
    weight = (index - left).astype(np.float32)[:, None]
    return (1 - weight) * features[left] + weight * features[right]


def window_starts(n: int, length: int, stride_steps: int, *, cover_tail: bool = True) -> list[int]:
    """First index of each window of `length` over `n` steps (spec csa §5.2).

    With `cover_tail` a last window ends exactly at the last step. Without, G-TAD's rule: an extra
    window only if more than a fifth of a window would stay uncovered. A video shorter than a
    window gets one window, padded at its end.
    """
    if n <= length:
        return [0]
    starts = list(range(0, n - length + 1, stride_steps))
    uncovered = n - (starts[-1] + length)
    if uncovered > (0 if cover_tail else length // 5):
        starts.append(n - length)
    return starts


def take_window(
    features: NDArray[np.float32], timeline: Timeline, start_index: int, length: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], Timeline]:
    """Window (length, C) from `start_index`, zero beyond the end; its mask; its timeline."""
    part = features[start_index : start_index + length]
    window = np.zeros((length, features.shape[1]), np.float32)
    window[: len(part)] = part
    return window, np.arange(length) < len(part), timeline.window(start_index, length)


def window_is_useful(
    segments: NDArray[np.float64], start_sec: float, end_sec: float, min_coverage: float
) -> bool:
    """Whether some instance lies in the window with more than `min_coverage` of its length."""
    return bool((_coverage(segments, start_sec, end_sec) > min_coverage).any())


def instances_in_window(
    segments: Segments, start_sec: float, end_sec: float, min_coverage: float
) -> Segments:
    """The instances of which more than `min_coverage` lies in the window, cut to it.

    OpenTAD's rule for training windows (spec csa §5.2).
    """
    kept = segments[_coverage(segments, start_sec, end_sec) > min_coverage]
    return np.clip(kept, start_sec, end_sec)


def _coverage(segments: Segments, start_sec: float, end_sec: float) -> NDArray[np.float64]:
    """What part of each instance lies in the window; 0 or less for none."""
    inside = np.minimum(segments[:, 1], end_sec) - np.maximum(segments[:, 0], start_sec)
    return inside / np.maximum(segments[:, 1] - segments[:, 0], 1e-9)
