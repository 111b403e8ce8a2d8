"""Options whose default has changed, for recipes written down before that.

A recipe holds what its author wrote; an option that it leaves out has the default of the version
that reads it. So these few must be told apart in whatever outlives a version: model files, and
digests of recipes by which a training is known again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Module = Mapping[str, Any]
"""An attention module as in a recipe: its name and its options."""
FIRST_MAX_PROPOSALS = 1000
"""What `decode.max_proposals` of detectors of proposals was; today all of a view are kept."""
_OF_PROPOSALS = ("bmn", "gtad", "dbg")


def as_first_meant(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe written under the first defaults (model formats 1 and 2), in today's words.

    Args:
        recipe: plain values, not checked yet.
    """

    def translated(module: Module) -> Module:
        first = {option: before for option, (before, _) in _changed(module).items()}
        return {**first, **_without_effect(module)}

    return _with_decode(_with_modules(recipe, translated), FIRST_MAX_PROPOSALS)


def spelled_out(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with those options said, where it leaves them to the default.

    Args:
        recipe: plain values, as dumped.
    """

    def said(module: Module) -> Module:
        return {**{option: now for option, (_, now) in _changed(module).items()}, **module}

    return _with_decode(_with_modules(recipe, said), None)


def _changed(module: Module) -> dict[str, tuple[Any, Any]]:
    """Option → its default before and now, of those that mean something in this module."""
    timeless = module.get("context") == "feed_forward" or module.get("branches") == "channel"
    if module.get("name") == "csa" and not timeless:
        return {"temporal_mode": ("time_pool", "channel_pool")}
    if module.get("name") == "sta" and module.get("variant") == "sa":
        return {"deconv": (True, False)}
    return {}


def _without_effect(module: Module) -> Module:
    """The module without what it once could say to no effect, and what is an error today."""
    name = module.get("name")
    idle = ""
    if name == "csa" and module.get("context") == "feed_forward":
        idle = "temporal_mode"
    if name == "sta" and module.get("deconv") is False:
        idle = "deconv_padding"
    return {option: value for option, value in module.items() if option != idle}


def _with_modules(recipe: Mapping[str, Any], changed: Callable[[Module], Module]) -> dict[str, Any]:
    """The recipe with every attention module changed; what is none stays, to be refused later."""
    attention = recipe.get("attention")
    if not isinstance(attention, Mapping):
        return dict(recipe)
    modules = {
        site: changed(module) if isinstance(module, Mapping) else module
        for site, module in attention.items()
    }
    return {**recipe, "attention": modules}


def _with_decode(recipe: dict[str, Any], max_proposals: int | None) -> dict[str, Any]:
    """The recipe with `max_proposals` said, where its detector has it and leaves it out."""
    detector = recipe.get("detector")
    if not isinstance(detector, Mapping) or detector.get("name") not in _OF_PROPOSALS:
        return recipe
    decode = detector.get("decode", {})
    if not isinstance(decode, Mapping):
        return recipe
    said = {"max_proposals": max_proposals, **decode}
    return {**recipe, "detector": {**detector, "decode": said}}
