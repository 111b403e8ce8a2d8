"""SE against its definition on sequences and on clips."""

from __future__ import annotations

import pytest
import torch

from attentad.attention.se import SE
from attentad.core import AttentadError
from attentad.core.options import check_options


def test_parameter_count_of_the_baseline():
    assert sum(p.numel() for p in SE(256).parameters()) == 256 * 16 + 16 + 16 * 256 + 256


@pytest.mark.parametrize("shape", [(2, 8, 5), (2, 8, 3, 4, 5)])
def test_is_its_definition(shape):
    torch.manual_seed(0)
    module = SE(8, reduction=2)
    feature = torch.randn(shape)
    result = module(feature, feature)
    for b in range(2):
        squeezed = torch.stack([feature[b, c].mean() for c in range(8)])
        inner = (module.squeeze.weight @ squeezed + module.squeeze.bias).clamp(min=0)
        gate = torch.sigmoid(module.excite.weight @ inner + module.excite.bias)
        for c in range(8):
            torch.testing.assert_close(result[b, c], feature[b, c] * gate[c])


@pytest.mark.parametrize("shape", [(3, 8, 6), (3, 8, 6, 2, 2)])
def test_padding_changes_nothing_and_valid_steps_are_those_of_the_shorter_feature(shape):
    torch.manual_seed(0)
    module = SE(8)
    feature = torch.randn(shape)
    valid = (torch.arange(6) < 4).expand(3, -1)
    expanded = valid.reshape(3, 1, 6, *[1] * (len(shape) - 3))
    filled = torch.where(expanded, feature, 99.0)
    found = module(filled, filled, valid)[:, :, :4]
    torch.testing.assert_close(found, module(feature, feature, valid)[:, :, :4])
    torch.testing.assert_close(found, module(feature[:, :, :4], feature))


def test_unmasked_mean_counts_the_padding():
    torch.manual_seed(0)
    module = SE(8, masked_mean=False)
    feature, valid = torch.randn(1, 8, 6), torch.arange(6)[None] < 3
    torch.testing.assert_close(module(feature, feature, valid), module(feature, feature))


def test_nan_in_the_padding_is_the_padding():
    module = SE(4)
    feature, valid = torch.randn(1, 4, 6), torch.arange(6)[None] < 3
    feature[:, :, 4] = torch.nan
    assert module(feature, feature, valid)[:, :, :3].isfinite().all()


def test_few_channels_and_no_valid_step():
    module = SE(3)
    feature = torch.randn(2, 3, 4)
    assert module.squeeze.out_features == 1
    assert module(feature, feature, torch.zeros(2, 4, dtype=torch.bool)).isfinite().all()


def test_batch_of_n_is_n_single_calls():
    module = SE(8)
    feature = torch.randn(3, 8, 5)
    singles = torch.cat([module(item[None], item[None]) for item in feature])
    torch.testing.assert_close(module(feature, feature), singles)


def test_wrong_reduction():
    with pytest.raises(AttentadError, match="reduction"):
        check_options(SE, {"reduction": 0})
