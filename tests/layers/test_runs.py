"""Runs of class probabilities as detections: against a slow reading, by hand, at the edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError, Timeline
from attentad.layers.runs import (
    decode_runs,
    run_boundaries,
    run_scores,
    runs_of_classes,
    smoothed,
)

CURVES = st.integers(1, 3).flatmap(
    lambda classes: st.integers(1, 12).flatmap(
        lambda steps: st.lists(
            st.lists(st.integers(0, 10), min_size=steps, max_size=steps),
            min_size=classes,
            max_size=classes,
        )
    )
)


def timeline(steps: int) -> Timeline:
    return Timeline(steps, 2.0, 1.0, 1.0, steps / 2)


def slow_detections(curves, thresholds, flank, smoothing):
    """(class, start, end) in steps → score, step by step."""
    found = {}
    for label, raw in enumerate(curves):
        length, half = len(raw), smoothing // 2
        curve = [np.mean(raw[max(0, t - half) : t + half + 1]) for t in range(length)]
        for threshold in thresholds:
            for first in range(length):
                for stop in range(first + 1, length + 1):
                    inside = all(curve[t] > threshold for t in range(first, stop))
                    before = first == 0 or curve[first - 1] <= threshold
                    after = stop == length or curve[stop] <= threshold
                    if inside and before and after:
                        width = max(1, round(flank * (stop - first)))
                        around = curve[max(0, first - width) : first] + curve[stop : stop + width]
                        outer = np.mean(around) if around else 0.0
                        found[label, first, stop] = np.mean(curve[first:stop]) - outer
    return {key: score for key, score in found.items() if score > 1e-12}


@settings(deadline=None, max_examples=150)
@given(
    CURVES,
    st.lists(st.sampled_from([0.0, 0.15, 0.2, 0.5, 0.9]), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([1, 3]),
)
def test_decoding_is_the_slow_reading(tenths, thresholds, flank, smoothing):
    curves = np.array(tenths) / 10
    # Sums in another order may fall on the other side of a threshold that a mean meets exactly.
    thresholds = [threshold + 1e-6 for threshold in thresholds]
    wanted = slow_detections(curves.tolist(), thresholds, flank, smoothing)
    (found,) = decode_runs(
        torch.from_numpy(curves)[None],
        [timeline(curves.shape[1])],
        thresholds=thresholds,
        flank=flank,
        smoothing=smoothing,
    )
    got = {
        (label, round(2 * start), round(2 * end)): score
        for (start, end), score, label in found.detections.rows()
    }
    assert {key for key, score in wanted.items() if score > 1e-9} <= got.keys()
    for key, score in got.items():
        assert score == pytest.approx(wanted.get(key, 0.0), abs=1e-9)
    assert (np.diff(found.detections.scores) <= 0).all()


def test_a_hand_made_curve():
    curves = np.array([[0.1, 0.6, 0.8, 0.6, 0.1, 0.0]])
    runs, levels = runs_of_classes(curves, [0.5, 0.55, 0.7])
    assert runs.tolist() == [[0, 1, 4], [0, 2, 3]]
    assert levels.tolist() == [0.5, 0.7]
    # .6667 inside, flanks of two steps: .1 | .1, 0; .8 inside, .6 on either side.
    assert run_scores(curves, runs) == pytest.approx([2 / 3 - 0.2 / 3, 0.2])
    assert run_scores(curves, runs, score="mean") == pytest.approx([2 / 3, 0.8])
    assert run_boundaries(curves, runs, levels, "cells").tolist() == [[1, 4], [2, 3]]
    crossed = run_boundaries(curves, runs, levels, "crossings")
    # From middle .5 at .1 to middle 1.5 at .6 the line meets .5 after four fifths.
    assert crossed == pytest.approx(np.array([[1.3, 3.7], [2.0, 3.0]]))


def test_a_run_that_fills_the_view_ends_with_it():
    curves = np.array([[0.9, 0.9]])
    runs, levels = runs_of_classes(curves, [0.5])
    assert run_boundaries(curves, runs, levels, "crossings").tolist() == [[0, 2]]
    assert run_scores(curves, runs) == pytest.approx([0.9])  # there is nothing around it


def test_smoothing_at_the_ends_is_over_the_steps_that_there_are():
    assert smoothed(np.array([[0.0, 3.0, 6.0]]), 3).tolist() == [[1.5, 3.0, 4.5]]
    assert smoothed(np.array([[2.0]]), 5).tolist() == [[2.0]]


def test_padding_is_never_decoded():
    torch.manual_seed(0)
    probabilities = torch.rand(1, 2, 9)
    padded = torch.cat([probabilities, torch.full((1, 2, 4), torch.nan)], dim=2)
    valid = torch.arange(13)[None] < 9
    (plain,) = decode_runs(probabilities, [timeline(9)], thresholds=[0.3, 0.6], smoothing=3)
    (other,) = decode_runs(padded, [timeline(13)], valid, thresholds=[0.3, 0.6], smoothing=3)
    assert len(plain.detections)
    for one, two in zip(plain.detections.rows(), other.detections.rows(), strict=True):
        assert one == two
    assert [len(curve.value) for curve in other.curves] == [9, 9]


def test_scores_of_the_video_weigh_those_of_its_runs():
    probabilities = torch.tensor([[[0.0, 0.8, 0.0], [0.0, 0.8, 0.0]]])
    video = np.array([[0.25, 1.0]])
    (found,) = decode_runs(
        probabilities,
        [timeline(3)],
        thresholds=[0.5],
        class_probabilities=video,
        video_power=0.5,
    )
    assert found.detections.labels.tolist() == [1, 0]
    assert found.detections.scores == pytest.approx([0.8, 0.4])
    assert found.class_probabilities is not None
    assert found.class_probabilities.tolist() == [0.25, 1.0]


def test_what_cannot_be_decoded():
    with pytest.raises(AttentadError, match="not finite"):
        decode_runs(torch.full((1, 1, 3), torch.nan), [timeline(3)], thresholds=[0.5])
    with pytest.raises(AttentadError, match="thresholds must be numbers"):
        decode_runs(torch.zeros(1, 1, 3), [timeline(3)], thresholds=[])
    (found,) = decode_runs(torch.zeros(1, 2, 3), [timeline(3)], thresholds=[0.5])
    assert not len(found.detections)
