"""DBG's targets and loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detection.plain import of_actions

from attentad.core import Timeline
from attentad.detection import dbg
from attentad.detection.dbg import DBGOutput, completeness_loss, loss
from attentad.layers.balanced_loss import balanced_bce

targets = of_actions(dbg.targets)


def seconds_timeline(length, duration_sec=None):
    """One step per second, from 0."""
    return Timeline(length, 10.0, 10.0, 10.0, duration_sec or float(length))


def share(a, b, lo, hi):
    return max(0.0, min(b, hi) - max(a, lo))


def slow_targets(actions, length):
    """The specification's rules with their regions and anchors, entry by entry."""
    made = {key: np.zeros(length) for key in ("action", "start", "end")}
    made["iou"] = np.zeros((length, length))
    for i in range(length):
        for a, b in actions:
            made["action"][i] = max(made["action"][i], share(i, i + 1, a, b))
            made["start"][i] = max(made["start"][i], share(i, i + 1, a - 1, a + 1) > 0.5)
            made["end"][i] = max(made["end"][i], share(i, i + 1, b - 1, b + 1) > 0.5)
            for j in range(i, length):
                common = share(i, j + 1, a, b)
                union = (j + 1 - i) + (b - a) - common
                made["iou"][i, j] = max(made["iou"][i, j], common / union)
    return made


action_lists = st.lists(
    st.tuples(st.floats(0, 13), st.floats(0.1, 12)).map(lambda a: (a[0], min(14.0, sum(a)))),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(action_lists)
def test_targets_are_their_definition(actions):
    made = targets(np.array(actions).reshape(-1, 2), seconds_timeline(14))
    for key, expected in slow_targets(actions, 14).items():
        np.testing.assert_allclose(made[key], expected, atol=1e-5, err_msg=key)
        assert made[key].dtype == np.float32


def test_two_steps_around_each_boundary():
    made = targets(np.array([[3.0, 8.2]]), seconds_timeline(12))
    assert np.flatnonzero(made["start"]).tolist() == [2, 3]
    assert np.flatnonzero(made["end"]).tolist() == [7, 8]
    assert made["action"][[2, 3, 7]].tolist() == [0, 1, 1]
    assert made["action"][8] == pytest.approx(0.2)
    assert made["iou"][3, 7] == pytest.approx(5 / 5.2)


def test_time_is_the_timelines():
    timeline = Timeline(8, fps=25.0, stride_frames=50.0, window_frames=50.0, duration_sec=16.0)
    made = targets(np.array([[4.0, 10.0]]), timeline)
    assert made["iou"][2, 4] == 1  # steps 2, 3, 4 of two seconds each
    assert np.flatnonzero(made["action"]).tolist() == [2, 3, 4]


def test_window_clips_the_map_but_labels_only_its_own_boundaries():
    window = seconds_timeline(30).window(10, 10)  # 10..20 s of 30 s
    made = targets(np.array([[2.0, 14.0], [0.0, 5.0], [20.0, 25.0]]), window)
    assert made["iou"][0, 3] == 1  # 10..14 s
    assert not made["start"].any()
    assert np.flatnonzero(made["end"]).tolist() == [3, 4]
    assert np.flatnonzero(made["action"]).tolist() == [0, 1, 2, 3]


def test_nothing_is_nothing_and_the_video_ends_its_actions():
    assert not any(p.any() for p in targets(np.zeros((0, 2)), seconds_timeline(5)).values())
    made = targets(np.array([[15.0, 99.0]]), seconds_timeline(20))
    assert made["iou"][15, 19] == 1
    assert np.flatnonzero(made["end"]).tolist() == [19]


def random_output(batch, length, seed=0):
    draw = torch.Generator().manual_seed(seed)
    sizes = [(batch, 3, length), *[(batch, length, length)] * 3, *[(batch, length)] * 2]
    parts = [torch.rand(size, generator=draw).mul(0.9).add(0.05) for size in sizes]
    return DBGOutput(*(part.requires_grad_() for part in parts))


def batched(*items):
    return {key: torch.from_numpy(np.stack([i[key] for i in items])) for key in items[0]}


def test_terms_are_the_specifications():
    items = [
        targets(np.array([[2.0, 6.0]]), seconds_timeline(9)),
        targets(np.array([[1.0, 3.0], [4.0, 9.0]]), seconds_timeline(9)),
    ]
    made, output = batched(*items), random_output(2, 9)
    terms = loss(output, made, generator=torch.Generator().manual_seed(0))
    action = [balanced_bce(output.actionness[:, i], made["action"], 0.5) for i in range(3)]
    torch.testing.assert_close(terms["action"], sum(action) / 3)

    def over_cells(probability, label):
        """½·mean over positives of −log p + ½·mean over negatives of −log(1 − p), i ≤ j."""
        groups = ([], [])
        for b in range(2):
            for i in range(9):
                for j in range(i, 9):
                    p, y = probability[b, i, j].item(), label(b, i, j) > 0.5
                    groups[int(y)].append(-math.log(p if y else 1 - p))
        return sum(np.mean(group) / 2 for group in groups)

    start = over_cells(output.start_map, lambda b, i, j: made["start"][b, i])
    end = over_cells(output.end_map, lambda b, i, j: made["end"][b, j])
    assert terms["start"].item() == pytest.approx(start, rel=1e-4)
    assert terms["end"].item() == pytest.approx(end, rel=1e-4)
    parts = 2 * terms["action"] + 10 * terms["completeness"] + terms["start"] + terms["end"]
    torch.testing.assert_close(terms["total"], parts)
    other = loss(output, made, action_weight=0.0, completeness_weight=0.0)
    torch.testing.assert_close(other["total"], terms["start"] + terms["end"])


def slow_completeness(prediction, iou, where, draw):
    """One item, cell by cell, with the specification's guards 0/0 = 0 and x/0 = 1."""
    cells = [c for c in zip(prediction, iou, where, draw, strict=True) if c[2]]
    high = [c for c in cells if c[1] > 0.6]
    middle = [c for c in cells if 0.2 < c[1] <= 0.6]
    low = [c for c in cells if c[1] <= 0.2]
    chosen = list(high)
    for band, factor in ((middle, 1), (low, 2)):
        wanted, there = factor * len(high), len(band)
        rate = (1 if wanted else 0) if there == 0 else min(1, wanted / there)
        chosen += [c for c in band if c[3] < rate]
    errors = [abs(p - y) for p, y, _, _ in chosen]
    return sum(0.5 * e**2 if e < 1 else e - 0.5 for e in errors) / max(1, len(chosen))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 40), scale=st.sampled_from([0.3, 0.7, 1]))
