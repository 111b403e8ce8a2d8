"""DBG's network: parameter counts, the direct form, batches, padding, attention sites."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.direct.dbg import DirectDBG
from tests.detection.plain import truth_of
from torch import nn

from attentad.attention.csa import CSA
from attentad.core import AttentadError, Timeline
from attentad.core.options import check_options
from attentad.detection import DETECTORS
from attentad.detection.dbg import DBG, decode, loss, targets
from attentad.training.optimizer import parameter_groups
from attentad.training.settings import OptimizerSettings

SITES = ("input", "encoder")
SMALL = {"hidden_dim": 8, "sampled_dim": 12, "map_dim": 16, "points": (3, 4, 3)}


def small(length=10, feature_dim=4, **options):
    torch.manual_seed(0)
    network = DBG(feature_dim, length, **SMALL | options)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.normal_(0, 0.3)
    return network.eval()


def direct(network, feature_dim=4):
    """The same weights in the published form."""
    names = ("points", "tf_relu", "streams", "dropout")
    given = {name: getattr(network, name) for name in names}
    other = DirectDBG(feature_dim, network.length, **SMALL | given)
    other.load_state_dict(network.state_dict())
    return other.to(next(network.parameters()).dtype).train(network.training)


def attended(site, name, **options):
    return small(attention={site: (name, {})}, **options)


def probed(probes):
    """A small network with these modules at its sites."""
    network = small(attention=dict.fromkeys(probes, ("none", {})))
    network.sites.update(probes)
    return network


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_published_parameter_counts():
    assert count(DBG(400, 100)) == 2_874_758
    assert count(DBG(2048, 100)) == 4_140_422
    assert count(DBG(400, 100, streams="full")) == 2_874_758 + 2 * 200 * 256 * 3
    csa = {"convs": 2, "temporal_mode": "time_pool"}
    assert count(CSA(128, 400, 100, **csa)) == 412_716
    assert count(DBG(400, 100, attention={"encoder": ("csa", csa)})) == 2_874_758 + 412_716


def test_weight_decay_by_group():
    decays = {"pfg": 2e-4, "acr": 2e-5, "tbc": 2e-5}
    settings = OptimizerSettings(weight_decay=2e-3, decay_1d=False, weight_decays=decays)
    network = DBG(40, 10)
    found = {
        name: group["weight_decay"]
        for group in parameter_groups(network, settings)
        for name, parameter in network.named_parameters()
        if any(parameter is other for other in group["params"])
    }
    assert len(found) == len(list(network.parameters()))
    for name, decay in found.items():
        expected = 0.0 if name.endswith("bias") else decays.get(name.split(".")[0], 2e-3)
        assert decay == expected, name


def test_every_convolution_starts_xavier_uniform_with_zero_bias():
    torch.manual_seed(0)
    network = DBG(40, 10)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1:
            assert not parameter.any(), name
        elif name != "pfg.weight":
            expected = torch.empty_like(parameter)
            nn.init.xavier_uniform_(expected)
            bound = expected.abs().max().item()
            assert parameter.abs().max().item() == pytest.approx(bound, rel=0.1), name


@pytest.mark.parametrize("tf_relu", [False, True])
@pytest.mark.parametrize("streams", ["halves", "full"])
@pytest.mark.parametrize(("batch", "length"), [(2, 10), (1, 4)])  # first layers merged or not
def test_equals_the_direct_network(tf_relu, streams, batch, length):
    options = {"tf_relu": tf_relu, "streams": streams, "dropout": 0.0}
    network = small(length, **options).double().train()
    other = direct(network)
    features = torch.randn(batch, 4, length, dtype=torch.double)
    outputs, expected = network(features), other(features)
    for one, two in zip(outputs, expected, strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-6)
    weights = [torch.randn_like(part) for part in outputs[:4]]

    def gradients(net, output):
        total = sum((w * part).sum() for w, part in zip(weights, output[:4], strict=True))
        return torch.autograd.grad(total, net.parameters())

    pairs = zip(gradients(network, outputs), gradients(other, expected), strict=True)
    for (one, two), (name, _) in zip(pairs, network.named_parameters(), strict=True):
        assert one.any(), name
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5)


def test_both_ways_of_direct_sampling_agree():
    other = direct(small())
    feature = torch.randn(2, 4, 10)
    by_mask = other._sample(feature)
    other.mask = None
    torch.testing.assert_close(by_mask, other._sample(feature))


def test_equals_the_direct_network_in_single_precision_at_the_published_points():
    network = small(length=20, feature_dim=6, points=(8, 16, 8))
    features = torch.randn(2, 6, 20)
    pairs = zip(network(features), direct(network, 6)(features), strict=True)
    for one, two in pairs:
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


def test_shapes_and_invalid_cells():
    output = small()(torch.randn(3, 4, 10))
    assert output.actionness.shape == (3, 3, 10)
    assert output.start.shape == output.end.shape == (3, 10)
    below = torch.ones(10, 10, dtype=torch.bool).tril(-1)
    for part in (output.completeness, output.start_map, output.end_map):
        assert part.shape == (3, 10, 10)
        assert (part[:, below] == 0).all()
        assert (part[:, ~below] > 0).all()
    assert all(((part >= 0) & (part <= 1)).all() for part in output)


def test_boundary_probabilities_are_the_means_over_the_other_end():
    valid = torch.arange(10) < torch.tensor([[10], [6]])
    output = small()(torch.randn(2, 4, 10), valid)
    for item, steps in ((0, 10), (1, 6)):
        for i in range(10):
            if i >= steps:
                assert output.start[item, i] == output.end[item, i] == 0
                continue
            start = output.start_map[item, i, i:steps].mean()
            end = output.end_map[item, : i + 1, i].mean()
            torch.testing.assert_close(output.start[item, i], start)
            torch.testing.assert_close(output.end[item, i], end)


def test_dropout_only_in_training():
    network, features = small(), torch.randn(1, 4, 10)
    assert torch.equal(network(features).completeness, network(features).completeness)
    network.train()
    one, two = network(features), network(features)
    assert not torch.equal(one.completeness, two.completeness)
    assert not torch.equal(one.start_map, two.start_map)
    assert torch.equal(one.actionness, two.actionness)


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", ["csa", "se"])
def test_batch_of_n_is_n_single_calls(site, name):
    network = attended(site, name)
    features = torch.randn(3, 4, 10)
    valid = torch.arange(10) < torch.tensor([[10], [6], [1]])
    batch = network(features, valid)
    for i in range(3):
        single = network(features[i : i + 1], valid[i : i + 1])
        for one, many in zip(single, batch, strict=True):
            torch.testing.assert_close(one[0], many[i], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", [None, "csa", "se", "sta"])
def test_the_content_of_the_padding_changes_nothing(name):
    network = small() if name is None else attended("encoder", name)
    features = torch.randn(1, 4, 10)
    valid = torch.arange(10)[None] < 7
    other = torch.where(valid[:, None], features, torch.nan)
    for one, two in zip(network(features, valid), network(other, valid), strict=True):
        torch.testing.assert_close(one, two)


def test_padding_acts_like_the_end_of_the_grid():
    long, short = small(10), small(7)
    short.load_state_dict(long.state_dict())
    features = torch.randn(2, 4, 10)
    valid = (torch.arange(10) < 7).expand(2, -1)
    padded, cropped = long(features, valid), short(features[:, :, :7])
    for one, two in zip(padded, cropped, strict=True):
        view = one[:, :7] if one.ndim == 2 else one[:, :, :7]
        view = view if two.shape[1] == 3 or one.ndim == 2 else view[:, :7]
        torch.testing.assert_close(view, two)


def test_no_mask_is_the_full_mask():
    network, features = small(), torch.randn(2, 4, 10)
    full = torch.ones(2, 10, dtype=torch.bool)
    for one, two in zip(network(features), network(features, full), strict=True):
        torch.testing.assert_close(one, two)


def test_mixed_precision_trains():
    network = attended("encoder", "csa").train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(torch.randn(2, 4, 10), torch.arange(10) < torch.tensor([[10], [6]]))
    made = targets(truth_of([[2.0, 6.0]]), Timeline(10, 1.0, 1.0, 1.0, 10.0))
    loss(output, {k: torch.from_numpy(np.stack([v, v])) for k, v in made.items()})[
        "total"
    ].backward()
    assert all(part.dtype == torch.float32 for part in output)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


class Probe(nn.Module):
    """Remembers what it was given and returns another feature."""

    def forward(self, feature, context, valid=None):
        self.seen = (feature.shape[1], context)
        return feature + 1


def test_attention_reads_r_and_replaces_the_feature():
    dims = {"input": 4, "encoder": 4}
    features = torch.randn(1, 4, 10)
    plain = small()(features)
    for site in SITES:
        probe = Probe()
        output = probed({site: probe})(features)
        assert probe.seen[0] == dims[site]
        torch.testing.assert_close(probe.seen[1], features)
        # f comes after the two streams: their own actionness does not see what replaces it.
        same = torch.isclose(output.actionness, plain.actionness).all(dim=2)[0].tolist()
        assert same == ([False] * 3 if site == "input" else [True, True, False])
        assert not torch.allclose(output.completeness, plain.completeness)
        assert not torch.allclose(output.start_map, plain.start_map)


def test_context_is_r_itself_also_where_the_input_is_attended():
    probes = {site: Probe() for site in SITES}
    features = torch.randn(1, 4, 10)
    probed(probes)(features)
    for probe in probes.values():
        torch.testing.assert_close(probe.seen[1], features)


def test_streams_read_their_half():
    features = torch.randn(1, 4, 10)
    changed = features.clone()
    changed[:, 2:] += 1
    for streams, same in (("halves", [True, False]), ("full", [False, False])):
        network = small(streams=streams)
        one, two = network(features).actionness, network(changed).actionness
        assert torch.isclose(one, two).all(dim=2)[0, :2].tolist() == same


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature_dim": 5}, "streams to full"),
        ({"hidden_dim": 1}, "hidden_dim"),
        ({"points": (8, 0, 8)}, "points"),
        ({"dropout": 1.0}, "dropout"),
        ({"attention": {"middle": ("se", {})}}, "attention.middle"),
    ],
)
def test_settings_that_do_not_fit(options, message):
    def build():
        check_options(DBG, options)
        small(**options)

    with pytest.raises(AttentadError, match=message):
        build()


def test_wrong_input_is_refused():
    network = small()
    with pytest.raises(AttentadError, match="T = 10"):
        network(torch.randn(1, 4, 9))
    with pytest.raises(AttentadError, match="4 channels"):
        network(torch.randn(1, 5, 10))


def test_learns_one_batch_and_finds_its_actions():
    torch.manual_seed(0)
    length = 16
    timelines = [Timeline(length, 10.0, 10.0, 10.0, float(length))] * 2
    actions = [np.array([[2.0, 7.0]]), np.array([[1.0, 4.0], [8.0, 14.0]])]
    detector = DETECTORS["dbg"]
    network = detector.network(
        6, length, hidden_dim=32, sampled_dim=32, map_dim=32, points=(4, 6, 4), dropout=0.0
    )
    made = [detector.targets(truth_of(a), t) for a, t in zip(actions, timelines, strict=True)]
    batch = {key: torch.from_numpy(np.stack([m[key] for m in made])) for key in made[0]}
    features = torch.randn(2, 6, length)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.005)
    draw = torch.Generator().manual_seed(0)
    first = None
    for _ in range(150):
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
