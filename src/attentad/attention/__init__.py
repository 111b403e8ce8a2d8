"""Attention modules: `forward(feature, context, valid=None) -> feature`, shape unchanged.

`feature` is F (B, C, T), in 3D CNNs (B, C, T, H, W); `context` is R (B, C_in, T), what the
recogniser says; `valid` (B, T) is true where there is video. What else a module may have:

- `length`: the T that it is tied to; `sites.Sites` then deals other lengths to it.
- `levels = True`: at a pyramid `feature` and `valid` are tuples of all levels, as is what it
  returns. Any other module runs on each level.
- `last_gate`: the `gate.Gate` of its last forward, to look at.
- `terms()`: losses of its last forward by name, which training adds to the detector's.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter
from typing import Any

from torch import nn

from attentad.attention.cbam import CBAM
from attentad.attention.csa import CSA
from attentad.attention.hybrid import Hybrid
from attentad.attention.none import NoAttention
from attentad.attention.se import SE
from attentad.attention.sta import STA
from attentad.attention.transformer import Transformer
from attentad.core import AttentadError
from attentad.core.options import check_options, part_options, shared_options

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
    context_dim: int | None = None,
    length: int | None = None,
    height: int = 1,
    width: int = 1,
    where: str = "attention",
) -> nn.Module:
    """Build the module `name` for a site of this shape.

    Args:
        name: a key of `ATTENTION`.
        options: keyword arguments of the module beyond its shape.
        feature_dim: C of the feature at the site.
        context_dim: channels of R; None where a network has none (a 3D CNN).
        length: T at the site; None where it varies.
        height: H at the site, 1 for (B, C, T).
        width: W at the site, 1 for (B, C, T).
        where: key of the recipe that the module stands under, for errors.

    Raises:
        AttentadError: unknown name or option, a wrong value, or a module that needs R or a fixed T
            where there is none.
    """
    if name not in ATTENTION:
        raise AttentadError(f"{where}: {name!r} is unknown; use one of {', '.join(ATTENTION)}.")
    module = ATTENTION[name]
    shape = {
        "feature_dim": feature_dim,
        "context_dim": context_dim,
        "length": length,
        "height": height,
        "width": width,
    }
    check_options(module, options, given=shape, where=where)
    needed = [option.name for option in part_options(module) if option.default is Parameter.empty]
    if "context_dim" in needed and context_dim is None:
        raise AttentadError(
            f"{where}: {name} reads the recogniser's features R, which this site does not have; "
            "use it in a detector."
        )
    if "length" in needed and length is None:
        raise AttentadError(
            f"{where}: {name} is made for a fixed number of steps, which this site does not have; "
            "use another module."
        )
    known = {key: size for key, size in shape.items() if size is not None}
    return module(**shared_options(module, known), **options)
