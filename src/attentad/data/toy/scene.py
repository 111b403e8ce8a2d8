"""Toy scenes before they are drawn: who is where in which frame, and which action happens when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attentad.data.toy.motions import MOTIONS, FloatArray, Offsets, still

FPS = 12.5
SIZE_PX = 64
SHAPES = ("disc", "square", "triangle", "cross", "bar", "ring", "crescent", "heart")
BACKGROUND = "background"
CLASSES = tuple(MOTIONS)

MIN_ACTION_SEC, MAX_ACTION_SEC = 1.5, 10.0
MIN_ACTIONS, MAX_ACTIONS = 4, 10
MIN_GAP_SEC = 1.0
# An actor whose motion pulls it ±20 px from the path stays in the picture inside these bounds.
ACTOR_BOUNDS_PX = (22.0, 42.0)
# One of the two copies, in splitting and in twins, so that no picture tells one from the other.
TWIN_SCALE = 0.8


@dataclass(frozen=True)
class Look:
    """Appearance, which says nothing about the class.

    Args:
        shape: one of SHAPES.
        colours: (2, 3) RGB in 0..255, one for each half of the shape.
        size_px: diameter.
    """

    shape: str
    colours: FloatArray
    size_px: float


@dataclass(frozen=True)
class Track:
    """One thing in the picture from `first_frame` on; arrays (N,), one value a frame."""

    look: Look
    first_frame: int
    x_px: FloatArray
    y_px: FloatArray
    angle_rad: FloatArray
    scale: FloatArray
    opacity: FloatArray


@dataclass(frozen=True)
class ScenePlan:
    """All that `render` needs: the same plan gives the same pixels.

    Args:
        frames: length of the video.
        camera_px: (frames, 2) displacement of the background, right and down.
        background: mean RGB (3,) in 0..255.
        contrast: standard deviation of the texture, 0..255.
        tracks: what is drawn over the background, in this order.
        texture_seed: random stream of the texture and the noise.
        segments_frames: (N, 2) first frame and one past the last frame of each action.
        labels: N class names.
    """

    frames: int
    camera_px: FloatArray
    background: FloatArray
    contrast: float
    tracks: tuple[Track, ...]
    texture_seed: int
    segments_frames: NDArray[np.int64]
    labels: tuple[str, ...]

    @property
    def duration_sec(self) -> float:
        """Length of the video in seconds."""
        return self.frames / FPS


def plan_video(rng: np.random.Generator, classes: Sequence[str] | None = None) -> ScenePlan:
    """An untrimmed video: 40 to 80 s with 4 to 10 actions of 1.5 to 10 s, one at a time.

    Args:
        rng: random stream of the video.
        classes: those that are present, each of them at least once as far as there are actions;
            None for actions of all classes, none twice before all have been once.
    """
    frames, background, segments = _opening(rng)
    if classes is None:
        order = np.concatenate([rng.permutation(len(CLASSES)), rng.permutation(len(CLASSES))])
        labels = tuple(CLASSES[i] for i in order[: len(segments)])
    else:
        labels = _labels_among(rng, classes, len(segments))
    tracks = _distractors(rng, frames, background)
    edges = [0, *segments.ravel().tolist(), frames]
    for i, label in enumerate(labels):
        tracks += _actor(rng, label, edges[2 * i : 2 * i + 4], background)
    return _scene(rng, frames, background, tracks, segments, labels)


def count_actions(rng: np.random.Generator) -> int:
    """How many actions `plan_video` gives a video of this random stream, whatever its classes."""
    return len(_opening(rng)[2])


def plan_clip(rng: np.random.Generator, label: str) -> ScenePlan:
    """A trimmed clip of 2 to 3 s: the action fills it, or, for `background`, nothing happens."""
    frames = round(rng.uniform(2.0, 3.0) * FPS)
    background = rng.uniform(70.0, 180.0, size=3)
    # The distractors of a longer scene, cut to the clip, so that it may begin in their middle.
    tracks = _distractors(rng, frames, background)
    if label == BACKGROUND:
        tracks += _bystander(rng, frames, background)
        return _scene(rng, frames, background, tracks, np.zeros((0, 2), dtype=np.int64), ())
    offsets = _motion(rng, label, np.arange(frames) / FPS + rng.uniform(0.0, 3.0))
    tracks += _tracks(rng, offsets, 0, background, opacity=1.0)
    whole = np.array([[0, frames]], dtype=np.int64)
    return _scene(rng, frames, background, tracks, whole, (label,))


def _scene(
    rng: np.random.Generator,
    frames: int,
    background: FloatArray,
    tracks: list[Track],
    segments: NDArray[np.int64],
    labels: tuple[str, ...],
) -> ScenePlan:
    camera_px = _wander(rng, frames, speed_px=3.0)
    contrast, texture_seed = float(rng.uniform(12.0, 22.0)), int(rng.integers(2**63))
    return ScenePlan(
        frames, camera_px, background, contrast, tuple(tracks), texture_seed, segments, labels
    )


def _opening(rng: np.random.Generator) -> tuple[int, FloatArray, NDArray[np.int64]]:
    """A video's length in frames, mean background (3,), and the frames of its actions (N, 2)."""
    frames = round(rng.uniform(40.0, 80.0) * FPS)
    background = rng.uniform(70.0, 180.0, size=3)
    return frames, background, _schedule(rng, frames)


