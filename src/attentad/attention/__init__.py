"""Attention modules: `forward(feature, context, valid=None) -> feature`, shape unchanged.

`feature` is F (B, C, T), in 3D CNNs (B, C, T, H, W); `context` is R (B, C_in, T), what the
recogniser says; `valid` (B, T) is true where there is video.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import nn

from attentad.attention.cbam import CBAM
from attentad.attention.csa import CSA
from attentad.attention.hybrid import Hybrid
from attentad.attention.none import NoAttention
from attentad.attention.se import SE
from attentad.attention.sta import STA
from attentad.attention.transformer import Transformer
from attentad.core import AttentadError

ATTENTION: dict[str, type[nn.Module]] = {
    "none": NoAttention,
    "csa": CSA,
    "se": SE,
    "cbam": CBAM,
    "transformer": Transformer,
    "sta": STA,
    "hybrid": Hybrid,
}


def build_attention(
    name: str,
    options: Mapping[str, Any],
    *,
    feature_dim: int,
    context_dim: int | None,
    length: int,
    height: int = 1,
    width: int = 1,
) -> nn.Module:
    """Build the module `name` for a site of this shape.

    Args:
        name: a key of `ATTENTION`.
        options: keyword arguments of the module beyond its shape.
        feature_dim: C of the feature at the site.
        context_dim: channels of R; None where a network has none (a recogniser).
        length: T at the site.
        height: H at the site, 1 for (B, C, T).
        width: W at the site, 1 for (B, C, T).

    Raises:
        AttentadError: unknown name or option, a wrong value, or a module that reads R where there
            is none.
    """
    if name not in ATTENTION:
        raise AttentadError(f"attention {name!r} is unknown: use one of {', '.join(ATTENTION)}.")
    shape = {
        "feature_dim": feature_dim,
        "context_dim": context_dim,
        "length": length,
        "height": height,
        "width": width,
    }
    parameters = inspect.signature(ATTENTION[name]).parameters
    hints = get_type_hints(ATTENTION[name].__init__)
    allowed = [key for key in parameters if key not in shape and key not in ("args", "kwargs")]
    for key, value in options.items():
        if key not in allowed:
            known = ", ".join(allowed) or "none"
            raise AttentadError(f"attention {name} has no option {key!r}: it has {known}.")
        if not _fits(value, hints[key]):
            raise AttentadError(
                f"attention {name}: {key} cannot be {value!r}, use {_describe(hints[key])}."
            )
    if "context_dim" in parameters and context_dim is None:
        raise AttentadError(
            f"attention {name} reads the recogniser's features R, which this site does not have: "
            "use it in a detector."
        )
    passed = {key: value for key, value in shape.items() if key in parameters}
    return ATTENTION[name](**passed, **options)


def _fits(value: object, hint: Any) -> bool:
    """Whether an option from a recipe has the annotated type; true is not the number 1."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return any(type(value) is type(part) and value == part for part in get_args(hint))
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint


def _describe(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_describe(part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(str(part) for part in get_args(hint))
    words = {int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}
    return words.get(hint, hint.__name__)
