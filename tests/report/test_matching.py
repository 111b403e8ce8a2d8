"""Which detection finds which instance, and the threshold that the page starts with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import VideoDetections, as_segments
from attentad.report.matching import (
    READABLE,
    best_threshold,
    first_threshold,
    found_by,
    same_class_overlap,
)

OVERLAPS = st.integers(0, 6).flatmap(
    lambda n: st.integers(0, 4).flatmap(
        lambda m: st.lists(
            st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.9]), min_size=m, max_size=m),
            min_size=n,
            max_size=n,
        ).map(lambda rows: np.array(rows, dtype=np.float64).reshape(n, m))
    )
)


def slow_found_by(overlap: np.ndarray, scores: np.ndarray) -> list[int]:
    owner = [-1] * overlap.shape[1]
    for row in sorted(range(len(scores)), key=lambda i: -scores[i]):
        free = [(overlap[row, j], -j) for j in range(len(owner)) if owner[j] < 0]
        if free and max(free)[0] >= 0.5:
            owner[-max(free)[1]] = row
    return owner


@settings(max_examples=80, deadline=None)
@given(OVERLAPS, st.data())
def test_matching_agrees_with_the_obvious_loop_and_holds_at_every_threshold(overlap, data):
    size = st.lists(st.sampled_from([0.1, 0.4, 0.4, 0.8]), min_size=len(overlap), max_size=100)
    scores = np.array(data.draw(size)[: len(overlap)])
    owner = found_by(overlap, scores)
    assert owner.tolist() == slow_found_by(overlap, scores)
    for threshold in (0.2, 0.4, 0.5):
        kept = np.flatnonzero(scores >= threshold)
        alone = found_by(overlap[kept], scores[kept])
        above = [int(o) if o >= 0 and scores[o] >= threshold else -1 for o in owner]
        assert [int(kept[o]) if o >= 0 else -1 for o in alone] == above


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=1),
    st.integers(0, 5),
)
def test_best_threshold_has_the_best_f1(pairs, missed):
    scores = np.array([score for score, _ in pairs])
    hit = np.array([flag for _, flag in pairs])
    instances = int(hit.sum()) + missed

    def f1(threshold: float) -> float:
        shown = scores >= threshold
        return 2 * (hit & shown).sum() / (shown.sum() + instances)

    best = best_threshold(scores, hit, instances)
    assert best in scores
    assert f1(best) == pytest.approx(max(f1(s) for s in scores))


def test_classes_do_not_mix_but_proposals_match_any():
    detections = VideoDetections(
        as_segments([[0, 10], [0, 10], [0, 10]]), np.ones(3), np.array([0, 1, -1])
    )
    overlap = same_class_overlap(detections, as_segments([[0, 10]]), np.array([1]))
    assert overlap[:, 0].tolist() == [0.0, 1.0, 1.0]


def test_first_threshold_without_ground_truth_is_half_of_the_highest():
    assert first_threshold([(np.array([0.8, 0.1]), None), (np.zeros(0), None)]) == 0.4
    assert first_threshold([]) == 0.0
    nothing_found = (np.array([0.6]), np.array([-1]))
    assert first_threshold([nothing_found]) == 0.3
    assert first_threshold([(np.zeros(0), np.array([-1, -1]))]) == 0.0
    below = [(np.array([-0.2, -0.8]), None), (np.array([-1.0]), None)]
    assert first_threshold(below) == -0.6
    mixed = [(np.array([0.9, 0.2]), np.array([1])), (np.array([5.0]), None)]
    assert first_threshold(mixed) == 0.2


def test_first_threshold_of_a_crowd_lets_through_what_can_be_read():
    crowded = np.linspace(1.0, 0.6, 4 * READABLE)
    threshold = first_threshold([(crowded, None), (np.array([0.7]), None)])
    assert (crowded >= threshold).sum() == 2 * READABLE
    few = np.concatenate([crowded[:10], np.full(4 * READABLE, 0.1)])
    assert first_threshold([(few, None)]) == 0.5
