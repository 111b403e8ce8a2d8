"""The model file: trained parts and the contract they were made under, in one safetensors file.

Its parts are `detector`, `backbone` (what makes R from video) and `labeller` (what names
proposals by R). Opening a stranger's file never runs code. This module does not import Lightning,
so detection does not need it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

import attentad
from attentad.backbones import PRETRAINED, Backbone
from attentad.backbones.linear_probe import with_classifier
from attentad.core import AttentadError
from attentad.core.files import parse_json, write_bytes
from attentad.core.names import readable_name
from attentad.core.options import check_options
from attentad.core.validation import validated
from attentad.core.wording import reason_of
from attentad.data.clocks import read_clock
from attentad.models.build import build_detector, build_recogniser, recogniser_backbone
from attentad.models.contract import CONTRACT
from attentad.models.format_1 import FORMAT_1_KINDS, as_format_2, renamed_from_format_1
from attentad.models.labels import SNIPPET_SCORES, Labeller, SnippetScores
from attentad.models.long_videos import TrainedSteps
from attentad.models.model import DetectorModel, best_device
from attentad.models.snippet_classifier import SnippetClassifier
from attentad.recipes.changed_defaults import as_first_meant
from attentad.recipes.load import DetectionRecipe, RecognitionRecipe, parse_recipe
from attentad.training.weights import check_fit, load_into

# 3 has the contract of 2, with recipes whose unsaid options have today's defaults.
FORMAT = 3
# A single metadata key: safetensors writes several in an order that changes from run to run.
_KEY = "attentad"
Recipe = TypeVar("Recipe", DetectionRecipe, RecognitionRecipe)
_DESCRIBED = ("name", "options", "sizes", "classes")  # of a part, in the contract


@dataclass(frozen=True)
class Part:
    """A trained part of a model.

    Args:
        name: which of its kind, such as `bmn`.
        options: what it was built by: a recipe, or keyword arguments.
        sizes: numbers that its data fixed, such as `feature_dim`.
        classes: names of those that it tells apart; a labeller's are the detector's.
        tensors: its parameters and buffers.
    """

    name: str
    options: Mapping[str, Any]
    sizes: Mapping[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


def save_detector(path: str | Path, model: DetectorModel) -> None:
    """Write a detector and, if any, its labeller and its backbone into one file.

    Raises:
        AttentadError: the file cannot be written.
    """
    recipe = model.recipe
    parts: dict[str, Part] = {
        "detector": Part(
            recipe.detector.name,
            recipe.model_dump(mode="json"),
            {"feature_dim": model.feature_dim},
            model.classes,
            model.network.state_dict(),
        )
    }
    if model.encoder is not None:
        parts["backbone"] = _backbone_part(model.encoder)
    if isinstance(model.labeller, SnippetScores):
        parts["labeller"] = Part("columns", vars(model.labeller))
    elif model.labeller is not None:
        options = {"smoothing": model.labeller.smoothing}
        parts["labeller"] = Part("classifier", options, tensors=model.labeller.state_dict())
    clock = None if model.clock is None else model.clock.to_clock()
    contract: dict[str, Any] = {"clock": clock}
    if model.trained_steps is not None:
        contract["trained_steps"] = model.trained_steps.to_dict()
    _save_parts(path, parts, contract)


def save_backbone(path: str | Path, backbone: Backbone) -> None:
    """Write a backbone into a file.

    Raises:
        AttentadError: the file cannot be written.
    """
    _save_parts(path, {"backbone": _backbone_part(backbone)}, {})


def load_detector(path: str | Path) -> DetectorModel:
    """Load a detector and, if it is inside, its backbone, ready for inference on the best device.

    Raises:
        AttentadError: not a model file of ours, damaged, or without a detector.
    """
    path = Path(path)
    parts, contract = _load_parts(path)
    if "detector" not in parts:
        raise AttentadError(
            f"{path} holds a recogniser, not a detector; train one with `attentad train`."
        )
    with _of_this_version(path):
        part = parts["detector"]
        recipe = _recipe(part, DetectionRecipe)
        feature_dim, classes = part.sizes["feature_dim"], len(part.classes)
        clock, steps = contract["clock"], contract.get("trained_steps")
        return DetectorModel(
            recipe=_with_files_beside(recipe, path),
            classes=part.classes,
            feature_dim=feature_dim,
            network=_trained(lambda: build_detector(recipe, feature_dim, classes), part),
            clock=None if clock is None else read_clock(clock, "its clock"),
            labeller=_labeller(parts),
            encoder=_backbone(parts["backbone"], path) if "backbone" in parts else None,
            trained_steps=None if steps is None else TrainedSteps(**steps),
        )


def load_backbone(path: str | Path) -> Backbone:
    """Load a backbone, also out of a detector's file that has one inside.

    Raises:
        AttentadError: not a model file of ours, damaged, or without a backbone.
    """
    path = Path(path)
    parts, _ = _load_parts(path)
    if "backbone" not in parts:
        raise AttentadError(
            f"{path} holds no recogniser, so it cannot read video; give it feature files."
        )
    with _of_this_version(path):
        backbone = _backbone(parts["backbone"], path)
    if backbone.facts:
        return backbone
    told = {"name": backbone.name, "file": readable_name(path.name), "sha256": file_sha256(path)}
    return replace(backbone, facts=told)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _backbone_part(backbone: Backbone) -> Part:
    tensors = backbone.network.state_dict()
    return Part(backbone.name, backbone.options, backbone.sizes, backbone.classes, tensors)


@contextmanager
def _of_this_version(path: Path) -> Iterator[None]:
    """Say of which model file it is that something does not fit."""
    try:
        yield
    except AttentadError as error:
        raise AttentadError(
            f"{path} is no model that this version of attentad can use: {error}"
        ) from error


def _recipe(part: Part, kind: type[Recipe]) -> Recipe:
    recipe = parse_recipe(part.options, "its recipe")
    if not isinstance(recipe, kind):
        raise AttentadError(f"its recipe is one for {recipe.task}.")
    return recipe


def _with_files_beside(recipe: DetectionRecipe, path: Path) -> DetectionRecipe:
    """The recipe with the file that detection opens taken from the folder of the model alone.

    The recipe is as its author wrote it, and names that file on another machine, or any file that
    a stranger would like to be opened.
    """
    if recipe.labels.file is None:
        return recipe
    name = recipe.labels.file.name
    if name in ("", ".."):
        raise AttentadError("its labels.file is no name of a file.")
    labels = recipe.labels.model_copy(update={"file": path.parent.absolute() / name})
    return recipe.model_copy(update={"labels": labels})


def _backbone(part: Part, path: Path) -> Backbone:
    if part.name in PRETRAINED:
        restore = PRETRAINED[part.name].restore

        def build() -> Backbone:
            backbone = restore(part.options, part.sizes, path.parent.absolute())
            return with_classifier(backbone, part.classes) if part.classes else backbone
    else:
        recipe = _recipe(part, RecognitionRecipe)

        def build() -> Backbone:
            network = build_recogniser(recipe, part.classes)
            return recogniser_backbone(recipe, part.classes, network)

    network = _trained(lambda: build().network, part)
    with torch.device("meta"):
        return replace(build(), network=network)


def _trained(build: Callable[[], nn.Module], part: Part) -> nn.Module:
    # First without memory for weights: a contract can ask for more than the file has.
    with torch.device("meta"):
        outline = build()
    tensors = renamed_from_format_1(part.tensors, outline)
    check_fit(outline, tensors, "it")
    network = build()
    load_into(network, tensors, "it")
    return network.to(best_device()).eval()


def _labeller(parts: Mapping[str, Part]) -> Labeller | None:
    if "labeller" not in parts:
        return None
    detector, part = parts["detector"], parts["labeller"]
    feature_dim, classes = detector.sizes["feature_dim"], len(detector.classes)
    if part.name == "columns":
        scores = validated(SNIPPET_SCORES, part.options, "its labeller")
        scores.check_fit(feature_dim, classes)
        return scores
    given = ("feature_dim", "classes")
    check_options(SnippetClassifier, part.options, given, "its labeller")
    classifier = SnippetClassifier(feature_dim, classes, **part.options)
    load_into(classifier, part.tensors, "it")
    return classifier


def _save_parts(path: str | Path, parts: Mapping[str, Part], contract: Mapping[str, Any]) -> None:
    described = {kind: {key: vars(part)[key] for key in _DESCRIBED} for kind, part in parts.items()}
    versions = {
        "attentad": attentad.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    tensors = {
        f"{kind}.{name}": tensor
        for kind, part in parts.items()
        for name, tensor in part.tensors.items()
    }
    save_model(path, tensors, {**contract, "parts": described, "versions": versions})


def _load_parts(path: Path) -> tuple[dict[str, Part], dict[str, Any]]:
    tensors, contract = load_model(path)
    is_old = contract["format"] == 1
    where = f"{path} is no model of this version of attentad"
    if is_old:
        contract |= as_format_2(contract, where)
    parts: dict[str, Part] = {}
    checked = validated(CONTRACT, contract, where)
    for kind, told in checked.parts.items():
        start = f"{FORMAT_1_KINDS.get(kind, kind) if is_old else kind}."
        own = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        options = as_first_meant(told.options) if contract["format"] < 3 else told.options
        parts[kind] = Part(told.name, options, told.sizes, told.classes, own)
    return parts, contract | {"clock": checked.clock}


def save_model(
    path: str | Path, tensors: Mapping[str, Tensor], contract: Mapping[str, Any]
) -> None:
    """Write tensors and contract, whole or not at all; the same input gives the same bytes.

    Args:
        path: usually `*.safetensors`.
        tensors: name → tensor, on any device; tensors that share memory are stored separately.
        contract: anything JSON can hold; `format` and `crc32` are added.

    Raises:
        AttentadError: the file cannot be written.
        TypeError: the contract holds something JSON cannot.
    """
    # A clone each: safetensors refuses views and tied weights.
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    content = {**contract, "format": FORMAT, "crc32": _checksum(plain)}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, safetensors_bytes(plain, metadata={_KEY: text}))


def load_model(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a model file: name → tensor on the CPU, and the contract.

    Raises:
        AttentadError: the file is missing, is not a model file of attentad, is damaged, or comes
            from a newer version.
    """
    path = Path(path)
    if not path.is_file():
        reason = "is a folder, not a model file" if path.is_dir() else "does not exist"
        raise AttentadError(f"{path} {reason}; give the .safetensors file that training wrote.")
    contract = _contract(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, OSError, RuntimeError, ValueError, LookupError) as error:
        raise AttentadError(
            f"{path} is damaged ({reason_of(error)}); fetch or train it again."
        ) from error
    if _checksum(tensors) != contract.pop("crc32", None):
        raise AttentadError(f"{path} is damaged (its checksum differs); fetch or train it again.")
    return tensors, contract


