"""Targets and losses of steps: golden values by hand, coverage against a slow count."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import Timeline, as_segments
from attentad.core.found import Truth
from attentad.layers.step_losses import covered_shares, smoothing_loss, step_loss, step_targets


def truth(actions, labels, classes=2):
    return Truth(as_segments(actions), np.array(labels, dtype=np.int64), classes)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(-8, 48), st.integers(0, 30)), max_size=4))
def test_shares_are_counted_in_quarters(quarters):
    segments = np.array([(start / 4, (start + size) / 4) for start, size in quarters])
    parts = (np.arange(40) + 0.5) / 4  # four in each of ten cells
    inside = [any(start < part < end for start, end in segments) for part in parts]
    wanted = np.reshape(inside, (10, 4)).mean(axis=1)
    assert covered_shares(segments.reshape(-1, 2), 10) == pytest.approx(wanted)


def test_targets_by_hand():
    line = Timeline(4, 1.0, 1.0, 1.0, 4.0)
    labels = step_targets(truth([(0.5, 2), (1.5, 2.25)], [0, 1]), line)["labels"]
    assert labels.tolist() == [[0.5, 1, 0, 0], [0, 0.5, 0.25, 0], [0.5, 0, 0.75, 1]]
    nothing = step_targets(truth([], []), line)["labels"]
    assert nothing.tolist() == [[0] * 4, [0] * 4, [1] * 4]
    unnamed = step_targets(truth([(1, 3)], [-1]), line)["labels"]
    assert unnamed.sum(0).tolist() == [1, 0, 0, 1]  # nothing is learnt of steps 1 and 2


def test_cross_entropy_by_hand():
    logits = torch.tensor([[[0.0, math.log(3)], [0.0, 0.0]]])  # p = .5 .5 and .75 .25
    labels = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert float(step_loss(logits, labels)) == pytest.approx((math.log(2) + math.log(4)) / 2)
    smooth = step_loss(logits, labels, label_smoothing=0.5)
    first, second = math.log(2), 0.25 * -math.log(0.75) + 0.75 * math.log(4)
    assert float(smooth) == pytest.approx((first + second) / 2)
    focal = step_loss(logits, labels, focal_gamma=2.0)
    assert float(focal) == pytest.approx((0.25 * math.log(2) + 0.75**2 * math.log(4)) / 2)


def test_binary_cross_entropy_by_hand():
    logits = torch.tensor([[[math.log(3)], [0.0]]])  # p = .75 and .5
    labels = torch.tensor([[[1.0], [1.0], [0.0]]])  # both classes are on
    wanted = -math.log(0.75) - math.log(0.5)
    assert float(step_loss(logits, labels, activation="sigmoid")) == pytest.approx(wanted)
    focal = -0.25 * math.log(0.75) - 0.5 * math.log(0.5)
    assert float(step_loss(logits, labels, activation="sigmoid", focal_gamma=1.0)) == pytest.approx(
        focal
    )


def test_balanced_classes_weigh_alike():
    labels = torch.tensor([[[1.0, 1, 1, 0], [0, 0, 0, 1.0]]])
    logits = torch.zeros(1, 2, 4, requires_grad=True)
    step_loss(logits, labels, class_balance=1.0).backward()
    assert logits.grad is not None
    pull = logits.grad[0, 0]
    assert float(-pull[:3].sum()) == pytest.approx(float(pull[3]))
    # The steps together weigh as before.
    balanced = step_loss(torch.zeros(1, 2, 4), labels, class_balance=1.0)
    assert float(balanced) == pytest.approx(math.log(2))


def test_smoothing_by_hand():
    # p = .5 .5, then 3/4 1/4, then e^-10 almost: the change of the second row is cut at tau.
    logits = torch.tensor([[[0.0, math.log(3), 10.0], [0.0, 0.0, 0.0]]])
    said = torch.log_softmax(logits, 1)[0]
    changes = (said[:, 1:] - said[:, :-1]).abs()
    assert float(changes[1, 1]) > 4
    wanted = [math.log(0.75 / 0.5) ** 2, math.log(0.25 / 0.5) ** 2, float(changes[0, 1]) ** 2, 16]
    assert float(smoothing_loss(logits)) == pytest.approx(sum(wanted) / 4)


def test_smoothing_pulls_the_later_step_alone():
    logits = torch.tensor([[[0.0, 1.0]]], requires_grad=True)
    smoothing_loss(logits, activation="sigmoid").backward()
    assert logits.grad is not None
    assert logits.grad[0, 0, 0] == 0
    assert logits.grad[0, 0, 1] > 0


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_padding_counts_nowhere(activation):
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 6), torch.rand(2, 3, 6)
    wide = torch.cat([logits, torch.zeros(2, 3, 3)], 2)
    wide_labels = torch.cat([labels, torch.zeros(2, 3, 3)], 2)
    if activation == "sigmoid":
        labels, wide_labels = (
            torch.nn.functional.pad(x, (0, 0, 0, 1)) for x in (labels, wide_labels)
        )
    valid = (torch.arange(9) < 6).expand(2, 9)
    for function, extra in ((step_loss, ()), (smoothing_loss, None)):
        plain = (logits, labels) if extra is not None else (logits,)
        other = (wide, wide_labels) if extra is not None else (wide,)
        torch.testing.assert_close(
            function(*plain, activation=activation), function(*other, valid, activation=activation)
        )


def test_one_step_and_nothing_known():
    assert float(smoothing_loss(torch.randn(1, 2, 1))) == 0
    logits = torch.randn(1, 3, 4, requires_grad=True)
    step_loss(logits, torch.zeros(1, 3, 4)).backward()
    assert logits.grad is not None
    assert not logits.grad.any()
