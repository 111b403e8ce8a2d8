"""Which options of a recipe reach which function of a detector."""

from __future__ import annotations

from attentad.models.build import detector_options
from attentad.recipes.load import DetectionRecipe, load_recipe


def recipe_of(name: str, *changes: str) -> DetectionRecipe:
    recipe = load_recipe(name, [f"detector.{change}" for change in changes])
    assert isinstance(recipe, DetectionRecipe)
    return recipe


def test_targets_have_the_networks_options_that_they_take() -> None:
    recipe = recipe_of("salads50/bmn", "network={layout: start_end, max_duration: 128}")
    assert detector_options(recipe, "targets") == {"max_duration": 128}
    recipe = recipe_of(
        "salads50/bmn", "network.max_duration=64", "targets={max_duration: 64, boundary_rule: edge}"
    )
    assert detector_options(recipe, "targets") == {"max_duration": 64, "boundary_rule": "edge"}
    assert detector_options(recipe_of("salads50/dbg"), "targets") == {}


def test_decoding_knows_the_loss_but_not_its_numbers() -> None:
    """HAM-Net's curves show what its loss saw; how it pools scores is said for each."""
    recipe = recipe_of("thumos14/hamnet", "loss={gamma: 0.5, top_k_ratio: 5}", "decode={scale: 2}")
    assert detector_options(recipe, "decode") == {
        "loss_options": {"gamma": 0.5, "top_k_ratio": 5},
        "scale": 2,
    }
    assert detector_options(recipe, "loss") == {"gamma": 0.5, "top_k_ratio": 5}
    assert detector_options(recipe_of("salads50/bmn"), "decode") == {}
