"""Balanced losses against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.layers.balanced_loss import balanced_bce, balanced_regression


def slow_bce(p, y, theta):
    """Half the mean of each side; the plain mean if one is empty."""
    positive = [-math.log(a + 1e-6) for a, b in zip(p, y, strict=True) if b > theta]
    negative = [-math.log(1 - a + 1e-6) for a, b in zip(p, y, strict=True) if b <= theta]
    if positive and negative:
        return sum(positive) / len(positive) / 2 + sum(negative) / len(negative) / 2
    return sum(positive + negative) / max(1, len(p))


entries = st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0, 1)), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(entries)
def test_half_and_half(values):
    p, y = np.array(values).T
    got = balanced_bce(torch.tensor(p), torch.tensor(y), 0.5)
    assert got.item() == pytest.approx(slow_bce(p, y, 0.5), rel=1e-4, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(entries, st.lists(st.booleans(), min_size=30, max_size=30))
def test_only_what_counts(values, mask):
    p, y = torch.tensor(values, dtype=torch.float32).T
    where = torch.tensor(mask[: len(p)])
    got = balanced_bce(p, y, 0.5, where)
    assert got.item() == pytest.approx(slow_bce(p[where].tolist(), y[where].tolist(), 0.5), 1e-4)


@pytest.mark.parametrize("ratio_clamp", [False, True])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_finite_without_positives_or_negatives(target, ratio_clamp):
    p = torch.tensor([0.0, 0.3, 1.0], requires_grad=True)
    value = balanced_bce(p, torch.full((3,), target), 0.5, ratio_clamp=ratio_clamp)
    value.backward()
    assert value.isfinite()
    assert p.grad.isfinite().all()


@pytest.mark.parametrize("count", [2, 3, 50])
def test_negatives_alone_weigh_half_as_in_dbgs_code(count):
    """r = N/max(P, 1); negatives weigh r/(2(r − 1)), whatever P is."""
    p = torch.linspace(0.1, 0.9, count)
    plain = -torch.log(1 - p + 1e-6).mean().item()
    assert balanced_bce(p, torch.zeros(count), 0.5).item() == pytest.approx(plain)
    half = balanced_bce(p, torch.zeros(count), 0.5, without_positive="half").item()
    assert half == pytest.approx(plain * count / (2 * (count - 1)))


@settings(max_examples=30, deadline=None)
@given(entries)
def test_beside_a_positive_all_rules_agree(values):
    p, y = torch.tensor(values, dtype=torch.float32).T
    y[0] = 1
    half = balanced_bce(p, y, 0.5, without_positive="half")
    assert half == balanced_bce(p, y, 0.5)
    assert half.isfinite()


def test_one_negative_alone_is_finite():
    p = torch.tensor([0.4])
    assert balanced_bce(p, torch.zeros(1), 0.5, without_positive="half") == balanced_bce(
        p, torch.zeros(1), 0.5
    )


def test_nothing_counts():
    p = torch.tensor([math.nan, 0.5], requires_grad=True)
    value = balanced_bce(p, torch.zeros(2), 0.5, torch.zeros(2, dtype=torch.bool))
    value.backward()
    assert value == 0
    assert (p.grad == 0).all()


def test_nan_counts_when_it_counts():
    assert balanced_bce(torch.tensor([math.nan]), torch.ones(1), 0.5).isnan()


def test_ratio_clamp_is_the_formula_of_mmaction2():
    p, y = torch.full((100,), 0.2), torch.zeros(100)
    y[0] = 1
    ratio = 21  # 100 entries per positive, clamped
    expected = (ratio / 2 * math.log(0.2 + 1e-5)) + 99 * (ratio / 2 / (ratio - 1)) * math.log(
        0.8 + 1e-5
    )
    assert balanced_bce(p, y, 0.5, ratio_clamp=True).item() == pytest.approx(-expected / 100, 1e-4)


def slow_regression(prediction, iou, where, draw, low_includes_zero):
    cells = [c for c in zip(prediction, iou, where, draw, strict=True) if c[2]]
    high = [c for c in cells if c[1] > 0.7]
    middle = [c for c in cells if 0.3 < c[1] <= 0.7]
    low = [c for c in cells if c[1] <= 0.3 and (low_includes_zero or c[1] > 0)]
    chosen = list(high)
    for band in (middle, low):
        chosen += [c for c in band if c[3] < min(1, len(high) / len(band))]
    return 0.5 * sum((p - y) ** 2 for p, y, _, _ in chosen) / max(1, len(chosen))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), includes=st.booleans(), size=st.integers(1, 60))
def test_regression_is_its_definition(seed, includes, size):
    rng = np.random.default_rng(seed)
    prediction, iou, where = rng.random(size), rng.random(size), rng.random(size) < 0.8
    iou[rng.random(size) < 0.3] = 0
    draw = torch.rand(size, generator=torch.Generator().manual_seed(seed))
    got = balanced_regression(
        torch.tensor(prediction),
        torch.tensor(iou),
        torch.tensor(where),
        low_includes_zero=includes,
        generator=torch.Generator().manual_seed(seed),
    )
    expected = slow_regression(prediction, iou, where, draw.tolist(), includes)
    assert got.item() == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_regression_balances_the_bands():
    iou = torch.cat([torch.full((200,), 0.9), torch.full((2000,), 0.5), torch.full((5000,), 0.1)])
    error = (iou == 0.9) * 1.0 + (iou == 0.5) * 2.0 + (iou == 0.1) * 4.0
    value = balanced_regression(iou + error, iou, torch.ones(7200, dtype=torch.bool))
    # Half the mean of 1, 4 and 16 when each band has about as many cells.
    assert value.item() == pytest.approx(0.5 * 21 / 3, rel=0.1)


def test_regression_without_any_overlap_is_zero():
    prediction = torch.rand(5, requires_grad=True)
    value = balanced_regression(prediction, torch.zeros(5), torch.ones(5, dtype=torch.bool))
    value.backward()
    assert value == 0
    assert (prediction.grad == 0).all()


def test_regression_ignores_nan_outside():
    prediction = torch.tensor([math.nan, 0.5], requires_grad=True)
    where = torch.tensor([False, True])
    value = balanced_regression(prediction, torch.tensor([0.9, 0.9]), where)
    value.backward()
    assert value.isfinite()
    assert prediction.grad.isfinite().all()


def test_added_counts_are_the_formula_of_gtads_release():
    p, y = torch.full((50,), 0.2), torch.zeros(50)
    y[:3] = 1
    where = torch.arange(50) < 40
    positives, entries = 3 + 10, 3 + 20 + 37
    ratio = entries / positives
    expected = 3 * ratio / 2 * math.log(0.2 + 1e-6)
    expected += 37 * ratio / (2 * (ratio - 1)) * math.log(0.8 + 1e-6)
    got = balanced_bce(p, y, 0.5, where, added_count=10)
    assert got.item() == pytest.approx(-expected / entries, 1e-5)
    assert balanced_bce(p, torch.zeros(50), 0.5, where, added_count=10).isfinite()
