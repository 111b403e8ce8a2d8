"""3D CNNs that say what a short clip shows; over a video's snippets that is R."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from attentad.backbones.output import RecogniserOutput, loss
from attentad.backbones.resnet3d import ResNet3D

__all__ = ["RECOGNISERS", "Recogniser", "RecogniserOutput", "ResNet3D", "loss"]


class Recogniser(NamedTuple):
    """A recogniser's parts.

    Args:
        network: class or function of (classes, *, frames, size_px, attention, …) → a network with
            `forward(clips (B, 3, L, H, W)) -> RecogniserOutput`.
        loss: (outputs, labels (B,), **options) → dict of terms with the key `total`.
    """

    network: Callable[..., nn.Module]
    loss: Callable[..., dict[str, Tensor]]


RECOGNISERS: dict[str, Recogniser] = {"resnet3d": Recogniser(ResNet3D, loss)}
