"""ReLU and dropout in one step."""

from __future__ import annotations

import pytest
import torch

from attentad.layers.relu_dropout import relu_dropout


def test_keeps_the_wanted_share_and_the_mean():
    torch.manual_seed(0)
    hidden = torch.rand(400, 999) + 0.5
    result = relu_dropout(hidden.clone(), 0.3, True)
    kept = result > 0
    assert kept.float().mean().item() == pytest.approx(0.7, abs=0.005)
    torch.testing.assert_close(result[kept], hidden[kept] / 0.7, rtol=1e-4, atol=0)
    assert result.mean().item() == pytest.approx(hidden.mean().item(), rel=0.01)
    # Neighbours, which share a draw, are dropped independently of each other.
    both = (kept.view(-1, 3)[:, 0] & kept.view(-1, 3)[:, 1]).float().mean()
    assert both.item() == pytest.approx(0.49, abs=0.01)


def test_gradient_is_that_of_the_mask():
    torch.manual_seed(0)
    hidden = torch.randn(6, 7, requires_grad=True)
    result = relu_dropout(hidden.clone(), 0.4, True)
    upstream = torch.randn(6, 7)
    (gradient,) = torch.autograd.grad((result * upstream).sum(), hidden)
    scale = (result.detach() > 0) / 0.6
    torch.testing.assert_close(gradient, upstream * scale, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(result.detach(), hidden.detach() * scale, rtol=1e-4, atol=1e-6)
    assert (result <= 0)[hidden < 0].all()


def test_the_seed_decides():
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(relu_dropout(torch.ones(101), 0.5, True))
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0], relu_dropout(torch.ones(101), 0.5, True))


@pytest.mark.parametrize(("probability", "training"), [(0.3, False), (0.0, True)])
def test_plain_relu(probability, training):
    hidden = torch.randn(5, 5)
    assert torch.equal(relu_dropout(hidden.clone(), probability, training), hidden.relu())


def test_nan_and_half_precision():
    assert relu_dropout(torch.full((64,), torch.nan), 0.3, True).isnan().all()
    assert relu_dropout(torch.ones(8, dtype=torch.bfloat16), 0.3, True).dtype == torch.bfloat16
