"""Optimiser groups, the weight average, the order of items, logs and checkpoints."""

import math
import resource
import signal
from collections import Counter
from dataclasses import asdict
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attentad.attention import SE
from attentad.core import AttentadError
from attentad.training.checkpoint import (
    Position,
    all_finite,
    load_checkpoint,
    load_weights,
    merged_sums,
    save_checkpoint,
)
from attentad.training.ema import ema_rate, ema_start, ema_update, weights_applied
from attentad.training.items import epoch_batches, to_device, videos_of
from attentad.training.logs import read_log, read_rows, write_log
from attentad.training.optimizer import make_optimizer, parameter_groups, set_lr
from attentad.training.seeding import derived_seed
from attentad.training.settings import OptimizerSettings


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Linear(2, 2)
        self.layer10 = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)


def names_of(group, net):
    return [n for n, p in net.named_parameters() if any(p is q for q in group["params"])]


def test_parameter_groups():
    net = Net()
    net.layer10.bias.requires_grad_(False)
    multipliers = {"layer1": 0.1, "layer1.bias": 2.0, "norm.": 0.0}
    given = OptimizerSettings(lr=0.5, weight_decay=0.01, decay_1d=False, lr_multipliers=multipliers)
    found = [
        (names_of(group, net), group["lr"], group["weight_decay"])
        for group in parameter_groups(net, given)
    ]
    assert found == [
        (["layer1.weight"], 0.05, 0.01),
        (["layer1.bias"], 1.0, 0.0),
        (["layer10.weight"], 0.5, 0.01),
        (["norm.weight", "norm.bias"], 0.0, 0.0),
    ]
    optimizer = make_optimizer(net, given)
    set_lr(optimizer, 3.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.3, 6, 3, 0])


def test_weight_decay_by_module():
    net = Net()
    decays = {"layer1": 0.5, "layer1.bias": 0.25, "norm": 0.0}
    given = OptimizerSettings(lr=0.5, weight_decay=0.01, weight_decays=decays)
    found = [
        (names_of(group, net), group["weight_decay"]) for group in parameter_groups(net, given)
    ]
    assert found == [
        (["layer1.weight"], 0.5),
        (["layer1.bias"], 0.25),
        (["layer10.weight", "layer10.bias"], 0.01),
        (["norm.weight", "norm.bias"], 0.0),
    ]
    exempt = given.model_copy(update={"decay_1d": False})
    assert {group["weight_decay"] for group in parameter_groups(net, exempt)} == {0.5, 0.01, 0.0}
    with pytest.raises(AttentadError, match=r"weight_decays: head is no module .* layer10, norm"):
        parameter_groups(net, OptimizerSettings(weight_decays={"head": 0.1}))


def test_recipes_may_call_sites_attention_as_they_did():
    network = nn.ModuleDict({"base": nn.Linear(2, 2), "sites": nn.ModuleDict({"encoder": SE(2)})})
    task = nn.Module()
    task.network = network
    settings = OptimizerSettings(lr=1.0, lr_multipliers={"attention.encoder": 0.5})
    rates = {group["lr"]: len(group["params"]) for group in parameter_groups(task, settings)}
    assert rates == {1.0: 2, 0.5: 4}


def test_one_group_by_default():
    assert len(parameter_groups(Net(), OptimizerSettings(weight_decay=0.1))) == 1


def test_optimizers_are_torchs():
    sgd = make_optimizer(Net(), OptimizerSettings(name="sgd", momentum=0.8, dampening=0.9))
    assert isinstance(sgd, torch.optim.SGD)
    assert sgd.param_groups[0]["momentum"] == 0.8
    assert sgd.param_groups[0]["dampening"] == 0.9
    adamw = make_optimizer(Net(), OptimizerSettings(name="adamw", betas=(0.8, 0.9)))
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.param_groups[0]["betas"] == (0.8, 0.9)


