"""BMN's targets and loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detection.plain import of_actions

from attentad.core import Timeline
from attentad.detection import bmn
from attentad.detection.bmn import loss
from attentad.layers.proposals import ProposalOutput

targets = of_actions(bmn.targets)


def seconds_timeline(length, duration_sec=None):
    """One step per second, from 0."""
    return Timeline(length, 10.0, 10.0, 10.0, duration_sec or float(length))


def slow_iou(actions, length, duration):
    """tIoU of every box with the best action, cell by cell."""
    iou = np.zeros((duration, length))
    for d in range(duration):
        for s in range(length - d):
            for a, b in np.clip(actions, 0, length):
                inter = max(0.0, min(s + d + 1, b) - max(s, a))
                iou[d, s] = max(iou[d, s], inter / (d + 1 + b - a - inter))
    return iou


def ioa_labels(times, length, anchor):
    """The published rule: anchor i and a region of ±1.5 steps overlap by more than half."""
    labels = np.zeros(length)
    for i in range(length):
        lo, hi = anchor(i)
        for t in times:
            overlap = max(0.0, min(hi, t + 1.5) - max(lo, t - 1.5))
            labels[i] = max(labels[i], overlap / (hi - lo) > 0.5)
    return labels


ANCHORS = {
    "edge": [lambda i: (i - 0.5, i + 0.5)],
    "center": [lambda i: (i - 0.5, i + 1.5), lambda i: (i, i + 1)],
}
action_lists = st.lists(
    st.tuples(st.floats(0, 19), st.floats(0.1, 12)).map(lambda a: (a[0], min(20.0, sum(a)))),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(action_lists, st.sampled_from(["edge", "center"]))
def test_boundary_labels_are_the_ioa_rule(actions, rule):
    made = targets(np.array(actions).reshape(-1, 2), seconds_timeline(20), boundary_rule=rule)
    for anchor in ANCHORS[rule]:
        np.testing.assert_array_equal(
            made["start"], ioa_labels([a for a, _ in actions], 20, anchor)
        )
        np.testing.assert_array_equal(made["end"], ioa_labels([b for _, b in actions], 20, anchor))


@settings(max_examples=40, deadline=None)
@given(action_lists, st.integers(1, 20))
def test_iou_map_is_its_definition(actions, duration):
    array = np.array(actions).reshape(-1, 2)
    made = targets(array, seconds_timeline(20), max_duration=duration)
    assert made["iou"].shape == (duration, 20)
    np.testing.assert_allclose(made["iou"], slow_iou(array, 20, duration), atol=1e-6)


def test_time_is_the_timelines():
    timeline = Timeline(8, fps=25.0, stride_frames=50.0, window_frames=50.0, duration_sec=16.0)
    made = targets(np.array([[4.0, 10.0]]), timeline)
    assert made["iou"][2, 2] == 1  # steps 2, 3, 4 of two seconds each
    assert made["start"].tolist() == [0, 1, 1, 0, 0, 0, 0, 0]
    assert made["end"].tolist() == [0, 0, 0, 0, 1, 1, 0, 0]


def test_a_boundary_inside_a_cell_labels_three_steps():
    made = targets(np.array([[3.5, 15.5]]), seconds_timeline(20))
    assert np.flatnonzero(made["start"]).tolist() == [2, 3, 4]


def test_window_clips_the_iou_map_but_labels_only_its_own_boundaries():
    window = seconds_timeline(30).window(10, 10)  # 10..20 s of 30 s
    made = targets(np.array([[2.0, 14.0], [0.0, 5.0]]), window)
    assert made["iou"][3, 0] == 1  # 10..14 s
    assert not made["start"].any()
    assert np.flatnonzero(made["end"]).tolist() == [3, 4]


def test_actions_outside_are_ignored():
    window = seconds_timeline(30).window(10, 10)
    for actions in ([[0.0, 9.9]], [[20.0, 25.0]], [[9.0, 10.0]], []):
        made = targets(np.array(actions).reshape(-1, 2), window)
        assert not any(part.any() for part in made.values())


def test_annotation_beyond_the_video_ends_with_it():
    made = targets(np.array([[15.0, 99.0]]), seconds_timeline(20))
    assert made["iou"][4, 15] == 1
    assert np.flatnonzero(made["end"]).tolist() == [19]


def test_region_of_a_tenth_of_the_duration():
    made = targets(np.array([[20.0, 80.0]]), seconds_timeline(100), boundary_region="duration")
    assert np.flatnonzero(made["start"]).tolist() == list(range(14, 26))
    short = targets(np.array([[20.0, 21.0]]), seconds_timeline(100), boundary_region="duration")
    assert np.flatnonzero(short["start"]).tolist() == [19, 20]


def test_types():
    made = targets(np.array([[2.0, 4.0]]), seconds_timeline(5))
    assert all(part.dtype == np.float32 for part in made.values())


def random_output(batch, duration, length, seed=0):
    draw = torch.Generator().manual_seed(seed)
    sizes = [(batch, length)] * 2 + [(batch, duration, length)] * 2
    parts = [torch.rand(size, generator=draw).mul(0.9).add(0.05) for size in sizes]
    return ProposalOutput(*(part.requires_grad_() for part in parts))


def batched(*items):
    return {key: torch.from_numpy(np.stack([i[key] for i in items])) for key in items[0]}


@pytest.mark.parametrize("ratio_clamp", [False, True])
@pytest.mark.parametrize(
    "fill", [lambda made: None, lambda made: [p.fill(0) for p in made.values()],
             lambda made: [p.fill(1) for p in made.values()]],
)  # fmt: skip
def test_loss_is_finite_whatever_the_ground_truth(fill, ratio_clamp):
    made = targets(np.array([[2.0, 4.0]]), seconds_timeline(6))
    fill(made)
    output = random_output(1, 6, 6)
    terms = loss(output, batched(made), ratio_clamp=ratio_clamp)
    terms["total"].backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(part.grad is None or part.grad.isfinite().all() for part in output)


def test_total_is_the_weighted_sum():
    made = batched(targets(np.array([[2.0, 4.0]]), seconds_timeline(6)))
    terms = loss(random_output(1, 6, 6), made, regression_weight=3.0)
    parts = terms["start"] + terms["end"] + terms["classification"] + 3 * terms["regression"]
    torch.testing.assert_close(terms["total"], parts)


def test_same_draw_same_loss():
    made = batched(targets(np.array([[2.0, 6.0], [5.0, 11.0]]), seconds_timeline(12)))
    output = random_output(1, 12, 12)
    one, two = (
        loss(output, made, generator=torch.Generator().manual_seed(3))["total"] for _ in range(2)
    )
    assert one == two


def test_what_lies_outside_the_triangle_or_in_the_padding_does_not_count():
    items = [targets(np.array([[1.0, 4.0]]), seconds_timeline(8), max_duration=5)] * 2
    made = batched(*items)
    valid = torch.arange(8) < torch.tensor([[8], [5]])
    output = random_output(2, 5, 8)
    draw = torch.Generator
    before = loss(output, made, valid, generator=draw().manual_seed(0))
    before["total"].backward()
    for item, steps in ((0, 8), (1, 5)):
        assert (output.start.grad[item, steps:] == 0).all()
        for d in range(5):
            beyond = max(0, steps - d)
            assert (output.classification.grad[item, d, beyond:] == 0).all()
            assert (output.regression.grad[item, d, beyond:] == 0).all()
        assert (output.classification.grad[item, 0, :steps] != 0).all()
    poisoned = ProposalOutput(*(part.detach().clone() for part in output))
    poisoned.start[1, 5:] = torch.nan
    poisoned.classification[1, 0, 5:] = torch.nan
    made["end"][1, 5:] = 1
    after = loss(poisoned, made, valid, generator=draw().manual_seed(0))
    torch.testing.assert_close(before["total"].detach(), after["total"])


def test_padding_equals_the_shorter_view():
    short = targets(np.array([[1.0, 4.0]]), seconds_timeline(5))
    output = random_output(1, 5, 5)
    padded = ProposalOutput(
        *(torch.nn.functional.pad(part, (0, 3), value=0.7) for part in output[:2]),
        *(torch.nn.functional.pad(part, (0, 3, 0, 3), value=0.7) for part in output[2:]),
    )
    long = {
        "start": np.pad(short["start"], (0, 3), constant_values=1),
        "end": np.pad(short["end"], (0, 3), constant_values=1),
        "iou": np.pad(short["iou"], (0, 3), constant_values=0.5),
    }
    valid = torch.arange(8)[None] < 5
    for name, value in loss(output, batched(short)).items():
        if name not in ("regression", "total"):  # whose draw differs
            torch.testing.assert_close(loss(padded, batched(long), valid)[name], value)
