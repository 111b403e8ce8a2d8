"""Attention modules: `forward(feature, context, valid=None) -> feature`, shape unchanged.

`feature` is F (B, C, T), in 3D CNNs (B, C, T, H, W); `context` is R (B, C_in, T), what the
recogniser says; `valid` (B, T) is true where there is video. What else a module may have:

- `length`: the T that it is tied to; `sites.Sites` then deals other lengths to it.
- `levels = True`: `feature` and `valid` are tuples of a pyramid's levels, as is what it returns
  (tuples of one where there is no pyramid). Any other module runs on each level.
- `last_gate`: the `gate.Gate` of its last forward, to look at.
- `terms()`: losses of its last forward by name, which training adds to the detector's.
"""

from __future__ import annotations

from torch import nn

from attentad.attention.cbam import CBAM
from attentad.attention.csa import CSA
from attentad.attention.hybrid import Hybrid
from attentad.attention.none import NoAttention
from attentad.attention.se import SE
from attentad.attention.sta import STA
from attentad.attention.transformer import Transformer

ATTENTION: dict[str, type[nn.Module]] = {
    "none": NoAttention,
    "csa": CSA,
    "se": SE,
    "cbam": CBAM,
    "transformer": Transformer,
    "sta": STA,
    "hybrid": Hybrid,
}
