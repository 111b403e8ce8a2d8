"""Trained models: a network and the contract that travels with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from attentad.backbones import Backbone
from attentad.data.clocks import Clock
from attentad.data.views import Views
from attentad.detection import DETECTORS, Detector
from attentad.models.build import build_views
from attentad.models.labels import Labeller
from attentad.models.long_videos import TrainedSteps
from attentad.recipes.load import DetectionRecipe


@dataclass(frozen=True)
class DetectorModel:
    """A detector with the contract that travels in its file.

    Args:
        clock: when features without a sidecar were taken; None if they always have one.
        labeller: reads class scores out of R; None where the detector names classes itself or
            labels come from a file.
        encoder: the backbone that makes R from video, or None.
        trained_steps: how long the steps were that a model of whole, rescaled videos was trained
            on; None of others, and of files that do not say it.
    """

    recipe: DetectionRecipe
    classes: tuple[str, ...]
    feature_dim: int
    network: nn.Module
    clock: Clock | None = None
    labeller: Labeller | None = None
    encoder: Backbone | None = None
    trained_steps: TrainedSteps | None = None

    @property
    def detector(self) -> Detector:
        """The functions beside the network."""
        return DETECTORS[self.recipe.detector.name]

    @property
    def views(self) -> Views:
        """Takes the views of a track that the network reads."""
        return build_views(self.recipe)

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return next(self.network.parameters()).device

    def around(self, network: nn.Module) -> DetectorModel:
        """The same model around another network (its EMA, say), set to inference."""
        return replace(self, network=network.eval())


@contextmanager
def inferring(network: nn.Module) -> Iterator[torch.device]:
    """Evaluation mode and no gradients while the block runs; yields where to work.

    That is where the weights are; the best device for a network that opens its own later.
    """
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            weights = next(network.parameters(), None)
            yield best_device() if weights is None else weights.device
    finally:
        network.train(was_training)


def best_device() -> torch.device:
    """CUDA when there is any, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
