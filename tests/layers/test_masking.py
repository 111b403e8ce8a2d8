"""Features brought to mean 0 and deviation 1 over the steps that there are."""

from __future__ import annotations

import numpy as np
import torch

from attentad.layers.masking import normalised_dim, normalised_input, standardised


def test_standardised_is_numpys_over_the_valid_steps() -> None:
    torch.manual_seed(0)
    features = 3 * torch.randn(2, 4, 9) + 5
    valid = torch.arange(9) < torch.tensor([[9], [6]])
    features[1, :, 6:] = torch.nan
    result = standardised(features, valid)
    for item, steps in ((0, 9), (1, 6)):
        part = features[item, :, :steps].numpy()
        wanted = (part - part.mean(1, keepdims=True)) / part.std(1, keepdims=True)
        np.testing.assert_allclose(result[item, :, :steps], wanted, atol=1e-5)
    assert not result[1, :, 6:].any()


def test_a_channel_that_does_not_change_says_nothing() -> None:
    for value in (7.0, 0.1, -1000.1, 1e6 / 3):
        assert not standardised(torch.full((1, 2, 7), value), None).any()
    assert not standardised(torch.randn(1, 2, 1), None).any()
    assert not standardised(torch.randn(1, 2, 3), torch.zeros(1, 3, dtype=torch.bool)).any()


def test_both_are_the_features_and_then_the_standardised() -> None:
    features = torch.randn(1, 3, 8)
    both = normalised_input(features, None, "both")
    assert both.shape[1] == normalised_dim(3, "both") == 6
    assert torch.equal(both[:, :3], features)
    assert torch.equal(both[:, 3:], normalised_input(features, None, "video"))
    assert torch.equal(normalised_input(features, None, "none"), features)
