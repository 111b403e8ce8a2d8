"""FF-CSA, G-CSA and LG-CSA (the paper's Table 5): counts, definitions, padding, errors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.attention.csa import CSA
from attentad.attention.sites import SiteShape, build_attention
from attentad.core import AttentadError
from attentad.core.options import check_options

C, C_IN, T = 6, 5, 8
TINY = {"transformer_dim": 4, "heads": 2, "ffn_dim": 3, "dropout": 0.0}
# SE's 16 would leave a single inner unit, which may be dead, of a few channels.
SINGLE = {"reduction": "single"}
ROWS = {
    "FF-CSA": {"context": "feed_forward"},
    "G-CSA": {"context": "global"},
    "LG-CSA": {"context": "local_global"},
}


def csa(context, **options):
    torch.manual_seed(0)
    tiny = SINGLE if context == "feed_forward" else TINY
    return CSA(C, C_IN, T, context=context, **tiny | options)


def pair(batch=2):
    torch.manual_seed(1)
    return torch.randn(batch, C, T), torch.randn(batch, C_IN, T)


def count(module):
    return sum(p.numel() for p in module.parameters())


def conv(c_in, c_out, k=1):
    return c_in * c_out * k + c_out


@pytest.mark.parametrize(
    ("c_in", "c", "length"), [(400, 256, 100), (2048, 256, 256), (400, 128, 100), (512, 256, 100)]
)
def test_parameter_counts_of_the_rows(c_in, c, length):
    def built(row, **options):
        return count(build_attention("csa", ROWS[row] | options, SiteShape(c, c_in, length)))

    fusion = conv(2 * c, c)
    squeezed = conv(c_in, c_in // 16) + conv(c_in // 16, c)
    squeezed += conv(length, length // 16) + conv(length // 16, length)
    assert built("FF-CSA") == squeezed + fusion

    layer = 4 * conv(256, 256) + conv(256, 1024) + conv(1024, 256) + 4 * 256
    for mode, width in (("channel_pool", c), ("time_pool", length)):
        rest = conv(256, c) + conv(c, c) + conv(256, width) + conv(length, length) + fusion
        assert built("G-CSA", temporal_mode=mode) == 2 * (conv(c_in, 256) + layer) + rest
        assert built("LG-CSA", temporal_mode=mode) == 2 * (conv(c_in, 256, 3) + layer) + rest


def test_golden_parameter_counts():
    def built(**options):
        return count(CSA(256, 400, 100, **options))

    assert built(context="feed_forward") == 149_315
    assert built(context="feed_forward", reduction="single") == 102_656 + 10_100 + 131_328
    assert built(context="feed_forward", branches="channel") == 16_681
    assert built(context="local", reduction="single") == built()
    assert built(temporal_mode="time_pool") == 861_740


def test_table_6_and_7_parameter_counts():
    def built(**options):
        return count(CSA(256, 2048, 256, **options))

    branch = conv(2048, 256, 3) + conv(256, 256)
    assert built(convs=1, branches="channel") == built(convs=1, branches="temporal") == branch
    for k in (1, 3, 5):
        expected = 2 * (conv(2048, 256, k) + conv(256, 256)) + conv(512, 256)
        assert built(convs=1, kernel_size=k) == expected
    for n in (1, 2, 3):
        stack = conv(2048, 256, 3) + (n - 1) * conv(256, 256, 3)
        assert built(convs=n) == 2 * (stack + conv(256, 256)) + conv(512, 256)


@pytest.mark.parametrize("reduction", [None, 2, "single"])
def test_feed_forward_is_se_on_r(reduction):
    module = csa("feed_forward", reduction=reduction, fusion="mean")
    feature, context = pair(1)

    def gate(fc, pooled):
        layers = [fc] if reduction == "single" else [fc[0], fc[2]]
        for i, layer in enumerate(layers):
            pooled = layer.weight @ pooled + layer.bias
            pooled = pooled.clamp(min=0) if i + 1 < len(layers) else pooled
        return 1 / (1 + torch.exp(-pooled))

    channel = gate(module.channel_fc, torch.stack([row.mean() for row in context[0]]))
    temporal = gate(module.temporal_fc, torch.stack([step.mean() for step in context[0].T]))
    expected = feature[0] * (channel[:, None] + temporal[None]) / 2
    torch.testing.assert_close(module(feature, context)[0], expected)


@pytest.mark.parametrize("context", ["global", "local_global"])
@pytest.mark.parametrize("mode", ["time_pool", "channel_pool", "one_channel"])
def test_global_contexts_are_conv_transformer_conv(context, mode):
    module = csa(context, temporal_mode=mode)
    _, r = pair()
    pooled = {}
    for branch in ("channel", "temporal"):
        block = getattr(module, f"{branch}_convs")
        k = 3 if context == "local_global" else 1
        assert block.conv_in.kernel_size == (k,)
        hidden = torch.nn.functional.conv1d(
            r, block.conv_in.weight, block.conv_in.bias, padding=k // 2
        )
        hidden = hidden.clamp(min=0) if context == "local_global" else hidden
        hidden = block.transformer(hidden, None)
        pooled[branch] = block.conv_out(hidden).mean(
            2 if branch == "channel" or mode == "time_pool" else 1
        )
    a_c, a_t = module.gates(r)
    torch.testing.assert_close(a_c, torch.sigmoid(module.channel_fc(pooled["channel"])))
    torch.testing.assert_close(a_t, torch.sigmoid(module.temporal_fc(pooled["temporal"])))


@settings(max_examples=20, deadline=None)
@given(
    context=st.sampled_from(["feed_forward", "global", "local_global"]),
    masked=st.booleans(),
    branches=st.sampled_from(["both", "channel", "temporal"]),
    training=st.booleans(),
)
def test_batch_of_n_is_n_single_calls_and_padding_content_changes_nothing(
    context, masked, branches, training
):
    module = csa(context, masked_mean=masked, branches=branches).train(training)
    feature, r = pair(3)
    valid = torch.arange(T) < torch.tensor([[T], [5], [1]])
    with torch.set_grad_enabled(training):
        batch = module(feature, r, valid)
        for i in range(3):
            one = slice(i, i + 1)
            single = module(feature[one], r[one], valid[one])
            torch.testing.assert_close(single[0], batch[i], atol=1e-5, rtol=1e-5)
        filled = torch.where(valid[:, None], r, torch.nan)
        torch.testing.assert_close(module(feature, filled, valid), batch)


@pytest.mark.parametrize("context", ["feed_forward", "global", "local_global"])
def test_masked_mean_is_the_channel_gate_of_the_shorter_sequence(context):
    module = csa(context, masked_mean=True, branches="channel")
    _, r = pair()
    valid = (torch.arange(T) < 5).expand(2, -1)
    tiny = SINGLE if context == "feed_forward" else TINY
    shorter = CSA(C, C_IN, 5, context=context, branches="channel", **tiny)
    shorter.load_state_dict(module.state_dict())
    torch.testing.assert_close(module.gates(r, valid)[0], shorter.gates(r[:, :, :5])[0])
    literal = csa(context, branches="channel")
    assert not torch.allclose(literal.gates(r, valid)[0], shorter.gates(r[:, :, :5])[0])
    padded = r * valid[:, None]
    torch.testing.assert_close(literal.gates(r, valid)[0], literal.gates(padded)[0])


@pytest.mark.parametrize("context", ["feed_forward", "global", "local_global"])
def test_gradients_reach_every_parameter(context):
    module = csa(context, reduction="single")
    module(*pair()).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("context", ["feed_forward", "global", "local_global"])
def test_no_valid_step_is_finite(context):
    feature, r = pair(1)
    module = csa(context, masked_mean=True)
    assert module(feature, r, torch.zeros(1, T, dtype=torch.bool)).isfinite().all()


@pytest.mark.parametrize(
    ("context", "options", "message"),
    [
        ("wide", {}, "context cannot be 'wide'; use local or feed_forward"),
        ("local", {"heads": 4}, "heads means nothing with context local"),
        ("feed_forward", {"convs": 1}, "convs means nothing"),
        ("feed_forward", {"temporal_mode": "time_pool"}, "temporal_mode means nothing"),
        ("feed_forward", {"dropout": 0.2}, "dropout means nothing"),
        ("global", {"kernel_size": 5}, "kernel_size means nothing"),
        ("local_global", {"convs": 1}, "convs means nothing"),
        ("global", {"heads": 3}, "heads = 3"),
        ("global", {"reduction": 0}, "reduction"),
    ],
)
def test_wrong_options(context, options, message):
    def build():
        check_options(CSA, {"context": context} | options)
        CSA(C, C_IN, T, context=context, **options)

    with pytest.raises(AttentadError, match=message):
        build()
