"""HAM-Net gives what its public code gives on the same weights.

Values made by asrafulashiq/hamnet: system/system_th.py at commit cd75dbc, detections after
system/tester.py and utils/utils.py at commit 4431a05.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.golden.closed_form import assert_near, features, filled, near

from attentad.core import Timeline
from attentad.detection.hamnet import HAMNet, decode, loss
from attentad.recipes.load import DetectionRecipe, load_recipe
from attentad.suppression import suppress

LENGTH, FEATURE_DIM, CLASSES = 30, 16, 3
MODULES = {
    "classifier.0": "conv_1",
    "classifier.2": "conv_2",
    "classifier.5": "classifier",
    "attention.0": "foreground.conv_1",
    "attention.2": "foreground.conv_2",
    "attention.4": "foreground.conv_out",
}
TERMS = {
    "total": 3.938293311,
    "base": 1.901861814,
    "soft": 1.45406032,
    "semi_soft": 1.380778753,
    "hard": 1.554038509,
    "sparsity": 0.3470543312,
    "guide": 0.4861858591,
}


@pytest.fixture(scope="module")
def recipe() -> DetectionRecipe:
    found = load_recipe("thumos14/hamnet")
    assert isinstance(found, DetectionRecipe)
    return found


@pytest.fixture(scope="module")
def network(recipe: DetectionRecipe) -> Any:
    built = HAMNet(FEATURE_DIM, LENGTH, classes=CLASSES, **recipe.detector.network)
    return filled(built, MODULES)


def test_outputs(network: Any) -> None:
    scores, attention = network(features(FEATURE_DIM, LENGTH, scale=2))
    entries = {(0, 0, 0): 0.3321946258, (0, 7, 2): -2.321440082, (1, 29, 3): -0.3701326479}
    assert_near(scores, -0.2860932356, -1.736747686, entries)
    entries = {(0, 0): 0.546574327, (0, 11): 0.1027941509, (1, 29): 0.2698819514}
    assert_near(attention, 0.3470543312, 1.319084408, entries)


def test_loss_and_gradient(network: Any, recipe: DetectionRecipe) -> None:
    """Without the dropout; 11 and 10 of the 30 snippets lie below the threshold."""
    network.zero_grad()
    outputs = network(features(FEATURE_DIM, LENGTH, scale=2))
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    terms = loss(outputs, {"labels": labels}, **recipe.detector.loss)
    for name, value in TERMS.items():
        assert terms[name].item() == near(value)
    terms["total"].backward()
    assert network.conv_1.weight.grad.abs().sum().item() == near(63.88084931)
    assert network.foreground.conv_1.weight.grad.abs().sum().item() == near(101.3958292)


def test_detections(network: Any, recipe: DetectionRecipe) -> None:
    """49 runs of ten thresholds, of the one class that reaches .2."""
    with torch.no_grad():
        outputs = network(features(FEATURE_DIM, LENGTH, scale=2))
    clock = Timeline(LENGTH, 25.0, 16.0, 16.0, LENGTH * 16 / 25)
    found = decode(outputs, [clock] * 2, **recipe.detector.decode)[0]
    video = [0.5569316557, 0.1927006463, 0.1352342827]
    np.testing.assert_allclose(found.class_probabilities, video, rtol=1e-5)
    options = recipe.suppression.model_dump(
        include={"method", "sigma", "plus_one", "tiou_threshold", "negative"}
    )
    kept = suppress(found.detections, **options)
    assert len(kept) == 49
    assert kept.labels.tolist() == [0] * 49
    assert kept.scores.sum() == near(11.38031035)
    np.testing.assert_allclose(
        kept.scores[:4], [2.3320399, 2.3232411, 1.8539814, 1.5971077], rtol=1e-5
    )
    segments = [(0.64, 1.28), (8.96, 9.6), (14.72, 15.36), (6.4, 7.04)]
    np.testing.assert_allclose(kept.segments[:4], segments)
