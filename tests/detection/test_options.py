"""Values that an option cannot have are named with their key, before any work starts."""

from __future__ import annotations

import pytest

from attentad.core import AttentadError
from attentad.models.build import build_detector, build_recogniser
from attentad.recipes.load import load_recipe

PROPOSALS = {
    "targets.boundary_rule": "centre",
    "decode.candidates": "some",
    "decode.pairing": "both",
    "decode.confidence": "mean",
}
WRONG = {
    "bmn": {
        "network.layout": "end_start",
        "network.variant": "papre",
        "network.sampling": "pp",
        "network.border": "edge",
        "targets.boundary_region": "wide",
        **PROPOSALS,
    },
    "gtad": {"network.map_kernel": 5, "network.roi": "gtda", **PROPOSALS},
    "dbg": {"network.streams": "quarter", "network.points": [8, 16]},
    "hamnet": {
        "network.smooth": "always",
        "loss.threshold": "max",
        "loss.dropped_value": "min",
        "loss.drop": "most",
        "loss.reduction": "sum",
        "decode.proposals": "cas",
        "decode.attention_thresholds": "all",
    },
}


@pytest.mark.parametrize("detector", WRONG)
def test_detectors(detector: str) -> None:
    for key, value in WRONG[detector].items():
        changes = [f"detector={{name: {detector}}}", f"detector.{key}={value}"]
        with pytest.raises(AttentadError, match=f"^detector.{key} cannot be .*{value}.*; use "):
            build_detector(load_recipe("salads50/bmn", changes), 16, 3)


def test_recognisers() -> None:
    for key, value in {
        "recogniser.depth": 19,
        "recogniser.shortcut": "C",
        "recogniser.position": "top",
        "recogniser.stem_kernel": "[7, 7]",
        "loss.label_smoothing": "much",
    }.items():
        with pytest.raises(AttentadError, match=f"^{key} cannot be .*; use "):
            build_recogniser(load_recipe("demo/recogniser", [f"{key}={value}"]), ("a", "b"))
    with pytest.raises(AttentadError, match=r"^loss has no option 'alpha'"):
        build_recogniser(load_recipe("demo/recogniser", ["loss.alpha=1"]), ("a", "b"))


def test_every_value_of_a_word_is_named() -> None:
    with pytest.raises(AttentadError, match="use code or paper"):
        build_detector(load_recipe("salads50/bmn", ["detector.network.variant=no"]), 16, 3)
