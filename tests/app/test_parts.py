"""`attentad parts`: what there is, out of signatures and docstrings."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from attentad.app.parts import KINDS, list_parts
from attentad.attention import ATTENTION
from attentad.backbones import BACKBONES
from attentad.cli import app
from attentad.core import AttentadError
from attentad.detection import DETECTORS


def test_all_parts_are_named() -> None:
    lines = list_parts()
    assert [line.split()[0] for line in lines] == list(KINDS)
    assert all(name in lines[0] for name in DETECTORS)
    assert all(name in lines[1] for name in ATTENTION)
    assert all(name in lines[2] for name in BACKBONES)
    assert lines[3].endswith("rescaled, windows, snippets, whole")
    assert lines[4].endswith("gauss, adaptive, linear, hard, none")


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_a_kind_says_what_it_is_and_has_a_page(kind: str) -> None:
    for line in list_parts(kind):
        name, about = line.split(maxsplit=1)
        assert len(about) > 10
        lines = list_parts(kind, name)
        assert lines[0] == f"{kind} {name}"
        assert all(len(line) <= 120 for line in lines)


def test_options_of_a_module() -> None:
    lines = list_parts("attention", "sta")
    place = lines.index("  deconv_padding: 0  (0 or 1)")
    assert lines[place + 1].strip().startswith("0 widens L to (L−1)·step + 3")
    assert "  gate_bias: null  (a number or null)" in lines
    assert not any(line.startswith("  feature_dim") for line in lines)
    assert "attention.SITE: no options" in list_parts("attention", "none")


def test_options_of_a_detector_stand_under_their_keys() -> None:
    lines = list_parts("detector", "bmn")
    keys = [line for line in lines if line.startswith("detector.")]
    assert keys == ["detector.network:", "detector.targets:", "detector.loss:", "detector.decode:"]
    assert "  layout: dur_start  (dur_start or start_end)" in lines
    given = ("feature_dim", "length", "classes", "attention", "outputs", "valid", "generator")
    for name in DETECTORS:
        options = [line.split(":")[0].strip() for line in list_parts("detector", name)]
        assert not set(given) & set(options)


def test_options_of_a_section_are_those_that_the_choice_uses() -> None:
    windows, rescaled = list_parts("view", "windows"), list_parts("view", "rescaled")
    assert "  stride_steps: null  (a whole number or null)" in windows
    assert "      None = half a window" in windows
    assert "  mode: bsn  (bsn or linear or as_is)" in rescaled
    assert not any("stride_steps" in line for line in rescaled)
    assert any(line.startswith("  length: 100") for line in rescaled)
    hard, gauss = list_parts("suppression", "hard"), list_parts("suppression", "gauss")
    assert any("sigma" in line for line in gauss)
    assert not any("sigma" in line for line in hard)


def test_unknown_names() -> None:
    with pytest.raises(AttentadError, match="there is no kind of part 'detectors'; did you mean d"):
        list_parts("detectors")
    with pytest.raises(AttentadError, match="no attention 'transfromer'; did you mean transformer"):
        list_parts("attention", "transfromer")
    with pytest.raises(AttentadError, match="no view 'x'; choose from rescaled, windows, snippets"):
        list_parts("view", "x")


def test_the_command_prints_them() -> None:
    result = CliRunner().invoke(app, ["parts", "attention", "se"])
    assert result.exit_code == 0
    assert "  reduction: 16  (a whole number of at least 1)" in result.output
    assert CliRunner().invoke(app, ["parts", "attention", "es"]).exit_code == 2
