"""Detectors: one file each, the network and its targets, loss and decoding as plain functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.core.found import Found
from attentad.detection import bmn, dbg, framewise, gtad, hamnet, tcn, tcn_weak
from attentad.detection.task import DetectionTask


class Detector(NamedTuple):
    """What training and detection need of a detector; `detection.bmn` is an example.

    The keyword arguments of each part, beside those named here, are a recipe's options; of the
    network's, those that another part takes too are handed to that as well.

    Args:
        network: class, whose constructor names what it needs of `feature_dim`, `length`, `classes`
            (a network that takes it names the classes itself) and `attention`; features (B, C, T),
            valid (B, T) → outputs.
        targets: (truth, timeline of the view, **options) → arrays for the loss.
        loss: (outputs, targets, valid, **options) → terms, and what is minimised as `total`.
        decode: (outputs, timelines, valid, **options) → what each view holds; a decode that names
            `loss_options` is given those of the recipe's loss.
        task: (network, loss, **options of the loss) → what trains, a `training.task.Task`.
        weak: learns from the classes of whole videos alone.
    """

    network: type[nn.Module]
    targets: Callable[..., dict[str, NDArray[Any]]]
    loss: Callable[..., dict[str, Tensor]]
    decode: Callable[..., list[Found]]
    task: Callable[..., Any] = DetectionTask
    weak: bool = False

    @property
    def names_classes(self) -> bool:
        """Whether its detections have classes, so that no labeller is needed."""
        return "classes" in inspect.signature(self.network).parameters


# Arguments of each part that its caller fills, and no recipe.
GIVEN: Final[dict[str, tuple[str, ...]]] = {
    "network": ("feature_dim", "length", "classes", "attention"),
    "targets": ("truth", "timeline", "map_shift_steps"),
    "loss": ("outputs", "targets", "valid", "generator"),
    "decode": ("outputs", "timelines", "valid", "loss_options"),
}
DETECTORS: dict[str, Detector] = {
    "bmn": Detector(bmn.BMN, bmn.targets, bmn.loss, bmn.decode),
    "gtad": Detector(gtad.GTAD, gtad.targets, gtad.loss, gtad.decode),
    "dbg": Detector(dbg.DBG, dbg.targets, dbg.loss, dbg.decode),
    "hamnet": Detector(hamnet.HAMNet, hamnet.targets, hamnet.loss, hamnet.decode, weak=True),
    "tcn": Detector(tcn.TCN, tcn.targets, tcn.loss, tcn.decode),
    "tcn_weak": Detector(
        tcn_weak.WeakTCN, tcn_weak.targets, tcn_weak.loss, tcn_weak.decode, weak=True
    ),
    "framewise": Detector(framewise.Framewise, framewise.targets, framewise.loss, framewise.decode),
}
