"""How much features change, beside them: against a loop, and whatever the padding."""

from __future__ import annotations

import pytest
import torch

from attentad.layers.masking import with_change


def slow_change(features: torch.Tensor, steps: int) -> torch.Tensor:
    """(C, T) → (C, T)."""
    length, half = features.shape[1], steps // 2
    out = torch.zeros_like(features)
    for t in range(length):
        around = range(max(0, t - half), min(length, t + half + 1))
        changes = [(features[:, i] - features[:, i - 1]).abs() if i else 0 for i in around]
        out[:, t] = sum(changes) / len(changes)
    return out


@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_against_a_loop(length: int, steps: int) -> None:
    torch.manual_seed(length)
    features = torch.randn(2, 3, length, dtype=torch.float64)
    found = with_change(features, None, steps)
    torch.testing.assert_close(found[:, :3], features, rtol=0, atol=0)
    for item in range(2):
        torch.testing.assert_close(found[item, 3:], slow_change(features[item], steps))


def test_padding_changes_nothing() -> None:
    features = torch.randn(1, 2, 6, dtype=torch.float64)
    valid = torch.arange(9)[None] < 6
    padded = torch.nn.functional.pad(features, (0, 3))
    found = with_change(padded, valid, 5)
    torch.testing.assert_close(found[..., :6], with_change(features, None, 5))
    assert not found[..., 6:].any()
