"""What to train on one's own videos: a recipe by how much there is of them, with its reasons.

What does not depend on the data is in the recipes `own/…`; this is the rest, as plain rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from attentad.core import AttentadError
from attentad.core.wording import number_of

# Below either a network of many weights has nothing to learn from.
FEWEST_VIDEOS: Final = 2
FEWEST_ACTIONS: Final = 20
MANY_ACTIONS: Final = 3000  # that a network twice as wide can learn from
TOGETHER: Final = 0.05  # a larger share of actions that another class overlaps is no slip
MOST_STEPS: Final = 1500  # of a video at a time
# Steps of the optimiser that training takes at least.
UPDATES: Final = {"tcn": 150, "framewise": 100, "tcn_weak": 600}
# How often it sees all of a video on average, at least.
PASSES: Final = {"tcn": 40, "framewise": 20}
# Probabilities are smoothed over this part of a usual action.
SMOOTHED: Final = {"tcn": (0.2, "a fifth"), "framewise": (0.5, "half")}
MOST_EPOCHS: Final = 300
FEWEST_EPOCHS: Final = 10
MOST_HOURS: Final = 3.0
STEPS_A_SECOND: Final = 10_000  # of features that a core trains on

# Seconds that nine of ten actions last at least → pictures a second that show them well.
RATES: Final = ((30.0, 1.0), (10.0, 2.0), (1.0, 5.0), (0.5, 10.0), (0.0, 25.0))
USUAL_RATE: Final = 5.0


@dataclass(frozen=True)
class Amount:
    """What there is to learn from.

    Args:
        duration_sec: of each training video.
        instances: class → how many; of labels of whole videos, how many videos have it.
        action_sec: length of each action; none where only the classes of whole videos are known.
        overlapped: share of the actions that one of another class overlaps, 0..1.
        fps: feature steps a second.
        cores: of the machine that trains.
    """

    duration_sec: Sequence[float]
    instances: Mapping[str, int]
    action_sec: Sequence[float]
    overlapped: float
    fps: float
    cores: int

    @property
    def told(self) -> str:
        """It in words: `13 videos with 158 actions of 9 classes`."""
        videos = number_of(self.duration_sec, "video")
        occurring = [name for name, count in self.instances.items() if count]
        classes = number_of(occurring, "class", "classes")
        if not len(self.action_sec):
            return f"{videos} that are labelled as wholes with {classes}"
        return f"{videos} with {number_of(self.action_sec, 'action')} of {classes}"


@dataclass(frozen=True)
class Plan:
    """A recipe of the package with changes, and why.

    Args:
        recipe: its name.
        settings: `key=value` each.
        reasons: a sentence each.
    """

    recipe: str
    settings: tuple[str, ...]
    reasons: tuple[str, ...]


def plan(amount: Amount, detector: str | None = None) -> Plan:
    """What to train.

    Args:
        amount: of the data.
        detector: where the user has chosen: `tcn`, `framewise` or `tcn_weak`; None for the one
            that suits.

    Raises:
        AttentadError: another detector is chosen, or one that cannot learn from what there is.
    """
    weak = not len(amount.action_sec)
    possible = ("tcn_weak",) if weak else ("tcn", "framewise", "tcn_weak")
    if detector is not None and detector not in possible:
        raise AttentadError(
            f"detector.name: `train own` plans {', '.join(possible)} for these annotations, not "
            f"{detector!r}; for another detector write a recipe, beginning with the recipe.yaml "
            "that this command makes."
        )
    chosen, why = _detector(amount, weak)
    if detector not in (None, chosen):
        chosen, why = str(detector), "as you say"
    told = f"{amount.told}: {chosen}, {why}."
    if chosen == "tcn_weak":
        settings, reasons = _weak_settings(amount)
    else:
        settings, reasons = _settings(amount, chosen)
    return Plan(f"own/{chosen}", settings, (told, *reasons))


def picture_rate(action_sec: Sequence[float], video_fps: Sequence[float]) -> tuple[float, str]:
    """Pictures a second to look at, and why.

    Args:
        action_sec: length of each action; none where only whole videos are labelled.
        video_fps: rate of each video; none of them is looked at more often than it has pictures.
    """
    if not len(action_sec):
        rate, why = USUAL_RATE, "as usual"
    else:
        short_sec = float(np.quantile(action_sec, 0.1))
        rate = next(fps for least_sec, fps in RATES if short_sec >= least_sec)
        why = f"as nine of ten actions last {short_sec:.2g} s or longer"
    slowest = min(video_fps, default=rate)
    if rate > slowest:
        rate, why = slowest, "as the slowest video has no more"
    return rate, f"{rate:g} pictures a second are looked at, {why}."


def _detector(amount: Amount, weak: bool) -> tuple[str, str]:
    if weak:
        return "tcn_weak", "which learns when actions happen from the classes of whole videos"
    if len(amount.duration_sec) < FEWEST_VIDEOS or len(amount.action_sec) < FEWEST_ACTIONS:
        return "framewise", (
            f"a linear classifier, as a network needs {FEWEST_VIDEOS} videos and {FEWEST_ACTIONS} "
            "actions at the very least"
        )
    return "tcn", "a temporal convolutional network, which does well with little data"


def _settings(amount: Amount, detector: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    steps = [max(1.0, seconds * amount.fps) for seconds in amount.duration_sec]
    length = max(2, min(MOST_STEPS, math.ceil(max(steps))))
    part, in_words = SMOOTHED[detector]
    smoothing = _odd(part * float(np.median(amount.action_sec)) * amount.fps)
    batch_size = min(8, max(1, len(steps) // 3))
    epochs, why = _epochs(amount, detector, steps, length, batch_size)
    settings = [
        f"view.length={length}",
        f"detector.decode.smoothing={smoothing}",
        f"training.batch_size={batch_size}",
        f"training.epochs={epochs}",
    ]
    whole = "whole videos" if length >= max(steps) else f"{length / amount.fps:.0f} s of a video"
    reasons = [
        f"It sees {whole} at a time, in batches of {batch_size}, in {epochs} epochs, {why}.",
        f"Probabilities are smoothed over {smoothing} step{'s' if smoothing > 1 else ''}, "
        f"{in_words} of a usual action.",
    ]
    if amount.overlapped > TOGETHER:
        settings.append("detector.network.activation=sigmoid")
        reasons.append(
            f"{100 * amount.overlapped:.0f} % of the actions overlap one of another class: each "
            "class is judged by itself."
        )
    if detector == "tcn":
        blocks = _blocks(amount)
        settings.append(f"detector.network.blocks={blocks}")
        reasons.append(
            f"{blocks} blocks see {(2**blocks - 1) / amount.fps:.0f} s to either side of a moment."
        )
        if len(amount.action_sec) >= MANY_ACTIONS:
            settings.append("detector.network.hidden_dim=128")
            reasons.append("There are actions enough for a network twice as wide as usual.")
    return tuple(settings), tuple(reasons)


def _weak_settings(amount: Amount) -> tuple[tuple[str, ...], tuple[str, ...]]:
    batch_size = min(16, max(1, len(amount.duration_sec) // 2))
    updates = math.ceil(len(amount.duration_sec) / batch_size)
    epochs = max(FEWEST_EPOCHS, math.ceil(UPDATES["tcn_weak"] / updates))
    settings = (f"training.batch_size={batch_size}", f"training.epochs={epochs}")
    return settings, (
        f"It sees samples of 256 steps, in batches of {batch_size}, in {epochs} epochs.",
    )


def _epochs(
    amount: Amount, detector: str, steps: Sequence[float], length: int, batch_size: int
) -> tuple[int, str]:
    """How many, by what training needs and by what the machine can do in time."""
    updates = math.ceil(len(steps) / batch_size)
    parts = float(np.mean([max(1.0, of_video / length) for of_video in steps]))
    needed = max(math.ceil(UPDATES[detector] / updates), math.ceil(PASSES[detector] * parts))
    wanted = min(needed, MOST_EPOCHS)
    seen = sum(min(of_video, length) for of_video in steps)
    possible = int(MOST_HOURS * 3600 * STEPS_A_SECOND * amount.cores / seen)
    epochs = max(FEWEST_EPOCHS, min(wanted, possible))
    if epochs < wanted:
        cores = "1 core trains" if amount.cores == 1 else f"{amount.cores} cores train"
        return epochs, f"as many as {cores} in about {MOST_HOURS:g} hours"
    return epochs, f"{epochs * updates} updates of its weights"


def _blocks(amount: Amount) -> int:
    """As many as reach over all but the longest actions to either side."""
    reach_steps = float(np.quantile(amount.action_sec, 0.95)) * amount.fps
    return min(10, max(6, math.ceil(math.log2(reach_steps + 1))))


def _odd(steps: float) -> int:
    """The odd number nearest to it, at least 1."""
    return max(1, 2 * math.floor(steps / 2) + 1)
