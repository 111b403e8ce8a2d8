"""Alignment by projection before sampling against alignment cell by cell and a 1×1 convolution."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attentad.layers.align import SGAlign, align_weights, aligned_taps
from attentad.layers.boundary_matching import valid_cells

RULES = ("gtad", "opentad")


def point_weights(u, length):
    """Weights of the features at one position, read off the specification case by case."""
    row = np.zeros(length)
    if u < -1 or u > length:
        return row
    if u <= 0:
        row[0] = 1
    elif u >= length - 1:
        row[length - 1] = 1
    else:
        row[math.floor(u)] += 1 - (u - math.floor(u))
        row[math.floor(u) + 1] += u - math.floor(u)
    return row


def dense_alignment(length, max_duration, bins, rule="gtad"):
    """The alignment matrix (T, bins, D, T) of the whole map, by the published loops."""
    matrix = np.zeros((length, bins, max_duration, length))
    for d in range(max_duration):
        for s in range(length):
            a, b = s - 0.5 * (d + 1), s + d + (rule == "opentad") + 0.5 * (d + 1)
            if s + d >= length:
                a = b = 0
            size = max(b - a, 1) / bins
            count = math.ceil(max(b - a, 1) / bins)
            for p in range(bins):
                for i in range(count):
                    u = a + p * size + (i + 0.5) * size / count
                    matrix[:, p, d, s] += point_weights(u, length) / count
    return matrix


def dense_layer(layer, feature, context, matrices):
    """Align, join along the bins, flatten channel-major, Conv2d: the map (B, C_out, D, T)."""
    parts = []
    for part, matrix in zip((feature, context), matrices, strict=True):
        table = torch.from_numpy(matrix).to(part)
        parts.append((part @ table.flatten(1)).view(*part.shape[:2], *table.shape[1:]))
    kernel = layer.weight.permute(1, 2, 0).flatten(1)[..., None, None]
    return nn.functional.conv2d(torch.cat(parts, dim=2).flatten(1, 2), kernel, layer.bias)


def as_rows(image, cells):
    """The valid cells of a map, then its first invalid one (or none)."""
    valid, invalid = image[:, :, cells], image[:, :, ~cells]
    return torch.cat([valid, invalid[:, :, :1]], dim=2).transpose(1, 2), invalid


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (-1.01, {}),
        (-1, {0: 1}),
        (-0.3, {0: 1}),
        (0, {0: 1}),
        (0.25, {0: 0.75, 1: 0.25}),
        (9, {9: 1}),
        (9.4, {9: 1}),
        (10, {9: 1}),
        (10.01, {}),
    ],
)
def test_golden_weights(position, expected):
    index, weight = aligned_taps(np.array([float(position)]), 10)
    found = {int(i): w for i, w in zip(index[0], weight[0], strict=True) if w}
    assert found == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 9),
    share=st.floats(0, 1),
    bins=st.integers(1, 6),
    rule=st.sampled_from(RULES),
)
def test_alignment_weights_are_the_published_loops(length, share, bins, rule):
    duration = max(1, round(share * length))
    matrix = align_weights(length, duration, bins, rule)
    dense = np.zeros((len(matrix.row_starts) - 1, length * bins))
    dense[matrix.rows, matrix.columns] = matrix.values
    expected = dense_alignment(length, duration, bins, rule)
    cells = valid_cells(length, duration)
    rows = expected[:, :, cells].reshape(length * bins, -1).T
    np.testing.assert_allclose(dense[:-1], rows, atol=1e-12)
    for row in expected[:, :, ~cells].reshape(length * bins, -1).T:
        np.testing.assert_allclose(dense[-1], row, atol=1e-12)


def test_the_invalid_cells_read_between_the_first_two_steps():
    matrix = align_weights(10, 4, 2)
    last = slice(matrix.row_starts[-2], None)
    assert matrix.columns[last].tolist() == [0, 1, 2, 3]  # t·bins + p
    np.testing.assert_allclose(matrix.values[last], [0.75, 0.25, 0.25, 0.75])


@pytest.mark.parametrize("rule", RULES)
def test_a_constant_stays_one_where_the_region_is_inside(rule):
    length, bins = 20, 7
    matrix = align_weights(length, length, bins, rule)
    sums = np.zeros((len(matrix.row_starts) - 1, bins))
    np.add.at(sums, (matrix.rows, matrix.columns % bins), matrix.values)
    for (d, s), row in zip(np.argwhere(valid_cells(length, length)), sums, strict=False):
        if s - 0.5 * (d + 1) >= -1 and s + d + (rule == "opentad") + 0.5 * (d + 1) <= length:
            np.testing.assert_allclose(row, 1, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("duration", [12, 5])
@pytest.mark.parametrize("bins", [(8, 3), (4, 4)])
def test_projection_before_alignment_is_the_dense_layer(rule, duration, bins):
    torch.manual_seed(0)
    length = 12
    cells = torch.from_numpy(valid_cells(length, duration))
    layer = SGAlign(6, 7, length, duration, interior=bins[0], context=bins[1], rule=rule)
    matrices = [dense_alignment(length, duration, count, rule) for count in bins]
    feature, context = torch.randn(2, 3, 6, length).unbind()
    image = dense_layer(layer, feature, context, matrices)
    slow, invalid = as_rows(image, cells)
    torch.testing.assert_close(invalid, invalid[:, :, :1].expand_as(invalid))
    torch.testing.assert_close(layer(feature, context), slow, atol=1e-5, rtol=1e-5)

    layer = layer.double()
    feature, context = torch.randn(2, 3, 6, length, dtype=torch.double).requires_grad_().unbind()
    inputs = [feature, context, layer.weight, layer.bias]
    slow, _ = as_rows(dense_layer(layer, feature, context, matrices), cells)
    upstream = torch.randn_like(slow)
    by_fast = torch.autograd.grad((layer(feature, context) * upstream).sum(), inputs)
    by_slow = torch.autograd.grad((slow * upstream).sum(), inputs)
    for one, other in zip(by_fast, by_slow, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bins", [(3, 2), (2, 2)])
def test_gradcheck(bins):
    layer = SGAlign(2, 3, 4, 3, interior=bins[0], context=bins[1]).double()
    feature, context = torch.randn(2, 2, 2, 4, dtype=torch.double).requires_grad_().unbind()
    assert torch.autograd.gradcheck(layer, (feature, context))
    weight = layer.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda weight: torch.func.functional_call(
            layer, {"weight": weight}, (feature.detach(), context.detach())
        ),
        (weight,),
    )


def test_batch_of_n_is_n_single_calls():
    layer = SGAlign(4, 5, 10, 10, interior=4, context=2)
    feature, context = torch.randn(3, 4, 10), torch.randn(3, 4, 10)
    singles = [layer(*pair) for pair in zip(feature.split(1), context.split(1), strict=True)]
    torch.testing.assert_close(layer(feature, context), torch.cat(singles))


def test_tables_stay_out_of_the_state_dict():
    assert sorted(SGAlign(2, 3, 4, 4).state_dict()) == ["bias", "weight"]


def test_initial_scale_is_that_of_conv2d():
    torch.manual_seed(0)
    conv = nn.Conv2d(16 * 36, 8, 1)
    layer = SGAlign(16, 8, 4, 4)
    assert layer.weight.std().item() == pytest.approx(conv.weight.std().item(), rel=0.05)
    assert layer.weight.abs().max() <= 1 / math.sqrt(16 * 36)


def test_one_step_grid():
    layer = SGAlign(2, 3, 1, 1)
    ones = torch.ones(1, 2, 1)
    expected = layer.weight.sum((0, 2)) + layer.bias
    torch.testing.assert_close(layer(ones, ones), expected.expand(1, 2, 3))
