"""What `fit` does and says, on a network of a few weights."""

import math
import os
import signal
from dataclasses import dataclass

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import nn

from attentad.core import AttentadError
from attentad.training.checkpoint import load_checkpoint, load_weights
from attentad.training.items import epoch_batches
from attentad.training.logs import read_log
from attentad.training.loop import fit
from attentad.training.settings import TrainingSettings


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_what_is_left_behind(runs, tmp_path):
    rows = []
    result = runs.train(tmp_path, on_epoch=rows.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.ckpt",
        "last.ckpt",
        "log.csv",
        "log.jsonl",
    ]
    assert rows == result.rows
    columns = read_log(result.log)
    assert list(columns) == ["epoch", "lr", "error", "total", "val_score", "seconds"]
    assert columns["epoch"] == [1, 2, 3, 4]
    assert result.best_score == max(columns["val_score"])
    assert columns["val_score"][result.best_epoch - 1] == result.best_score
    assert result.rank == 0
    assert equal(result.weights(), load_weights(tmp_path / "best.ckpt"))


def test_it_learns(runs, tmp_path):
    result = runs.line(tmp_path, epochs=40, batch_size=13)
    assert result.rows[-1]["total"] < 1e-3 < result.rows[0]["total"]
    assert result.best is None
    assert result.weights()["weight"].tolist() == [pytest.approx([3, 0], abs=0.1)]


def test_workers_change_nothing_and_seeds_do(runs, tmp_path):
    weights = {
        (seed, workers): runs.train(
            tmp_path / f"{seed}{workers}",
            settings=runs.settings(epochs=1, seed=seed, workers=workers),
        ).weights()
        for seed, workers in ((0, 0), (0, 2), (1, 0))
    }
    assert equal(weights[0, 0], weights[0, 2])
    assert not equal(weights[0, 0], weights[1, 0])


def test_loss_means_count_items(runs, tmp_path):
    data = [torch.tensor(float(i)) for i in range(5)]
    net = nn.Linear(1, 1)

    def loss(net, batch):
        return {"mean": batch.mean(), "total": net(batch[:, None]).mean() * 0}

    chosen = TrainingSettings(accelerator="cpu", epochs=1, batch_size=2)
    result = fit(runs.Task(net, loss), data, chosen, tmp_path)
    assert result.rows[0]["mean"] == pytest.approx(2.0)


def test_validation_sees_averaged_weights_and_leaves_no_trace(runs, tmp_path):
    seen = []

    def validate(net):
        assert not net.training
        assert not torch.is_grad_enabled()
        seen.append({name: value.clone() for name, value in net.state_dict().items()})
        return {"score": len(seen) == 2}

    chosen = runs.settings(epochs=3)
    task = runs.Task(runs.network(), runs.loss)
    result = fit(task, runs.Points(), chosen, tmp_path, validate=validate)
    last = load_checkpoint(tmp_path / "last.ckpt")
    assert equal(seen[-1], last["average"])
    assert not equal(last["average"], task.network.state_dict())
    assert result.best_epoch == 2
    assert equal(result.weights(), seen[1])
    runs.train(tmp_path / "other", settings=runs.settings(epochs=3))
    assert equal(last["task"], load_checkpoint(tmp_path / "other" / "last.ckpt")["task"])


def test_validation_is_due_every_so_often_and_at_the_end(runs, tmp_path):
    runs.train(tmp_path, settings=runs.settings(epochs=3, validate_every=2))
    assert [math.isnan(value) for value in read_log(tmp_path)["val_score"]] == [True, False, False]


def test_learning_rate_follows_the_schedule(runs, tmp_path):
    schedule = {"name": "step", "milestones": [1, 3], "gamma": 0.1}
    runs.line(tmp_path / "step", epochs=4, schedule=schedule)
    assert read_log(tmp_path / "step")["lr"] == pytest.approx([0.05, 0.005, 0.005, 0.0005])

    def worse(net, batch):
        return {"total": net(batch["x"]).mean() * 0 + 1}

    runs.line(tmp_path / "stuck", worse, epochs=4, schedule={"name": "plateau", "patience": 1})
    assert read_log(tmp_path / "stuck")["lr"] == pytest.approx([0.05, 0.05, 0.05, 0.005])


def test_resuming_what_is_finished_and_going_on_longer(runs, tmp_path):
    first = runs.line(tmp_path)
    again = runs.line(tmp_path)
    assert equal(first.weights(), again.weights())
    assert again.rows == first.rows
    runs.line(tmp_path, epochs=5)
    runs.line(tmp_path / "at once", epochs=5)
    assert equal(load_weights(tmp_path / "last.ckpt"), load_weights(tmp_path / "at once/last.ckpt"))


def test_an_earlier_training_is_not_lost_by_mistake(runs, tmp_path):
    runs.train(tmp_path, settings=runs.settings(epochs=1))
    with pytest.raises(AttentadError, match=f"{tmp_path} holds an earlier training; resume it"):
        runs.train(tmp_path, settings=runs.settings(epochs=1))
    result = runs.train(tmp_path, settings=runs.settings(epochs=1, select_by=None), overwrite=True)
    assert result.best is None
    assert not (tmp_path / "best.ckpt").exists()


