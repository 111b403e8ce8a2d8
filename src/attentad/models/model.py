"""Trained models: built from a recipe, saved with their contract, loaded without other choices."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import attentad
from attentad.attention.sites import AttentionChoice
from attentad.backbones import RECOGNISERS
from attentad.core import AttentadError, Sampling
from attentad.core.options import check_options, shared_options
from attentad.data.clocks import Clock, read_clock
from attentad.data.detection_data import Views, rescaled_view, whole_view, windows_view
from attentad.detection import DETECTORS, Detector
from attentad.models.file import load_model, save_model
from attentad.models.format_1 import renamed_from_format_1
from attentad.models.snippet_classifier import SnippetClassifier
from attentad.recipes.load import DetectionRecipe, RecognitionRecipe, parse_recipe
from attentad.training.weights import load_into


@dataclass(frozen=True)
class SnippetScores:
    """How class scores are read out of R.

    Args:
        columns: K columns of R, in class order.
        activation: `none`, `sigmoid`, or `softmax` over the classes and the background.
        background: column of the background class, or None.
        temperature: scores are divided by it before the activation.
    """

    columns: tuple[int, ...]
    activation: str = "none"
    background: int | None = None
    temperature: float = 1.0

    def read(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """R (n, C) → class scores (n, K)."""
        columns = list(self.columns)
        if self.background is not None:
            columns.append(self.background)
        scores = features[:, columns] / self.temperature
        if self.activation == "sigmoid":
            scores = 1 / (1 + np.exp(-scores))
        elif self.activation == "softmax":
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores = scores / scores.sum(axis=1, keepdims=True)
        return scores[:, : len(self.columns)]


@dataclass(frozen=True)
class RecogniserModel:
    """A 3D CNN with all that is needed to turn video into R."""

    recipe: RecognitionRecipe
    classes: tuple[str, ...]
    network: nn.Module

    @property
    def sampling(self) -> Sampling:
        """How video becomes snippets."""
        return Sampling(**self.recipe.sampling.model_dump())


@dataclass(frozen=True)
class DetectorModel:
    """A detector with the contract that travels in its file.

    Args:
        clock: when features without a sidecar were taken; None if they always have one.
        scores: reads class scores out of R; None if labels come from a file.
        encoder: the recogniser that makes R from video, or None.
    """

    recipe: DetectionRecipe
    classes: tuple[str, ...]
    feature_dim: int
    network: nn.Module
    clock: Clock | None = None
    scores: SnippetScores | SnippetClassifier | None = None
    encoder: RecogniserModel | None = None

    @property
    def detector(self) -> Detector:
        """The functions beside the network."""
        return DETECTORS[self.recipe.detector.name]

    @property
    def views(self) -> Views:
        """Makes the views of a video that the network reads."""
        return build_views(self.recipe)

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return next(self.network.parameters()).device


def build_views(recipe: DetectionRecipe) -> Views:
    """The recipe's view of a video as a function; in detection, where training has another."""
    view = recipe.view
    if view.name == "windows":
        return windows_view(view.length, view.stride_steps, view.cover_tail)
    if view.name == "snippets":
        return whole_view
    return rescaled_view(view.length, view.mode)


def build_detector(recipe: DetectionRecipe, feature_dim: int, classes: int) -> nn.Module:
    """The recipe's network with its attention modules at their sites, freshly initialised.

    Args:
        recipe: says which.
        feature_dim: C_in.
        classes: K, for networks that name classes themselves.

    Raises:
        AttentadError: an unknown detector, site, attention or option, named.
    """
    network = check_detector(recipe).network
    given = {
        "feature_dim": feature_dim,
        "length": recipe.view.length,
        "classes": classes,
        "attention": _attention(recipe),
    }
    taken = shared_options(network, given)
    if recipe.attention and "attention" not in taken:
        raise AttentadError(f"attention: {recipe.detector.name} has no site for any; leave it out.")
    return network(**taken, **recipe.detector.network)


def check_detector(recipe: DetectionRecipe) -> Detector:
    """The detector that the recipe names, whose options and view it has.

    Raises:
        AttentadError: an unknown detector or option, or a view of the other kind, named.
    """
    choice = recipe.detector
    if choice.name not in DETECTORS:
        raise AttentadError(
            f"detector.name: there is no detector {choice.name!r}; choose from "
            f"{', '.join(DETECTORS)}."
        )
    detector = DETECTORS[choice.name]
    for part, function, given in (
        ("network", detector.network, ("feature_dim", "length", "classes", "attention")),
        ("targets", detector.targets, ("segments", "timeline", "labels", "classes")),
        ("loss", detector.loss, ("outputs", "targets", "valid", "generator")),
        ("decode", detector.decode, ("outputs", "timelines", "valid")),
    ):
        check_options(function, getattr(choice, part), given, f"detector.{part}")
    weak = detector.supervision == "video"
    if weak != (recipe.view.name == "snippets"):
        raise AttentadError(
            f"detector.name: {choice.name} learns from "
            + (
                "video-level labels; set view.name to snippets."
                if weak
                else "segments; set view.name to rescaled or windows."
            )
        )
    return detector


