"""G-TAD gives what its public code gives on the same weights, for ActivityNet and for THUMOS14.

Values made by frostinassiky/gtad: gtad_lib/models.py and gtad_lib/loss_function.py at commit
f9afd44 (branch anet, 32 + 4 bins), and with the sizes and the loss of the THUMOS14 release (commit
ba68778; 16 + 16 bins, 3×3 convolutions). Candidates and Soft-NMS after gtad_inference.py and
gtad_postprocess.py of both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
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

from attentad.detection.gtad import GTAD, decode, loss
from attentad.layers.boundary_matching import valid_cells
from attentad.recipes.load import DetectionRecipe, load_recipe
from attentad.suppression import suppress

FEATURE_DIM = 8
_BLOCK = {
    "tconvs.0": "time_in",
    "tconvs.2": "time_groups",
    "tconvs.4": "time_out",
    "sconvs.0": "edge_in",
    "sconvs.2": "edge_groups",
    "sconvs.4": "edge_out",
}


def block(public: str, ours: str) -> dict[str, str]:
    """The modules of a GCNeXt block."""
    return {f"{public}.{name}": f"{ours}.{part}" for name, part in _BLOCK.items()}


MODULES = {
    "backbone1.0": "stem",
    **block("backbone1.2", "backbone_1"),
    **block("regu_s.0", "start_graph"),
    "regu_s.1": "start_head",
    **block("regu_e.0", "end_graph"),
    "regu_e.1": "end_head",
    **block("backbone2.0", "backbone_2"),
    "localization.0": "align",
    "localization.2": "map_in",
    "localization.4": "map_convs.{}0",
    "localization.6": "map_convs.{}1",
    "localization.8": "map_out",
}


class Release(NamedTuple):
    """A release, the grid of its small case, and what the public code gave there.

    Outputs are the mean, the weighted sum and four entries (two of the boundaries).
    """

    recipe: str
    length: int
    max_duration: int
    start: tuple[float, ...]
    end: tuple[float, ...]
    regression: tuple[float, ...]
    classification: tuple[float, ...]
    terms: dict[str, float]
    gradients: tuple[float, float]
    candidates: int
    scores: list[float]
    steps: list[tuple[int, int]]
    sum_of_scores: float


ACTIVITYNET = Release(
    recipe="activitynet13/gtad_upstream",
    length=12,
    max_duration=12,
    start=(0.258764779, 2.024440846, 0.956103654, 0.08711111255),
    end=(0.2705106284, 1.901145002, 0.2014607768, 0.2135984571),
    regression=(
        *(0.01697627237, 0.4681543672),
        *(0.03553339556, 0.006239175442, 0.005558892086, 0.01456579007),
    ),
    classification=(
        *(0.4712378861, 5.59252019),
        *(0.9461797959, 0.9691379526, 0.8983259509, 0.9344810762),
    ),
    terms={
        "total": 5.486347549,
        "boundaries": 1.709089009,
        "regression": 0.1925406307,
        "classification": 1.851852203,
    },
    gradients=(39.41371548, 86482.56975),
    candidates=11,
    scores=[0.054000087, 0.036076441, 0.032139876, 0.018761567, 0.0084368386],
    steps=[(0, 6), (0, 11), (0, 1), (9, 11), (0, 2)],
    sum_of_scores=0.1620031994,
)
THUMOS14 = Release(
    recipe="thumos14/gtad_upstream",
    length=16,
    max_duration=6,
    start=(0.2896337468, 1.2973769, 0.4331862275, 0.08684805439),
    end=(0.271717974, -0.01421251671, 0.1908853061, 0.7565755004),
    regression=(
        *(0.7078433076, -2.975381494),
        *(0.2630701312, 0.9971715716, 0.993461481, 0.9778127459),
    ),
    classification=(
        *(0.3461808284, -0.4389679688),
        *(0.2638555676, 0.620785227, 0.9119853764, 0.3282119347),
    ),
    terms={
        "total": 9.812733977,
        "boundaries": 2.193181786,
        "regression": 0.1174142733,
        "classification": 0.7502137919,
    },
    gradients=(44.1871875, 118085.6196),
    candidates=75,
    scores=[0.85784051, 0.7088437, 0.58526924, 0.24688056, 0.2385636],
    steps=[(6, 12), (2, 8), (9, 15), (0, 6), (8, 9)],
    sum_of_scores=4.691104262,
)


@pytest.fixture(params=[ACTIVITYNET, THUMOS14], ids=["activitynet", "thumos14"], scope="module")
def case(request: pytest.FixtureRequest) -> tuple[Release, DetectionRecipe, Any]:
    release = request.param
    recipe = load_recipe(release.recipe)
    assert isinstance(recipe, DetectionRecipe)
    options = recipe.detector.network | {"max_duration": release.max_duration}
    network = GTAD(FEATURE_DIM, release.length, **options)
    inner = "convs." if options.get("map_kernel", 1) == 3 else ""
    modules = {public: ours.format(inner) for public, ours in MODULES.items()}
    return release, recipe, filled(network, modules)


def test_outputs(case: tuple[Release, DetectionRecipe, Any]) -> None:
    release, _, network = case
    outputs = network(features(FEATURE_DIM, release.length))
    rows = {"start": [(0, 0), (1, 7)], "end": [(0, 3), (1, 11)]}
    cells = [(0, 0, 0), (0, 5, 3), (1, 5, 6), (1, 2, 9)]
    for name, found in outputs._asdict().items():
        mean, weighted, *values = getattr(release, name)
        assert_near(found, mean, weighted, dict(zip(rows.get(name, cells), values, strict=True)))


def test_loss_and_gradient(case: tuple[Release, DetectionRecipe, Any]) -> None:
    release, recipe, network = case
    cells = valid_cells(release.length, release.max_duration)
    iou = overlaps(cells, [0.0, 0.15, 0.55, 0.95], 0.0)
    network.zero_grad()
    outputs = network(features(FEATURE_DIM, release.length))
    terms = loss(outputs, boundaries(release.length) | {"iou": iou}, **recipe.detector.loss)
    terms["boundaries"] = terms["start"] + terms["end"]
    for name, value in release.terms.items():
        assert terms[name].item() == near(value)
    terms["total"].backward()
    first, second = release.gradients
    assert network.stem.weight.grad.abs().sum().item() == near(first)
    assert network.align.weight.grad.abs().sum().item() == near(second)


def test_proposals_before_and_after_suppression(case: Any) -> None:
    release, recipe, network = case
    with torch.no_grad():
        outputs = network(features(FEATURE_DIM, release.length))
    views = [timeline(release.length)] * 2
    found = decode(outputs, views, **recipe.detector.decode)[0].detections
    assert len(found) == release.candidates
    options = recipe.suppression.model_dump(include={"method", "sigma", "keep"})
    kept = suppress(found, legacy_drop_last=True, **options)
    assert len(kept) == release.candidates - 1
    assert kept.scores.sum() == near(release.sum_of_scores)
    np.testing.assert_allclose(kept.scores[:5], release.scores, rtol=1e-5)
    step_sec = DURATION_SEC / release.length
    np.testing.assert_allclose(kept.segments[:5], np.array(release.steps) * step_sec)
