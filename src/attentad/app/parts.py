"""`attentad parts`: what a recipe can name, and its options, out of signatures and docstrings."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, get_args

from attentad.attention import ATTENTION
from attentad.attention.sites import SiteShape
from attentad.backbones import PRETRAINED, RECOGNISERS
from attentad.core import AttentadError, suggest
from attentad.core.options import Option, describe, part_options
from attentad.detection import DETECTORS, GIVEN
from attentad.recipes.schema import Section, Suppression, View

WIDTH = 100


class Part(NamedTuple):
    """What a recipe can name: a line about it; key of the recipe → the options under that key."""

    about: str
    options: dict[str, list[Option]]


def _part(functions: Mapping[str, Callable[..., Any]], given: Iterable[str]) -> Part:
    """Key → function or class that takes the options; the file of the first says what it is."""
    options = {key: part_options(function, given) for key, function in functions.items()}
    module = inspect.getmodule(next(iter(functions.values())))
    about, _, _ = (inspect.getdoc(module) or "").partition("\n\n")
    return Part(" ".join(about.split()), options)


def _choices(section: type[Section], field: str, key: str) -> dict[str, Part]:
    """The values of the field that chooses, with the other fields of the section that they use.

    Descriptions say so: `windows: …` is of windows alone, `windows: …; rescaled: …` of the chooser
    is what each of them is.
    """
    fields = section.model_fields
    names = [str(name) for name in get_args(fields[field].annotation)]
    abouts = re.split(r"; (?=\w+: )", fields[field].description or "")
    about = dict(text.split(": ", 1) for text in abouts if ": " in text)
    parts = {name: Part(about.get(name, ""), {key: []}) for name in names}
    for option, info in fields.items():
        users, _, text = (info.description or "").partition(": ")
        if not set(users.split(", ")) <= set(names):
            users, text = ", ".join(names), info.description or ""
        default = inspect.Parameter.empty if info.is_required() else info.default
        for name in users.split(", ") if option != field else ():
            row = Option(option, describe(info.annotation), default, text)
            parts[name].options[key].append(row)
    return parts


def _detectors() -> dict[str, Part]:
    given = {name for names in GIVEN.values() for name in names}
    parts = {}
    for name, detector in DETECTORS.items():
        part = _part({f"detector.{key}": getattr(detector, key) for key in GIVEN}, given)
        once = {option.name for option in part.options["detector.network"]}
        for key in ("detector.targets", "detector.loss", "detector.decode"):
            part.options[key] = [row for row in part.options[key] if row.name not in once]
        parts[name] = part
    return parts


def _attentions() -> dict[str, Part]:
    return {
        name: _part({"attention.SITE": module}, SiteShape._fields)
        for name, module in ATTENTION.items()
    }


def _backbones() -> dict[str, Part]:
    given = ("classes", "frames", "size_px", "attention", "outputs", "labels")
    trained = {
        name: _part({"recogniser": recogniser.network, "loss": recogniser.loss}, given)
        for name, recogniser in RECOGNISERS.items()
    }
    return trained | {name: _part({"--set": part.build}, ()) for name, part in PRETRAINED.items()}


KINDS: dict[str, Callable[[], dict[str, Part]]] = {
    "detector": _detectors,
    "attention": _attentions,
    "backbone": _backbones,
    "view": partial(_choices, View, "name", "view"),
    "suppression": partial(_choices, Suppression, "method", "suppression"),
}


def list_parts(kind: str | None = None, name: str | None = None) -> list[str]:
    """Lines that list the names of all parts, those of a kind, or the options of one.

    Raises:
        AttentadError: there is no such kind or part.
    """
    if kind is None:
        return [f"{kind:12} {', '.join(parts())}" for kind, parts in KINDS.items()]
    parts = KINDS[_known(kind, KINDS, "kind of part")]()
    if name is None:
        return [f"{name:12} {part.about}".rstrip() for name, part in parts.items()]
    part = parts[_known(name, parts, kind)]
    lines = [f"{kind} {name}", *textwrap.wrap(part.about, WIDTH)]
    for key, options in part.options.items():
        lines += ["", f"{key}:" if options else f"{key}: no options"]
        for option in options:
            lines += _option_lines(option)
    return lines


def _known(name: str, names: Collection[str], what: str) -> str:
    if name in names:
        return name
    meant = suggest(name, names)
    hint = f"did you mean {meant}?" if meant else f"choose from {', '.join(names)}."
    raise AttentadError(f"there is no {what} {name!r}; {hint}")


def _option_lines(option: Option) -> list[str]:
    default = option.default
    if default is inspect.Parameter.empty:
        value = "must be given"
    else:
        value = default if isinstance(default, str) else json.dumps(default)
    about = textwrap.wrap(option.about, WIDTH - 6)
    return [f"  {option.name}: {value}  ({option.type})", *(f"      {line}" for line in about)]
