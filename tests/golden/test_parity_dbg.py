"""DBG gives what its public PyTorch code gives on the same weights.

Values made by Tencent/ActionDetection-DBG: pytorch/model.py at commit f6b31fb and the losses of
pytorch/train.py at commit 47bc881; labels after utils.py, boundaries after pytorch/test.py,
Soft-NMS after post_processing.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.detection.plain import truth_of
from tests.golden.closed_form import (
    BATCH,
    DURATION_SEC,
    assert_near,
    boundaries,
    features,
    filled,
    near,
    numbers,
    overlaps,
    timeline,
)
from torch import Tensor

from attentad.detection.dbg import DBG, decode, loss, targets
from attentad.recipes.load import DetectionRecipe, load_recipe
from attentad.suppression import suppress

# 11 steps: no tIoU equals a threshold of the adaptive Soft-NMS, so that no digit decides.
LENGTH, FEATURE_DIM = 11, 8
MODULES = {
    "DSBNet.conv1_1.0": "stream_1.0",
    "DSBNet.conv1_2.0": "stream_1.1",
    "DSBNet.conv1_3.0": "actionness.0",
    "DSBNet.conv2_1.0": "stream_2.0",
    "DSBNet.conv2_2.0": "stream_2.1",
    "DSBNet.conv2_3.0": "actionness.1",
    "DSBNet.conv3.0": "actionness.2",
    "PropFeatGen.conv3d": "pfg",
    "ACRNet.conv2d.0.0": "acr.0",
    "ACRNet.conv2d.2.0": "acr.1",
    "ACRNet.conv2d.4.0": "acr.2",
    "TBCNet.conv2d.0.0": "tbc.0",
    "TBCNet.conv2d.2.0": "tbc.1",
    "TBCNet.conv2d.4.0": "tbc.2",
}
TIMELINE = timeline(LENGTH)


@pytest.fixture(scope="module")
def recipe() -> DetectionRecipe:
    found = load_recipe("activitynet13/dbg_upstream")
    assert isinstance(found, DetectionRecipe)
    return found


@pytest.fixture(scope="module")
def network(recipe: DetectionRecipe) -> Any:
    return filled(DBG(FEATURE_DIM, LENGTH, **recipe.detector.network), MODULES)


def labels(share: float) -> dict[str, Tensor]:
    """Targets of the loss, the boundaries and the action multiplied by `share`."""
    action = torch.from_numpy((numbers(52, BATCH, LENGTH) + 1) / 2).float()
    told = {name: share * label for name, label in boundaries(LENGTH).items()}
    cells = np.triu(np.ones((LENGTH, LENGTH), dtype=bool))
    iou = overlaps(cells, [0.1, 0.0, 0.4, 0.9], 0.9)
    return {"action": share * action, **told, "iou": iou}


def test_outputs(network: Any) -> None:
    out = network(features(FEATURE_DIM, LENGTH))
    entries = {(0, 0, 0): 0.4327673355, (0, 1, 5): 0.4480600288, (1, 2, 9): 0.3520304618}
    assert_near(out.actionness, 0.4895657195, 2.614154605, entries)
    places = [(0, 0, 0), (0, 2, 7), (1, 0, 9), (1, 4, 5)]
    values = [0.2743084077, 0.2588209461, 0.2873672476, 0.2352675834]
    entries = dict(zip(places, values, strict=True))
    assert_near(out.completeness, 0.1457219199, -0.6608371522, entries)
    values = [0.4240971535, 0.6860808117, 0.4743758414, 0.5383430714]
    entries = dict(zip(places, values, strict=True))
    assert_near(out.start_map, 0.3465737151, -0.285496041, entries)
    values = [0.4542721642, 0.7430979173, 0.6426849233, 0.9037774356]
    entries = dict(zip(places, values, strict=True))
    assert_near(out.end_map, 0.3813998174, -0.6512261212, entries)
    entries = {(0, 0): 0.6098582171, (1, 9): 0.7973644579}
    assert_near(out.start, 0.6724578168, 3.284811941, entries)
    assert_near(out.end, 0.719080742, 2.77564484, {(0, 0): 0.4542721642, (1, 9): 0.6714336702})


def test_loss_and_gradient(network: Any, recipe: DetectionRecipe) -> None:
    network.zero_grad()
    terms = loss(network(features(FEATURE_DIM, LENGTH)), labels(1.0), **recipe.detector.loss)
    assert terms["total"].item() == near(3.910441637)
    assert terms["action"].item() == near(0.7446112068)
    assert terms["completeness"].item() == near(0.06939198822)
    assert terms["start"].item() == near(0.8129702316)
    assert terms["end"].item() == near(0.9143292399)
    terms["total"].backward()
    assert network.stream_1[0].weight.grad.abs().sum().item() == near(14.97194198)
    assert network.pfg.weight.grad.abs().sum().item() == near(15005.89315)


def test_loss_without_a_positive(network: Any, recipe: DetectionRecipe) -> None:
    """The recipe's rule is the public one; the default weighs negatives alone about twice."""
    outputs = network(features(FEATURE_DIM, LENGTH))
    terms = loss(outputs, labels(0.4), **recipe.detector.loss)
    assert terms["total"].item() == near(2.697985888)
    assert terms["action"].item() == near(0.3856672285)
    assert terms["start"].item() == near(0.5519883128)
    assert terms["end"].item() == near(0.6807432472)
    steps = BATCH * LENGTH
    ours = loss(outputs, labels(0.4))
    assert ours["action"].item() == near(0.3856672285 * 2 * (steps - 1) / steps)


def test_targets() -> None:
    found = targets(truth_of([(2.2, 7.9), (9.3, 14.6), (13.1, 19.5)]), TIMELINE)
    action = [0.0, 0.79, 1.0, 1.0, 0.345, 0.885, 1.0, 1.0, 1.0, 1.0, 0.725]
    np.testing.assert_allclose(found["action"], action, atol=1e-6)
    assert np.flatnonzero(found["start"]).tolist() == [0, 1, 4, 5, 6, 7]
    assert np.flatnonzero(found["end"]).tolist() == [3, 4, 7, 8, 10]
    assert found["iou"].sum(dtype=float) == near(31.28467167)
    assert np.square(found["iou"]).sum(dtype=float) == near(17.08517158)
    assert found["iou"][1, 4] == near(0.78375)


def test_proposals_before_and_after_suppression(network: Any, recipe: DetectionRecipe) -> None:
    with torch.no_grad():
        outputs = network(features(FEATURE_DIM, LENGTH))
    found = decode(outputs, [TIMELINE] * 2, **recipe.detector.decode)[0].detections
    assert len(found) == 66
    options = recipe.suppression.model_dump(include={"method", "sigma", "t1", "t2", "keep"})
    kept = suppress(found, duration_sec=DURATION_SEC, legacy_drop_last=True, **options)
    assert len(kept) == 65
    assert kept.scores.sum() == near(5.177014486)
    scores = [0.15805071, 0.15302096, 0.14771751, 0.14359698, 0.13857997]
    np.testing.assert_allclose(kept.scores[:5], scores, rtol=1e-5)
    steps = [(3, 4), (2, 4), (1, 4), (6, 7), (2, 6)]
    np.testing.assert_allclose(kept.segments[:5], np.array(steps) * DURATION_SEC / LENGTH)