def test_another_recipe_is_not_resumed(runs, tmp_path):
    runs.line(tmp_path)
    adam = {"name": "sgd", "lr": 0.01}
    for changes, words in (
        ({"optimizer": adam}, "made with optimizer.lr = 0.05, not 0.01; resume with what it was"),
        ({"batch_size": 3}, "batch_size = 16, not 3"),
        ({"ema_decay": 0.9}, "ema_decay = None, not 0.9"),
    ):
        with pytest.raises(AttentadError, match=words):
            runs.line(tmp_path, **changes)
    chosen = TrainingSettings(**runs.LINE)
    with pytest.raises(
        AttentadError, match="made by another recipe or other data, or by a version with"
    ):
        fit(runs.Task(nn.Linear(2, 1), runs.line_loss), runs.Line(), chosen, tmp_path, resume=True,
            fingerprint="b")  # fmt: skip
    with pytest.raises(AttentadError, match="made with 26 training items, not 2"):
        fit(runs.Task(nn.Linear(2, 1), runs.line_loss), [1, 2], chosen, tmp_path, resume=True)
    with pytest.raises(AttentadError, match=r"last.ckpt has network.weight of shape \(1, 2\)"):
        fit(runs.Task(nn.Linear(3, 1), runs.line_loss), runs.Line(), chosen, tmp_path, resume=True)


def test_a_damaged_checkpoint_is_named(runs, tmp_path):
    runs.line(tmp_path)
    path = tmp_path / "last.ckpt"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(AttentadError, match=r"last.ckpt is damaged"):
        runs.line(tmp_path, epochs=9)


def test_a_loss_that_is_not_finite_stops(runs, tmp_path):
    def loss(net, batch):
        terms = runs.loss(net, batch)
        at_fault = "video7" in batch["video"]
        return terms | {"other": terms["total"] * (math.nan if at_fault else 1)}

    with pytest.raises(AttentadError) as caught:
        runs.train(tmp_path, loss, settings=runs.settings(batch_size=2))
    batches = epoch_batches(runs.ITEMS, 2, seed=0, epoch=0)
    step = next(i for i, batch in enumerate(batches) if 7 in batch)
    names = ", ".join(f"video{i}" for i in batches[step])
    assert str(caught.value) == (
        f"the loss term other is nan in epoch 1, step {step + 1} (videos {names}); check their "
        "features, lower optimizer.lr or set clip_norm."
    )


def test_a_gradient_or_weight_that_is_not_finite_stops(runs, tmp_path):
    def loss(net, batch):
        # Finite, with an infinite gradient where a square root meets zero.
        return {"total": (net(batch["x"]) * 0).sqrt().mean()}

    with pytest.raises(AttentadError, match="the gradient is not finite in epoch 1, step 1"):
        runs.line(tmp_path, loss, clip_norm=1.0)
    with pytest.raises(AttentadError, match="a weight became infinite or NaN in epoch 1"):
        runs.line(tmp_path, loss, batch_size=26, epochs=1)
    assert not (tmp_path / "last.ckpt").exists()


def mean_loss(net, batch):
    return {"total": net(batch).mean()}


class Failing:
    def __init__(self, kill=False):
        self.kill = kill

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 5 and self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 5:
            raise AttentadError("features/v5.npy holds NaN; extract it again.")
        return torch.ones(1)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_item_is_one_sentence(runs, tmp_path, workers):
    chosen = TrainingSettings(accelerator="cpu", epochs=1, batch_size=4, workers=workers)
    with pytest.raises(AttentadError) as caught:
        fit(
            runs.Task(nn.Linear(1, 1), lambda n, b: {"total": n(b).mean()}),
            Failing(),
            chosen,
            tmp_path,
        )
    assert str(caught.value) == "features/v5.npy holds NaN; extract it again."


def test_a_worker_that_dies_is_one_sentence(runs, tmp_path):
    chosen = TrainingSettings(accelerator="cpu", epochs=1, batch_size=4, workers=1)
    with pytest.raises(
        AttentadError, match=r"a data worker died \(.*\); there may be too little memory"
    ) as caught:
        fit(
            runs.Task(nn.Linear(1, 1), lambda n, b: {"total": n(b).mean()}),
            Failing(True),
            chosen,
            tmp_path,
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 27, "drop_last": True}, "26 training items do not fill one batch of 27"),
        ({"precision": "16-mixed"}, "16-mixed needs a GPU"),
        ({"select_by": "mAP"}, "nothing is validated"),
        ({"optimizer": {"lr_multipliers": {"backbone": 0.1}}}, "backbone is no module"),
    ],
)
def test_what_cannot_be_done_is_said(runs, tmp_path, changes, words):
    with pytest.raises(AttentadError, match=words):
        runs.line(tmp_path, **changes)


