"""Model files of format 1, which had other names for parts and attention modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor, nn

# What the names of a part's tensors begin with, where that is not its kind.
FORMAT_1_KINDS: Final = {"backbone": "encoder", "labeller": "classifier"}


def parts_of_format_1(contract: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Kind → description of each part, as later contracts have it under `parts`."""
    parts: dict[str, dict[str, Any]] = {}
    is_detector = contract["kind"] == "detector"
    encoder = contract["encoder"] if is_detector else contract
    if encoder is not None:
        recipe = encoder["recipe"]
        name = recipe["recogniser"]["name"]
        parts["backbone"] = {"name": name, "options": recipe, "classes": encoder["classes"]}
    if is_detector:
        recipe = contract["recipe"]
        parts["detector"] = {
            "name": recipe["detector"]["name"],
            "options": recipe,
            "sizes": {"feature_dim": contract["feature_dim"]},
            "classes": contract["classes"],
        }
        if contract["scores"] is not None:
            parts["labeller"] = {"name": "columns", "options": contract["scores"]}
        elif contract.get("classifier") is not None:
            parts["labeller"] = {"name": "classifier", "options": contract["classifier"]}
    return parts


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
