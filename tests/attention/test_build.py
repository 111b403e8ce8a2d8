"""The table of attention modules and its one way in."""

from __future__ import annotations

import re

import pytest
import torch

from attentad.attention import ATTENTION, CSA, SE
from attentad.attention.sites import SiteShape, build_attention
from attentad.core import AttentadError

SHAPE = SiteShape(8, 5, 6)


@pytest.mark.parametrize("name", ATTENTION)
def test_every_module_keeps_the_shape(name):
    module = build_attention(name, {}, SHAPE)
    feature, context = torch.randn(2, 8, 6), torch.randn(2, 5, 6)
    valid = torch.arange(6) < torch.tensor([[6], [4]])
    assert module(feature, context).shape == feature.shape
    assert module(feature, context, valid).shape == feature.shape


@pytest.mark.parametrize("name", ["none", "se", "cbam", "sta"])
def test_modules_for_clips(name):
    module = build_attention(name, {}, SiteShape(8, None, 6, 4, 3))
    clip = torch.randn(2, 8, 6, 4, 3)
    assert module(clip, clip).shape == clip.shape


def test_none_returns_the_feature():
    feature = torch.randn(1, 8, 6)
    assert build_attention("none", {}, SHAPE)(feature, feature) is feature


def test_options_are_passed():
    assert build_attention("transformer", {"dropout": 0}, SHAPE).layer.dropout.p == 0
    gains = build_attention("sta", {"gate_bias": 4}, SHAPE)
    assert gains.conv2.bias.tolist() == [4.0] * 8
    assert build_attention("csa", {"convs": 3}, SHAPE).channel_convs[2].out_channels == 8
    assert build_attention("se", {"reduction": 2}, SHAPE).squeeze.out_features == 4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cse", {}, "^roof: 'cse' is unknown; use one of none, csa, se"),
        ("csa", {"kernel": 3}, "^roof has no option 'kernel'; it takes: context, kernel_size"),
        ("none", {"convs": 1}, "it takes: none"),
        ("csa", {"length": 3}, "no option 'length'"),
        ("csa", {"fusion": "max"}, "^roof.fusion cannot be 'max'; use concat or add or mean"),
        ("csa", {"convs": "two"}, "convs cannot be 'two'; use a whole number"),
        ("csa", {"convs": True}, "convs cannot be True"),
        (
            "csa",
            {"reduction": 2.5},
            "reduction cannot be 2.5; use a whole number of at least 1 or",
        ),
        ("csa", {"masked_mean": 1}, "masked_mean cannot be 1; use true or false"),
        ("sta", {"deconv_padding": False}, "deconv_padding cannot be False; use 0 or 1"),
        ("transformer", {"dropout": "low"}, "dropout cannot be 'low'; use a number"),
        ("transformer", {"heads": 3}, "heads = 3 must divide its 8 channels"),
        ("csa", {"context": "global", "heads": 3}, "heads = 3 must divide its 256 channels"),
    ],
)
def test_errors_name_the_key(name, options, message):
    with pytest.raises(AttentadError, match=message):
        build_attention(name, options, SHAPE, where="roof")


def test_what_a_site_lacks():
    with pytest.raises(AttentadError, match="attention: csa reads the recogniser's features R"):
        build_attention("csa", {}, SHAPE._replace(context_dim=None))
    with pytest.raises(AttentadError, match="csa is made for a fixed number of steps"):
        build_attention("csa", {}, SHAPE._replace(length=None))
    build_attention("sta", {}, SiteShape(8))


@pytest.mark.parametrize(
    ("module", "options", "said"),
    [
        (CSA, {"temporal_mode": "pool"}, "CSA.temporal_mode cannot be 'pool'; use channel_pool or"),
        (CSA, {"kernel_size": 4}, "CSA.kernel_size cannot be 4; use an odd number"),
        (SE, {"reduction": 0}, "SE.reduction cannot be 0"),
        (SE, {"ratio": 2}, "SE has no option 'ratio'; it takes: "),
    ],
)
def test_a_program_is_told_as_a_recipe_is(module, options, said):
    shape = (
        {"feature_dim": 8, "context_dim": 5, "length": 6} if module is CSA else {"feature_dim": 8}
    )
    with pytest.raises(AttentadError, match=re.escape(said)):
        module(**shape, **options)
