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


@pytest.mark.parametrize("name", ["none", "se", "sta"])
def test_modules_for_clips(name):
    module = build_attention(name, {}, feature_dim=8, context_dim=None, length=6, height=4, width=3)
    clip = torch.randn(2, 8, 6, 4, 3)
    assert module(clip, clip).shape == clip.shape


def test_none_returns_the_feature():
    feature = torch.randn(1, 8, 6)
    assert build_attention("none", {}, **SHAPE)(feature, feature) is feature


def test_options_are_passed():
    assert build_attention("csa", {"convs": 3}, **SHAPE).channel_convs[2].out_channels == 8
    assert build_attention("se", {"reduction": 2}, **SHAPE).squeeze.out_features == 4


@pytest.mark.parametrize(
    ("name", "options", "context_dim", "message"),
    [
        ("cse", {}, 5, "'cse' is unknown: use one of none, csa, se"),
        ("csa", {"kernel": 3}, 5, "no option 'kernel': it has kernel_size"),
        ("none", {"convs": 1}, 5, "it has none"),
        ("csa", {"length": 3}, 5, "no option 'length'"),
        ("csa", {}, None, "reads the recogniser's features"),
        ("csa", {"fusion": "max"}, 5, "fusion is one of concat"),
    ],
)
def test_errors_name_the_key(name, options, context_dim, message):
    with pytest.raises(AttentadError, match=message):
        build_attention(name, options, feature_dim=8, context_dim=context_dim, length=6)
