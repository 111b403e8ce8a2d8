"""What the tests of cases share: where they are, and how a command is run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attentad.cli import app

CASES = Path(__file__).parents[3] / "shared" / "cases"


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


def named(kind: str) -> dict[str, Path]:
    """Name of the test that runs a case → its folder; kind is `video` or `data`."""
    folders = sorted(path for path in (CASES / kind).iterdir() if path.is_dir())
    return {f"test_{folder.name.replace('-', '_')}": folder for folder in folders}


def check_all_run(kind: str, tests: Iterable[str]) -> None:
    """Fail where a case has no test, or a test that takes one no case."""
    if not CASES.is_dir():
        pytest.skip("../shared/cases is not here")
    assert set(named(kind)) == {name for name in tests if name.startswith("test_")}


def attentad(*arguments: object, code: int = 0) -> Said:
    """Run a command in process, which must end with this exit code and without a traceback."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    said = Said(result.exit_code, result.stdout, result.stderr)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert said.code == code, said
    return said


def shell(line: str, code: int = 0) -> Said:
    """Run a line of bash, where `attentad` and `python` are this interpreter's."""
    line = re.sub(r"\battentad\b", f"'{sys.executable}' -m attentad", line)
    line = re.sub(r"(?<!/)\bpython\b", f"'{sys.executable}'", line)
    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=60, check=False)
    said = Said(
        done.returncode, *(out.decode("utf-8", "replace") for out in (done.stdout, done.stderr))
    )
    assert said.code == code, said
    assert "Traceback" not in said.err
    return said