def build_recogniser(recipe: RecognitionRecipe, classes: tuple[str, ...]) -> nn.Module:
    """The recipe's 3D CNN with its attention modules, freshly initialised.

    Raises:
        AttentadError: an unknown recogniser, site, attention or option, named.
    """
    name = recipe.recogniser.name
    if name not in RECOGNISERS:
        raise AttentadError(
            f"recogniser.name: there is no recogniser {name!r}; choose from "
            f"{', '.join(RECOGNISERS)}."
        )
    network, loss = RECOGNISERS[name]
    options = recipe.recogniser.options
    given = ("classes", "frames", "size_px", "attention")
    check_options(network, options, given, "recogniser")
    check_options(loss, recipe.loss, ("outputs", "labels"), "loss")
    return network(
        len(classes),
        frames=recipe.sampling.window_frames,
        size_px=recipe.sampling.size_px,
        attention=_attention(recipe),
        **options,
    )


def _attention(recipe: DetectionRecipe | RecognitionRecipe) -> dict[str, AttentionChoice]:
    return {site: (part.name, part.options) for site, part in recipe.attention.items()}


def save_detector(path: str | Path, model: DetectorModel) -> None:
    """Write one safetensors file: weights, contract and, if any, classifier and encoder."""
    tensors = {f"detector.{key}": value for key, value in model.network.state_dict().items()}
    contract: dict[str, Any] = {
        "kind": "detector",
        "recipe": model.recipe.model_dump(mode="json"),
        "classes": list(model.classes),
        "feature_dim": model.feature_dim,
        "clock": None if model.clock is None else model.clock.to_clock(),
        "scores": vars(model.scores) if isinstance(model.scores, SnippetScores) else None,
        "classifier": None,
        "encoder": None,
        "versions": _versions(),
    }
    if isinstance(model.scores, SnippetClassifier):
        weights = model.scores.state_dict()
        tensors |= {f"classifier.{key}": value for key, value in weights.items()}
        contract["classifier"] = {"smoothing": model.scores.smoothing}
    if model.encoder is not None:
        weights = model.encoder.network.state_dict()
        tensors |= {f"encoder.{key}": value for key, value in weights.items()}
        contract["encoder"] = {
            "recipe": model.encoder.recipe.model_dump(mode="json"),
            "classes": list(model.encoder.classes),
        }
    save_model(path, tensors, contract)


def save_recogniser(path: str | Path, model: RecogniserModel) -> None:
    """Write a recogniser's weights and contract into one safetensors file."""
    tensors = {f"encoder.{key}": value for key, value in model.network.state_dict().items()}
    contract = {
        "kind": "recogniser",
        "recipe": model.recipe.model_dump(mode="json"),
        "classes": list(model.classes),
        "versions": _versions(),
    }
    save_model(path, tensors, contract)


def load_detector(path: str | Path) -> DetectorModel:
    """Load a detector and, if it is inside, its encoder, ready for inference on the best device.

    Raises:
        AttentadError: not a model file of ours, damaged, or a recogniser.
    """
    tensors, contract = load_model(path)
    if contract.get("kind") != "detector":
        raise AttentadError(
            f"{path} holds a {contract.get('kind')}, not a detector; train one with "
            "`attentad train`."
        )
    recipe = parse_recipe(contract["recipe"], str(path))
    assert isinstance(recipe, DetectionRecipe)
    network = build_detector(recipe, contract["feature_dim"], len(contract["classes"]))
    load_into(network, renamed_from_format_1(_part(tensors, "detector."), network), str(path))
    clock, encoder = contract["clock"], None
    if contract["encoder"] is not None:
        encoder = _recogniser(contract["encoder"], tensors, path)
    return DetectorModel(
        recipe=recipe,
        classes=tuple(contract["classes"]),
        feature_dim=contract["feature_dim"],
        network=network.to(best_device()).eval(),
        clock=None if clock is None else read_clock(clock),
        scores=_scores(contract, tensors, path),
        encoder=encoder,
    )


def load_recogniser(path: str | Path) -> RecogniserModel:
    """Load a recogniser, also out of a detector's file that has one inside.

    Raises:
        AttentadError: not a model file of ours, damaged, or without a recogniser.
    """
    tensors, contract = load_model(path)
    part = contract if contract.get("kind") == "recogniser" else contract.get("encoder")
    if part is None:
        raise AttentadError(
            f"{path} holds no recogniser, so it cannot read video; give it feature files."
        )
    return _recogniser(part, tensors, path)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def best_device() -> torch.device:
    """CUDA when there is any, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def with_network(model: DetectorModel, network: nn.Module) -> DetectorModel:
    """The same model around another network (its EMA, say), set to inference."""
    return replace(model, network=network.eval())


def _scores(
    contract: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: str | Path
) -> SnippetScores | SnippetClassifier | None:
    columns, fitted = contract["scores"], contract.get("classifier")
    if columns is not None:
        return SnippetScores(**columns | {"columns": tuple(columns["columns"])})
    if fitted is None:
        return None
    classifier = SnippetClassifier(contract["feature_dim"], len(contract["classes"]), **fitted)
    load_into(classifier, _part(tensors, "classifier."), path)
    return classifier


def _recogniser(
    part: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: str | Path
) -> RecogniserModel:
    recipe = parse_recipe(part["recipe"], str(path))
    assert isinstance(recipe, RecognitionRecipe)
    classes = tuple(part["classes"])
    network = build_recogniser(recipe, classes)
    load_into(network, renamed_from_format_1(_part(tensors, "encoder."), network), str(path))
    return RecogniserModel(recipe, classes, network.to(best_device()).eval())


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _versions() -> dict[str, str]:
    return {
        "attentad": attentad.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
