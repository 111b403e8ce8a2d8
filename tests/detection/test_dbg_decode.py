"""Decoding DBG's outputs to proposals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detection.plain import to_detections

from attentad.core import Timeline
from attentad.detection.dbg import DBGOutput
from attentad.detection.dbg import decode as decode_views

decode = to_detections(decode_views)


def seconds_timeline(length):
    """One step per second, from 0."""
    return Timeline(length, 10.0, 10.0, 10.0, float(length))


def random_output(length, seed):
    draw = torch.Generator().manual_seed(seed)
    sizes = [(1, 3, length), *[(1, length, length)] * 3, *[(1, length)] * 2]
    return DBGOutput(*(torch.rand(size, generator=draw) for size in sizes))


def one_hot(length, i, j, level=1e-3):
    """Outputs that all but shout for the box [i, j + 1)."""
    output = random_output(length, 0)
    for part in output:
        part.fill_(level)
    output.start[0, i] = output.end[0, j] = output.completeness[0, i, j] = 1
    return output


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    length=st.integers(1, 12),
    valid_share=st.floats(0, 1),
    boundary=st.booleans(),
)
def test_decoding_is_its_definition(seed, length, valid_share, boundary):
    steps = round(valid_share * length)
    output = random_output(length, seed)
    found = decode(
        output,
        [seconds_timeline(length)],
        valid=torch.arange(length)[None] < steps,
        boundary_scores=boundary,
    )[0]
    start, end = output.start[0].double().numpy(), output.end[0].double().numpy()
    iou = output.completeness[0].double().numpy()
    expected = sorted(
        (
            (iou[i, j] * (start[i] * end[j] if boundary else 1), i, j + 1)
            for i in range(steps)
            for j in range(i, steps)
        ),
        reverse=True,
    )
    np.testing.assert_allclose(found.scores, [row[0] for row in expected], rtol=1e-9)
    assert sorted(map(tuple, found.segments.tolist())) == sorted(row[1:] for row in expected)
    assert (np.diff(found.scores) <= 0).all()
    assert (found.labels == -1).all()


def test_one_hot_gives_the_box():
    found = decode(one_hot(10, 2, 5), [seconds_timeline(10)])[0]
    assert found.segments[0].tolist() == [2.0, 6.0]
    assert found.scores[0] == 1
    whole = decode(one_hot(10, 0, 9), [seconds_timeline(10)])[0]
    assert whole.segments[0].tolist() == [0.0, 10.0]


def test_seconds_are_the_timelines_and_clipped_to_the_video():
    timeline = Timeline(10, 25.0, 50.0, 50.0, duration_sec=11.0, offset_frames=-25.0)
    found = decode(one_hot(10, 1, 2), [timeline])[0]
    assert found.segments[0].tolist() == [1.0, 5.0]
    assert (found.segments[:, 1] > found.segments[:, 0]).all()
    assert len(found) < 55


def test_best_k():
    everything = decode(random_output(12, 0), [seconds_timeline(12)])[0]
    best = decode(random_output(12, 0), [seconds_timeline(12)], max_proposals=5)[0]
    assert len(everything) == 78
    np.testing.assert_array_equal(best.segments, everything.segments[:5])


def test_every_cell_is_kept():
    assert len(decode(random_output(60, 0), [seconds_timeline(60)])[0]) == 60 * 61 // 2


def test_batch_of_n_is_n_single_calls():
    outputs = [random_output(9, seed) for seed in range(3)]
    batch = DBGOutput(*(torch.cat(parts) for parts in zip(*outputs, strict=True)))
    timelines = [seconds_timeline(9), seconds_timeline(30).window(5, 9), seconds_timeline(9)]
    valid = torch.arange(9) < torch.tensor([[9], [4], [7]])
    found = decode(batch, timelines, valid=valid)
    for i, single in enumerate(outputs):
        alone = decode(single, timelines[i : i + 1], valid=valid[i : i + 1])[0]
        np.testing.assert_array_equal(alone.segments, found[i].segments)
        np.testing.assert_array_equal(alone.scores, found[i].scores)


def test_reads_half_precision_with_gradients():
    output = DBGOutput(*(part.bfloat16().requires_grad_() for part in random_output(5, 1)))
    assert len(decode(output, [seconds_timeline(5)])[0])


@pytest.mark.parametrize("part", range(6))
def test_nan_is_refused(part):
    output = random_output(5, 1)
    output[part].view(-1)[0] = math.nan
    with pytest.raises(Exception, match="not finite"):
        decode(output, [seconds_timeline(5)])


def test_boundary_curves():
    output = random_output(5, 0)
    (found,) = decode_views(output, [seconds_timeline(5)])
    assert [(curve.name, curve.kind) for curve in found.curves] == [
        ("start", "boundaries"),
        ("end", "boundaries"),
    ]
    np.testing.assert_array_equal(found.curves[0].value, output.start[0].numpy())
    np.testing.assert_array_equal(found.curves[1].value, output.end[0].numpy())
