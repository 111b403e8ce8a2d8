"""CSA: parameter counts, gates against a plain re-computation, every option, padding."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attentad.attention.csa import CSA
from attentad.core import AttentadError
from attentad.core.options import check_options

C, C_IN, T = 6, 5, 8
TIME_POOL = {"temporal_mode": "time_pool"}


def csa(**options):
    torch.manual_seed(0)
    return CSA(C, C_IN, T, **options)


def pair(batch=2):
    torch.manual_seed(1)
    return torch.randn(batch, C, T), torch.randn(batch, C_IN, T)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("context_dim", "feature_dim", "length", "convs", "expected"),
    [
        (400, 256, 100, 1, 634_776),
        (400, 256, 100, 2, 861_740),
        (2048, 256, 256, 1, 3_409_152),
        (2048, 256, 256, 2, 3_802_880),
        (400, 128, 100, 2, 412_716),
    ],
)
def test_golden_parameter_counts(context_dim, feature_dim, length, convs, expected):
    time_pool = CSA(feature_dim, context_dim, length, convs=convs, temporal_mode="time_pool")
    assert count(time_pool) == expected
    # CB_t's width is C_out in place of T: nothing else differs.
    wider = sum(
        3 * (before * feature_dim - narrow * length) + feature_dim - length
        for before, narrow in [(context_dim, context_dim), (feature_dim, length)][:convs]
    )
    assert count(CSA(feature_dim, context_dim, length, convs=convs)) == expected + wider


def conv1d_by_hand(x, weight, bias):
    """One item (C, T), odd kernel, zero padding, by loops."""
    out_dim, _, k = weight.shape
    length = x.shape[1]
    out = torch.zeros(out_dim, length)
    for t in range(length):
        for j in range(k):
            if 0 <= t + j - k // 2 < length:
                out[:, t] += weight[:, :, j] @ x[:, t + j - k // 2]
    return out + bias[:, None]


@pytest.mark.parametrize("convs", [1, 2])
@pytest.mark.parametrize("mode", ["channel_pool", "time_pool"])
def test_the_equations(convs, mode):
    module = csa(convs=convs, **({} if mode == "channel_pool" else {"temporal_mode": mode}))
    feature, context = pair(1)
    branch = {}
    for name in ("channel", "temporal"):
        h = context[0]
        for conv in getattr(module, f"{name}_convs"):
            h = conv1d_by_hand(h, conv.weight, conv.bias).clamp(min=0)
        fc = getattr(module, f"{name}_fc")
        pooled = h.mean(0) if (name, mode) == ("temporal", "channel_pool") else h.mean(1)
        branch[name] = 1 / (1 + torch.exp(-(fc.weight @ pooled + fc.bias)))
    by_time = feature[0] * branch["temporal"][None, :]
    by_channel = feature[0] * branch["channel"][:, None]
    weight = module.projection.weight[:, :, 0]
    fused = weight @ torch.cat([by_time, by_channel]) + module.projection.bias[:, None]
    torch.testing.assert_close(module(feature, context)[0], fused.clamp(min=0))
    a_c, a_t = module.gates(context)
    torch.testing.assert_close(a_c[0], branch["channel"])
    torch.testing.assert_close(a_t[0], branch["temporal"])


def open_gates(module):
    """Force every gate to one."""
    for name in ("channel_fc", "temporal_fc"):
        fc = getattr(module, name)
        last = fc if isinstance(fc, nn.Linear) else fc[-1]
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, 100.0)


@pytest.mark.parametrize("fusion", ["concat", "add", "mean", "add_conv"])
def test_open_gates(fusion):
    module = csa(fusion=fusion)
    open_gates(module)
    feature, context = pair()
    result = module(feature, context)
    if fusion == "add":
        expected = 2 * feature
    elif fusion == "mean":
        expected = feature
    else:
        doubled = torch.cat([feature, feature], 1) if fusion == "concat" else 2 * feature
        expected = torch.relu(module.projection(doubled))
    torch.testing.assert_close(result, expected)


def test_channel_pool_is_tied_to_its_time_step():
    # With k = 1 a permutation of time and of the FC's rows and columns commute.
    module = csa(kernel_size=1, convs=1, temporal_mode="channel_pool")
    feature, context = pair()
    order = torch.randperm(T)
    permuted = csa(kernel_size=1, convs=1, temporal_mode="channel_pool")
    permuted.load_state_dict(module.state_dict())
    with torch.no_grad():
        permuted.temporal_fc.weight.copy_(module.temporal_fc.weight[order][:, order])
        permuted.temporal_fc.bias.copy_(module.temporal_fc.bias[order])
    torch.testing.assert_close(
        permuted(feature[:, :, order], context[:, :, order]),
        module(feature, context)[:, :, order],
    )


@pytest.mark.parametrize("convs", [1, 2])
def test_only_time_pool_cannot_see_when_something_happens(convs):
    """An event of R is moved by 15 steps; numbers are such that sums are exact in any order."""
    torch.manual_seed(0)
    length, event = 64, torch.randint(-4, 5, (2, C_IN, 6)).double()
    early, late = torch.zeros(2, 2, C_IN, length, dtype=torch.float64)
    early[:, :, 20:26] = late[:, :, 35:41] = event

    @torch.no_grad()
    def change(**options):
        torch.manual_seed(0)
        module = CSA(C, C_IN, length, convs=convs, **options).double()
        for parameter in module.parameters():
            parameter.copy_((64 * parameter).round() / 64)
        (a_c, a_t), (moved_a_c, moved_a_t) = module.gates(early), module.gates(late)
        assert torch.equal(moved_a_c, a_c)  # says which channels, no matter when
        return float((moved_a_t - a_t).abs().max())

    assert change(temporal_mode="time_pool") == 0
    assert change() > 0.01
    assert change() == change(temporal_mode="channel_pool")


def test_one_channel_pools_nothing():
    module = csa(temporal_mode="one_channel")
    assert [conv.out_channels for conv in module.temporal_convs] == [C, 1]
    _, context = pair()
    response = context
    for conv in module.temporal_convs:
        response = torch.relu(conv(response))
    expected = torch.sigmoid(module.temporal_fc(response[:, 0]))
    torch.testing.assert_close(module.gates(context)[1], expected)


@pytest.mark.parametrize(
    ("options", "channel_widths", "temporal_widths"),
    [
        ({"convs": 3, **TIME_POOL}, [C, C, C], [T, T, T]),
        ({"convs": 3, "conv_width": "feature", **TIME_POOL}, [C, C, C], [C, C, T]),
        ({"convs": 3, "conv_width": "context", **TIME_POOL}, [C_IN, C_IN, C], [C_IN, C_IN, T]),
        ({"convs": 1, "conv_width": "context", **TIME_POOL}, [C], [T]),
        ({"channel_width": "context", **TIME_POOL}, [C_IN, C_IN], [T, T]),
        ({"convs": 3, "conv_width": "context"}, [C_IN, C_IN, C], [C_IN, C_IN, C]),
        ({}, [C, C], [C, C]),
        ({"temporal_mode": "one_channel", "conv_width": "context"}, [C_IN, C], [C_IN, 1]),
    ],
)
def test_widths(options, channel_widths, temporal_widths):
    module = csa(**options)
    assert [conv.out_channels for conv in module.channel_convs] == channel_widths
    assert [conv.out_channels for conv in module.temporal_convs] == temporal_widths
    assert all(conv.groups == 1 for conv in module.channel_convs)
    assert module(*pair()).shape == (2, C, T)


def test_reduction_is_two_layers():
    module = csa(reduction=2)
    assert [type(layer) for layer in module.channel_fc] == [nn.Linear, nn.ReLU, nn.Linear]
    assert module.channel_fc[0].out_features == 3
    assert module.temporal_fc[0].out_features == 4
    assert module(*pair()).shape == (2, C, T)


def test_single_branches():
    feature, context = pair()
    by_channel, by_time = csa(branches="channel"), csa(branches="temporal")
    a_c, ones = by_channel.gates(context)
    torch.testing.assert_close(by_channel(feature, context), feature * a_c[:, :, None])
    assert (ones == 1).all()
    ones, a_t = by_time.gates(context)
    torch.testing.assert_close(by_time(feature, context), feature * a_t[:, None])
    assert (ones == 1).all()
    projected = csa(branches="channel", single_projection=True)
    assert projected.projection.in_channels == C
    assert (projected(feature, context) >= 0).all()
    assert count(by_channel) < count(csa()) > count(by_time)


def test_fusion_kernel():
    assert csa(fusion_kernel=3)(*pair()).shape == (2, C, T)


GRID = list(
    itertools.product(
        ["time_pool", "channel_pool", "one_channel"],
        ["both", "channel", "temporal"],
        ["concat", "add", "mean", "add_conv"],
        [False, True],
    )
)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(GRID), st.integers(0, 1000))
def test_batch_of_n_is_n_single_calls_and_padding_content_changes_nothing(choice, seed):
    mode, branches, fusion, masked = choice
    torch.manual_seed(seed)
    module = CSA(
        C, C_IN, T, temporal_mode=mode, branches=branches, fusion=fusion, masked_mean=masked
    )
    feature, context = torch.randn(3, C, T), torch.randn(3, C_IN, T)
    valid = torch.arange(T) < torch.tensor([[T], [5], [1]])
    batch = module(feature, context, valid)
    for i in range(3):
        one = slice(i, i + 1)
        torch.testing.assert_close(module(feature[one], context[one], valid[one])[0], batch[i])
    filled = torch.where(valid[:, None], context, torch.nan)
    torch.testing.assert_close(module(feature, filled, valid), batch)
    assert batch.shape == feature.shape


def test_masked_mean_is_the_mean_of_the_shorter_sequence():
    module = csa(masked_mean=True, branches="channel")
    feature, context = pair()
    valid = (torch.arange(T) < 5).expand(2, -1)
    shorter = CSA(C, C_IN, 5, branches="channel")
    shorter.load_state_dict(module.state_dict())
    torch.testing.assert_close(
        module(feature, context, valid)[:, :, :5], shorter(feature[:, :, :5], context[:, :, :5])
    )


def test_literal_mean_counts_the_padding_as_zeros_of_r():
    module = csa()
    feature, context = pair()
    valid = (torch.arange(T) < 5).expand(2, -1)
    torch.testing.assert_close(
        module(feature, context, valid), module(feature, context * valid[:, None])
    )


def test_no_valid_step_is_finite():
    module = csa(masked_mean=True)
    feature, context = pair(1)
    assert module(feature, context, torch.zeros(1, T, dtype=torch.bool)).isfinite().all()


def test_other_length_is_refused():
    feature, context = pair()
    for call in (lambda m: m(feature[:, :, 1:], context[:, :, 1:]), lambda m: m.gates(context[:, :, 1:])):  # fmt: skip  # noqa: E501
        with pytest.raises(AttentadError, match="T = 8"):
            call(csa())


def test_nan_is_not_hidden():
    feature, context = pair()
    context[0, 0, 0] = torch.nan
    result = csa()(feature, context)
    assert result[0].isnan().any()
    assert result[1].isfinite().all()


@pytest.mark.parametrize(
    "options",
    [
        {"temporal_mode": "pool"},
        {"conv_width": "wide"},
        {"channel_width": "output"},
        {"branches": "none"},
        {"fusion": "max"},
        {"kernel_size": 2},
        {"fusion_kernel": 0},
        {"convs": 0},
        {"reduction": 0},
    ],
)
def test_wrong_options(options):
    (name,) = options
    with pytest.raises(AttentadError, match=name):
        check_options(CSA, options)


def test_gradients_reach_every_parameter():
    module = csa()
    module(*pair()).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
