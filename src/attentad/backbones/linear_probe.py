"""A backbone that comes trained, frozen, with a linear classifier on its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from attentad.backbones.backbone import Backbone, Prepare, Summarise
from attentad.backbones.output import BackboneOutput


class LinearProbe(nn.Module):
    """A network, and the classifier that says classes by the features that the network leads to.

    Args:
        network: of a backbone; frozen.
        feature_dim: C_feat of that backbone.
        classes: K.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, network: nn.Module, feature_dim: int, classes: int) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        # In double precision: the weights also undo the features' scale and offset.
        self.register_buffer("weight", torch.zeros(classes, feature_dim, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(classes, dtype=torch.float64))

    def logits(self, features: Tensor) -> Tensor:
        """Features (B, C_feat) → class scores before the softmax (B, K), in double precision."""
        return features.to(self.weight) @ self.weight.T + self.bias


def with_classifier(backbone: Backbone, classes: Sequence[str]) -> Backbone:
    """The same backbone with logits of `classes`, all 0 until its network's classifier is set."""
    return replace(
        backbone,
        network=LinearProbe(backbone.network, backbone.feature_dim, len(classes)),
        prepare=partial(_prepare, prepare=backbone.prepare),
        summarise=partial(_summarise, summarise=backbone.summarise),
        classes=tuple(classes),
        facts={},
    )


def _prepare(network: nn.Module, pictures: Tensor, *, prepare: Prepare) -> Tensor:
    assert isinstance(network, LinearProbe)
    return prepare(network.network, pictures)


def _summarise(network: nn.Module, snippets: Tensor, *, summarise: Summarise) -> BackboneOutput:
    assert isinstance(network, LinearProbe)
    feature = summarise(network.network, snippets).feature
    return BackboneOutput(feature, network.logits(feature).to(feature.dtype))