def _labels_among(rng: np.random.Generator, classes: Sequence[str], count: int) -> tuple[str, ...]:
    """`count` labels in random order: each class once, the rest drawn among them."""
    each = list(classes[:count])
    drawn = [classes[i] for i in rng.integers(len(classes), size=count - len(each))]
    return tuple((each + drawn)[i] for i in rng.permutation(count))


def _schedule(rng: np.random.Generator, frames: int) -> NDArray[np.int64]:
    """(N, 2) frames of actions that do not touch, filling at most 0.6 of the video."""
    total_sec = frames / FPS
    count = int(rng.integers(MIN_ACTIONS, MAX_ACTIONS + 1))
    lengths = np.exp(rng.uniform(np.log(MIN_ACTION_SEC), np.log(MAX_ACTION_SEC), size=count))
    room = 0.6 * total_sec
    if lengths.sum() > room:
        extra = lengths - MIN_ACTION_SEC
        lengths = MIN_ACTION_SEC + extra * (room - count * MIN_ACTION_SEC) / extra.sum()
    slack = total_sec - lengths.sum() - (count + 1) * MIN_GAP_SEC
    gaps = MIN_GAP_SEC + slack * rng.dirichlet(np.ones(count + 1))
    starts = np.cumsum(gaps[:-1]) + np.cumsum(lengths) - lengths
    # Rounding a length up keeps the shortest action at 1.5 s or more; the longest stays below 10.
    first = np.floor(starts * FPS).astype(np.int64)
    length = np.minimum(np.ceil(lengths * FPS), np.floor(MAX_ACTION_SEC * FPS)).astype(np.int64)
    return np.stack([first, first + length], axis=1)


def _actor(
    rng: np.random.Generator, label: str, edges: list[int], background: FloatArray
) -> list[Track]:
    """An actor that mostly drifts into its action and out of it, so that onset is motion only."""
    # Where the action before ends and the next one starts: no actor is in another's way.
    free, start, end, taken = edges
    early, late = rng.uniform(0.6, 3.0, size=2) * (rng.random(2) < 0.75)
    first = max(free, start - round(early * FPS))
    last = min(taken, end + round(late * FPS))
    acting = _motion(rng, label, np.arange(end - start) / FPS)
    spread = _pad(acting, _fades(end - start, 2.0), start - first, last - end)
    return _tracks(rng, spread, first, background, opacity=_fades(last - first, 4.0))


def _bystander(rng: np.random.Generator, frames: int, background: FloatArray) -> list[Track]:
    """An actor that only drifts: it stays, comes or goes as around actions; 4 times in 10, none."""
    # Background clips must show what a video's gaps show: a recogniser that always sees an actor
    # takes an empty scene, or an actor that fades in, for an action.
    if rng.random() < 0.4:
        return []
    stay = round(rng.uniform(0.6, 5.0) * FPS)
    first = int(rng.integers(2 - stay, frames - 1))
    last = first + stay
    begin, end = max(0, first), min(frames, last)
    fades = _fades(end - begin, 4.0, first > 0, last < frames)
    return _tracks(rng, still(end - begin), begin, background, opacity=fades)


def _pad(acting: Offsets, ramp: FloatArray, before: int, after: int) -> Offsets:
    """The offsets of an action between stretches of plain drifting, without a jump in place."""

    def padded(values: FloatArray, beside: float) -> FloatArray:
        return np.pad(values, (before, after), constant_values=beside)

    return Offsets(
        right_px=padded(acting.right_px * ramp, 0.0),
        down_px=padded(acting.down_px * ramp, 0.0),
        turn_rad=np.pad(acting.turn_rad, (before, after), mode="edge"),
        scale=padded(acting.scale**ramp, 1.0),
        opacity=padded(acting.opacity, 1.0),
        apart_px=padded(acting.apart_px * ramp, 0.0),
    )


def _motion(rng: np.random.Generator, label: str, seconds: FloatArray) -> Offsets:
    motion = MOTIONS[label]
    period = rng.uniform(*motion.period_sec)
    reach = rng.uniform(*motion.reach)
    return motion.offsets(seconds / period, reach, 1 if rng.random() < 0.5 else -1)


