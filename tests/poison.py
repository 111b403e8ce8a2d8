"""A backbone whose process dies of one kind of video; worker processes import this."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from attentad.backbones import Backbone
from attentad.backbones.backbone import Prepare
from attentad.models.file import load_backbone

WHITE = 250


@dataclass(frozen=True)
class DiesOfWhite:
    """The first step of a backbone, which ends the process at a white picture."""

    prepare: Prepare

    def __call__(self, network: nn.Module, pictures: Tensor) -> Tensor:
        if pictures.float().mean() > WHITE:
            os._exit(1)
        return self.prepare(network, pictures)


def mortal(path: Path) -> Backbone:
    """The backbone of a model file, with that weakness."""
    backbone = load_backbone(path)
    return replace(backbone, prepare=DiesOfWhite(backbone.prepare))
