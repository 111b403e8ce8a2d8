"""Instances that are there twice: as by comparing all pairs, without the memory for pairs."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attentad.app.check.annotations import SAME_SEC, check_instances
from attentad.core import Annotations, VideoAnnotation, as_segments

# Times in tenths of a millisecond.
ROWS = st.lists(
    st.tuples(st.integers(-15, 15), st.integers(-15, 15), st.sampled_from("ab")), min_size=1
)


def repeats(segments: np.ndarray, labels: tuple[str, ...]) -> str:
    """What is said of them; nothing where none is there twice."""
    item = VideoAnnotation(as_segments(segments), labels)
    found = check_instances(Annotations({"v": item}, ("a", "b")), {})
    return next((finding.what for finding in found if finding.kind == "duplicates"), "")


@given(ROWS)
def test_repeats_are_those_of_all_pairs(rows: list[tuple[int, int, str]]) -> None:
    times = np.array([[start, 1000 + end] for start, end, _ in rows]) / 10_000
    labels = tuple(label for *_, label in rows)
    apart = np.abs(times[:, None] - times[None]).max(axis=2)
    other = np.array(labels)[:, None] != np.array(labels)[None]
    apart[other | ~np.tri(len(rows), k=-1, dtype=bool)] = np.inf
    said = repeats(times, labels)
    count = int(said.split()[0]) if said else 0
    # Between half a millisecond and a whole one, either will do.
    assert (apart.min(axis=1) < 0.499 * SAME_SEC).sum() <= count
    assert count <= (apart.min(axis=1) <= SAME_SEC).sum()


def test_a_day_of_instances_takes_little_memory() -> None:
    start = np.arange(20_000) * 3.0
    segments = np.column_stack([start, start + 2])
    segments[-1] = segments[0]
    tracemalloc.start()
    try:
        assert repeats(segments, ("a",) * len(start)).startswith("1 of 20000 instances")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
