"""Tasks of several phases: who learns when, by which optimiser, and exactly resumed."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from tests.training.same import same
from torch import nn

from attentad.core import AttentadError
from attentad.core.phase import Phase
from attentad.training.checkpoint import load_checkpoint, load_weights
from attentad.training.logs import read_log
from attentad.training.task import learning, passes_of

SCRIPT = str(Path(__file__).parent / "runs.py")
KINDS = ["step", "epoch", "shared"]


def state(folder):
    """Everything of the final checkpoint except how long it took; and the log."""
    content, columns = load_checkpoint(folder / "last.ckpt"), read_log(folder)
    content["position"].pop("seconds")
    columns.pop("seconds")
    return content, columns


def run(name, folder):
    done = subprocess.run(
        [sys.executable, SCRIPT, name, str(folder)], timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    return run("turns_killed", tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def ddp(tmp_path_factory):
    return run("turns_ddp", tmp_path_factory.mktemp("ddp"))


@pytest.mark.parametrize("kind", KINDS)
def test_killed_in_any_phase_and_resumed(killed, kind):
    for call in (2, 9, 16, 27):
        assert same(state(killed / f"{kind}-{call}"), state(killed / kind)), call


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_killed_and_resumed(ddp, kind):
    assert same(state(ddp / f"{kind}-killed"), state(ddp / kind))


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_equal_one_with_twice_the_batch(ddp, runs, tmp_path, kind):
    task = runs.Turns(runs.KINDS[kind], plain=True)
    runs.turns(tmp_path, task, batch_size=8, drop_last=True)
    tensors = load_checkpoint(tmp_path / "last.ckpt")["task"]
    theirs = load_checkpoint(ddp / f"{kind}-plain" / "last.ckpt")["task"]
    for name, value in tensors.items():
        torch.testing.assert_close(theirs[name], value, rtol=1e-3, atol=1e-5)
    losses = {key: value for key, value in read_log(tmp_path).items() if key.endswith("total")}
    found = read_log(ddp / f"{kind}-plain")
    assert len(losses) == 3
    for name, values in losses.items():
        assert found[name] == pytest.approx(values, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c(killed, runs, tmp_path, kind):
    task = runs.Turns(runs.KINDS[kind], stop_at=17)
    task.stop_by = signal.SIGINT
    with pytest.raises(AttentadError, match=r"in epoch . after step .* of (7|14); its state is in"):
        runs.turns(tmp_path, task)
    runs.turns(tmp_path, runs.Turns(runs.KINDS[kind]))
    assert same(state(tmp_path), state(killed / kind))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_the_log_and_the_checkpoint(killed, kind):
    content, columns = state(killed / kind)
    terms = [f"{phase}/{term}" for phase in ("guide", "main") for term in ("error", "total")]
    assert list(columns) == ["epoch", "lr", *terms, "total", "val_score"]
    assert columns["total"] == [
        pytest.approx(a + b)
        for a, b in zip(columns["guide/total"], columns["main/total"], strict=True)
    ]
    assert {name.split(".")[0] for name in content["task"]} == {"network", "guide"}
    assert list(content["optimizers"]) == (["guide"] if kind == "shared" else ["guide", "main"])
    best = load_checkpoint(killed / kind / "best.ckpt")["network"]
    names = {name.removeprefix("network.") for name in content["task"] if "network." in name}
    assert best.keys() == load_weights(killed / kind / "last.ckpt").keys() == names


def test_the_order_of_phases_and_their_data(runs, tmp_path):
    seen = {}
    for kind, phases in runs.KINDS.items():
        task = runs.Turns(phases)
        runs.turns(tmp_path / kind, task, epochs=1)
        seen[kind] = task.seen
    guide, main = (seen["epoch"][i : i + runs.STEPS] for i in (0, runs.STEPS))
    assert {phase for phase, _ in guide} == {"guide"}
    assert {phase for phase, _ in main} == {"main"}
    assert [batch for _, batch in guide] == [batch for _, batch in main]
    taking_turns = [each for pair in zip(guide, main, strict=True) for each in pair]
    assert seen["step"] == seen["shared"] == taking_turns


def test_a_shared_step_is_that_of_the_sum(runs, tmp_path):
    """AMNet's `accumulate` and `joint` are the same to rounding."""
    shared = (Phase("guide"), Phase("main", shares_step=True))
    tasks = [runs.Turns(phases, plain=True) for phases in (shared, (Phase("joint"),))]
    for i, task in enumerate(tasks):
        runs.turns(tmp_path / str(i), task, epochs=1, optimizer=runs.SGD)
    for a, b in zip(*(task.parameters() for task in tasks), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def changed(before, task):
    """The parts of the task whose parameters or buffers moved."""
    after = task.state_dict()
    return {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}


def snapshot(task):
    return {name: value.clone() for name, value in task.state_dict().items()}


@pytest.mark.parametrize("kind", ["step", "epoch"])
@pytest.mark.parametrize(("turn", "part"), [(0, "guide"), (1, "network")])
def test_a_phase_changes_its_own_part_only(runs, tmp_path, kind, turn, part):
    """Neither weights nor running statistics of the others move; the frozen stay frozen."""
    task = runs.Turns((runs.KINDS[kind][turn],))
    trainable = [parameter.requires_grad for parameter in task.parameters()]
    before = {name: value.clone() for name, value in task.state_dict().items()}
    runs.turns(tmp_path, task, epochs=1)
    after = task.state_dict()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in moved} == {part}
    assert f"{part}.1.running_mean" in moved
    assert f"{part}.1.weight" not in moved  # frozen by the task itself
    assert [parameter.requires_grad for parameter in task.parameters()] == trainable


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_scaler_serves_every_optimizer(runs, tmp_path, monkeypatch, kind):
    def half(settings, phases):
        return Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu"))

    monkeypatch.setattr("attentad.training.loop._fabric", half)
    task = runs.Turns(runs.KINDS[kind], stop_at=17)
    task.stop_by = signal.SIGINT
    with pytest.raises(AttentadError, match="was stopped"):
        runs.turns(tmp_path / "a", task)
    for name in ("a", "b"):
        runs.turns(tmp_path / name, runs.Turns(runs.KINDS[kind]))
    assert same(state(tmp_path / "a"), state(tmp_path / "b"))
    scaler = state(tmp_path / "a")[0]["scaler"]
    assert scaler["_growth_tracker"] > 0


