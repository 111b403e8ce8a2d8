"""Detectors: one file each, the network and its targets, loss and decoding as plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.core import VideoDetections
from attentad.detection import bmn, dbg, gtad


class Detector(NamedTuple):
    """What training and detection need of a detector, see the functions of `detection.bmn`."""

    network: type[nn.Module]
    site_dims: Callable[..., dict[str, int]]
    targets: Callable[..., dict[str, NDArray[np.float32]]]
    loss: Callable[..., dict[str, Tensor]]
    decode: Callable[..., list[VideoDetections]]


DETECTORS: dict[str, Detector] = {
    "bmn": Detector(bmn.BMN, bmn.site_dims, bmn.targets, bmn.loss, bmn.decode),
    "gtad": Detector(gtad.GTAD, gtad.site_dims, gtad.targets, gtad.loss, gtad.decode),
    "dbg": Detector(dbg.DBG, dbg.site_dims, dbg.targets, dbg.loss, dbg.decode),
}
