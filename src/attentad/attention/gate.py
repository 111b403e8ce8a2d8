"""What an attention module multiplied the feature by, for people to look at."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Gate(NamedTuple):
    """The gates of a module's last forward, without their graph; None for one that it has not.

    A module that gates keeps it as its attribute `last_gate`, one that takes a whole pyramid
    (`levels`) as a tuple of one a level.

    Args:
        time: (B, T), of every step; where the channels of a step, or its places in a picture, have
            gates of their own, their mean.
        channel: (B, C), of every channel at all steps.
    """

    time: Tensor | None = None
    channel: Tensor | None = None
