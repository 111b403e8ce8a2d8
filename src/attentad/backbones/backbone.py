"""A backbone: what turns the pictures of a video into features, snippet by snippet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attentad.backbones.output import BackboneOutput
from attentad.backbones.pictures import normalised, resized
from attentad.core import AttentadError, Sampling

Change = Literal["none", "signed", "absolute"]
Crops = Literal[1, 3]
# (network, pictures (F, H, W, 3) uint8) → (F, …), what is done once with each picture.
Prepare = Callable[[nn.Module, Tensor], Tensor]
# (network, snippets (B, L, …) of what was prepared) → what the backbone says of each.
Summarise = Callable[[nn.Module, Tensor], BackboneOutput]


@dataclass(frozen=True)
class Backbone:
    """A network with all that is needed to turn video into features.

    Its work has two steps, so that nothing is done twice where snippets overlap: `prepare` looks
    at each picture, `summarise` at the windows of what that gave. A 3D CNN prepares by
    normalising; a network of single pictures prepares by itself, and a window is summed up.

    Args:
        name: in `BACKBONES`.
        options: what it was built by, as JSON has it: a recogniser's recipe, or keyword arguments
            with all defaults filled in.
        network: has the weights; in evaluation mode where `prepare` and `summarise` are called.
        sampling: how video becomes snippets.
        feature_dim: C_feat.
        prepare, summarise: the two steps.
        classes: names of those that its logits are of; none of a backbone that gives none.
        sizes: numbers that its weights fixed and that a model file must tell beside the options.
        facts: what a sidecar says of it (`encoder`), so that features of different backbones are
            told apart: its name and the SHA-256 of its weights or of its model file, and its
            options where the hash does not cover them. Empty where there is no such hash.
    """

    name: str
    options: Mapping[str, Any]
    network: nn.Module
    sampling: Sampling
    feature_dim: int
    prepare: Prepare
    summarise: Summarise
    classes: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, clips: Tensor) -> BackboneOutput:
        """Features and logits of uint8 RGB clips (B, L, H, W, 3), L = `sampling.window_frames`.

        The pictures may have another size than `sampling.size_px`.
        """
        prepared = self.prepare(self.network, clips.flatten(0, 1))
        return self.summarise(self.network, prepared.unflatten(0, clips.shape[:2]))

    @property
    def width(self) -> int:
        """Columns of R: the features, and behind them a score for each class."""
        return self.feature_dim + len(self.classes)


def prepare_clips(mean: Sequence[float], std: Sequence[float], size_px: int) -> Prepare:
    """The first step of a network of clips: pictures (F, H, W, 3) → (F, 3, H, W), normalised."""

    def prepare(network: nn.Module, pictures: Tensor) -> Tensor:
        return resized(normalised(pictures, mean, std), size_px).transpose(0, 1)

    return prepare


def summarise_clips(network: nn.Module, snippets: Tensor) -> BackboneOutput:
    """The second step of a network of clips: the network, on (B, L, 3, H, W)."""
    output = network(snippets.transpose(1, 2))
    return BackboneOutput(output.feature, output.logits)


def described(name: str, options: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    """The facts of a backbone that comes trained: the hash of its weights, and its options."""
    return {"name": name, "sha256": sha256, "options": json.loads(json.dumps(options))}


def is_same(told: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether the facts in a sidecar are those of a backbone."""
    return all(told.get(key) == facts.get(key) for key in ("sha256", "options"))


@dataclass(frozen=True)
class PictureWindows:
    """Features of a snippet out of those of its pictures.

    Args:
        window_frames: pictures of a snippet.
        context_frames: pictures on either side of it that are looked at besides.
        change: see `image.image`.
    """

    window_frames: int
    context_frames: int
    change: Change

    @property
    def seen_frames(self) -> int:
        """Pictures of a snippet with its context."""
        return self.window_frames + 2 * self.context_frames

    def width(self, feature_dim: int) -> int:
        """Features of a snippet, of `feature_dim` of a picture."""
        parts = 1 + 2 * (self.context_frames > 0) + (self.change != "none")
        return parts * feature_dim

    def __call__(self, network: nn.Module, snippets: Tensor) -> BackboneOutput:
        """(B, L, C), L = `seen_frames` → (B, n·C): mean, means before and after, change."""
        side = self.context_frames
        parts = [snippets[:, side : side + self.window_frames].mean(dim=1)]
        if side:
            parts += [snippets[:, :side].mean(dim=1), snippets[:, -side:].mean(dim=1)]
        if self.change != "none":
            steps = snippets.diff(dim=1)
            parts.append((steps.abs() if self.change == "absolute" else steps).mean(dim=1))
        return BackboneOutput(torch.cat(parts, dim=1), None)


def picture_windows(
    fps: float, window_frames: int, context_sec: float, change: Change, where: str
) -> PictureWindows:
    """How steps are summed up; options as of `image`.

    Raises:
        AttentadError: there is no change because a step sees one picture only, or no picture in
            the context.
    """
    windows = PictureWindows(window_frames, round(context_sec * fps), change)
    if context_sec and not windows.context_frames:
        raise AttentadError(
            f"{where}.context_sec: {context_sec:g} s is less than half a picture at {fps:g} a "
            "second; give more, or 0."
        )
    if change != "none" and windows.seen_frames < 2:
        raise AttentadError(
            f"{where}.change: a step sees one picture, which has no change; set window_frames to 2 "
            "or more, or context_sec."
        )
    return windows
