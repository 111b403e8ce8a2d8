"""CBAM against its definition on sequences and on clips, its parameter count, padding, errors."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.attention.cbam import CBAM
from attentad.core import AttentadError
from attentad.core.options import check_options

SHAPES = [(4, 9), (4, 5, 3, 2), (4, 4, 1, 3), (4, 3, 1, 1)]


def cbam(shape, **options):
    torch.manual_seed(0)
    sides = {} if len(shape) == 2 else {"height": shape[2], "width": shape[3]}
    return CBAM(shape[0], **sides, **{"reduction": 2, "kernel_size": 3} | options)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts():
    mlp = 256 * 16 + 16 + 16 * 256 + 256
    assert count(CBAM(256)) == mlp + 2 * 7 + 1 == 8_479
    assert count(CBAM(256, 14, 14)) == mlp + 2 * 7**3 + 1
    assert count(CBAM(256, 14, 1)) == mlp + 2 * 7**2 + 1
    assert CBAM(8).mlp[0].out_features == 1


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def oracle(module, feature):
    """One item (C, T) or (C, T, H, W), one channel and one position at a time."""
    w = {k: v.double().numpy() for k, v in module.state_dict().items()}
    volume = feature.reshape(*feature.shape, *[1] * (4 - feature.ndim))
    channels = len(volume)

    def mlp(x):
        inner = np.maximum(w["mlp.0.weight"] @ x + w["mlp.0.bias"], 0)
        return w["mlp.2.weight"] @ inner + w["mlp.2.bias"]

    mean = np.array([volume[c].mean() for c in range(channels)])
    largest = np.array([volume[c].max() for c in range(channels)])
    gate = sigmoid(mlp(mean) + mlp(largest))
    scaled = np.stack([volume[c] * gate[c] for c in range(channels)])
    kernel = w["position_conv.weight"][0]
    sides = [range(n) for n in volume.shape[1:]]
    result = np.empty_like(scaled)
    for here in product(*sides):
        logit = w["position_conv.bias"][0]
        for tap in product(*[range(n) for n in kernel.shape[1:]]):
            there = tuple(
                p + k - n // 2 for p, k, n in zip(here, tap, kernel.shape[1:], strict=True)
            )
            if all(p in side for p, side in zip(there, sides, strict=True)):
                column = scaled[(slice(None), *there)]
                logit += kernel[(0, *tap)] * column.mean() + kernel[(1, *tap)] * column.max()
        result[(slice(None), *here)] = scaled[(slice(None), *here)] * sigmoid(logit)
    return result.reshape(feature.shape)


@settings(max_examples=20, deadline=None)
@given(shape=st.sampled_from(SHAPES), kernel=st.sampled_from([1, 3, 7]), seed=st.integers(0, 99))
def test_equals_the_definition(shape, kernel, seed):
    module = cbam(shape, kernel_size=kernel).double()
    torch.manual_seed(seed)
    batch = torch.randn(2, *shape, dtype=torch.double)
    found = module(batch, None).detach().numpy()
    for i in range(2):
        np.testing.assert_allclose(found[i], oracle(module, batch[i].numpy()), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("offset", [0, -5])
def test_padding_changes_nothing_and_valid_steps_are_those_of_the_shorter_feature(shape, offset):
    module = cbam(shape)
    torch.manual_seed(1)
    # Below zero throughout, so that zeros in the padding would be the maximum.
    feature = torch.randn(3, *shape) + offset
    valid = torch.arange(shape[1]) < torch.tensor([[shape[1]], [2], [1]])
    mask = valid.reshape(3, 1, -1, *[1] * (len(shape) - 2))
    found = module(torch.where(mask, feature, torch.nan), None, valid)
    for i, steps in enumerate(valid.sum(1).tolist()):
        alone = module(feature[i : i + 1, :, :steps], None)
        torch.testing.assert_close(found[i : i + 1, :, :steps], alone)


def test_no_valid_step_is_finite_with_finite_gradients():
    module = cbam((4, 6))
    feature = torch.randn(2, 4, 6, requires_grad=True)
    output = module(feature, None, torch.zeros(2, 6, dtype=torch.bool))
    assert output.isfinite().all()
    output.sum().backward()
    assert feature.grad is not None
    assert feature.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_gates_are_in_0_to_1_and_nan_stays_in_its_item():
    module, feature = cbam((4, 6)), torch.randn(2, 4, 6)
    assert module.channel_gate(feature).shape == (2, 4)
    assert module.position_gate(feature).shape == (2, 1, 6)
    ratio = module(feature, None) / feature
    assert ((ratio > 0) & (ratio < 1)).all()
    feature[0, 0, 0] = torch.nan
    output = module(feature, None)
    assert output[0].isnan().any()
    assert output[1].isfinite().all()


def test_gradients_in_double_precision():
    module = cbam((4, 6)).double()
    feature = torch.randn(2, 4, 6, dtype=torch.double, requires_grad=True)
    valid = torch.arange(6) < torch.tensor([[6], [4]])
    assert torch.autograd.gradcheck(lambda x: module(x, None, valid), feature)


@pytest.mark.parametrize("options", [{"reduction": 0}, {"kernel_size": 2}, {"kernel_size": -1}])
def test_wrong_options(options):
    with pytest.raises(AttentadError, match=next(iter(options))):
        check_options(CBAM, options)
