"""The default task: a network, a loss, and what attention modules ask for."""

import pytest
import torch
from torch import nn

from attentad.attention import ATTENTION
from attentad.attention.sites import Sites, SiteShape
from attentad.backbones.task import RecognitionTask
from attentad.detection.task import DetectionTask


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, features: torch.Tensor, *valid: torch.Tensor) -> torch.Tensor:
        return features.sum() * self.weight


class Asking(nn.Module):
    """An attention module that asks for two things."""

    def __init__(self, feature_dim: int) -> None:
        super().__init__()

    def forward(self, feature: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        return feature

    def terms(self) -> dict[str, torch.Tensor]:
        return {"smooth": torch.tensor(3.0), "sparse": torch.tensor(0.5)}


def loss(
    outputs: torch.Tensor, targets: torch.Tensor, *valid: torch.Tensor, weight: float = 1.0
) -> dict[str, torch.Tensor]:
    error = outputs - targets
    return {"error": error, "total": error * weight}


def values(terms: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in terms.items()}


def test_detection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ATTENTION, "asking", Asking)
    batch = {"features": torch.ones(2, 3), "valid": torch.ones(2), "targets": torch.tensor(1.0)}
    network = Network()
    assert [phase.name for phase in DetectionTask(network, loss).phases] == ["main"]
    task = DetectionTask(network, loss, weight=10.0)
    plain = {"error": 11.0, "total": 110.0}
    assert values(task(batch, "main")) == plain
    network.sites = Sites({}, {"encoder": SiteShape(1)})
    assert values(task(batch, "main")) == plain
    network.sites = Sites({"encoder": ("asking", {})}, {"encoder": SiteShape(1)})
    network.sites("encoder", torch.ones(2, 1, 3), torch.ones(2, 1, 3))
    asked = {"encoder.smooth": 3.0, "encoder.sparse": 0.5}
    assert values(task(batch, "main")) == {**plain, **asked, "total": 113.5}


def test_recognition() -> None:
    batch = {"clip": torch.ones(1, 3, 2, 2, 2), "label": torch.tensor(4)}
    terms = RecognitionTask(Network(), loss, weight=0.5)(batch, "main")
    assert values(terms) == {"error": 44.0, "total": 22.0}
