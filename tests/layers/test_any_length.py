"""Attention modules of fixed length on sequences of any length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attentad.attention import ATTENTION, build_attention
from attentad.layers.any_length import attend_at_any_length, dealt_rows


@given(st.integers(1, 60), st.integers(1, 20))
def test_every_step_stands_in_a_row_and_is_found_again(steps, length):
    rows, first = dealt_rows(steps, length)
    assert rows.shape == (-(-steps // length), length)
    assert (rows.reshape(-1)[first] == np.arange(steps)).all()
    # In each row time only goes on, evenly, over the whole video.
    assert (np.diff(rows, axis=1) >= 0).all()
    for row in rows:
        _, copies = np.unique(row, return_counts=True)
        assert copies.max() - copies.min() <= 1
        assert row[0] < len(rows)
        assert row[-1] >= steps - len(rows)


class Fixed(nn.Module):
    """Says at which place of its N a step stands, and takes nothing but N."""

    length = 4

    def forward(self, feature, context, valid=None):
        assert feature.shape[-1] == context.shape[-1] == self.length
        assert valid is None or valid.shape[-1] == self.length
        return feature * 10 + torch.arange(self.length)


def test_by_hand():
    six = torch.arange(6.0).expand(1, 1, 6)
    found = attend_at_any_length(Fixed(), six, six, torch.ones(1, 6, dtype=torch.bool))
    # Dealt to 0 2 4 and 1 3 5, and repeated to 0 0 2 4 and 1 1 3 5.
    assert found[0, 0].tolist() == [0, 10, 22, 32, 43, 53]
    two = torch.arange(2.0).expand(1, 1, 2)
    assert attend_at_any_length(Fixed(), two, two)[0, 0].tolist() == [0, 12]


def test_context_and_mask_are_dealt_as_the_feature_is():
    class Sums(Fixed):
        def forward(self, feature, context, valid=None):
            return feature + 10 * context + 100 * valid[:, None]

    feature, context = torch.arange(6.0).expand(1, 1, 6), torch.arange(6.0).flip(0).expand(1, 1, 6)
    valid = torch.arange(6)[None] < 4
    found = attend_at_any_length(Sums(), feature, context, valid)
    assert found[0, 0].tolist() == [150, 141, 132, 123, 14, 5]


@pytest.mark.parametrize("name", ATTENTION)
def test_all_modules_take_any_length(name):
    """A batch equals single calls, and at N nothing changes."""
    torch.manual_seed(0)
    module = build_attention(name, {}, feature_dim=16, context_dim=16, length=12).eval()
    for steps in (1, 5, 12, 31):
        feature = torch.randn(3, 16, steps)
        found = attend_at_any_length(module, feature, feature)
        assert found.shape == feature.shape
        single = [attend_at_any_length(module, x[None], x[None])[0] for x in feature]
        torch.testing.assert_close(found, torch.stack(single))
    feature = torch.randn(2, 16, 12)
    torch.testing.assert_close(
        attend_at_any_length(module, feature, feature), module(feature, feature)
    )
