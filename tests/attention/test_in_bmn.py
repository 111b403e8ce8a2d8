"""The paper's models on BMN: where a module stands, what it reads, its size (spec csa §1.3)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attentad.core import Timeline
from attentad.core.found import Truth
from attentad.detection.bmn import BMN, loss, targets

SMALL = {"hidden_dim": 8, "sampled_dim": 12, "map_dim": 6, "groups": 1, "bins": 4, "samples": 2}
C_IN, T = 4, 10
CSA_ = ("csa", {})
SE_ = ("se", {"reduction": 2})
TRANSFORMER = ("transformer", {"heads": 2, "ffn_dim": 6, "dropout": 0.0})
TINY = {"transformer_dim": 4, "heads": 2, "ffn_dim": 6, "dropout": 0.0}
MODELS = {
    "SE": {"encoder": SE_},
    "CBAM": {"encoder": ("cbam", {"reduction": 2})},
    "Transformer": {"encoder": TRANSFORMER},
    "Start-CSA": {"input": CSA_},
    "Middle-CSA": {"middle": CSA_},
    "End-CSA": {"encoder": CSA_},
    "Start- and End-CSA": {"input": CSA_, "encoder": CSA_},
    "BMN-CSA-SE": {"middle": SE_, "encoder": CSA_},
    "BMN-CSA-Trans": {"middle": TRANSFORMER, "encoder": CSA_},
    "FF-CSA": {"encoder": ("csa", {"context": "feed_forward"})},
    "G-CSA": {"encoder": ("csa", {"context": "global", **TINY})},
    "LG-CSA": {"encoder": ("csa", {"context": "local_global", **TINY})},
}


def bmn(model):
    torch.manual_seed(0)
    return BMN(C_IN, T, **SMALL, attention=MODELS[model])


def conv(c_in, c_out, k=1):
    return c_in * c_out * k + c_out


def csa_count(c_in, c, length, convs=2):
    channel = conv(c_in, c, 3) + (convs - 1) * conv(c, c, 3) + conv(c, c)
    time = conv(c_in, c, 3) + (convs - 1) * conv(c, c, 3) + conv(length, length)
    return channel + time + conv(2 * c, c)


def test_added_parameters_at_the_papers_sizes():
    """ActivityNet: R has 400 channels, BMN 256, T = 100; n = 2."""

    def added(site, name, **options):
        network = BMN(400, 100, attention={site: (name, options)})
        return sum(p.numel() for p in network.sites.parameters())

    assert added("input", "csa") == csa_count(400, 400, 100)
    assert added("middle", "csa") == added("encoder", "csa") == csa_count(400, 256, 100)
    for site in ("middle", "encoder"):
        assert added(site, "csa", temporal_mode="time_pool") == 861_740
    assert added("middle", "se") == 8_464
    assert added("middle", "transformer") == 789_760
    assert added("encoder", "cbam") == 8_479


def test_start_csa_attends_r_by_the_unattended_r():
    network = bmn("Start-CSA")
    assert sum(p.numel() for p in network.sites["input"].parameters()) == csa_count(C_IN, C_IN, T)
    seen = {}
    network.sites["input"].register_forward_hook(
        lambda _, inputs, output: seen.update(feature=inputs[0], context=inputs[1], output=output)
    )
    network.base_1.register_forward_pre_hook(lambda _, inputs: seen.update(base=inputs[0]))
    r = torch.randn(2, C_IN, T)
    network(r)
    assert torch.equal(seen["feature"], r)
    assert torch.equal(seen["context"], r)
    assert torch.equal(seen["base"], seen["output"])
    assert not torch.allclose(seen["base"], r)


def test_csa_at_the_end_reads_the_unattended_r_behind_csa_at_the_start():
    network = bmn("Start- and End-CSA")
    seen = {}
    network.sites["encoder"].register_forward_pre_hook(
        lambda _, inputs: seen.update(context=inputs[1])
    )
    r = torch.randn(2, C_IN, T)
    network(r)
    assert torch.equal(seen["context"], r)


@pytest.mark.parametrize("model", ["BMN-CSA-SE", "BMN-CSA-Trans"])
def test_csa_at_the_end_reads_r_and_the_inner_attention_what_the_first_convolution_says(model):
    network = bmn(model)
    seen = {}
    for site, module in network.sites.items():
        module.register_forward_hook(
            lambda _, inputs, output, site=site: seen.update({site: (*inputs[:2], output)})
        )
    network.base_2.register_forward_pre_hook(lambda _, inputs: seen.update(base=inputs[0]))
    r = torch.randn(2, C_IN, T)
    network(r)
    torch.testing.assert_close(seen["middle"][0], torch.relu(network.base_1(r)))
    assert torch.equal(seen["base"], seen["middle"][2])
    torch.testing.assert_close(seen["encoder"][0], torch.relu(network.base_2(seen["base"])))
    assert torch.equal(seen["encoder"][1], r)
    assert not torch.allclose(seen["base"], seen["middle"][0])


@pytest.mark.parametrize("model", MODELS)
def test_a_batch_is_its_items_and_the_padding_says_nothing(model):
    network = bmn(model).eval()
    r = torch.randn(3, C_IN, T)
    valid = torch.arange(T) < torch.tensor([[T], [6], [1]])
    with torch.no_grad():
        batch = network(r, valid)
        other = network(torch.where(valid[:, None], r, torch.nan), valid)
        for one, two in zip(batch, other, strict=True):
            torch.testing.assert_close(one, two)
        for i in range(3):
            single = network(r[i : i + 1], valid[i : i + 1])
            for one, many in zip(single, batch, strict=True):
                torch.testing.assert_close(one[0], many[i], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_learns_one_batch(model):
    network = bmn(model)
    truth = Truth(np.array([[2.0, 6.0]]), np.array([-1]), 0)
    made = targets(truth, Timeline(T, 1.0, 1.0, 1.0, float(T)))
    batch = {key: torch.from_numpy(value)[None] for key, value in made.items()}
    r = torch.randn(1, C_IN, T)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    history = []
    for step in range(60):
        optimiser.zero_grad()
        draw = torch.Generator().manual_seed(step)
        total = loss(network(r), batch, generator=draw)["total"]
        total.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
        optimiser.step()
        history.append(total.item())
    assert history[-1] < history[0] / 2
