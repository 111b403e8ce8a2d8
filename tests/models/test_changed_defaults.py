"""Where a default has changed, what was written before keeps its meaning, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.bench import Bench

from attentad.core import AttentadError
from attentad.models.build import build_detector, build_recogniser, recogniser_backbone
from attentad.models.file import (
    load_backbone,
    load_detector,
    load_model,
    save_backbone,
    save_detector,
)
from attentad.models.model import DetectorModel
from attentad.models.train import train
from attentad.recipes.changed_defaults import as_first_meant, spelled_out
from attentad.recipes.load import DetectionRecipe, RecognitionRecipe, load_recipe, recipe_hash

T = 8  # also BMN's channels, so that both networks of CSA have tensors of the same shapes
TINY_BMN = [
    f"view.length={T}",
    f"detector.network={{hidden_dim: {T}, sampled_dim: 8, map_dim: 8, groups: 1, max_duration: 4}}",
]
TINY_CNN = ["recogniser.width=4", "sampling.size_px=24", "sampling.window_frames=8"]


def with_csa(options: str = "") -> DetectionRecipe:
    recipe = load_recipe(
        "salads50/bmn", [*TINY_BMN, f"attention={{encoder: {{name: csa{options}}}}}"]
    )
    assert isinstance(recipe, DetectionRecipe)
    return recipe


def with_sa(options: str = "") -> RecognitionRecipe:
    module = f"{{name: sta, variant: sa{options}}}"
    recipe = load_recipe("demo/recogniser", [*TINY_CNN, f"attention={{layer4: {module}}}"])
    assert isinstance(recipe, RecognitionRecipe)
    return recipe


def written_by_format_2(save: Callable[[], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attentad.models.file.FORMAT", 2)
        save()


@pytest.mark.parametrize("mode", ["time_pool", "channel_pool"])
def test_csa_of_format_2(tmp_path: Path, mode: str) -> None:
    """It meant `time_pool` where it said nothing; today's files mean today's default."""
    torch.manual_seed(0)
    said = "" if mode == "time_pool" else f", temporal_mode: {mode}"
    network = build_detector(with_csa(f", temporal_mode: {mode}"), 16, 2).eval()
    path = tmp_path / "model.safetensors"
    model = DetectorModel(with_csa(said), ("a", "b"), 16, network)
    written_by_format_2(lambda: save_detector(path, model))
    assert load_model(path)[1]["format"] == 2
    assert ("temporal_mode" in str(load_model(path)[1]["parts"])) == (mode != "time_pool")

    def gates(of: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            return of.sites["encoder"].gates(r.to(next(of.parameters()).device))  # type: ignore[index,operator,union-attr,no-any-return]

    r = torch.randn(3, 16, T)
    other = "channel_pool" if mode == "time_pool" else "time_pool"
    differing = build_detector(with_csa(f", temporal_mode: {other}"), 16, 2).eval()
    differing.load_state_dict(network.state_dict())
    assert not torch.allclose(gates(differing)[1], gates(network)[1])
    again = tmp_path / "again.safetensors"
    for _ in range(2):  # as it was written, and as it is written today
        loaded = load_detector(path)
        assert loaded.recipe.attention["encoder"].options == {"temporal_mode": mode}
        assert all(
            torch.equal(one.cpu(), two)
            for one, two in zip(gates(loaded.network), gates(network), strict=True)
        )
        save_detector(again, loaded)
        assert load_model(again)[1]["format"] == 3
        path = again


def test_unsaid_in_a_file_of_today_is_the_default_of_today(tmp_path: Path) -> None:
    network, path = build_detector(with_csa(), 16, 2), tmp_path / "model.safetensors"
    save_detector(path, DetectorModel(with_csa(), ("a", "b"), 16, network))
    loaded = load_detector(path)
    assert loaded.recipe == with_csa()
    assert loaded.network.sites["encoder"].temporal_mode == "channel_pool"  # type: ignore[index,union-attr]


@pytest.mark.parametrize("said", ["", ", deconv: true", ", deconv: false, deconv_padding: 1"])
def test_sa_of_format_2(tmp_path: Path, said: str) -> None:
    """It had Deconv where it said nothing; Deconv's padding without Deconv said nothing."""
    deconv = "false" if "false" in said else "true"
    network = build_recogniser(with_sa(f", deconv: {deconv}"), ("a", "b"))
    path = tmp_path / "model.safetensors"
    backbone = recogniser_backbone(with_sa(said), ("a", "b"), network)
    written_by_format_2(lambda: save_backbone(path, backbone))
    loaded = load_backbone(path).network
    assert any(".deconv." in name for name in loaded.state_dict()) == (deconv == "true")
    clips = torch.randn(2, 3, 8, 24, 24)
    with torch.no_grad():
        outputs = [of.cpu().eval()(clips) for of in (network, loaded)]
    torch.testing.assert_close(*outputs, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("module", "first", "now"),
    [
        ({"name": "csa"}, {"temporal_mode": "time_pool"}, {"temporal_mode": "channel_pool"}),
        ({"name": "csa", "temporal_mode": "one_channel"}, {}, {}),
        ({"name": "csa", "context": "feed_forward"}, {}, {}),
        ({"name": "csa", "branches": "channel"}, {}, {}),
        ({"name": "sta"}, {}, {}),
        ({"name": "sta", "variant": "sa", "step": 2}, {"deconv": True}, {"deconv": False}),
        ({"name": "se"}, {}, {}),
        ({}, {}, {}),
    ],
    ids=str,
)
def test_what_is_unsaid(module: dict[str, Any], first: dict[str, Any], now: dict[str, Any]) -> None:
    recipe = {"task": "detection", "attention": {"encoder": module, "middle": {"name": "se"}}}
    for function, added in ((as_first_meant, first), (spelled_out, now)):
        told = function(recipe)
        assert told["attention"] == {"encoder": module | added, "middle": {"name": "se"}}
        assert told["task"] == "detection"
        assert function(told) == told
    assert recipe["attention"] == {"encoder": module, "middle": {"name": "se"}}


