"""Short names for arrays of any shape, in annotations."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]


def ratio(part: NDArray, whole: NDArray, empty: float = np.nan) -> Floats:
    """part / whole, broadcast; `empty` where `whole` is not above 0."""
    out = np.full(np.broadcast_shapes(part.shape, whole.shape), empty)
    return np.divide(part, whole, out=out, where=whole > 0)