def test_unknown_multiplier_and_frozen_network():
    with pytest.raises(AttentadError, match=r"head is no module .* has layer1, layer10, norm"):
        parameter_groups(Net(), OptimizerSettings(lr_multipliers={"head": 0.1}))
    with pytest.raises(AttentadError, match="no trainable parameters"):
        parameter_groups(Net().requires_grad_(False), OptimizerSettings())


def test_average_against_a_plain_one():
    net, generator = Net(), torch.Generator().manual_seed(0)
    average = ema_start(net)
    expected = {name: value.double() for name, value in average.items()}
    for step in range(1, 30):
        with torch.no_grad():
            for value in net.state_dict().values():
                value.add_(torch.randn(value.shape, generator=generator).to(value.dtype))
        decay = ema_rate(0.9, step, warmup=True)
        assert decay == min(0.9, (1 + step) / (10 + step))
        ema_update(average, net, decay)
        for name, value in net.state_dict().items():
            whole = not value.is_floating_point()
            mixed = decay * expected[name] + (1 - decay) * value.double()
            expected[name] = value.double() if whole else mixed
    for name, value in average.items():
        np.testing.assert_allclose(value.double(), expected[name], rtol=1e-4, atol=1e-5)
    assert ema_rate(0.9, 1, warmup=False) == 0.9


def test_weights_are_put_back_even_after_an_error():
    net = Net()
    own, other = ema_start(net), {k: v * 0 for k, v in ema_start(net).items()}
    pointer = net.layer1.weight.data_ptr()
    with pytest.raises(RuntimeError), weights_applied(net, other):  # noqa: PT012
        assert not net.layer1.weight.any()
        raise RuntimeError
    assert all(torch.equal(value, own[name]) for name, value in net.state_dict().items())
    assert net.layer1.weight.data_ptr() == pointer


@settings(max_examples=80, deadline=None)
@given(
    items=st.integers(1, 40),
    batch_size=st.integers(1, 9),
    world=st.integers(1, 4),
    epoch=st.integers(0, 3),
    drop_last=st.booleans(),
)
def test_order_of_items(items, batch_size, world, epoch, drop_last):
    options = {"seed": 1, "epoch": epoch, "drop_last": drop_last}
    ranks = [
        epoch_batches(items, batch_size, rank=rank, world_size=world, **options)
        for rank in range(world)
    ]
    whole = epoch_batches(items, batch_size * world, **options)
    # Equally many steps of equal sizes; step k takes what one process with the larger batch takes.
    assert len({tuple(len(batch) for batch in rank) for rank in ranks}) == 1
    assert len(ranks[0]) == len(whole)
    seen = Counter(index for rank in ranks for batch in rank for index in batch)
    for step, together in enumerate(whole):
        parts = Counter(index for rank in ranks for index in rank[step])
        if len(together) == batch_size * world or items % world == 0:
            assert parts == Counter(together)
    if drop_last:
        assert all(len(batch) == batch_size for batch in ranks[0])
        assert sum(seen.values()) == items // (batch_size * world) * batch_size * world
        assert set(seen.values()) <= {1}
    else:
        assert set(seen) == set(range(items))
        assert sum(seen.values()) - items == -items % world


def test_order_depends_on_seed_and_epoch_alone():
    assert epoch_batches(20, 4, seed=1, epoch=2) == epoch_batches(20, 4, seed=1, epoch=2)
    orders = {str(epoch_batches(20, 4, seed=s, epoch=e)) for s in range(3) for e in range(3)}
    assert len(orders) == 9


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 50)] * 4), unique=True, min_size=2, max_size=20))
def test_other_keys_other_seeds(keys):
    seeds = {derived_seed(*key) for key in keys}
    assert len(seeds) == len(keys)
    assert all(0 <= seed < 2**63 for seed in seeds)


class Pair(NamedTuple):
    x: torch.Tensor
    names: list


