"""docs/python.md, run from top to bottom; what the package offers at its top."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.bench import Bench

import attentad

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_the_page_runs(
    trained: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    shutil.copy(trained.model, tmp_path / "model.safetensors")
    shutil.copy(trained.annotations, tmp_path / "annotations.json")
    (tmp_path / "features").mkdir()
    with np.load(trained.features) as archive:
        for video in ("v00", "v04", "v08"):  # the test videos
            np.save(tmp_path / "features" / f"{video}.npy", archive[video])
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "('jump', 'run')" in printed
    assert re.search(r"v00: (jump|run) from \d", printed)
    assert "attention encoder gate over time (40,) (40,)" in printed
    assert names["result"].average_map > 0.8
    assert "not safetensors" in printed


def test_what_is_offered_is_there_and_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in attentad.__all__:
        assert getattr(attentad, name) is not None
        assert f"attentad.{name}" in text or name == "__version__"
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        attentad.lod  # noqa: B018
