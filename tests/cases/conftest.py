"""Cases of real users, in a folder beside the repository: each test runs one as its user did."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.cases.running import CASES, named


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the case that the test is named after; the test runs inside it."""
    kind = request.path.stem.removeprefix("test_").removesuffix("_cases")
    if not CASES.is_dir():
        pytest.skip("../shared/cases is not here")
    source = named(kind)[request.function.__name__]
    # Contents only: what lies there may be read-only.
    copy = tmp_path / source.name
    shutil.copytree(source, copy, copy_function=shutil.copyfile)
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("COLUMNS", "200")
    return copy
