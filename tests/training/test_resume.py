"""Killed and resumed trainings end bit for bit like undisturbed ones."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.training.same import same

from attentad.training.checkpoint import load_checkpoint
from attentad.training.logs import read_log

SCRIPT = str(Path(__file__).parent / "runs.py")


def state(folder):
    """Everything of the final checkpoint except how long it took and how it was run."""
    content = load_checkpoint(folder / "last.ckpt")
    content["position"].pop("seconds")
    del content["run"]
    return content


def log(folder):
    columns = read_log(folder)
    columns.pop("seconds")
    return columns


def run(*arguments, timeout=120):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        timeout=timeout,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def kills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    done = run("kills", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("every", [None, 3])
def test_killed_in_mid_epoch_and_resumed(kills, every, workers):
    whole, resumed = kills / "whole", kills / f"{every}-{workers}"
    assert same(state(whole), state(resumed))
    assert same(load_checkpoint(whole / "best.ckpt")["network"],
                load_checkpoint(resumed / "best.ckpt")["network"])  # fmt: skip
    assert log(whole) == log(resumed)
    lines = [(folder / "log.csv").read_text().splitlines() for folder in (whole, resumed)]
    without_seconds = [[line.rpartition(",")[0] for line in text] for text in lines]
    assert without_seconds[0] == without_seconds[1]
    assert log(resumed)["epoch"] == [1, 2, 3, 4]
    assert not [path.name for path in resumed.iterdir() if path.name.startswith(".")]


def start_slow(folder, rows):
    """Start the slow training; wait until it is in the middle of the epoch after `rows` others."""
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "slow", str(folder)], stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (folder / "log.jsonl").exists() or len(read_log(folder)["epoch"]) <= rows:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.17)
    return process


def test_killed_and_interrupted_from_outside(kills, tmp_path, runs):
    process = start_slow(tmp_path, 0)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    rows = len(read_log(tmp_path)["epoch"])
    assert rows < 3

    process = start_slow(tmp_path, rows)
    os.kill(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "training was stopped in epoch" in text
    assert str(tmp_path / "last.ckpt") in text
    assert text.count("\n") == 1

    runs.train(tmp_path, settings=runs.settings(checkpoint_every_steps=2), resume=True)
    assert same(state(kills / "whole"), state(tmp_path))
    assert log(kills / "whole") == log(tmp_path)
