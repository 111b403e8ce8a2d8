"""Two CPU processes, started by Fabric's own launchers."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attentad.training.checkpoint import load_checkpoint, load_weights
from attentad.training.logs import read_log

SCRIPT = str(Path(__file__).parent / "runs.py")


def run(name, folder):
    done = subprocess.run(
        [sys.executable, SCRIPT, name, str(folder)], timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def ddp(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    run("ddp", folder)
    return folder


def close(a, b):
    return all(torch.allclose(a[key], b[key], atol=1e-6) for key in a | b)


def test_two_processes_equal_one_with_twice_the_batch(ddp, runs, tmp_path):
    ranks = [torch.load(ddp / f"rank{i}.pt", weights_only=True) for i in range(2)]
    for name, value in ranks[0]["net"].items():
        assert torch.equal(value, ranks[1]["net"][name])
    runs.line(tmp_path, batch_size=8)
    assert close(ranks[0]["net"], load_weights(tmp_path / "last.ckpt"))
    losses, expected = read_log(ddp)["total"], read_log(tmp_path)["total"]
    assert losses == pytest.approx(expected, rel=1e-5)


def test_each_item_once_an_epoch_and_logs_once(ddp, runs):
    ranks = [torch.load(ddp / f"rank{i}.pt", weights_only=True) for i in range(2)]
    own = [rank["seen"].reshape(3, -1) for rank in ranks]
    every = sorted(runs.Line()[i]["x"][0].item() for i in range(runs.ITEMS))
    for epoch in range(3):
        assert sorted(own[0][epoch].tolist() + own[1][epoch].tolist()) == every
    assert [rank["rows"] for rank in ranks] == [3, 0]
    assert read_log(ddp)["epoch"] == [1, 2, 3]


def test_an_error_in_one_process_ends_both_with_its_message(ddp):
    assert [(ddp / f"error{i}.txt").read_text() for i in range(2)] == ["this item is bad."] * 2


def test_no_thread_outlives_python(ddp):
    """One of gloo's that lets go of a tensor while Python shuts down aborts the process."""
    for i in range(2):
        names = (ddp / f"threads{i}.txt").read_text()
        assert "python" in names
        assert "gloo" not in names


def test_functions_launched_forked_spawned_killed_and_resumed(ddp, tmp_path):
    run("spawned", tmp_path)
    weights = load_weights(ddp / "last.ckpt")
    assert close(weights, load_weights(tmp_path / "fork" / "last.ckpt"))
    assert close(weights, load_weights(tmp_path / "spawn" / "last.ckpt"))
    killed = load_weights(tmp_path / "killed" / "last.ckpt")
    for name, value in load_weights(tmp_path / "fork" / "last.ckpt").items():
        assert torch.equal(value, killed[name])
    assert "training process" in (tmp_path / "killed.txt").read_text()
    assert load_checkpoint(tmp_path / "killed" / "last.ckpt")["run"]["processes"] == 2
