"""What a protocol says of the detections: their order, and which are true positives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Judgement:
    """A protocol's verdict on N detections at J thresholds.

    Args:
        order: (N,) indices of the detections, by class and then in order of evaluation.
        hit: (J, N) whether the detection at that place of `order` is a true positive.
        counted: (J, N) false where the protocol discards it.
        interpolated: whether average precision is that of the interpolated curve.
    """

    order: NDArray[np.int64]
    hit: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    interpolated: bool
