"""How attention modules get into a 3D CNN: a site has a module's name and its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from torch import nn

from attentad.attention import build_attention

AttentionChoice: TypeAlias = tuple[str, Mapping[str, Any]]
"""Name of an attention module (a key of `attention.ATTENTION`) and its options."""


class FeatureShape(NamedTuple):
    """Shape of the features of one clip at a site."""

    channels: int
    length: int
    height: int
    width: int


def attention_at(shape: FeatureShape, choice: AttentionChoice) -> nn.Module:
    """A new attention module for features of `shape`.

    Raises:
        AttentadError: an unknown name or option, or a module that needs a context beside the
            features, which a clip has not.
    """
    name, options = choice
    return build_attention(
        name,
        options,
        feature_dim=shape.channels,
        context_dim=None,
        length=shape.length,
        height=shape.height,
        width=shape.width,
    )