def test_what_had_no_effect_is_left_out() -> None:
    module = {"name": "csa", "context": "feed_forward", "temporal_mode": "time_pool"}
    told = as_first_meant({"attention": {"encoder": module}})
    assert told["attention"]["encoder"] == {"name": "csa", "context": "feed_forward"}


@pytest.mark.parametrize("attention", [None, 3, "csa", [{"name": "csa"}], {"encoder": "csa"}])
def test_what_is_no_recipe_stays_for_the_check_of_recipes(attention: object) -> None:
    assert as_first_meant({"attention": attention}) == {"attention": attention}


def test_digests_of_recipes() -> None:
    """The same words of before the change are another recipe; all others are known again."""

    def first(recipe: DetectionRecipe) -> str:
        with pytest.MonkeyPatch.context() as before:
            before.setattr("attentad.recipes.load.spelled_out", dict)
            return now(recipe)

    def now(recipe: DetectionRecipe) -> str:
        return recipe_hash(recipe, training=True)

    def keeping(limit: int | None, said: str = "") -> DetectionRecipe:
        recipe = with_csa(said)
        choice = recipe.detector.model_copy(update={"decode": {"max_proposals": limit}})
        return recipe.model_copy(update={"detector": choice})

    assert now(keeping(7)) != first(keeping(7))
    assert now(keeping(7)) == now(keeping(7, ", temporal_mode: channel_pool"))
    for said in (
        *(", temporal_mode: time_pool", ", temporal_mode: channel_pool"),
        *(", branches: channel", ", context: feed_forward"),
    ):
        assert now(keeping(7, said)) == first(keeping(7, said))
        assert now(with_csa(said)) == now(keeping(None, said)) != now(keeping(1000, said))


@pytest.mark.parametrize("name", ["bmn", "gtad", "dbg", "hamnet"])
def test_proposals_kept_of_a_view(name: str) -> None:
    """All, where it was the best thousand; HAM-Net's detections are no proposals."""
    recipe = {"detector": {"name": name, "network": {"groups": 1}}}
    of_proposals = name != "hamnet"
    for function, limit in ((as_first_meant, 1000), (spelled_out, None)):
        decode = {"decode": {"max_proposals": limit}} if of_proposals else {}
        told = function(recipe)
        assert told == {"detector": recipe["detector"] | decode}
        assert function(told) == told
    own = {"detector": {"name": name, "decode": {"max_proposals": 7}}}
    assert as_first_meant(own) == spelled_out(own) == own


def test_a_training_begun_before_does_not_go_on_as_another_network(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where all shapes are equal, T being the channels of F."""
    changes = [
        *("view.length=16", "detector.network.max_duration=8"),
        *("training.schedule={name: constant}", "training.epochs=1"),
    ]
    out, unsaid = bench.folder / "before", load_recipe(bench.recipe, changes)
    said = load_recipe(bench.recipe, [*changes, "attention.encoder.temporal_mode=time_pool"])
    with monkeypatch.context() as before:
        # Of that version were the network and the digest of what the recipe says, and no more.
        before.setattr("attentad.recipes.load.spelled_out", dict)
        digest = recipe_hash(unsaid, training=True)
        before.setattr("attentad.models.train.recipe_hash", lambda *_, **__: digest)
        train(said, out)
    with pytest.raises(AttentadError, match="by a version with other defaults; resume with"):
        train(load_recipe(bench.recipe, [*changes, "training.epochs=2"]), out, resume=True)