def test_no_items_and_a_missing_metric(runs, tmp_path):
    chosen = runs.settings(epochs=1, select_by="mAP")
    with pytest.raises(AttentadError, match="no training items"):
        fit(runs.Task(nn.Linear(1, 1), runs.loss), [], chosen, tmp_path, validate=runs.validate)
    with pytest.raises(AttentadError, match="validation gives no mAP; it gives score"):
        runs.train(tmp_path, settings=chosen)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_said(runs, tmp_path):
    with pytest.raises(AttentadError, match=r"asks for 1 GPU\(s\) and 0 can be used"):
        runs.line(tmp_path, accelerator="gpu")


def test_half_precision_and_determinism_on_a_cpu(runs, tmp_path):
    def loss(net, batch):
        assert torch.are_deterministic_algorithms_enabled()
        out = net(batch["x"])
        assert out.dtype == torch.float32
        assert torch.equal(out, out.bfloat16().float())
        return {"total": (out - batch["y"]).square().mean()}

    runs.line(tmp_path, loss, precision="bf16-mixed", deterministic=True, epochs=1)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_saves_and_says_how_to_go_on(runs, tmp_path, workers):
    calls = 0

    def loss(net, batch):
        nonlocal calls
        calls += 1
        if calls == 11:
            os.kill(os.getpid(), signal.SIGINT)
        return runs.loss(net, batch)

    chosen = runs.settings(workers=workers)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(AttentadError) as caught:
        runs.train(tmp_path / "a", loss, settings=chosen)
    assert str(caught.value) == (
        "training was stopped in epoch 2 after step 4 of 7; its state is in "
        f"{tmp_path}/a/last.ckpt: resume it to go on from there."
    )
    assert signal.getsignal(signal.SIGINT) is before
    runs.train(tmp_path / "a", settings=chosen, resume=True)
    runs.train(tmp_path / "b", settings=chosen)
    assert equal(load_weights(tmp_path / "a/last.ckpt"), load_weights(tmp_path / "b/last.ckpt"))


def test_ctrl_c_after_the_last_step_still_validates_later(runs, tmp_path):
    calls = 0

    def loss(net, batch):
        nonlocal calls
        calls += 1
        if calls == runs.STEPS:
            os.kill(os.getpid(), signal.SIGTERM)
        return runs.loss(net, batch)

    with pytest.raises(AttentadError, match="in epoch 1 after step 7 of 7"):
        runs.train(tmp_path / "a", loss)
    for name in ("a", "b"):
        runs.train(tmp_path / name, resume=True)
    logs = [read_log(tmp_path / name) for name in ("a", "b")]
    assert logs[0].pop("seconds")
    assert logs[1].pop("seconds")
    assert logs[0] == logs[1]


def test_a_second_ctrl_c_stops_at_once(runs, tmp_path):
    def loss(net, batch):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")

    with pytest.raises(KeyboardInterrupt):
        runs.train(tmp_path, loss)


@dataclass(frozen=True)
class Clock:
    fps: float


def test_batches_may_hold_anything(runs, tmp_path):
    def collate(items):
        return {"x": torch.stack([item["x"] for item in items]), "clock": Clock(25.0)}

    def loss(net, batch):
        assert batch["clock"].fps == 25
        return {"total": net(batch["x"]).square().mean()}

    fit(
        runs.Task(nn.Linear(2, 1), loss),
        runs.Line(),
        TrainingSettings(accelerator="cpu", epochs=1),
        tmp_path,
        collate=collate,
    )


def test_the_bar_shows_when_asked(runs, tmp_path, capsys):
    runs.line(tmp_path / "a")
    assert capsys.readouterr() == ("", "")
    task = runs.Task(nn.Linear(2, 1), runs.line_loss)
    fit(task, runs.Line(), TrainingSettings(**runs.LINE), tmp_path, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "epoch 3/3" in shown.err
    assert "6/6" in shown.err


def test_the_gradient_scaler_is_saved_and_restored(runs, tmp_path, monkeypatch):
    """On a CPU, which has half precision and a scaler too, though Fabric would not choose them."""

    def half(settings, phases):
        return Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu"))

    monkeypatch.setattr("attentad.training.loop._fabric", half)
    calls = 0

    def interrupted(net, batch):
        nonlocal calls
        calls += 1
        if calls == 10:
            os.kill(os.getpid(), signal.SIGINT)
        return runs.loss(net, batch)

    with pytest.raises(AttentadError, match="was stopped in epoch 2"):
        runs.train(tmp_path / "a", interrupted)
    runs.train(tmp_path / "a", resume=True)
    runs.train(tmp_path / "b")
    states = [load_checkpoint(tmp_path / name / "last.ckpt") for name in "ab"]
    assert equal(states[0]["task"], states[1]["task"])
    assert states[0]["scaler"] == states[1]["scaler"]
    # The scaler starts at 2**16, finds that too large for this loss's gradients or counts steps.
    assert states[0]["scaler"]["_growth_tracker"] > 0
