"""Where attention stands: a network says its sites while it is built, and then runs them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from inspect import Parameter
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from attentad.attention import ATTENTION
from attentad.attention.gate import Gate
from attentad.core import AttentadError
from attentad.core.options import check_options, part_options, shared_options
from attentad.layers.any_length import Dealing
from attentad.layers.masking import masked

AttentionChoice: TypeAlias = tuple[str, Mapping[str, Any]]
"""Name of an attention module (a key of `attention.ATTENTION`) and its options."""

Levels: TypeAlias = Tensor | tuple[Tensor, ...]
"""A tensor, or one for each level of a pyramid."""


_NEEDS = {
    "context_dim": "reads the recogniser's features R",
    "length": "is made for a fixed number of steps",
}


class SiteShape(NamedTuple):
    """What a module at a site is built for.

    Args:
        feature_dim: C of the feature F.
        context_dim: C_in of R; None where there is none.
        length: T; None where it varies.
        height, width: of F in 3D CNNs.
    """

    feature_dim: int
    context_dim: int | None = None
    length: int | None = None
    height: int = 1
    width: int = 1


class Sites(nn.ModuleDict):
    """Site → attention module, with what they said in the last forward.

    Args:
        attention: site → name and options of the module that is to stand there; None for none.
        shapes: of all sites that the network has.

    Raises:
        AttentadError: there is no such site; see `build_attention`.
    """

    def __init__(
        self, attention: Mapping[str, AttentionChoice] | None, shapes: Mapping[str, SiteShape]
    ) -> None:
        super().__init__()
        self._gates: dict[str, tuple[Gate | None, ...]] = {}
        self._terms: dict[str, Tensor] = {}
        check_sites(attention or {}, shapes)
        for site, choice in (attention or {}).items():
            self[site] = build_attention(*choice, shapes[site], where=f"attention.{site}")

    def forward(
        self, site: str, feature: Levels, context: Levels, valid: Levels | None = None
    ) -> Levels:
        """What the module at the site makes of F; F itself where none stands.

        Args:
            site: a key of `shapes`.
            feature: F, (B, C, T) or (B, C, T, H, W), or a tuple of a pyramid's levels.
            context: R, (B, C_in, T), or one for each level.
            valid: (B, T), or one for each level.

        Returns:
            F's shape, zeros outside `valid`.
        """
        if site not in self:
            return feature
        module: Any = self[site]
        features = _by_level(feature, 1)
        valids = _by_level(valid, len(features))
        if getattr(module, "levels", False):
            attended = module(features, context, None if valid is None else valids)
            gates, terms = getattr(module, "last_gate", None) or (), (_terms(module),)
        else:
            contexts = _by_level(context, len(features))
            runs = [_run(module, *level) for level in zip(features, contexts, valids, strict=True)]
            attended, gates, terms = zip(*runs, strict=True)
        self._gates[site] = tuple(gates)
        for name in terms[0]:
            self._terms[f"{site}.{name}"] = torch.stack([level[name] for level in terms]).sum()
        attended = tuple(map(masked, attended, valids))
        return attended[0] if isinstance(feature, Tensor) else attended

    def terms(self) -> dict[str, Tensor]:
        """Losses that modules ask for, of the forward since this was last called: `SITE.NAME`.

        They are handed over once, so that no graph outlives its step.
        """
        terms, self._terms = self._terms, {}
        return terms

    def curves(self) -> dict[str, Gate]:
        """Site → gates of the last forward; `SITE level 1` and so on where there are several."""
        return {
            site if len(gates) == 1 else f"{site} level {level}": gate
            for site, gates in self._gates.items()
            for level, gate in enumerate(gates, start=1)
            if gate is not None
        }


def with_asked(terms: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """A loss's terms, and in them and their `total` what the modules at the network's sites ask."""
    asked: dict[str, Tensor] = {}
    for sites in network.modules():
        for name, term in sites.terms().items() if isinstance(sites, Sites) else ():
            asked[name] = asked[name] + term if name in asked else term
    return terms | asked | {"total": sum(asked.values(), terms["total"])}


def build_attention(
    name: str, options: Mapping[str, Any], shape: SiteShape, where: str = "attention"
) -> nn.Module:
    """The module `name` of `ATTENTION` for a site of this shape, freshly initialised.

    Args:
        name: of the module.
        options: its keyword arguments beyond its shape.
        shape: of the site.
        where: key of the recipe that the module stands under, for errors.

    Raises:
        AttentadError: unknown name or option, a wrong value, or a module that needs R or a fixed T
            where there is none.
    """
    if name not in ATTENTION:
        raise AttentadError(f"{where}: {name!r} is unknown; use one of {', '.join(ATTENTION)}.")
    module, sizes = ATTENTION[name], shape._asdict()
    check_options(module, options, given=sizes, where=where)
    needed = {option.name for option in part_options(module) if option.default is Parameter.empty}
    for size, need in _NEEDS.items():
        if size in needed and sizes[size] is None:
            raise AttentadError(
                f"{where}: {name} {need}, which this site does not have; use another module."
            )
    fixed_sizes = {key: size for key, size in sizes.items() if size is not None}
    return module(**shared_options(module, fixed_sizes), **options)


def check_sites(attention: Iterable[str], sites: Collection[str]) -> None:
    """Raise AttentadError for the first site that a network does not have."""
    for site in attention:
        if site not in sites:
            raise AttentadError(
                f"attention.{site}: there is no such site; choose from {', '.join(sites)}."
            )


def _by_level(value: Any, count: int) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,) * count


def _terms(module: Any) -> dict[str, Tensor]:
    return module.terms() if hasattr(module, "terms") else {}


def _run(
    module: Any, feature: Tensor, context: Tensor, valid: Tensor | None
) -> tuple[Tensor, Gate | None, dict[str, Tensor]]:
    """What the module makes of one tensor, its gates and losses; at any length."""
    length, steps = getattr(module, "length", None), feature.shape[2]
    if length in (None, steps) or feature.dim() > 3:
        attended = module(feature, context, valid)
        return attended, getattr(module, "last_gate", None), _terms(module)
    dealing = Dealing(steps, length)
    attended = dealing.gather(module(*map(dealing.deal, (feature, context, valid))))
    gate = getattr(module, "last_gate", None)
    if gate is not None:  # every part has a channel gate of its own
        gate = Gate(None if gate.time is None else dealing.gather(gate.time))
    return attended, gate, _terms(module)
