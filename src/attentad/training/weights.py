"""Weights from files into networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from attentad.core import AttentadError
from attentad.core.wording import first_few


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], where: str | Path) -> None:
    """Copy tensors into a module's parameters and buffers; names and shapes must agree.

    Args:
        where: the file that the tensors come from, for the error.

    Raises:
        AttentadError: a name is missing or unknown, or a shape differs; the module is unchanged.
    """
    check_fit(module, tensors, where)
    module.load_state_dict(dict(tensors))


def check_fit(module: nn.Module, tensors: Mapping[str, Tensor], where: str | Path) -> None:
    """Make sure that `load_into` would work; the module may be one without memory (meta).

    Raises:
        AttentadError: as `load_into`.
    """
    own = module.state_dict()
    kind = type(module).__name__
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    advice = "it was trained with another architecture or other options."
    if missing:
        raise AttentadError(f"{where} lacks {first_few(missing)} of {kind}: {advice}")
    if unknown:
        raise AttentadError(
            f"{where} has {first_few(unknown)}, which {kind} does not have: {advice}"
        )
    for name, value in own.items():
        if value.shape != tensors[name].shape:
            theirs, ours = tuple(tensors[name].shape), tuple(value.shape)
            raise AttentadError(
                f"{where} has {name} of shape {theirs} where {kind} needs {ours}: {advice}"
            )
