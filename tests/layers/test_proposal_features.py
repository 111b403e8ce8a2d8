"""Proposal features by projection before sampling against sampling every point one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attentad.layers.proposal_features import (
    ProposalFeatures,
    proposal_cells,
    repeat_last,
    sampling_points,
)


def slow_features(feature, points):
    """The published sampling (C, T) → (C, points, T, T), point by point off the specification."""
    channels, length = feature.shape
    result = torch.zeros(channels, sum(points), length, length, dtype=feature.dtype)

    def value(u):
        lo = math.floor(u)
        clamp = [min(max(t, 0), length - 1) for t in (lo, lo + 1)]
        return (lo + 1 - u) * feature[:, clamp[0]] + (u - lo) * feature[:, clamp[1]]

    first, middle, last = points
    for h in range(length):
        for w in range(h, length):
            n = w - h + 1
            places = [h - n / 5 + t * (2 * n / 5) / max(1, first - 1) for t in range(first)]
            places += [h + t * (w - h) / max(1, middle - 1) for t in range(middle)]
            places += [w - n / 5 + t * (2 * n / 5) / max(1, last - 1) for t in range(last)]
            for k, u in enumerate(places):
                result[:, k, h, w] = value(u)
    return result


def slow_layer(layer, feature, points):
    """Sampling, then Conv3d with the layer's weights: (B, C_out, T, T)."""
    sampled = torch.stack([slow_features(item, points) for item in feature])
    kernel = layer.weight.permute(1, 2, 0)[..., None, None]
    stride = (sum(points), 1, 1)
    return nn.functional.conv3d(sampled, kernel, layer.bias, stride=stride).squeeze(2)


def cells_of(image):
    starts, ends = proposal_cells(image.shape[-1])
    return image[..., starts, ends].transpose(1, 2)


def filled(layer):
    """The layer with a bias that is not zero."""
    nn.init.normal_(layer.bias)
    return layer


def test_golden_points():
    points = sampling_points(np.array([3, 2]), np.array([3, 11]))
    assert points.shape == (2, 32)
    np.testing.assert_allclose(points[0, :8], np.linspace(2.8, 3.2, 8))
    np.testing.assert_allclose(points[0, 8:24], 3)
    np.testing.assert_allclose(points[0, 24:], np.linspace(2.8, 3.2, 8))
    np.testing.assert_allclose(points[1, :8], np.linspace(0, 4, 8))
    np.testing.assert_allclose(points[1, 8:24], np.linspace(2, 11, 16))
    np.testing.assert_allclose(points[1, 24:], np.linspace(9, 13, 8))


def test_a_cell_of_one_step_samples_that_step():
    layer, feature = ProposalFeatures(1, 1, 9), torch.randn(1, 9)
    samples = layer.values(feature)[0]
    starts, ends = proposal_cells(9)
    for h in range(9):
        row = samples[np.flatnonzero((starts == h) & (ends == h))[0]]
        torch.testing.assert_close(row[8:24], feature[0, h].expand(16))


def test_beyond_the_grid_the_last_feature_counts():
    layer, ramp = ProposalFeatures(1, 1, 10), torch.arange(10.0)[None]
    starts, ends = proposal_cells(10)
    whole = layer.values(ramp)[0, np.flatnonzero((starts == 0) & (ends == 9))[0]]
    expected = np.clip(np.concatenate([np.linspace(-2, 2, 8), np.linspace(7, 11, 8)]), 0, 9)
    np.testing.assert_allclose(torch.cat([whole[:8], whole[24:]]), expected, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 9),
    points=st.tuples(*[st.integers(1, 5)] * 3),
    seed=st.integers(0, 10**6),
    merged=st.booleans(),
)
def test_projection_before_sampling_is_the_direct_layer(length, points, seed, merged):
    torch.manual_seed(seed)
    layer = filled(ProposalFeatures(3, 4, length, points))
    then = nn.Linear(4, 2) if merged else None
    feature = torch.randn(2, 3, length, requires_grad=True)
    fast = layer(feature, then)
    slow = cells_of(slow_layer(layer, feature, points))
    slow = slow if then is None else then(slow)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)
    upstream = torch.randn_like(fast)
    inputs = [feature, *layer.parameters(), *([] if then is None else then.parameters())]
    by_fast = torch.autograd.grad((fast * upstream).sum(), inputs)
    by_slow = torch.autograd.grad((slow * upstream).sum(), inputs)
    for one, other in zip(by_fast, by_slow, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-5)


