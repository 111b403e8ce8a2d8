"""Videos many times longer than those that a model of whole, rescaled videos was trained on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from attentad.data.tracks import Track
from attentad.data.views import window_starts
from attentad.recipes.load import DetectionRecipe

MOST_STRETCH: Final = 2.0  # steps so many times longer than in training still count as ordinary
# Of a model file that does not say what it was trained on: few actions outlast a longer step.
LONG_STEP_SEC: Final = 4.0


@dataclass(frozen=True)
class TrainedSteps:
    """How long a step was in the training videos, each rescaled to the steps of the view.

    Args:
        median_sec: of a usual video.
        longest_sec: of the longest.
    """

    median_sec: float
    longest_sec: float

    @classmethod
    def of(cls, steps_sec: Sequence[float]) -> TrainedSteps:
        """Of training views with these steps."""
        return cls(float(np.median(steps_sec)), float(np.max(steps_sec)))

    def to_dict(self) -> dict[str, float]:
        """Plain values for a model file."""
        return asdict(self)


def cut_to_trained(
    track: Track, video: str, recipe: DetectionRecipe, trained: TrainedSteps | None
) -> list[Track]:
    """The track, or overlapping parts of a long one, each as long as a usual training video.

    A view of the whole video has so many steps whatever its length: those of a video many times
    longer than any in training would be longer than the actions.

    Args:
        track: of the whole video.
        video: its name, for warnings.
        recipe: tells the view.
        trained: what steps the model knows; None where its file does not say.

    Warns:
        UserWarning: the video is long, and what was done about it.
    """
    view, timeline = recipe.view, track.timeline
    if view.name != "rescaled":
        return [track]
    step_sec = timeline.length * timeline.step_sec / view.length
    if step_sec <= (LONG_STEP_SEC if trained is None else MOST_STRETCH * trained.longest_sec):
        return [track]
    advice = "cut the video into parts, or train with view.name=windows"
    stretched = f"{video}: one step of the model is {step_sec:.3g} s of this video"
    if trained is None:
        _warn(
            f"{stretched}; the model file does not say how long its training videos were. If they "
            f"were much shorter, shorter actions are not found: {advice}."
        )
        return [track]
    rows = round(view.length * trained.median_sec / timeline.step_sec)
    if view.mode == "as_is" or rows < 2:
        _warn(
            f"{stretched}, at most {trained.longest_sec:.3g} s in training, and its features "
            f"cannot be read in parts; shorter actions are not found: {advice}."
        )
        return [track]
    starts = window_starts(timeline.length, rows, max(1, rows // 2))
    _warn(
        f"{video} lasts {timeline.duration_sec:.0f} s, the training videos at most "
        f"{view.length * trained.longest_sec:.0f} s: it was read in {len(starts)} parts of "
        f"{rows * timeline.step_sec:.0f} s; longer actions are not found."
    )
    return [
        Track(track.array[start : start + rows], timeline.window(start, rows), track.reference_sec)
        for start in starts
    ]


def _warn(sentence: str) -> None:
    warnings.warn(sentence, UserWarning, stacklevel=4)
