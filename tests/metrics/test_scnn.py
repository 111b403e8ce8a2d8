"""The S-CNN example of docs/evaluation.md, run as it stands: the authors' own mAP comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "../shared/data/thumos14/scnn_localizer.npz"
RECORDED = {0.1: 0.4771865, 0.2: 0.43534525, 0.3: 0.36276084, 0.4: 0.28702159, 0.5: 0.18970081}


def example() -> tuple[str, str]:
    """The example's code and the output that the page shows."""
    text = (ROOT / "docs/evaluation.md").read_text()
    section = text[text.index("## Worked example") :]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    output = re.search(r"```text\n(.*?)```", section, re.DOTALL)
    assert code is not None
    assert output is not None
    return code[1], output[1]


@pytest.mark.skipif(not DATA.is_file(), reason="../shared/data/thumos14 is not on this machine")
def test_the_worked_example_gives_the_authors_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown = example()
    monkeypatch.chdir(ROOT)
    exec(compile(code, "docs/evaluation.md", "exec"), {})
    printed = capsys.readouterr().out
    values = dict(re.findall(r"mAP at (\S+): (\S+)", printed))
    assert {float(tiou): float(value) for tiou, value in values.items()} == pytest.approx(
        RECORDED, abs=1e-6
    )
    assert printed == shown
