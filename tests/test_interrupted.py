"""Ctrl-C and kill: what is done is kept, the same command goes on, and nothing is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench import Bench, draw

from attentad.app.detect import detect_and_write
from attentad.core import AttentadError
from attentad.models import look as look_module
from attentad.models.extract import extract_features
from attentad.models.file import load_backbone

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and locks are POSIX")
COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    videos = tmp_path_factory.mktemp("videos")
    for i in range(COUNT):
        draw(videos / f"v{i}.mp4", 12, seed=i)
    return videos


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "attentad", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stop_when(process: subprocess.Popen[str], ready: Callable[[], bool], sign: int) -> str:
    while not ready() and process.poll() is None:
        time.sleep(0.005)
    if process.poll() is None:
        os.killpg(process.pid, sign)
    return process.communicate(timeout=120)[1]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_detect_goes_on_where_it_was_stopped(
    detector: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: int
) -> None:
    out, whole = tmp_path / "out" / "found.json", tmp_path / "whole.json"
    journal = out.with_name(".found.json.partial")
    process = start("detect", detector, folder, "--out", out)
    error = stop_when(process, lambda: len(list(journal.glob("*.safetensors"))) > 1, sign)
    if out.exists():
        pytest.skip("it was done before it could be stopped")
    assert "Traceback" not in error
    if sign == signal.SIGINT:
        assert process.returncode == 130
        assert error.startswith("interrupted; ")
    kept = len(list(journal.glob("[!.]*.safetensors")))
    assert kept > 0

    looked = []
    look = look_module.detect_features
    monkeypatch.setattr(
        look_module, "detect_features", lambda *a, **k: looked.append(k["video"]) or look(*a, **k)
    )
    detect_and_write(detector, [folder], out)
    assert len(looked) == COUNT - kept
    assert [path.name for path in out.parent.iterdir()] == ["found.json"]
    detect_and_write(detector, [folder], whole)
    assert out.read_bytes() == whole.read_bytes()


def test_another_model_or_file_is_not_taken_from_the_journal(
    detector: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / "v.mp4"
    video.write_bytes((folder / "v0.mp4").read_bytes())
    out, looked = tmp_path / "found.json", []
    look = look_module.detect_features
    monkeypatch.setattr(
        look_module, "detect_features", lambda *a, **k: looked.append(k["video"]) or look(*a, **k)
    )

    def stopped(*_: object, **__: object) -> None:
        raise AttentadError("the disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr("attentad.app.detect.write_run", stopped)
        for _ in range(2):
            with pytest.raises(AttentadError, match="the disk is full"):
                detect_and_write(detector, [video], out)
    assert looked == ["v"]
    video.write_bytes((folder / "v1.mp4").read_bytes())
    detect_and_write(detector, [video], out)
    assert looked == ["v", "v"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.json", "v.mp4"]


def test_extract_goes_on_where_it_was_killed(
    encoder_model: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "features"
    process = start("extract", encoder_model, folder, "--out", out)
    stop_when(process, lambda: len(list(out.glob("[!.]*.json"))) > 1, signal.SIGKILL)
    (out / ".v3-abcdefgh.npy").write_bytes(b"half of it")
    done = {path: path.stat().st_mtime_ns for path in out.glob("[!.]*.json")}
    extract_features(load_backbone(encoder_model), [folder], out)
    assert all(path.stat().st_mtime_ns == then for path, then in done.items())
    names = {f"v{i}{suffix}" for i in range(COUNT) for suffix in (".npy", ".json")}
    assert {path.name for path in out.iterdir()} == names
    whole = tmp_path / "undisturbed"
    extract_features(load_backbone(encoder_model), [folder], whole)
    for name in names:
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_two_runs_at_once_into_one_place(
    encoder_model: Path, detector: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "features"
    pairs = [
        [start("extract", encoder_model, folder, "--out", out) for _ in range(2)],
        [start("detect", detector, folder, "--out", tmp_path / "found.json") for _ in range(2)],
    ]
    for process in (process for pair in pairs for process in pair):
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
    names = {f"v{i}{suffix}" for i in range(COUNT) for suffix in (".npy", ".json")}
    assert {path.name for path in out.iterdir()} == names
    assert {path.name for path in tmp_path.iterdir()} == {"features", "found.json"}


def test_a_second_training_into_a_finished_run_is_refused(bench: Bench) -> None:
    before = bench.model.read_bytes()
    process = start("train", bench.recipe, "training.epochs=1", "--out", bench.folder / "run")
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    assert "holds an earlier training" in error
    assert bench.model.read_bytes() == before
