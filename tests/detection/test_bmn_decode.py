"""Decoding BMN's outputs to proposals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detection.plain import to_detections

from attentad.core import Timeline
from attentad.detection.bmn import decode as decode_views
from attentad.layers.proposals import ProposalOutput

decode = to_detections(decode_views)


def seconds_timeline(length):
    """One step per second, from 0."""
    return Timeline(length, 10.0, 10.0, 10.0, float(length))


def one_hot(length, s, e, d, level=1e-3):
    """Outputs that all but shout for start step s, end step e and map cell (d, s)."""
    start, end = torch.full((1, length), level), torch.full((1, length), level)
    maps = torch.full((1, length, length), level)
    start[0, s] = end[0, e] = maps[0, d, s] = 1
    return ProposalOutput(start, end, maps, maps)


def slow_decode(output, length, duration, *, steps, candidates, pairing, confidence, boundary):
    """Every pair of the specification, in seconds, best first."""
    ps, pe, pr, pc = (part[0].double().numpy() for part in output)
    ps, pe = ps[:steps], pe[:steps]

    def is_peak(p, i):
        inner = 0 < i < steps - 1 and p[i] > p[i - 1] and p[i] > p[i + 1]
        return inner or p[i] > 0.5 * p.max()

    found = []
    for s in range(steps):
        for d in range(duration):
            e = s + d if pairing == "inclusive" else s + d + 1
            if e >= steps:
                continue
            if candidates == "peaks" and not (
                (s == 0 or is_peak(ps, s)) and (e == steps - 1 or is_peak(pe, e))
            ):
                continue
            score = pr[d, s] * pc[d, s]
            score = math.sqrt(score) if confidence == "sqrt" else score
            found.append((score * (ps[s] * pe[e] if boundary else 1), s, s + d + 1))
    return sorted(found, reverse=True)


def random_output(length, duration, seed):
    draw = torch.Generator().manual_seed(seed)
    sizes = [(1, length)] * 2 + [(1, duration, length)] * 2
    return ProposalOutput(*(torch.rand(size, generator=draw) for size in sizes))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    length=st.integers(1, 12),
    share=st.floats(0, 1),
    valid_share=st.floats(0, 1),
    candidates=st.sampled_from(["peaks", "all"]),
    pairing=st.sampled_from(["inclusive", "exclusive"]),
    confidence=st.sampled_from(["product", "sqrt"]),
    boundary=st.booleans(),
)
def test_decoding_is_its_definition(
    seed, length, share, valid_share, candidates, pairing, confidence, boundary
):
    duration, steps = max(1, round(share * length)), max(1, round(valid_share * length))
    output = random_output(length, duration, seed)
    options = {"candidates": candidates, "pairing": pairing, "confidence": confidence}
    found = decode(
        output,
        [seconds_timeline(length)],
        valid=torch.arange(length)[None] < steps,
        boundary_scores=boundary,
        **options,
    )[0]
    expected = slow_decode(output, length, duration, steps=steps, boundary=boundary, **options)
    np.testing.assert_allclose(found.scores, [row[0] for row in expected], rtol=1e-9)
    assert sorted(map(tuple, found.segments.tolist())) == sorted(row[1:] for row in expected)
    assert (np.diff(found.scores) <= 0).all()
    assert (found.labels == -1).all()


def test_one_hot_gives_the_box_in_both_pairings():
    timeline = seconds_timeline(10)
    inclusive = decode(one_hot(10, 2, 5, 3), [timeline])[0]
    assert inclusive.segments[0].tolist() == [2.0, 6.0]
    assert inclusive.scores[0] == 1
    exclusive = decode(one_hot(10, 2, 6, 3), [timeline], pairing="exclusive")[0]
    assert exclusive.segments[0].tolist() == [2.0, 6.0]
    assert exclusive.scores[0] == 1


def test_only_inclusive_proposals_reach_the_end():
    output = one_hot(10, 2, 9, 7)
    assert decode(output, [seconds_timeline(10)])[0].segments[0].tolist() == [2.0, 10.0]
    exclusive = decode(output, [seconds_timeline(10)], pairing="exclusive")[0]
    assert exclusive.segments[:, 1].max() < 10


def test_seconds_are_the_timelines_and_clipped_to_the_video():
    timeline = Timeline(10, 25.0, 50.0, 50.0, duration_sec=11.0, offset_frames=-25.0)
    best = decode(one_hot(10, 0, 9, 9), [timeline])[0]
    assert best.segments[0].tolist() == [0.0, 11.0]
    second = decode(one_hot(10, 1, 2, 1), [timeline])[0]
    assert second.segments[0].tolist() == [1.0, 5.0]
    # Boxes wholly beyond the video have no length left and are dropped.
    everything = decode(one_hot(10, 1, 2, 1), [timeline], candidates="all")[0]
    assert (everything.segments[:, 1] > everything.segments[:, 0]).all()
    assert len(everything) < 55


def test_best_k():
    output = random_output(12, 12, 0)
    everything = decode(output, [seconds_timeline(12)], candidates="all")[0]
    best = decode(output, [seconds_timeline(12)], candidates="all", max_proposals=5)[0]
    assert len(everything) == 78
    np.testing.assert_array_equal(best.segments, everything.segments[:5])


@pytest.mark.parametrize("pairing", ["inclusive", "exclusive"])
def test_a_flat_map_loses_no_candidate(pairing):
    """Where every boundary is probable, all pairs of steps are candidates."""
    length = 60
    shapes = [(1, length)] * 2 + [(1, length, length)] * 2
    flat = ProposalOutput(*(torch.full(shape, 0.5) for shape in shapes))
    found = decode(flat, [seconds_timeline(length)], pairing=pairing)[0]
    last = length if pairing == "inclusive" else length - 1
    assert len(found) == last * (last + 1) // 2 > 1000


def test_no_valid_step_gives_nothing():
    found = decode(
        random_output(4, 4, 0), [seconds_timeline(4)], valid=torch.zeros(1, 4, dtype=torch.bool)
    )
    assert len(found[0]) == 0


def test_batch_of_n_is_n_single_calls():
    outputs = [random_output(9, 6, seed) for seed in range(3)]
    batch = ProposalOutput(*(torch.cat(parts) for parts in zip(*outputs, strict=True)))
    timelines = [seconds_timeline(9), seconds_timeline(30).window(5, 9), seconds_timeline(9)]
    valid = torch.arange(9) < torch.tensor([[9], [4], [7]])
    found = decode(batch, timelines, valid=valid)
    for i, single in enumerate(outputs):
        alone = decode(single, timelines[i : i + 1], valid=valid[i : i + 1])[0]
        np.testing.assert_array_equal(alone.segments, found[i].segments)
        np.testing.assert_array_equal(alone.scores, found[i].scores)


def test_reads_half_precision_with_gradients():
    output = ProposalOutput(*(part.bfloat16().requires_grad_() for part in random_output(5, 5, 1)))
    assert len(decode(output, [seconds_timeline(5)])[0])


@pytest.mark.parametrize("part", range(4))
def test_nan_is_refused(part):
    output = random_output(5, 5, 1)
    output[part].view(-1)[0] = math.nan
    with pytest.raises(Exception, match="not finite"):
        decode(output, [seconds_timeline(5)])


def test_boundary_curves_lie_at_the_middles_of_valid_steps():
    output, timeline = random_output(6, 6, 2), seconds_timeline(6)
    (found,) = decode_views(output, [timeline], torch.arange(6)[None] < 4)
    assert [(curve.name, curve.kind) for curve in found.curves] == [
        ("start", "boundaries"),
        ("end", "boundaries"),
    ]
    for curve, part in zip(found.curves, output, strict=False):
        assert curve.time_sec.tolist() == [0.5, 1.5, 2.5, 3.5]
        np.testing.assert_array_equal(curve.value, part[0, :4].numpy())
