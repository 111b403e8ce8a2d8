"""Sampling, ReLU and 1×1 convolution in parts against the same one after the other."""

from __future__ import annotations

import pytest
import torch

from attentad.layers import sampled_conv
from attentad.layers.align import SGAlign
from attentad.layers.boundary_matching import BoundaryMatching


@pytest.mark.parametrize("channels", [2, 128])
def test_outputs_and_gradients_are_those_of_the_plain_form(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled_conv, "CHANNELS", channels)
    torch.manual_seed(0)
    layer = BoundaryMatching(3, 5, 7, 6, bins=4).double()
    then = torch.nn.Linear(5, 2).double()
    feature = torch.randn(2, 3, 7, dtype=torch.double, requires_grad=True)
    wanted = [feature, *layer.parameters(), *then.parameters()]
    results = []
    for output in (then(torch.relu(layer(feature))), layer.relu_linear(feature, then)):
        results.append([output, *torch.autograd.grad(output.square().sum(), wanted)])
    torch.testing.assert_close(*results, atol=1e-12, rtol=1e-10)


def test_no_gradient_is_asked_for() -> None:
    torch.manual_seed(0)
    layer, then = BoundaryMatching(3, 5, 7, 6, bins=4), torch.nn.Linear(5, 2)
    feature = torch.randn(2, 3, 7)
    with torch.no_grad():
        found = layer.relu_linear(feature, then)
        torch.testing.assert_close(found, then(torch.relu(layer(feature))))


@pytest.mark.parametrize("channels", [2, 128])
def test_two_sources(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_conv, "CHANNELS", channels)
    torch.manual_seed(0)
    layer = SGAlign(3, 5, 7, 6, interior=4, context=2).double()
    then = torch.nn.Linear(5, 2).double()
    features = [torch.randn(2, 3, 7, dtype=torch.double, requires_grad=True) for _ in range(2)]
    wanted = [*features, *layer.parameters(), *then.parameters()]
    results = []
    for output in (then(torch.relu(layer(*features))), layer.relu_linear(*features, then)):
        results.append([output, *torch.autograd.grad(output.square().sum(), wanted)])
    torch.testing.assert_close(*results, atol=1e-12, rtol=1e-10)