def _tracks(
    rng: np.random.Generator,
    offsets: Offsets,
    first_frame: int,
    background: FloatArray,
    opacity: FloatArray | float,
) -> list[Track]:
    """The one or two tracks of an actor that drifts and adds `offsets`."""
    length = len(offsets.scale)
    look = _look(rng, background, (17.0, 23.0))
    low, high = ACTOR_BOUNDS_PX
    start = rng.uniform(low, high, size=2)
    velocity = rng.uniform(-3.0, 3.0, size=2) / FPS
    path = _reflect(start + velocity * np.arange(length)[:, None], low, high)
    angle = rng.uniform(0.0, 2.0 * np.pi) + offsets.turn_rad
    direction = rng.uniform(0.0, np.pi)
    twins = rng.random() < 0.15
    apart = offsets.apart_px
    if not apart.any() and twins:
        apart = np.full(length, rng.uniform(4.0, 14.0))
    x, y = path[:, 0] + offsets.right_px, path[:, 1] + offsets.down_px
    whole = Track(look, first_frame, x, y, angle, offsets.scale, offsets.opacity * opacity)
    return _twins(whole, apart, direction) if apart.any() else [whole]


def _twins(track: Track, apart_px: FloatArray | float, direction: float) -> list[Track]:
    """Two smaller copies of a track, on either side of it."""
    right, down = apart_px * np.cos(direction), apart_px * np.sin(direction)
    scale = track.scale * TWIN_SCALE
    return [
        replace(track, x_px=track.x_px + sign * right, y_px=track.y_px + sign * down, scale=scale)
        for sign in (-1.0, 1.0)
    ]


def _fades(length: int, over: float, begin: bool = True, end: bool = True) -> FloatArray:
    """Factors 0..1 (length,): they rise over so many frames at the beginning, fall at the end."""
    steps, whole = np.arange(length), np.ones(length)
    rising = np.minimum(whole, (steps + 1) / over) if begin else whole
    return np.minimum(rising, (length - steps) / over) if end else rising


def _distractors(rng: np.random.Generator, frames: int, background: FloatArray) -> list[Track]:
    """Two things at a time that move without meaning, straight or at random; some are twins."""
    tracks: list[Track] = []
    for _ in range(2):
        # The first one may have been there before the scene begins.
        first = -int(rng.integers(0, round(8.0 * FPS)))
        while first < frames:
            length = round(rng.uniform(8.0, 20.0) * FPS)
            tracks += _distractor(rng, first, length, frames, background)
            first += length + round(rng.uniform(0.0, 3.0) * FPS)
    return tracks


def _distractor(
    rng: np.random.Generator, first: int, length: int, frames: int, background: FloatArray
) -> list[Track]:
    look = _look(rng, background, (9.0, 16.0))
    start = rng.uniform(0.0, SIZE_PX, size=2)
    if rng.random() < 0.5:
        heading, speed = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(3.0, 10.0)
        step = speed / FPS * np.array([np.cos(heading), np.sin(heading)])
        path = start + step * np.arange(length)[:, None]
    else:
        path = start + _wander(rng, length, speed_px=7.0)
    path = _reflect(path, -4.0, SIZE_PX + 4.0)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    twins = rng.random() < 0.3
    direction, apart = rng.uniform(0.0, np.pi), rng.uniform(4.0, 14.0)
    visible = slice(max(0, -first), max(0, min(length, frames - first)))
    if visible.stop <= visible.start:
        return []
    x, y = path[visible].T
    ones = np.ones(len(x))
    opacity = _fades(length, 5.0)[visible]
    whole = Track(look, first + visible.start, x, y, angle * ones, ones, opacity)
    return _twins(whole, apart, direction) if twins else [whole]


def _look(rng: np.random.Generator, background: FloatArray, size_px: tuple[float, float]) -> Look:
    """A shape in two colours, both far from the background's mean and from one another."""
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    while True:
        colours = rng.uniform(0.0, 255.0, size=(2, 3))
        away = np.abs(colours - background).mean(axis=1)
        if away.min() > 50.0 and np.abs(colours[0] - colours[1]).mean() > 55.0:
            return Look(shape, colours, float(rng.uniform(*size_px)))


def _wander(rng: np.random.Generator, length: int, *, speed_px: float) -> FloatArray:
    """A smooth random walk (length, 2): velocities of about `speed_px` a second, slowly turning."""
    # One velocity a second, joined by straight lines.
    knots = int(np.ceil(length / FPS)) + 2
    velocity = rng.normal(0.0, speed_px / FPS, size=(knots, 2))
    at = np.arange(length) / FPS
    each = [np.interp(at, np.arange(knots), velocity[:, axis]) for axis in range(2)]
    return np.cumsum(np.stack(each, axis=1), axis=0)


def _reflect(values: FloatArray, low: float, high: float) -> FloatArray:
    """Fold positions back into low..high, as a ball between two walls."""
    span = high - low
    return low + span - np.abs((values - low) % (2.0 * span) - span)
