"""How often a video takes part in an epoch."""

from __future__ import annotations

import numpy as np
import pytest

from attentad.data.selection import training_copies


@pytest.mark.parametrize(
    ("segments", "copies"),
    [
        ([[0, 98]], 0),
        ([[0, 97.9]], 1),
        ([[0, 100], [0, 96]], 0),
        ([[-5, 120]], 0),
        ([[10, 30]], 1),
        ([[10, 29.9]], 2),
        ([[0, 30], [40, 45]], 2),
        ([[0, 90], [40, 45]], 1),
        ([], 1),
    ],
)
def test_mean_share_decides(segments, copies):
    assert training_copies(np.array(segments, dtype=float).reshape(-1, 2), 100.0) == copies


def test_thresholds():
    segments = np.array([[0.0, 50.0]])
    assert training_copies(segments, 100.0, longest=0.5) == 0
    assert training_copies(segments, 100.0, short=0.6) == 2
