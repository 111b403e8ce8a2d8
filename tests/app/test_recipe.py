"""Recipes are checked before any work starts, and errors name the key."""

from pathlib import Path

import pytest
import torch

from attentad.backbones import PRETRAINED
from attentad.core import AttentadError
from attentad.models.build import build_detector, build_recogniser
from attentad.recipes.load import (
    DetectionRecipe,
    RecognitionRecipe,
    load_recipe,
    parse_recipe,
    recipe_names,
)


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_builds(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.about
    if isinstance(recipe, DetectionRecipe):
        network = build_detector(recipe, 20, 5)
        assert set(getattr(network, "sites", {})) == set(recipe.attention)
    elif isinstance(recipe, RecognitionRecipe):
        build_recogniser(recipe, ("a", "b"))
    else:
        part = PRETRAINED[recipe.backbone.name]
        assert part.restore(recipe.backbone.options, {}, Path()).name == recipe.backbone.name


def test_the_recipes_of_the_readme_are_there() -> None:
    expected = {"demo/detector", "demo/recogniser", "salads50/bmn", "salads50/bmn_csa"}
    assert expected <= set(recipe_names())


@pytest.mark.parametrize(
    ("given", "thresholds"),
    [("0.5", "0.5"), ("1", "1"), ("[0.5, 0.75]", "0.5,0.75"), ("0.3:0.7:0.1", "0.3:0.7:0.1")],
)
def test_thresholds_that_yaml_takes_for_numbers(given: str, thresholds: str) -> None:
    recipe = load_recipe("salads50/bmn", [f"evaluation.tiou={given}"])
    assert isinstance(recipe, DetectionRecipe)
    assert recipe.evaluation.tiou == thresholds


@pytest.mark.parametrize("given", ["true", "[]", "[0.5, a]", "{a: 1}"])
def test_what_is_no_threshold_is_refused(given: str) -> None:
    with pytest.raises(AttentadError, match=r"evaluation\.tiou"):
        load_recipe("salads50/bmn", [f"evaluation.tiou={given}"])


def test_overrides_reach_nested_keys() -> None:
    recipe = load_recipe("salads50/bmn", ["training.epochs=3", "attention.encoder.name=se"])
    assert isinstance(recipe, DetectionRecipe)
    assert recipe.training.epochs == 3
    assert recipe.attention["encoder"].name == "se"


@pytest.mark.parametrize(
    ("detector", "sites", "options"),
    [
        (
            "bmn",
            ("input", "middle", "encoder"),
            "{variant: paper, hidden_dim: 8, sampled_dim: 8, map_dim: 4}",
        ),
        (
            "gtad",
            ("input", "middle", "encoder", "proposal"),
            "{hidden_dim: 32, map_dim: 4, aligned_dim: 8}",
        ),
        ("dbg", ("input", "encoder"), "{hidden_dim: 8, sampled_dim: 8, map_dim: 4}"),
    ],
)
def test_attention_is_as_wide_as_its_site(
    detector: str, sites: tuple[str, ...], options: str
) -> None:
    """Also where an option of the network, such as BMN's `variant`, says how wide that is."""
    for site in sites:
        overrides = [f"detector.network={options}", f"detector.name={detector}", "view.length=8"]
        recipe = load_recipe("salads50/bmn", [*overrides, f"attention.{site}.name=csa"])
        assert isinstance(recipe, DetectionRecipe)
        build_detector(recipe, 16, 5)(torch.zeros(2, 16, 8))


def test_a_dumped_recipe_reads_back() -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        assert parse_recipe(recipe.model_dump(mode="json"), name) == recipe


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.learning_rate=1", "unknown key training.learning_rate"),
        ("training.epochs=many", "training.epochs"),
        ("training.epochs=0", "training.epochs"),
        ("view.length=1", "view.length"),
        ("data.scores.background=-1", "data.scores.background"),
        ("suppression.sigma=.inf", "suppression.sigma"),
        ("suppression.score_floor=.nan", "suppression.score_floor"),
        ("detector.name=yolo", "no detector 'yolo'"),
        ("detector.network.depth=3", "detector.network has no option 'depth'"),
        ("detector.loss.alpha=3", "detector.loss has no option 'alpha'"),
        ("attention.roof.name=csa", "attention.roof"),
        ("attention.encoder.name=magic", "magic"),
        ("attention={encoder: {name: csa, sharpness: 2}}", "sharpness"),
        ("training.epochs", "key=value"),
        ("training.epochs.x=1", "is a value"),
        ("data.test=[]", "train must name"),
        ("task=dancing", "task"),
    ],
)
def test_mistakes_name_the_key(override: str, words: str) -> None:
    with pytest.raises(AttentadError) as error:
        build_detector(load_recipe("salads50/bmn", [override]), 18, 17)
    message = str(error.value)
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("recogniser.name=vgg", "no recogniser 'vgg'"),
        ("recogniser.wings=2", "recogniser has no option 'wings'"),
        ("attention.layer9.name=sta", "layer9"),
        ("attention.layer4.name=csa", "csa"),
    ],
)
def test_mistakes_in_a_recogniser_name_the_key(override: str, words: str) -> None:
    with pytest.raises(AttentadError, match=words):
        build_recogniser(load_recipe("demo/recogniser", [override]), ("a", "b"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [", "not valid YAML"), ("- 1", "mapping"), ("about: x", "task")],
)
def test_files_that_are_no_recipes(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(AttentadError, match=words):
        load_recipe(path)
    with pytest.raises(AttentadError, match="could not be read"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(AttentadError, match="no recipe"):
        load_recipe("salads50/nothing")
