"""Attention modules: `forward(feature, context, valid=None) -> feature`, shape unchanged.

`feature` is F (B, C, T), in 3D CNNs (B, C, T, H, W); `context` is R (B, C_in, T), what the
recogniser says; `valid` (B, T) is true where there is video.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from torch import nn

from attentad.attention.cbam import CBAM
from attentad.attention.csa import CSA
from attentad.attention.hybrid import Hybrid
from attentad.attention.none import NoAttention
from attentad.attention.se import SE
from attentad.attention.sta import STA
from attentad.attention.transformer import Transformer
from attentad.core import AttentadError
from attentad.core.options import describe, fits

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
        if not fits(value, hints[key]):
            raise AttentadError(
                f"attention {name}: {key} cannot be {value!r}, use {describe(hints[key])}."
            )
    if "context_dim" in parameters and context_dim is None:
        raise AttentadError(
            f"attention {name} reads the recogniser's features R, which this site does not have: "
            "use it in a detector."
        )
    passed = {key: value for key, value in shape.items() if key in parameters}
    return ATTENTION[name](**passed, **options)
