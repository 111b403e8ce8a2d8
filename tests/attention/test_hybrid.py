"""HAM-Net's foreground attention and the module made of it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from attentad.attention.hybrid import ForegroundAttention, Hybrid, initialise
from attentad.attention.sites import SiteShape, build_attention
from attentad.core import AttentadError
from attentad.detection.bmn import BMN

C, T = 6, 9


def hybrid(**options):
    torch.manual_seed(0)
    return Hybrid(C, **{"hidden_dim": 5} | options)


def conv_by_hand(x, conv):
    """One item (C, T), odd kernel, zero padding, by loops."""
    weight, length = conv.weight, x.shape[1]
    k = weight.shape[2]
    out = torch.zeros(len(weight), length)
    for t in range(length):
        for j in range(k):
            if 0 <= t + j - k // 2 < length:
                out[:, t] += weight[:, :, j] @ x[:, t + j - k // 2]
    return out + conv.bias[:, None]


def test_is_its_layers():
    torch.manual_seed(0)
    module, feature = ForegroundAttention(C, 5), torch.randn(2, C, T)
    for conv in (module.conv_1, module.conv_2, module.conv_out):
        nn.init.normal_(conv.bias)
    for item in range(2):
        h = feature[item]
        for conv in (module.conv_1, module.conv_2):
            h = conv_by_hand(h, conv)
            h = torch.where(h > 0, h, 0.2 * h)
        expected = 1 / (1 + torch.exp(-conv_by_hand(h, module.conv_out)[0]))
        torch.testing.assert_close(module(feature)[item], expected)


def test_published_size():
    # Spec hamnet §1.2: 2048 → 512 → 512 → 1.
    count = sum(p.numel() for p in ForegroundAttention(2048).parameters())
    assert count == (2048 * 3 + 1) * 512 + (512 * 3 + 1) * 512 + 512 + 1


def test_initialisation_is_kaiming_uniform():
    torch.manual_seed(0)
    module = ForegroundAttention(40, 50)
    for conv in (module.conv_1, module.conv_2, module.conv_out):
        assert (conv.bias == 0).all()
        bound = math.sqrt(2) * math.sqrt(3 / (conv.in_channels * conv.kernel_size[0]))
        largest = conv.weight.abs().max().item()
        assert largest <= bound
        assert largest > 0.95 * bound or conv is module.conv_out
    other = nn.Sequential(nn.Conv1d(3, 3, 1, bias=False), nn.Linear(3, 3))
    before = other[1].bias.clone()
    initialise(other)
    assert torch.equal(other[1].bias, before)


@pytest.mark.parametrize("mode", ["soft", "semi_soft", "hard"])
def test_scales_every_step(mode):
    module, feature = hybrid(mode=mode, gamma=0.9), torch.randn(2, C, T)
    a = module.foreground(feature)
    kept = (a < 0.9 * a.amax(1, keepdim=True)).float()
    weights = {"soft": a, "semi_soft": kept * a, "hard": kept}[mode]
    assert 0 < kept.sum() < kept.numel()
    torch.testing.assert_close(module(feature, feature), feature * weights[:, None])
    torch.testing.assert_close(module.last_gate.time, weights)
    assert module.last_gate.channel is None


def test_threshold_option():
    feature = torch.randn(1, C, T)
    a = hybrid().foreground(feature)
    level = a.median().item()
    module = hybrid(mode="hard", gamma=level, threshold="absolute")
    torch.testing.assert_close(module.gate(feature), (a < level).float())
    other = hybrid(mode="hard", gamma=0.5, threshold="minmax")
    torch.testing.assert_close(other.gate(feature), (a < (a.min() + a.max()) / 2).float())


@pytest.mark.parametrize("mode", ["soft", "semi_soft", "hard"])
def test_batch_of_n_is_n_single_calls_and_padding_changes_nothing(mode):
    module, feature = hybrid(mode=mode, gamma=0.8), torch.randn(3, C, T)
    valid = torch.arange(T) < torch.tensor([[T], [4], [1]])
    batch = module(feature, feature, valid)
    filled = torch.where(valid[:, None], feature, torch.nan)
    found = module(filled, filled, valid)
    gate = module.gate(filled, valid)
    assert (gate[~valid] == 0).all()
    for i, n in enumerate((T, 4, 1)):
        one = feature[i : i + 1, :, :n]
        torch.testing.assert_close(module(one, one)[0], batch[i, :, :n])
        torch.testing.assert_close(found[i, :, :n], batch[i, :, :n])
        torch.testing.assert_close(module.gate(one)[0], gate[i, :n])


def test_attention_is_zero_beyond_the_video():
    torch.manual_seed(0)
    module, valid = ForegroundAttention(C, 5), torch.arange(T)[None] < 4
    found = module(torch.randn(1, C, T), valid)
    assert (found[~valid] == 0).all()
    assert (found[valid] > 0).all()


def test_clips_are_weighed_by_their_frames():
    module, clip = hybrid(), torch.randn(2, C, T, 3, 4)
    weights = module.foreground(clip.mean((3, 4)))
    torch.testing.assert_close(module(clip, clip), clip * weights[:, None, :, None, None])


def test_no_valid_step_and_nan():
    module, feature = hybrid(), torch.randn(2, C, T)
    none = torch.zeros(2, T, dtype=torch.bool)
    assert (module(feature, feature, none) == 0).all()
    feature[0, 0, 0] = torch.nan
    found = module(feature, feature)
    assert found[0].isnan().any()
    assert found[1].isfinite().all()


@pytest.mark.parametrize("mode", ["soft", "semi_soft"])
def test_gradients_reach_every_parameter(mode):
    module, feature = hybrid(mode=mode, gamma=0.95), torch.randn(2, C, T)
    module(feature, feature).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_in_bmn_at_every_site():
    attention = dict.fromkeys(("input", "middle", "encoder"), ("hybrid", {"hidden_dim": 4}))
    sizes = {"hidden_dim": 8, "sampled_dim": 8, "map_dim": 4, "groups": 1, "bins": 4}
    network = BMN(C, T, **sizes, attention=attention)
    output = network(torch.randn(2, C, T), torch.arange(T) < torch.tensor([[T], [4]]))
    output.regression.sum().backward()
    assert all(part.isfinite().all() for part in output)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "none"}, "mode"),
        ({"threshold": "max"}, "threshold"),
        ({"hidden_dim": 0}, "hidden_dim"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(AttentadError, match=message):
        build_attention("hybrid", options, SiteShape(C, C, T))