def _contract(path: Path) -> dict[str, Any]:
    text = _header(path).get("__metadata__", {}).get(_KEY)
    contract = None
    if isinstance(text, str):
        with suppress(AttentadError):
            contract = parse_json(text.encode(), path)
    if not isinstance(contract, dict) or type(contract.get("format")) is not int:
        raise AttentadError(
            f"{path} is a safetensors file, but not a model of attentad; give one that attentad "
            "trained."
        )
    if contract["format"] > FORMAT:
        raise AttentadError(
            f"{path} has model format {contract['format']}, newer than the {FORMAT} that this "
            "version reads; upgrade attentad."
        )
    return contract


def _header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file: 8 bytes of length, little-endian, then JSON."""
    header: Any = None
    try:
        with path.open("rb") as file, suppress(AttentadError):
            length = int.from_bytes(file.read(8), "little")
            if 2 <= length <= path.stat().st_size - 8:
                header = parse_json(file.read(length), path)
    except OSError as error:
        raise AttentadError(f"{path} could not be read ({reason_of(error)}).") from error
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise AttentadError(
            f"{path} is not a model file (not safetensors); give the .safetensors file that "
            "training wrote."
        )
    return header


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 over the bytes of all tensors in the order of their names."""
    crc = 0
    for name in sorted(tensors):
        flat = tensors[name].contiguous().reshape(-1).view(torch.uint8)
        crc = zlib.crc32(flat.numpy().data, crc)
    return crc
