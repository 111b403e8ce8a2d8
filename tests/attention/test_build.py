"""The table of attention modules and its one way in."""

from __future__ import annotations

import pytest
import torch

from attentad.attention import ATTENTION, build_attention
from attentad.core import AttentadError

SHAPE = {"feature_dim": 8, "context_dim": 5, "length": 6}


@pytest.mark.parametrize("name", ATTENTION)
def test_every_module_keeps_the_shape(name):
    module = build_attention(name, {}, **SHAPE)
    feature, context = torch.randn(2, 8, 6), torch.randn(2, 5, 6)
    valid = torch.arange(6) < torch.tensor([[6], [4]])
    assert module(feature, context).shape == feature.shape
    assert module(feature, context, valid).shape == feature.shape


@pytest.mark.parametrize("name", ["none", "se", "cbam", "sta"])
def test_modules_for_clips(name):
    module = build_attention(name, {}, feature_dim=8, context_dim=None, length=6, height=4, width=3)
    clip = torch.randn(2, 8, 6, 4, 3)
    assert module(clip, clip).shape == clip.shape


def test_none_returns_the_feature():
    feature = torch.randn(1, 8, 6)
    assert build_attention("none", {}, **SHAPE)(feature, feature) is feature


def test_options_are_passed():
    assert build_attention("transformer", {"dropout": 0}, **SHAPE).layer.dropout.p == 0
    gains = build_attention("sta", {"gate_bias": 4}, **SHAPE)
    assert gains.conv2.bias.tolist() == [4.0] * 8
    assert build_attention("csa", {"convs": 3}, **SHAPE).channel_convs[2].out_channels == 8
    assert build_attention("se", {"reduction": 2}, **SHAPE).squeeze.out_features == 4


@pytest.mark.parametrize(
    ("name", "options", "context_dim", "message"),
    [
        ("cse", {}, 5, "'cse' is unknown: use one of none, csa, se"),
        ("csa", {"kernel": 3}, 5, "no option 'kernel': it has context, kernel_size"),
        ("none", {"convs": 1}, 5, "it has none"),
        ("csa", {"length": 3}, 5, "no option 'length'"),
        ("csa", {}, None, "reads the recogniser's features"),
        ("csa", {"fusion": "max"}, 5, "fusion cannot be 'max', use concat or add or mean"),
        ("csa", {"convs": "two"}, 5, "convs cannot be 'two', use a whole number"),
        ("csa", {"convs": True}, 5, "convs cannot be True"),
        (
            "csa",
            {"reduction": 2.5},
            5,
            "reduction cannot be 2.5, use a whole number or single or n",
        ),
        ("csa", {"masked_mean": 1}, 5, "masked_mean cannot be 1, use true or false"),
        ("sta", {"deconv_padding": False}, 5, "deconv_padding cannot be False, use 0 or 1"),
        ("transformer", {"dropout": "low"}, 5, "dropout cannot be 'low', use a number"),
        ("transformer", {"heads": 3}, 5, "heads = 3 must divide its 8 channels"),
        ("csa", {"context": "global", "heads": 3}, 5, "heads = 3 must divide its 256 channels"),
    ],
)
def test_errors_name_the_key(name, options, context_dim, message):
    with pytest.raises(AttentadError, match=message):
        build_attention(name, options, feature_dim=8, context_dim=context_dim, length=6)
