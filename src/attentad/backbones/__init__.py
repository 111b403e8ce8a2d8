"""What turns the pictures of a video into features; over a video's snippets that is R."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from torch import Tensor, nn

from attentad.backbones.backbone import Backbone
from attentad.backbones.hf import hf as public_hf
from attentad.backbones.hf import restored_hf, told_hf
from attentad.backbones.image import image as public_image
from attentad.backbones.image import restored_image, told_image
from attentad.backbones.output import BackboneOutput, RecogniserOutput, loss
from attentad.backbones.resnet3d import ResNet3D

__all__ = [
    "BACKBONES",
    "PRETRAINED",
    "RECOGNISERS",
    "Backbone",
    "BackboneOutput",
    "Pretrained",
    "Recogniser",
    "RecogniserOutput",
    "ResNet3D",
    "loss",
]


class Recogniser(NamedTuple):
    """The parts of a backbone that a recipe trains on clips.

    Args:
        network: class or function of (classes, *, frames, size_px, attention, …) → a network with
            `forward(clips (B, 3, L, H, W)) -> RecogniserOutput`.
        loss: (outputs, labels (B,), **options) → dict of terms with the key `total`.
    """

    network: Callable[..., nn.Module]
    loss: Callable[..., dict[str, Tensor]]


class Pretrained(NamedTuple):
    """The parts of a backbone that comes trained.

    Args:
        build: (**options) → the backbone with its public weights.
        restore: (options, sizes, folder of the model file) → the same as a model file tells of it,
            without the tensors that the file brings.
        told: what a sidecar says of it (`Backbone.facts`) → the same, to go into a model file.
    """

    build: Callable[..., Backbone]
    restore: Callable[[Mapping[str, Any], Mapping[str, int], Path], Backbone]
    told: Callable[[Mapping[str, Any]], Backbone]


BACKBONES: Final[dict[str, Recogniser | Pretrained]] = {
    "resnet3d": Recogniser(ResNet3D, loss),
    "image": Pretrained(public_image, restored_image, told_image),
    "hf": Pretrained(public_hf, restored_hf, told_hf),
}
RECOGNISERS = {name: part for name, part in BACKBONES.items() if isinstance(part, Recogniser)}
PRETRAINED = {name: part for name, part in BACKBONES.items() if isinstance(part, Pretrained)}
