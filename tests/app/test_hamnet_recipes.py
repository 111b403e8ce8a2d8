"""HAM-Net's recipes and tables beside the numbers of spec hamnet §1.1 to §1.7 and §8."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from attentad.detection.hamnet import HAMNet, decode, loss
from attentad.recipes.load import DetectionRecipe, load_recipe
from attentad.recipes.paper_tables import load_table

WEIGHTS = ("base", "soft", "semi_soft", "hard", "sparsity", "guide")
PRESETS = {
    "thumos14/hamnet": (0.8, 0.8, 0.2, 0.2, 0.8, 0.8),
    "thumos14/hamnet_paper": (0.8, 0.8, 0.2, 0.2, 0.8, 0.8),
    "activitynet12/hamnet": (0.125, 1.0, 1.0, 0.125, 0.5, 0.1),
    "activitynet12/hamnet_paper": (0.5, 0.5, 0.5, 0.5, 0.5, 0.1),
}


def detection_recipe(name: str) -> DetectionRecipe:
    recipe = load_recipe(name)
    assert isinstance(recipe, DetectionRecipe)
    return recipe


def in_force(function: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """The options that a call with these arguments goes by, defaults included."""
    parameters = inspect.signature(function).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    assert given.keys() <= defaults.keys()
    return defaults | given


def weights_of(options: dict[str, Any]) -> tuple[float, ...]:
    return tuple(options[f"{term}_weight"] for term in WEIGHTS)


@pytest.mark.parametrize("name", PRESETS)
def test_losses_and_pooling_of_the_presets(name: str) -> None:
    recipe = detection_recipe(name)
    options = in_force(loss, recipe.detector.loss)
    assert weights_of(options) == PRESETS[name]
    paper, activitynet = name.endswith("paper"), name.startswith("activitynet")
    assert options["threshold"] == ("absolute" if paper else "relative")
    assert options["dropped_value"] == ("zero" if paper else "class_min")
    assert options["normalize_labels"] is not paper
    assert (options["gamma"], options["drop"]) == (0.2, "most_discriminative")
    assert options["reduction"] == "mean"
    detection = in_force(decode, recipe.detector.decode)
    for part in (options, detection):
        assert (part["top_k_ratio"], part["top_k"]) == (20 if activitynet else 10, None)
    assert detection["class_threshold"] == (0.1 if paper else 0.2)
    assert detection["attention_thresholds"] == ("paper" if paper else "code")
    assert (detection["proposals"], detection["scale"]) == ("attention", 1)
    assert (detection["flank"], detection["video_weight"]) == (0.25, 0.2)
    assert not detection["force_top1"]
    assert not detection["drop_negative"]


@pytest.mark.parametrize("name", PRESETS)
def test_network_training_and_evaluation_of_the_presets(name: str) -> None:
    recipe = detection_recipe(name)
    activitynet = name.startswith("activitynet")
    network = in_force(HAMNet.__init__, recipe.detector.network)
    assert network["dropout"] == (0.5 if activitynet else 0.7)
    assert network["pool_steps"] == (2 * ((80 // 5) // 2) + 1 if activitynet else 1)
    assert (network["smooth"], network["attention_dim"]) == ("in_network", 512)
    assert network["hidden_dim"] is None
    view = recipe.view
    assert (view.name, view.sampling) == ("snippets", "perturb")
    assert view.length == (80 if activitynet else 500)
    training = recipe.training
    assert (training.epochs, training.batch_size) == (20 if activitynet else 100, 20)
    assert (training.optimizer.name, training.optimizer.lr) == ("adam", 1e-5)
    assert training.optimizer.weight_decay == 1e-3
    assert training.optimizer.betas == (0.9, 0.999)
    assert (training.schedule.name, training.seed) == ("constant", 0)
    assert recipe.evaluation.protocol == "activitynet"
    assert recipe.evaluation.tiou == ("0.5:0.95:0.05" if activitynet else "0.1:0.7:0.1")
    data = recipe.data
    assert (data.train, data.test) == (
        (("training",), ("validation",)) if activitynet else (("validation",), ("test",))
    )


@pytest.mark.parametrize("name", PRESETS)
def test_suppression_of_the_presets(name: str) -> None:
    found = detection_recipe(name).suppression.model_dump()
    # The threshold counts for hard and linear only, which `suppression.method` may choose.
    assert found["tiou_threshold"] == 0.7
    assert (found["keep"], found["keep_total"], found["score_floor"]) == (None, None, 0)
    assert found["negative"] == "keep"
    if name.endswith("paper"):
        assert (found["method"], found["plus_one"]) == ("hard", False)
    else:
        assert (found["method"], found["sigma"], found["plus_one"]) == ("gauss", 0.3, True)


def table_weights(name: str) -> dict[str, tuple[float, ...]]:
    """Row → the weights that it trains with on THUMOS14."""
    found = {}
    for row in load_table(name).models:
        if row.detector != "hamnet":
            continue
        prefix = "detector.loss."
        own = {k.removeprefix(prefix): v for k, v in row.settings.items() if k.startswith(prefix)}
        found[row.name] = weights_of(in_force(loss, own))
    return found


def test_the_rows_of_table_1_train_the_terms_that_they_name() -> None:
    terms = {"BCL": 0.8, "SAL": 0.8, "SSAL": 0.2, "HAL": 0.2, "sparse": 0.8, "guide": 0.8}
    rows = table_weights("hamnet/1")
    paper = [24.6, 30.8, 28.9, 30.9, 34.8, 30.9, 31.1, 37.9, 36.6, 38.1, 39.8]
    assert [row.paper[-1] for row in load_table("hamnet/1").rows if row.paper] == paper
    for number, (name, weights) in enumerate(rows.items(), 1):
        said, _, named = name.partition(": ")
        assert int(said) == number
        on = named.split(" + ")
        assert weights == tuple(value if term in on else 0 for term, value in terms.items())
    # Nothing trains row 1's attention: it localises by the class scores, spec §1.7.
    proposals = [
        row.settings.get("detector.decode.proposals") for row in load_table("hamnet/1").rows
    ]
    assert proposals == ["class"] + [None] * 10


def test_the_sweep_of_lambda_shares_one_between_kept_and_dropped() -> None:
    rows = table_weights("hamnet/lambda")
    assert list(rows) == [f"λ = {x:g}" for x in (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.8)]
    for name, weights in rows.items():
        share = float(name.removeprefix("λ = "))
        # At λ = 0 the first two weigh 1, not .8 as where a term is merely switched off.
        assert weights == pytest.approx((1 - share, 1 - share, share, share, 0.8, 0.8))


def test_the_drop_study_changes_what_is_dropped() -> None:
    drops = {
        row.name: in_force(
            loss,
            {k.removeprefix("detector.loss."): v for k, v in row.settings.items()},
        )["drop"]
        for row in load_table("hamnet/drop").models
    }
    assert drops.pop("none") == "most_discriminative"
    assert drops == {
        "inverse": "inverse",
        "random": "random",
        "most discriminative": "most_discriminative",
    }
    assert table_weights("hamnet/drop")["none"] == (0.8, 0.8, 0, 0, 0.8, 0.8)