def test_published_size():
    torch.manual_seed(0)
    layer = filled(ProposalFeatures(8, 6, 20))
    feature = torch.randn(2, 8, 20)
    slow = cells_of(slow_layer(layer, feature, (8, 16, 8)))
    torch.testing.assert_close(layer(feature), slow, atol=1e-5, rtol=1e-5)


def test_values_are_the_samples():
    layer = ProposalFeatures(2, 3, 11, (3, 4, 2))
    score = torch.rand(3, 11, requires_grad=True)
    fast = layer.values(score)
    slow = torch.stack([slow_features(item[None], (3, 4, 2))[0] for item in score])
    slow = cells_of(slow)
    torch.testing.assert_close(fast, slow, atol=1e-6, rtol=1e-5)
    upstream = torch.randn_like(fast)
    one, other = (torch.autograd.grad((x * upstream).sum(), score)[0] for x in (fast, slow))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_gradcheck():
    torch.manual_seed(0)
    layer = filled(ProposalFeatures(2, 3, 4, (2, 3, 2))).double()
    then = nn.Linear(3, 2).double()
    feature = torch.randn(2, 2, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x, then), (feature,))
    assert torch.autograd.gradcheck(layer.values, (feature[:, 0],))
    weight = layer.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(layer, {"weight": w}, (feature.detach(), then)),
        (weight,),
    )


def test_batch_of_n_is_n_single_calls():
    layer = filled(ProposalFeatures(4, 5, 10))
    feature = torch.randn(3, 4, 10)
    singles = torch.cat([layer(item[None]) for item in feature])
    torch.testing.assert_close(layer(feature), singles)
    values = torch.cat([layer.values(item[None]) for item in feature[:, 0]])
    torch.testing.assert_close(layer.values(feature[:, 0]), values)


def test_repeated_last_step_is_the_clamp_of_the_shorter_grid():
    long, short = ProposalFeatures(3, 4, 9, (3, 2, 3)), ProposalFeatures(3, 4, 6, (3, 2, 3))
    short.load_state_dict(long.state_dict())
    feature = torch.randn(2, 3, 9)
    valid = torch.arange(9) < torch.tensor([[9], [6]])
    filled_up = repeat_last(feature, valid)
    torch.testing.assert_close(filled_up[0], feature[0])
    torch.testing.assert_close(filled_up[1, :, 6:], feature[1, :, 5:6].expand(-1, 3))
    _, ends = proposal_cells(9)
    inside = long(filled_up)[1, ends < 6]
    torch.testing.assert_close(inside, short(feature[1:, :, :6])[0])
    torch.testing.assert_close(repeat_last(feature[:, 0], valid), filled_up[:, 0])
    assert repeat_last(feature, None) is feature


def test_initialised_as_a_conv3d_by_xavier():
    torch.manual_seed(0)
    conv = nn.Conv3d(16, 24, (32, 1, 1))
    nn.init.xavier_uniform_(conv.weight)
    layer = ProposalFeatures(16, 24, 4)
    assert layer.weight.std().item() == pytest.approx(conv.weight.std().item(), rel=0.05)
    assert layer.weight.abs().max().item() == pytest.approx(
        conv.weight.abs().max().item(), rel=0.01
    )
    assert not layer.bias.any()
    assert sorted(layer.state_dict()) == ["bias", "weight"]


def test_nan_reaches_only_the_cells_that_sample_it():
    layer, feature = ProposalFeatures(1, 1, 8), torch.zeros(1, 1, 8)
    feature[0, 0, 7] = math.nan
    touched = layer(feature)[0, :, 0].isnan()
    starts, ends = proposal_cells(8)
    assert touched[torch.from_numpy(ends == 7)].all()
    assert not touched[torch.from_numpy(ends + (ends - starts + 1) / 5 <= 6)].any()
