"""Which classes are present in which toy video, for data whose videos differ in their classes.

Classes are dealt from shuffled decks of all of them, one row of decks for the training videos and
one for the test videos: a class comes again only after every other one came.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from attentad.core import AttentadError
from attentad.data.toy.scene import CLASSES

_DECK = 2  # beside the random streams of videos (0) and clips (1), see `toy`


def read_classes_per_video(text: str) -> tuple[int, int]:
    """`1:3` → (1, 3), and `2` → (2, 2): fewest and most classes of a video.

    Raises:
        AttentadError: it is neither, or out of range.
    """
    match = re.fullmatch(r"\s*([+-]?\d+)\s*(?::\s*([+-]?\d+)\s*)?", text, re.ASCII)
    if match is None:
        raise AttentadError(
            f"toy videos: classes per video {text!r} is no range; write LOW:HIGH, such as 1:3."
        )
    low = int(match[1])
    return checked_range((low, low if match[2] is None else int(match[2])))


def checked_range(classes_per_video: tuple[int, int]) -> tuple[int, int]:
    """The range itself.

    Raises:
        AttentadError: not 1 <= low <= high <= number of classes.
    """
    low, high = classes_per_video
    if not 1 <= low <= high <= len(CLASSES):
        raise AttentadError(
            f"toy videos: classes per video are {low}:{high}; give LOW:HIGH with "
            f"1 <= LOW <= HIGH <= {len(CLASSES)}."
        )
    return low, high


def present_classes(
    actions: Sequence[int], subsets: Sequence[str], classes_per_video: tuple[int, int], seed: int
) -> list[tuple[str, ...]]:
    """The names of each video's classes, each once, which do not depend on the videos after it.

    Within a subset, each class is dealt once before any is dealt again. So every class is there as
    soon as a subset's videos hold as many classes together as there are.

    Args:
        actions: number of actions of each video: it holds no more classes than that.
        subsets: the subset of each video.
        classes_per_video: fewest and most classes of a video.
        seed: of all randomness; 0 or more.
    """
    low, high = classes_per_video
    rngs = {name: np.random.default_rng([seed, _DECK, *name.encode()]) for name in set(subsets)}
    decks = {name: _Deck(rng) for name, rng in rngs.items()}
    return [
        decks[subset].deal(min(count, int(rngs[subset].integers(low, high + 1))))
        for count, subset in zip(actions, subsets, strict=True)
    ]


class _Deck:
    """All classes in random order, again and again."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._cards: list[str] = []

    def deal(self, count: int) -> tuple[str, ...]:
        """`count` different classes; one that came twice is kept for the next video."""
        hand: list[str] = []
        kept: list[str] = []
        while len(hand) < count:
            if not self._cards:
                self._cards = [CLASSES[i] for i in self._rng.permutation(len(CLASSES))]
            card = self._cards.pop(0)
            (kept if card in hand else hand).append(card)
        self._cards = kept + self._cards
        return tuple(hand)
