"""Model files of format 1, which had other names for parts and attention modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter
from torch import Tensor, nn

from attentad.core.validation import Count, validated
from attentad.models.contract import Described

# What the names of a part's tensors begin with, where that is not its kind.
FORMAT_1_KINDS: Final = {"backbone": "encoder", "labeller": "classifier"}


class _Recogniser(Described):
    kind: Literal["recogniser"] = "recogniser"
    recipe: dict[str, Any]
    classes: tuple[str, ...]

    def parts(self) -> dict[str, dict[str, Any]]:
        name = _name_in(self.recipe, "recogniser")
        return {"backbone": {"name": name, "options": self.recipe, "classes": self.classes}}


class _Detector(Described):
    kind: Literal["detector"]
    recipe: dict[str, Any]
    classes: tuple[str, ...]
    feature_dim: Count
    scores: dict[str, Any] | None = None
    classifier: dict[str, Any] | None = None
    encoder: _Recogniser | None = None

    def parts(self) -> dict[str, dict[str, Any]]:
        parts = {} if self.encoder is None else self.encoder.parts()
        parts["detector"] = {
            "name": _name_in(self.recipe, "detector"),
            "options": self.recipe,
            "sizes": {"feature_dim": self.feature_dim},
            "classes": self.classes,
        }
        if self.scores is not None:
            parts["labeller"] = {"name": "columns", "options": self.scores}
        elif self.classifier is not None:
            parts["labeller"] = {"name": "classifier", "options": self.classifier}
        return parts


_CONTRACT: Final = TypeAdapter[_Recogniser | _Detector](
    Annotated[_Recogniser | _Detector, Field(discriminator="kind")]
)


def as_format_2(contract: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The contract in the shape of format 2: its parts under `parts`, by kind.

    Raises:
        AttentadError: it is no contract of format 1; `where` begins the error.
    """
    told = validated(_CONTRACT, contract, where)
    return {"parts": told.parts(), "clock": contract.get("clock")}


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


def _name_in(recipe: Mapping[str, Any], part: str) -> str:
    """The name of a part in a recipe that is checked later."""
    told = recipe.get(part)
    return str(told.get("name", "")) if isinstance(told, dict) else ""
