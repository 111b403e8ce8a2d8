"""Which views of a video train, how often, and with what truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentad.core import Timeline
from attentad.core.found import Truth
from attentad.data.tracks import Track
from attentad.data.training_items import selection, training_copies
from attentad.data.views import View, Windows


def windows(n: int, length: int) -> list[View]:
    """Windows of a video with a step a second, half a window apart."""
    timeline = Timeline(n, 1.0, 1, 1, float(n))
    track = Track(np.ones((n, 1), np.float32), timeline, float(n))
    return Windows(length).take(track, None)


def truth(segments: list[list[float]], labels: list[int] | None = None) -> Truth:
    numbers = range(len(segments)) if labels is None else labels
    return Truth(np.array(segments, float).reshape(-1, 2), np.array(numbers, np.int64), 9)


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
def test_mean_share_decides(segments: list[list[float]], copies: int) -> None:
    assert training_copies(truth(segments).segments, 100.0) == copies
    views = windows(100, 100)
    chosen = selection(by_length=True)(views, truth(segments))
    assert [i for i, _ in chosen] == [0] * copies


def test_thresholds() -> None:
    segments = np.array([[0.0, 50.0]])
    assert training_copies(segments, 100.0, longest=0.5) == 0
    assert training_copies(segments, 100.0, short=0.6) == 2


def test_without_options_every_view_trains_with_all_that_is_known() -> None:
    known = truth([[2, 4]])
    assert selection()(windows(30, 8), known) == [(i, known) for i in range(7)]
    nothing = truth([])
    assert len(selection()(windows(30, 8), nothing)) == 7


@pytest.mark.parametrize(
    ("segment", "useful"), [((1, 2), True), ((9.5, 10.5), False), ((11, 12), False)]
)
def test_useful_windows_hold_most_of_an_instance(segment: tuple, useful: bool) -> None:
    select = selection(min_coverage=0.9)
    first = windows(12, 10)[:1]
    assert bool(select(first, truth([list(segment)]))) is useful
    assert not select(first, truth([]))


def test_cut_instances_go_with_their_labels() -> None:
    known = truth([[0, 1], [3, 5], [-0.05, 2], [6, 7]], [4, 5, 6, -1])
    view = windows(4, 4)
    ((_, whole),) = selection(min_coverage=0.9)(view, known)
    assert whole == known
    ((_, cut),) = selection(min_coverage=0.9, drop_cut=True)(view, known)
    np.testing.assert_array_equal(cut.segments, [[0, 1], [0, 2]])
    assert cut.labels.tolist() == [4, 6]
    assert cut.classes == known.classes


def test_copies_of_a_video_come_view_by_view() -> None:
    known = truth([[1, 2], [9, 10]])
    chosen = selection(min_coverage=0.9, by_length=True)(windows(12, 8), known)
    assert [i for i, _ in chosen] == [0, 0, 1, 1]


@given(st.lists(st.tuples(st.floats(-5, 40), st.floats(0.01, 30)), max_size=6))
def test_what_is_dropped_lies_mostly_outside(instances: list[tuple[float, float]]) -> None:
    known = truth([[start, start + length] for start, length in instances])
    views = windows(30, 8)
    chosen = dict(selection(min_coverage=0.5, drop_cut=True)(views, known))
    for i, view in enumerate(views):
        start, end = view.timeline.start_sec, view.timeline.end_sec
        expected = [
            (max(first, start), min(last, end), label)
            for label, (first, last) in enumerate(known.segments)
            if (min(last, end) - max(first, start)) / (last - first) > 0.5
        ]
        own = chosen.get(i, truth([]))
        found = [(*segment, label) for segment, label in zip(own.segments, own.labels, strict=True)]
        assert found == expected
