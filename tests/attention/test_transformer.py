"""The Transformer layer against its definition, its parameter count, padding, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.attention.transformer import Transformer, sinusoidal_positions
from attentad.core import AttentadError
from attentad.core.options import check_options


def small(channels=8, **options):
    torch.manual_seed(0)
    return Transformer(channels, **{"heads": 2, "ffn_dim": 6, "dropout": 0.0} | options)


def test_parameter_count_of_the_baseline():
    attention = 4 * (256 * 256 + 256)
    feed_forward = 256 * 1024 + 1024 + 1024 * 256 + 256
    norms = 2 * 2 * 256
    expected = attention + feed_forward + norms
    assert sum(p.numel() for p in Transformer(256).parameters()) == expected == 789_760


@pytest.mark.parametrize("channels", [1, 6, 7])
def test_positions_are_their_definition(channels):
    table = sinusoidal_positions(channels, 5)
    for c in range(channels):
        for t in range(5):
            angle = t / 10_000 ** (2 * (c // 2) / channels)
            expected = math.sin(angle) if c % 2 == 0 else math.cos(angle)
            assert table[c, t].item() == pytest.approx(expected, abs=1e-6)


def layer_norm(x, weight, bias):
    centred = x - x.mean()
    return centred / np.sqrt((centred**2).mean() + 1e-5) * weight + bias


def oracle(module, feature, valid):
    """One item (C, T) and its valid steps, in numpy, one query and head at a time."""
    w = {k.removeprefix("layer."): v.double().numpy() for k, v in module.state_dict().items()}
    channels, length = feature.shape
    heads = module.layer.self_attn.num_heads
    width = channels // heads
    x = (feature + sinusoidal_positions(channels, length).double().numpy()).T
    q, k, v = np.split(x @ w["self_attn.in_proj_weight"].T + w["self_attn.in_proj_bias"], 3, axis=1)
    steps = np.flatnonzero(valid)
    out = np.zeros_like(x)
    for t in steps:
        mixed = np.zeros(channels)
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            energy = np.array([q[t, part] @ k[u, part] for u in steps]) / np.sqrt(width)
            share = np.exp(energy) / np.exp(energy).sum()
            mixed[part] = sum(share[i] * v[u, part] for i, u in enumerate(steps))
        mixed = w["self_attn.out_proj.weight"] @ mixed + w["self_attn.out_proj.bias"]
        y = layer_norm(x[t] + mixed, w["norm1.weight"], w["norm1.bias"])
        inner = np.maximum(w["linear1.weight"] @ y + w["linear1.bias"], 0)
        inner = w["linear2.weight"] @ inner + w["linear2.bias"]
        out[t] = layer_norm(y + inner, w["norm2.weight"], w["norm2.bias"])
    return out.T


@settings(max_examples=20, deadline=None)
@given(
    length=st.integers(1, 7),
    marks=st.integers(1, 2**7 - 1),
    seed=st.integers(0, 99),
    training=st.booleans(),
)
def test_equals_the_definition_on_the_valid_steps(length, marks, seed, training):
    """In training and in evaluation, which torch computes by different code."""
    torch.manual_seed(seed)
    module = small().double().train(training)
    feature = torch.randn(1, 8, length, dtype=torch.double)
    valid = torch.tensor([[bool(marks >> t & 1) for t in range(length)]])
    valid[0, 0] |= not valid.any()
    with torch.set_grad_enabled(training):
        found = module(feature, None, valid)[0].detach().numpy()
    np.testing.assert_allclose(found, oracle(module, feature[0].numpy(), valid[0]), atol=1e-6)
    with torch.set_grad_enabled(training):
        unmasked = module(feature, None)[0].detach().numpy()
    expected = oracle(module, feature[0].numpy(), np.ones(length, bool))
    np.testing.assert_allclose(unmasked, expected, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_nothing_and_valid_steps_are_those_of_the_shorter_feature(training):
    module = small().train(training)
    torch.manual_seed(1)
    feature = torch.randn(3, 8, 6)
    valid = torch.arange(6) < torch.tensor([[6], [4], [1]])
    with torch.set_grad_enabled(training):
        found = module(torch.where(valid[:, None], feature, torch.nan), None, valid)
        for i, steps in enumerate(valid.sum(1).tolist()):
            alone = module(feature[i : i + 1, :, :steps], None)
            torch.testing.assert_close(found[i : i + 1, :, :steps], alone, atol=1e-5, rtol=1e-5)
            assert (found[i, :, steps:] == 0).all()


@pytest.mark.parametrize("training", [True, False])
def test_no_valid_step_is_zero_with_finite_gradients(training):
    module = small().train(training)
    feature = torch.randn(2, 8, 4)
    valid = torch.tensor([[False] * 4, [True] * 4])
    output = module(feature, None, valid)
    assert (output[0] == 0).all()
    assert output[1].isfinite().all()
    output.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_dropout_acts_in_training_only():
    module, feature = small(dropout=0.5), torch.randn(1, 8, 6)
    assert not torch.equal(module(feature, None), module(feature, None))
    module.eval()
    assert torch.equal(module(feature, None), module(feature, None))


def test_order_matters_by_the_positions_alone():
    module = small()
    constant = torch.ones(1, 8, 5)
    assert not torch.allclose(module(constant, None)[..., 0], module(constant, None)[..., 1])


def test_mixed_precision_and_nan():
    module, feature = small(), torch.randn(2, 8, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = module(feature.bfloat16(), None)
    torch.testing.assert_close(low.float(), module(feature, None), atol=0.1, rtol=0.1)
    feature[0, 0, 0] = torch.nan
    output = module(feature, None)
    assert output[0].isnan().any()
    assert output[1].isfinite().all()


def test_gradients_in_double_precision():
    module = small(4, ffn_dim=3).double()
    feature = torch.randn(2, 4, 3, dtype=torch.double, requires_grad=True)
    valid = torch.tensor([[True] * 3, [True, True, False]])
    assert torch.autograd.gradcheck(lambda x: module(x, None, valid), feature)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "heads = 3 must divide its 8 channels"),
        ({"heads": 0}, "heads"),
        ({"ffn_dim": 0}, "ffn_dim"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
    ],
)
def test_wrong_options(options, message):
    def build():
        check_options(Transformer, options)
        small(**options)

    with pytest.raises(AttentadError, match=message):
        build()


def test_clips_are_refused():
    with pytest.raises(AttentadError, match="not over clips"):
        small()(torch.randn(1, 8, 4, 2, 2), None)
