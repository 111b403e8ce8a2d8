"""Boundary matching by projection before sampling against the published dense sampling mask."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attentad.layers.boundary_matching import (
    BoundaryMatching,
    interpolation,
    sampled_interval,
    sampling_weights,
    valid_cells,
)
from attentad.layers.sparse_rows import transposed

RULES = ("pd", "jj")
BORDERS = ("legacy", "zero", "clamp")


def point_weights(u, length, border):
    """Weights of the features at one position, read off the specification case by case."""
    row = np.zeros(length)
    if border == "clamp":
        u = min(max(u, 0.0), length - 1.0)
    if 0 <= u <= length - 1:
        row[math.floor(u)] += 1 - (u - math.floor(u))
        if u > math.floor(u):
            row[math.floor(u) + 1] += u - math.floor(u)
    elif -1 < u < 0:
        row[0] = 1 if border == "legacy" else 1 + u
    elif length - 1 < u < length:
        row[length - 1] = length - u
    return row


def dense_mask(length, max_duration, bins, samples, rule, border):
    """The published sampling mask (T, N, D, T), zero in invalid cells."""
    mask = np.zeros((length, bins, max_duration, length))
    for d in range(max_duration):
        for s in range(length - d):
            if rule == "pd":
                a, b = s - 0.5 * (d + 1), s + d + 0.5 * (d + 1)
            else:
                a, b = s - 0.5 * (d + 2), s + d + 1 + 0.5 * (d + 2)
            for k in range(bins * samples):
                u = a + (b - a) * k / (bins * samples - 1)
                mask[:, k // samples, d, s] += point_weights(u, length, border) / samples
    return mask


def dense_layer(layer, feature, mask):
    """Mask, then Conv3d with the layer's weights: the map (B, C_out, D, T)."""
    _, bins, duration, length = mask.shape
    sampled = feature @ torch.from_numpy(mask).to(feature).flatten(1)
    sampled = sampled.view(*feature.shape[:2], bins, duration, length)
    kernel = layer.weight.permute(1, 2, 0)[..., None, None]
    return nn.functional.conv3d(sampled, kernel, layer.bias, stride=(bins, 1, 1)).squeeze(2)


def densified(matrix, columns):
    dense = np.zeros((len(matrix.row_starts) - 1, columns))
    for row in range(len(dense)):
        entries = slice(matrix.row_starts[row], matrix.row_starts[row + 1])
        dense[row, matrix.columns[entries]] += matrix.values[entries]
    return dense


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (-1, {}),
        (-0.3, {0: 1}),
        (0, {0: 1}),
        (0.25, {0: 0.75, 1: 0.25}),
        (9 - 0.6 + 1, {9: 0.6}),
        (10, {}),
    ],
)
def test_golden_weights(position, expected):
    index, weight = interpolation(np.array([float(position)]), 10, "legacy")
    found = {int(i): w for i, w in zip(index[0], weight[0], strict=True) if w}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("border", BORDERS)
def test_interpolation_is_the_case_by_case_rule(border):
    for position in np.linspace(-3, 9, 241):
        index, weight = interpolation(np.array([position]), 7, border)
        row = np.bincount(index[0], weight[0], minlength=7)
        np.testing.assert_allclose(row, point_weights(position, 7, border), atol=1e-12)


def test_intervals_of_both_rules():
    assert sampled_interval(np.array([4]), np.array([1]), "pd") == (3.0, 6.0)
    assert sampled_interval(np.array([4]), np.array([1]), "jj") == (2.5, 7.5)


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 9),
    share=st.floats(0, 1),
    bins=st.integers(1, 5),
    samples=st.integers(1, 3),
    rule=st.sampled_from(RULES),
    border=st.sampled_from(BORDERS),
)
def test_sampling_weights_are_the_dense_mask(length, share, bins, samples, rule, border):
    if bins * samples == 1:
        samples = 2
    duration = max(1, round(share * length))
    matrix = sampling_weights(length, duration, bins, samples, rule, border)
    mask = dense_mask(length, duration, bins, samples, rule, border)
    cells = mask[:, :, valid_cells(length, duration)].reshape(length * bins, -1).T
    np.testing.assert_allclose(densified(matrix, length * bins), cells, atol=1e-12)
    back = transposed(matrix)
    np.testing.assert_allclose(densified(back, len(cells)), cells.T, atol=1e-12)
    per_bin = 2 * samples * bins
    assert np.diff(matrix.row_starts).max(initial=0) <= per_bin


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("duration", [12, 5])
def test_projection_before_sampling_is_the_dense_layer(rule, border, duration):
    torch.manual_seed(0)
    length = 12
    layer = BoundaryMatching(6, 7, length, duration, bins=8, samples=3, rule=rule, border=border)
    mask = dense_mask(length, duration, 8, 3, rule, border)
    cells = torch.from_numpy(valid_cells(length, duration))
    feature = torch.randn(3, 6, length, requires_grad=True)
    fast = layer(feature)
    slow = dense_layer(layer, feature, mask)
    outside = slow[:, :, ~cells]
    torch.testing.assert_close(outside, layer.bias[None, :, None].expand_as(outside))
    slow = slow[:, :, cells].transpose(1, 2)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)
    upstream = torch.randn_like(fast)
    inputs = [feature, layer.weight, layer.bias]
    by_fast = torch.autograd.grad((fast * upstream).sum(), inputs)
    by_slow = torch.autograd.grad((slow * upstream).sum(), inputs)
    for one, other in zip(by_fast, by_slow, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-5)


def test_gradcheck():
    layer = BoundaryMatching(2, 3, 4, 3, bins=3, samples=2).double()
    feature = torch.randn(2, 2, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (feature,))
    assert torch.autograd.gradcheck(
        lambda weight: torch.func.functional_call(layer, {"weight": weight}, (feature.detach(),)),
        (layer.weight.detach().clone().requires_grad_(),),
    )


def test_batch_of_n_is_n_single_calls():
    layer = BoundaryMatching(4, 5, 10, 10, bins=4)
    feature = torch.randn(3, 4, 10)
    singles = torch.cat([layer(item[None]) for item in feature])
    torch.testing.assert_close(layer(feature), singles)


def test_one_step_grid():
    layer = BoundaryMatching(2, 3, 1, 1)
    assert layer(torch.ones(1, 2, 1)).shape == (1, 1, 3)


def test_index_tables_stay_out_of_the_state_dict():
    assert sorted(BoundaryMatching(2, 3, 4, 4).state_dict()) == ["bias", "weight"]


def test_initial_scale_is_that_of_conv3d():
    torch.manual_seed(0)
    conv = nn.Conv3d(16, 8, (32, 1, 1))
    layer = BoundaryMatching(16, 8, 4, 4)
    assert layer.weight.std().item() == pytest.approx(conv.weight.std().item(), rel=0.05)
    assert layer.weight.abs().max() <= 1 / math.sqrt(16 * 32)


def test_nan_reaches_only_the_cells_that_sample_it():
    layer = BoundaryMatching(1, 1, 8, 2, bins=2, samples=2)
    feature = torch.zeros(1, 1, 8)
    feature[0, 0, 7] = math.nan
    touched = layer(feature)[0, :, 0].isnan()
    cells = np.argwhere(valid_cells(8, 2))
    assert touched.any()
    assert all(s + d >= 5 for (d, s), hit in zip(cells, touched, strict=True) if hit)
