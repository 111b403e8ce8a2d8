"""Model files of format 1, whose attention modules had other names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn


def renamed_from_format_1(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """A network's tensors out of a model file, under the names that the network has for them now.

    Those of other files keep theirs.
    """
    names = {format_1_name(name): name for name in network.state_dict()}
    return {names.get(name, name): tensor for name, tensor in tensors.items()}


def format_1_name(name: str) -> str:
    """What format 1 calls a tensor: `attention.SITE.…` at the sites of detectors.

    In 3D CNNs `layer4.0.attention.…`, wherever in the block, and `layer3_out.…`.
    """
    name = re.sub(r"^sites\.", "attention.", name)
    name = re.sub(r"^(layer\d\.\d+)\.sites\.[^.]+\.", r"\1.attention.", name)
    return re.sub(r"^(layer\d_out)\.output\.", r"\1.", name)