def test_what_learns_inside_a_phase(runs):
    task = runs.Turns((Phase(),)).train()
    before = [m.training for m in task.modules()], [p.requires_grad for p in task.parameters()]
    with pytest.raises(RuntimeError), learning(task, Phase("p", ("network.0", "guide"))):  # noqa: PT012
        assert [name for name, m in task.named_modules() if m.training] == [
            "", "network", "network.0", "guide", *(f"guide.{i}" for i in range(5)),
        ]  # fmt: skip
        trainable = [name for name, p in task.named_parameters() if p.requires_grad]
        assert {name.split(".")[0] for name in trainable} == {"network", "guide"}
        assert "network.4.weight" not in trainable
        assert "guide.1.weight" not in trainable  # the task itself has frozen it
        raise RuntimeError
    after = [m.training for m in task.modules()], [p.requires_grad for p in task.parameters()]
    assert before == after


def test_each_optimizer_has_its_settings(runs, tmp_path):
    phases = (
        Phase("guide", ("guide",), {"name": "sgd", "lr": 0.5, "lr_multipliers": {"guide.4": 0.1}}),
        Phase("main", ("network",)),
    )
    schedule = {"name": "step", "milestones": [1], "gamma": 0.1}
    own = {"name": "adamw", "lr": 0.02, "betas": [0.8, 0.9], "lr_multipliers": {"0": 2}}
    result = runs.turns(tmp_path, runs.Turns(phases), optimizer=own, schedule=schedule)
    optimizers = load_checkpoint(tmp_path / "last.ckpt")["optimizers"]
    lrs = {key: [g["lr"] for g in each["param_groups"]] for key, each in optimizers.items()}
    assert lrs["guide"] == pytest.approx([0.05, 0.005])
    assert lrs["main"] == pytest.approx([0.004, 0.002])
    assert optimizers["main"]["param_groups"][0]["betas"] == (0.8, 0.9)
    assert [row["lr"] for row in result.rows] == pytest.approx([0.02, 0.002])


def test_the_average_waits_while_the_network_does(runs, tmp_path):
    """The epochs of another part neither age the average nor draw it to the network."""
    alone = runs.turns(tmp_path / "a", runs.Turns((Phase("main", ("network",)),), plain=True))
    phases = (Phase("guide", ("guide",), {"lr": 1e-30}, "epoch"), Phase("main", ("network",)))
    turns = runs.turns(tmp_path / "b", runs.Turns(phases, plain=True))
    for name, value in load_weights(alone.last).items():
        torch.testing.assert_close(load_weights(turns.last)[name], value)


def test_a_checkpoint_of_the_time_before_phases(runs, tmp_path):
    for name in ("a", "b"):
        runs.line(tmp_path / name, epochs=2)
    path = tmp_path / "a" / "last.ckpt"
    content = load_checkpoint(path)
    network = {key.removeprefix("network."): v for key, v in content.pop("task").items()}
    older = {"format": 1, "network": network, "optimizer": content.pop("optimizers")["main"]}
    torch.save(content | older, path)
    assert same(load_weights(path), network)
    for name in ("a", "b"):
        runs.line(tmp_path / name, epochs=4)
    assert same(state(tmp_path / "a"), state(tmp_path / "b"))


def test_other_phases_are_not_resumed(runs, tmp_path):
    runs.turns(tmp_path, runs.Turns(runs.KINDS["step"]))
    with pytest.raises(AttentadError, match=r"made by the phases guide, main, not guide; resume"):
        runs.turns(tmp_path, runs.Turns(runs.KINDS["shared"]))


def test_a_loss_that_is_not_finite_names_its_phase(runs, tmp_path):
    task = runs.Turns(runs.KINDS["step"])
    nn.init.constant_(task.guide[4].bias, torch.nan)
    with pytest.raises(AttentadError, match="the loss term guide/total is nan in epoch 1, step 1"):
        runs.turns(tmp_path, task)


def test_a_wrong_setting_names_its_phase(runs, tmp_path):
    task = runs.Turns((Phase("guide", ("guide",), {"name": "sgd", "lr": -1}),))
    with pytest.raises(AttentadError, match=r"optimizer.lr of phase guide: .* greater than 0"):
        runs.turns(tmp_path, task)


def test_passes_steps_and_phases():
    a, b, c = Phase("a"), Phase("b"), Phase("c", each="epoch")
    d = Phase("d", shares_step=True)
    assert passes_of((a, b)) == [[[a], [b]]]
    assert passes_of((a, d, b)) == [[[a, d], [b]]]
    assert passes_of((a, c, d, b)) == [[[a]], [[c, d]], [[b]]]
    assert passes_of((c, Phase("e", each="epoch"))) == [[[c]], [[Phase("e", each="epoch")]]]
    for wrong in ((d, a), (a, a)):
        with pytest.raises(ValueError, match="of their own"):
            passes_of(wrong)
    with pytest.raises(ValueError, match="phase x shares a step"):
        Phase("x", optimizer={"lr": 1}, shares_step=True)
