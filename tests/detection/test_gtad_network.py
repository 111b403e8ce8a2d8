"""G-TAD's network: parameter counts, the direct form, batches, padding, attention sites."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.direct.gtad import DirectGTAD
from tests.detection.plain import truth_of
from torch import nn

from attentad.core import AttentadError, Timeline
from attentad.core.options import check_options
from attentad.detection import DETECTORS
from attentad.detection.gtad import GTAD, decode, loss, targets
from attentad.layers.boundary_matching import valid_cells

SITES = ("input", "middle", "encoder", "proposal")
SMALL = {
    "hidden_dim": 8,
    "aligned_dim": 12,
    "map_dim": 6,
    "groups": 2,
    "graph_groups": 2,
    "interior_bins": 5,
    "context_bins": 2,
}
THUMOS = {"max_duration": 64, "interior_bins": 16, "context_bins": 16, "map_kernel": 3}


def small(length=10, feature_dim=4, network=GTAD, **options):
    torch.manual_seed(0)
    return network(feature_dim, length, **SMALL | options)


def probed(probes):
    """A small network with these modules at its sites."""
    network = small(attention=dict.fromkeys(probes, ("none", {})))
    network.sites.update(probes)
    return network


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def attended(*sites, name="csa", **options):
    return small(attention=dict.fromkeys(sites, (name, {})), **options)


def test_published_parameter_counts():
    assert count(GTAD(400, 100)) == 5_563_268
    assert count(GTAD(2048, 256, **THUMOS)) == 5_617_540


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_duration": 4, "map_kernel": 3},
        {"max_duration": 7, "map_kernel": 3, "context_bins": 5, "roi": "opentad"},
    ],
)
def test_equals_the_direct_form(options, masked):
    network = small(**options).double()
    direct = small(network=DirectGTAD, **options).double()
    direct.load_state_dict(network.state_dict())
    features = torch.randn(3, 4, 10, dtype=torch.double)
    valid = torch.arange(10) < torch.tensor([[10], [6], [2]]) if masked else None
    fast, slow = network(features, valid), direct(features, valid)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)
    weights = [torch.randn_like(part) for part in fast]
    grads = [
        torch.autograd.grad(
            sum((part * weight).sum() for part, weight in zip(parts, weights, strict=True)),
            list(model.parameters()),
        )
        for parts, model in ((fast, network), (slow, direct))
    ]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-7)


def test_equals_the_direct_form_in_single_precision():
    network, direct = small(map_kernel=3), small(network=DirectGTAD, map_kernel=3)
    direct.load_state_dict(network.state_dict())
    features = torch.randn(2, 4, 10)
    for one, other in zip(network(features), direct(features), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_shapes_and_invalid_cells():
    output = small(max_duration=4, map_kernel=3)(torch.randn(3, 4, 10))
    assert output.start.shape == output.end.shape == (3, 10)
    assert output.regression.shape == output.classification.shape == (3, 4, 10)
    cells = torch.from_numpy(valid_cells(10, 4))
    assert (output.regression[:, ~cells] == 0).all()
    assert (output.regression[:, cells] > 0).all()
    assert all(((part >= 0) & (part <= 1)).all() for part in output)


@pytest.mark.parametrize("map_kernel", [1, 3])
@pytest.mark.parametrize("sites", [(), *((site,) for site in SITES), ("encoder", "proposal")])
def test_batch_of_n_is_n_single_calls(sites, map_kernel):
    network = attended(*sites, map_kernel=map_kernel)
    features = torch.randn(3, 4, 10)
    valid = torch.arange(10) < torch.tensor([[10], [6], [1]])
    batch = network(features, valid)
    for i in range(3):
        single = network(features[i : i + 1], valid[i : i + 1])
        for one, many in zip(single, batch, strict=True):
            torch.testing.assert_close(one[0], many[i], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["none", "csa", "se"])
@pytest.mark.parametrize("steps", [7, 2, 1])
def test_the_content_of_the_padding_changes_nothing(name, steps):
    network = attended("encoder", "proposal", name=name, map_kernel=3)
    features = torch.randn(1, 4, 10)
    valid = torch.arange(10)[None] < steps
    other = torch.where(valid[:, None], features, torch.nan)
    for one, two in zip(network(features, valid), network(other, valid), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("steps", [7, 2])
def test_boundaries_of_the_valid_steps_are_those_of_the_shorter_sequence(steps):
    long, short = small(10), small(steps)
    short.load_state_dict(long.state_dict())
    features = torch.randn(2, 4, 10)
    valid = (torch.arange(10) < steps).expand(2, -1)
    padded, cropped = long(features, valid), short(features[:, :, :steps])
    torch.testing.assert_close(padded.start[:, :steps], cropped.start)
    torch.testing.assert_close(padded.end[:, :steps], cropped.end)


def test_no_mask_is_the_full_mask():
    network, features = small(), torch.randn(2, 4, 10)
    full = torch.ones(2, 10, dtype=torch.bool)
    for one, two in zip(network(features), network(features, full), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("map_kernel", [1, 3])
def test_mixed_precision_trains(map_kernel):
    network = attended("encoder", map_kernel=map_kernel)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(torch.randn(2, 4, 10), torch.arange(10) < torch.tensor([[10], [6]]))
    made = targets(truth_of([[2.0, 6.0]]), Timeline(10, 1.0, 1.0, 1.0, 10.0))
    loss(output, {k: torch.from_numpy(np.stack([v, v])) for k, v in made.items()})[
        "total"
    ].backward()
    assert all(part.dtype == torch.float32 for part in output)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_attention_reads_r_at_every_site():
    class Probe(nn.Module):
        def forward(self, feature, context, valid=None):
            self.seen = (feature.shape[1], context)
            return feature

    dims = {"input": 4, "middle": 8, "encoder": 8, "proposal": 8}
    probes = {site: Probe() for site in SITES}
    features = torch.randn(1, 4, 10)
    probed(probes)(features)
    for site, probe in probes.items():
        assert probe.seen[0] == dims[site]
        torch.testing.assert_close(probe.seen[1], features)


def test_what_each_site_reaches():
    class Zero(nn.Module):
        def forward(self, feature, context, valid=None):
            return torch.zeros_like(feature)

    features = torch.randn(1, 4, 10)
    plain = small()(features)
    proposal = probed({"proposal": Zero()})(features)
    torch.testing.assert_close(proposal.start, plain.start)
    torch.testing.assert_close(proposal.end, plain.end)
    cells = torch.from_numpy(valid_cells(10, 10))
    assert proposal.regression[:, cells].std() < 1e-6 < plain.regression[:, cells].std()
    encoder = probed({"encoder": Zero()})(features)
    assert encoder.start[:, 1:-1].std() < 1e-6 < plain.start.std()
    assert encoder.end[:, 1:-1].std() < 1e-6 < plain.end.std()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_duration": 11}, "max_duration"),
        ({"max_duration": 0}, "max_duration"),
        ({"groups": 3}, "groups"),
        ({"neighbours": 0}, "neighbours"),
        ({"interior_bins": 0}, "interior_bins"),
        ({"context_bins": 0}, "context_bins"),
        ({"graph_groups": 0}, "graph_groups"),
        ({"attention": {"decoder": ("se", {})}}, "attention.decoder"),
    ],
)
def test_settings_that_do_not_fit(options, message):
    def build():
        check_options(GTAD, options)
        small(**options)

    with pytest.raises(AttentadError, match=message):
        build()


def test_wrong_input_is_refused():
    network = small()
    with pytest.raises(AttentadError, match="T = 10"):
        network(torch.randn(1, 4, 9))
    with pytest.raises(AttentadError, match="4 channels"):
        network(torch.randn(1, 5, 10))


@pytest.mark.parametrize("map_kernel", [1, 3])
def test_learns_one_batch_and_finds_its_actions(map_kernel):
    torch.manual_seed(0)
    length = 16
    timelines = [Timeline(length, 10.0, 10.0, 10.0, float(length))] * 2
    actions = [np.array([[2.0, 7.0]]), np.array([[1.0, 4.0], [8.0, 14.0]])]
    detector = DETECTORS["gtad"]
    network = detector.network(
        6,
        length,
        hidden_dim=16,
        aligned_dim=32,
        map_dim=16,
        groups=1,
        graph_groups=4,
        interior_bins=8,
        context_bins=4,
        map_kernel=map_kernel,
    )
    made = [detector.targets(truth_of(a), t) for a, t in zip(actions, timelines, strict=True)]
    batch = {key: torch.from_numpy(np.stack([m[key] for m in made])) for key in made[0]}
    features = torch.randn(2, 6, length)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.005)
    draw = torch.Generator().manual_seed(0)
    first = None
    for _ in range(120):
        optimiser.zero_grad()
        total = detector.loss(network(features), batch, generator=draw)["total"]
        total.backward()
        optimiser.step()
        first = first or total.item()
    assert total.item() < first / 5
    found = detector.decode(network(features), timelines)
    assert found[0].detections.segments[0].tolist() == [2.0, 7.0]
    assert found[1].detections.segments[0].tolist() in actions[1].tolist()


def test_one_step_and_nan():
    network = small(1)
    output = network(torch.randn(1, 4, 1))
    timeline = Timeline(1, 1.0, 1.0, 1.0, 1.0)
    assert decode(output, [timeline])[0].detections.segments.tolist() == [[0.0, 1.0]]
    made = {k: torch.from_numpy(v)[None] for k, v in targets(truth_of([]), timeline).items()}
    assert loss(output, made)["total"].isfinite()
    broken = network(torch.full((1, 4, 1), torch.nan))
    assert loss(broken, made)["total"].isnan()
    with pytest.raises(AttentadError, match="not finite"):
        decode(broken, [timeline])
