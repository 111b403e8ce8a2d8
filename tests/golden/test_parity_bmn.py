"""BMN gives what JJBOY's BMN-Boundary-Matching-Network gives on the same weights.

Values made by its models.py and loss_function.py at commit da9e149; labels, candidates and
Soft-NMS after its dataset.py, main.py and post_processing.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.detection.plain import truth_of
from tests.golden.closed_form import (
    DURATION_SEC,
    assert_near,
    boundaries,
    features,
    filled,
    near,
    overlaps,
    timeline,
)
from torch import nn

from attentad.detection.bmn import BMN, decode, loss, targets
from attentad.layers.boundary_matching import valid_cells
from attentad.recipes.load import DetectionRecipe, load_recipe
from attentad.suppression import suppress

# 13 steps: no tIoU equals a threshold of the adaptive Soft-NMS, so that no digit decides.
LENGTH, FEATURE_DIM = 13, 8
MODULES = {
    "x_1d_b.0": "base_1",
    "x_1d_b.2": "base_2",
    "x_1d_s.0": "start_head.0",
    "x_1d_s.2": "start_head.1",
    "x_1d_e.0": "end_head.0",
    "x_1d_e.2": "end_head.1",
    "x_1d_p.0": "pem_conv",
    "x_3d_p.0": "matching",
    "x_2d_p.0": "map_in",
    "x_2d_p.2": "map_convs.convs.0",
    "x_2d_p.4": "map_convs.convs.1",
    "x_2d_p.6": "map_out",
}
TIMELINE = timeline(LENGTH)


@pytest.fixture(scope="module")
def recipe() -> DetectionRecipe:
    found = load_recipe("activitynet13/bmn_jjboy")
    assert isinstance(found, DetectionRecipe)
    return found


@pytest.fixture(scope="module")
def network(recipe: DetectionRecipe) -> nn.Module:
    return filled(BMN(FEATURE_DIM, LENGTH, **recipe.detector.network), MODULES)


def test_outputs(network: nn.Module) -> None:
    start, end, regression, classification = network(features(FEATURE_DIM, LENGTH))
    assert_near(start, 0.4661009613, 2.246389042, {(0, 0): 0.5786809489, (1, 7): 0.4910581329})
    assert_near(end, 0.5676761115, 2.390646897, {(0, 3): 0.6336564619, (1, 11): 0.2672473946})
    # There [start, end]; here [duration, start].
    places = [(0, 0, 0), (0, 5, 3), (1, 11, 0), (1, 2, 9)]
    values = [0.6490964838, 0.6947098416, 0.57107665, 0.6368506441]
    expected = dict(zip(places, values, strict=True))
    assert_near(regression, 0.3411901034, 4.948955792, expected)
    values = [0.5296937361, 0.5860012801, 0.5489637287, 0.4693653938]
    expected = dict(zip(places, values, strict=True))
    assert_near(classification, 0.2858157696, 4.762822011, expected)


def test_loss_and_gradient(network: Any, recipe: DetectionRecipe) -> None:
    iou = overlaps(valid_cells(LENGTH, LENGTH), [0.0, 0.15, 0.55, 0.95], 0.0)
    network.zero_grad()
    outputs = network(features(FEATURE_DIM, LENGTH))
    terms = loss(outputs, boundaries(LENGTH) | {"iou": iou}, **recipe.detector.loss)
    assert terms["total"].item() == near(2.791654532)
    assert (terms["start"] + terms["end"]).item() == near(1.492758459)
    assert terms["regression"].item() == near(0.05962635949)
    assert terms["classification"].item() == near(0.7026324857)
    terms["total"].backward()
    assert network.base_1.weight.grad.abs().sum().item() == near(7.452956436)
    assert network.matching.weight.grad.abs().sum().item() == near(3110.677879)


def test_targets(recipe: DetectionRecipe) -> None:
    truth = truth_of([(2.2, 7.9), (9.0, 14.6), (13.1, 19.5)])
    found = targets(truth, TIMELINE, **recipe.detector.targets)
    assert np.flatnonzero(found["start"]).tolist() == [0, 1, 2, 5, 6, 7, 8, 9, 10]
    assert np.flatnonzero(found["end"]).tolist() == [4, 5, 6, 8, 9, 10, 12]
    assert found["iou"].sum(dtype=float) == near(42.64087454)
    assert np.square(found["iou"]).sum(dtype=float) == near(23.09465983)
    assert found["iou"][3, 1] == near(0.8633615478)
    assert found["iou"][3, 5] == near(0.70155902)


def test_proposals_before_and_after_suppression(network: nn.Module, recipe: Any) -> None:
    with torch.no_grad():
        outputs = network(features(FEATURE_DIM, LENGTH))
    found = decode(outputs, [TIMELINE] * 2, **recipe.detector.decode)[0].detections
    assert len(found) == 78  # each pair but those that end with the video
    kept = suppress(
        found,
        duration_sec=DURATION_SEC,
        legacy_drop_last=True,
        **recipe.suppression.model_dump(include={"method", "sigma", "t1", "t2", "keep"}),
    )
    assert len(kept) == 77
    assert kept.scores.sum() == near(3.608926889)
    scores = [0.14761749, 0.14149904, 0.13991829, 0.13969394, 0.13854499, 0.13198956]
    np.testing.assert_allclose(kept.scores[:6], scores, rtol=1e-5)
    steps = [(4, 8), (0, 3), (9, 10), (4, 6), (0, 6), (2, 6)]
    np.testing.assert_allclose(kept.segments[:6], np.array(steps) * DURATION_SEC / LENGTH)
