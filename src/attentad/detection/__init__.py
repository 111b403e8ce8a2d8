"""Detectors: one file each, the network and its targets, loss and decoding as plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.core import VideoDetections
from attentad.detection import bmn, dbg, gtad, hamnet


class Detector(NamedTuple):
    """What training and detection need of a detector, see the functions of `detection.bmn`.

    A detector that learns from video-level labels (`supervision` is `video`) has `targets(labels,
    classes)`, of the class indices of a video; `classify`, how surely the video holds each class;
    and `curves`, what there is to look at beside its detections. See `detection.hamnet`.
    """

    network: type[nn.Module]
    targets: Callable[..., dict[str, NDArray[np.float32]]]
    loss: Callable[..., dict[str, Tensor]]
    decode: Callable[..., list[VideoDetections]]
    supervision: Literal["segments", "video"] = "segments"
    classify: Callable[..., NDArray[np.float64]] | None = None
    curves: Callable[..., dict[str, NDArray[np.float32]]] | None = None


DETECTORS: dict[str, Detector] = {
    "bmn": Detector(bmn.BMN, bmn.targets, bmn.loss, bmn.decode),
    "gtad": Detector(gtad.GTAD, gtad.targets, gtad.loss, gtad.decode),
    "dbg": Detector(dbg.DBG, dbg.targets, dbg.loss, dbg.decode),
    "hamnet": Detector(
        hamnet.HAMNet,
        hamnet.targets,
        hamnet.loss,
        hamnet.decode,
        supervision="video",
        classify=hamnet.video_scores,
        curves=hamnet.curves,
    ),
}