def test_batches_move_whatever_their_kind():
    untouched = object()
    batch = {"p": Pair(torch.ones(1), ["a"]), "t": (torch.ones(2), 3), "o": untouched}
    moved = to_device(batch, torch.device("meta"))
    assert moved["p"].x.is_meta
    assert isinstance(moved["p"], Pair)
    assert moved["t"][0].is_meta
    assert moved["t"][1] == 3
    assert moved["o"] is untouched


def test_names_of_videos():
    assert videos_of({"video": ["a", "b"]}) == ["a", "b"]
    assert videos_of(SimpleNamespace(video="a")) == ["a"]
    assert videos_of([torch.ones(1)]) == []


ROWS = [
    {"epoch": 1, "lr": 0.1, "total": 2.5, "seconds": 1.0},
    {"epoch": 2, "lr": 0.1, "total": math.nan, "val_mAP": 0.5, "seconds": 1.0},
]


def test_log_round_trip(tmp_path):
    write_log(tmp_path, ROWS)
    for source in (tmp_path, tmp_path / "log.jsonl", tmp_path / "log.csv"):
        columns = read_log(source)
        assert list(columns) == ["epoch", "lr", "total", "val_mAP", "seconds"]
        assert columns["lr"] == [0.1, 0.1]
        assert columns["total"][0] == 2.5
        assert math.isnan(columns["total"][1])
        assert math.isnan(columns["val_mAP"][0])
    assert [row["epoch"] for row in read_rows(tmp_path, 1)] == [1]
    assert read_rows(tmp_path / "none", 1) == []


def test_bad_logs_are_named(tmp_path):
    with pytest.raises(AttentadError, match="does not exist"):
        read_log(tmp_path)
    (tmp_path / "log.jsonl").write_text('{"epoch": 1}\n{"epoch": "x"}\n')
    with pytest.raises(AttentadError, match=r"log.jsonl, line 2"):
        read_log(tmp_path)
    (tmp_path / "log.csv").write_text("epoch,lr\n1,x\n")
    with pytest.raises(AttentadError, match=r"log.csv, line 2"):
        read_log(tmp_path / "log.csv")


def test_positions_come_back():
    position = Position(epoch=2, step=3, best_score=0.5)
    position.add({"total": 2.0}, 4)
    position.add({"total": 1.0, "other": 3.0}, 2)
    assert position.sums == {"total": (10.0, 6), "other": (6.0, 2)}
    assert Position.from_dict(asdict(position)) == position
    assert merged_sums([position.sums, {"total": (1.0, 1)}]) == {
        "total": (11.0, 7),
        "other": (6.0, 2),
    }


def test_damaged_checkpoints_are_named(tmp_path):
    path = tmp_path / "last.ckpt"
    with pytest.raises(AttentadError, match="does not exist"):
        load_checkpoint(path)
    save_checkpoint(path, {"network": {"a": torch.randn(1000)}})
    whole = path.read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(AttentadError, match=r"last.ckpt is damaged"):
            load_checkpoint(path)
    torch.save({"a": SimpleNamespace()}, path)  # would have to be unpickled
    with pytest.raises(AttentadError, match=r"last.ckpt is damaged or no checkpoint"):
        load_checkpoint(path)
    torch.save({"a": 1}, path)
    with pytest.raises(AttentadError, match="no checkpoint"):
        load_checkpoint(path)
    torch.save({"format": 3}, path)
    with pytest.raises(AttentadError, match="newer version"):
        load_checkpoint(path)
    save_checkpoint(path, {})
    with pytest.raises(AttentadError, match="holds no weights"):
        load_weights(path)


def test_a_full_disk_leaves_the_older_checkpoint(tmp_path):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"network": {"a": torch.ones(2)}})
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    try:
        with pytest.raises(AttentadError, match=r"last.ckpt could not be written"):
            save_checkpoint(path, {"network": {"a": torch.ones(1_000_000)}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert load_weights(path)["a"].tolist() == [1, 1]
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_all_finite():
    good = {"a": torch.ones(2), "n": torch.tensor(1)}
    assert all_finite(good)
    assert all_finite({})
    assert not all_finite(good | {"b": torch.tensor([1.0, math.inf])})
