"""Views of a track, which a network reads: rescaled to T steps, windows, snippets, the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError, Timeline
from attentad.data.random_snippets import Sampling, sample_snippets
from attentad.data.tracks import Track

RescaleMode = Literal["bsn", "linear", "as_is"]
EDGE_SEC = 1e-4  # keeps the samples strictly between the first and the last snippet centre


class View(NamedTuple):
    """A part of a track, or all of it, in T steps.

    Args:
        features: (T, C) float32.
        valid: (T,) true where there is video.
        timeline: where the T steps lie.
    """

    features: NDArray[np.float32]
    valid: NDArray[np.bool_]
    timeline: Timeline


class Views(Protocol):
    """A way to take views of a track."""

    @property
    def random(self) -> bool:
        """Whether training draws its views anew in every epoch."""

    def take(self, track: Track, rng: np.random.Generator | None) -> list[View]:
        """The views of a track (n, C), one or more.

        Args:
            track: of one video.
            rng: in training, where the randomness comes from; None in detection.

        Raises:
            AttentadError: the track does not fit the view's options.
        """


@dataclass(frozen=True)
class Rescaled:
    """The whole video rescaled to T steps, see `rescale`.

    Args:
        length: T.
        mode: how it interpolates; `as_is` takes features that have T rows.
    """

    random: ClassVar[bool] = False
    length: int = 100
    mode: RescaleMode = "bsn"

    def take(self, track: Track, rng: np.random.Generator | None) -> list[View]:
        """One view, all of it valid."""
        features, timeline = rescale(track.array, track.timeline, self.length, mode=self.mode)
        return [View(features, np.ones(self.length, bool), timeline)]


@dataclass(frozen=True)
class Windows:
    """Windows of T steps, see `window_starts`.

    Args:
        length: T.
        stride_steps: from one window to the next; None for half a window.
        cover_tail: the last window ends with the video.
    """

    random: ClassVar[bool] = False
    length: int = 100
    stride_steps: int | None = None
    cover_tail: bool = True

    def take(self, track: Track, rng: np.random.Generator | None) -> list[View]:
        """Every window, in the order of time."""
        stride = self.stride_steps or max(1, self.length // 2)
        starts = window_starts(len(track.array), self.length, stride, cover_tail=self.cover_tail)
        return [take_window(track.array, track.timeline, start, self.length) for start in starts]


@dataclass(frozen=True)
class Snippets:
    """A sample of N snippets in training, see `sample_snippets`; all of them in detection.

    Args:
        length: N.
        sampling: how they are drawn.
    """

    random: ClassVar[bool] = True
    length: int = 100
    sampling: Sampling = "perturb"

    def take(self, track: Track, rng: np.random.Generator | None) -> list[View]:
        """One view. The timeline of a sample spreads its steps evenly over the video."""
        if rng is None:
            return [_whole(track)]
        features, valid = sample_snippets(track.array, self.length, self.sampling, rng)
        return [View(features, valid, track.timeline.rescaled(len(valid)))]


@dataclass(frozen=True)
class Whole:
    """The whole video, however long; in training at most `length` steps of it in a row.

    Args:
        length: of a longer video, as many steps are taken from a random one on.
        stretch: s; in training the steps are then interpolated to between 1/s and s times as many,
            as if the video ran slower or faster. 1 leaves them as they are.
    """

    random: ClassVar[bool] = True
    length: int = 100
    stretch: float = 1.0

    def take(self, track: Track, rng: np.random.Generator | None) -> list[View]:
        """One view, all of it valid."""
        view, spare = _whole(track), len(track.array) - self.length
        if rng is None:
            return [view]
        if spare > 0:
            start = int(rng.integers(0, spare, endpoint=True))
            view = take_window(track.array, track.timeline, start, self.length)
        return [view if self.stretch == 1 else stretched(view, self.stretch ** rng.uniform(-1, 1))]


# Adding a view = one class above and one line here.
VIEWS: dict[str, Callable[..., Views]] = {
    "rescaled": Rescaled,
    "windows": Windows,
    "snippets": Snippets,
    "whole": Whole,
}


def _whole(track: Track) -> View:
    return View(track.array, np.ones(len(track.array), bool), track.timeline)


def stretched(view: View, factor: float) -> View:
    """A view of which all is valid with `factor` times as many steps, at least one."""
    steps = max(1, round(len(view.features) * factor))
    features, timeline = rescale(view.features, view.timeline, steps, mode="linear")
    return View(features, np.ones(steps, bool), timeline)


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
) -> View:
    """The window (length, C) from `start_index` on, zero and not valid beyond the last step."""
    steps = features[start_index : start_index + length]
    valid = np.arange(length) < len(steps)
    if len(steps) < length:
        steps = np.pad(steps, ((0, length - len(steps)), (0, 0)))
    return View(steps, valid, timeline.window(start_index, length))