def test_completeness_is_its_definition(seed, size, scale):
    rng = np.random.default_rng(seed)
    prediction, iou = rng.normal(0, 1.5, (3, size)), scale * rng.random((3, size))
    where = rng.random((3, size)) < 0.8
    iou[rng.random((3, size)) < 0.3] = 0
    draw = torch.rand((3, size), generator=torch.Generator().manual_seed(seed))
    got = completeness_loss(
        torch.tensor(prediction),
        torch.tensor(iou),
        torch.tensor(where),
        torch.Generator().manual_seed(seed),
    )
    items = [slow_completeness(*row) for row in zip(prediction, iou, where, draw, strict=True)]
    assert got.item() == pytest.approx(np.mean(items), rel=1e-4, abs=1e-7)


def test_completeness_draws_twice_as_many_low_cells():
    iou = torch.cat([torch.full((200,), 0.9), torch.full((2000,), 0.5), torch.zeros(5000)])[None]
    error = (iou == 0.9) * 1.0 + (iou == 0.5) * 2.0 + (iou == 0) * 4.0
    value = completeness_loss(iou + error, iou, torch.ones(1, 7200, dtype=torch.bool))
    # Smooth L1 of 1, 2 and 4 is 0.5, 1.5 and 3.5; the bands come 1 : 1 : 2.
    assert value.item() == pytest.approx((0.5 + 1.5 + 2 * 3.5) / 4, rel=0.1)


@pytest.mark.parametrize("ratio_clamp", [False, True])
@pytest.mark.parametrize("value", [None, 0, 1])
def test_loss_is_finite_whatever_the_ground_truth(value, ratio_clamp):
    made = targets(np.array([[2.0, 4.0]]), seconds_timeline(6))
    if value is not None:
        for part in made.values():
            part.fill(value)
    output = random_output(1, 6)
    terms = loss(output, batched(made), ratio_clamp=ratio_clamp)
    terms["total"].backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(part.grad is None or part.grad.isfinite().all() for part in output)


def test_same_draw_same_loss():
    made = batched(targets(np.array([[2.0, 6.0], [5.0, 11.0]]), seconds_timeline(12)))
    output = random_output(1, 12)
    draw = torch.Generator
    one, two = (loss(output, made, generator=draw().manual_seed(3))["total"] for _ in range(2))
    assert one == two


def test_what_lies_below_the_diagonal_or_in_the_padding_does_not_count():
    made = batched(*[targets(np.array([[1.0, 4.0]]), seconds_timeline(8))] * 2)
    valid = torch.arange(8) < torch.tensor([[8], [5]])
    output = random_output(2, 8)
    draw = torch.Generator
    before = loss(output, made, valid, generator=draw().manual_seed(0))
    before["total"].backward()
    counted = torch.ones(2, 8, 8, dtype=torch.bool).triu()
    counted[1, :, 5:] = False
    for part in (output.start_map, output.end_map):
        assert ((part.grad != 0) == counted).all()
    assert (output.completeness.grad[~counted] == 0).all()
    assert ((output.actionness.grad != 0) == valid[:, None]).all()
    assert output.start.grad is None
    poisoned = DBGOutput(*(part.detach().clone() for part in output))
    for part in (poisoned.start_map, poisoned.end_map, poisoned.completeness):
        part[~counted] = torch.nan
    poisoned.actionness[1, :, 5:] = torch.nan
    made["end"][1, 5:] = 1
    after = loss(poisoned, made, valid, generator=draw().manual_seed(0))
    torch.testing.assert_close(before["total"].detach(), after["total"])


def test_no_valid_step():
    made, output = batched(targets(np.zeros((0, 2)), seconds_timeline(4))), random_output(1, 4)
    terms = loss(output, made, torch.zeros(1, 4, dtype=torch.bool))
    terms["total"].backward()
    assert terms["total"] == 0
