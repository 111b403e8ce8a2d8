"""BMN's network: parameter counts, the published dense form, batches, padding, attention sites."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.detection.plain import truth_of
from torch import nn

from attentad.core import AttentadError, Timeline
from attentad.core.options import check_options
from attentad.detection import DETECTORS
from attentad.detection.bmn import BMN, decode, loss, targets
from attentad.layers.boundary_matching import sampling_weights, valid_cells

SITES = ("input", "middle", "encoder")
SMALL = {"hidden_dim": 8, "sampled_dim": 12, "map_dim": 6, "groups": 2, "bins": 5, "samples": 2}


def small(length=10, feature_dim=4, **options):
    torch.manual_seed(0)
    return BMN(feature_dim, length, **SMALL | options)


def probed(probes):
    """A small network with these modules at its sites."""
    network = small(attention=dict.fromkeys(probes, ("none", {})))
    network.sites.update(probes)
    return network


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def dense_maps(network, features):
    """The published proposal module on a network's weights: dense mask, Conv3d, plain Conv2d."""
    length, duration = network.length, network.max_duration
    bins, _, _ = network.matching.weight.shape
    matrix = sampling_weights(length, duration, bins, SMALL["samples"])
    cells = valid_cells(length, duration)
    rows = np.repeat(np.arange(cells.sum()), np.diff(matrix.row_starts))
    table = np.zeros((cells.sum(), length, bins))
    table[rows, matrix.columns // bins, matrix.columns % bins] = matrix.values
    mask = np.zeros((length, bins, duration, length))
    mask[:, :, cells] = table.transpose(1, 2, 0)
    hidden = features
    for conv in (network.base_1, network.base_2, network.pem_conv):
        hidden = torch.relu(conv(hidden))
    sampled = (hidden @ torch.from_numpy(mask).to(features).flatten(1)).view(
        *hidden.shape[:2], bins, duration, length
    )
    kernel = network.matching.weight.permute(1, 2, 0)[..., None, None]
    bias = network.matching.bias
    image = torch.relu(nn.functional.conv3d(sampled, kernel, bias, stride=(bins, 1, 1)).squeeze(2))

    def pointwise(linear, image):
        return nn.functional.conv2d(image, linear.weight[..., None, None], linear.bias)

    image = torch.relu(pointwise(network.map_in, image))
    for conv in network.map_convs.convs:
        image = torch.relu(conv(image))
    scores = torch.sigmoid(pointwise(network.map_out, image)) * torch.from_numpy(cells)
    return scores[:, 0], scores[:, 1]


def test_published_parameter_counts():
    assert count(BMN(400, 100)) == 4_978_564
    assert count(BMN(2048, 100)) == 5_294_980
    assert (
        count(BMN(400, 100, proposal_dim=128)) == 4_978_564 - 3 * 256 * 128 - 128 - 512 * 128 * 32
    )


def test_paper_variant_has_the_published_table():
    network = BMN(400, 100, variant="paper")
    base = (400 * 3 + 1) * 256 + (256 * 3 + 1) * 128
    boundaries = (128 * 3 + 1) * 256 + (256 + 1) * 2
    proposals = (128 * 32 + 1) * 512 + (512 + 1) * 128 + (128 * 9 + 1) * 128 + (128 + 1) * 2
    assert count(network) == base + boundaries + proposals
    output = network(torch.randn(1, 400, 100))
    assert output.start.shape == output.end.shape == (1, 100)


@pytest.mark.parametrize("duration", [10, 4])
def test_equals_the_published_dense_network(duration):
    network = small(max_duration=duration).double()
    features = torch.randn(2, 4, 10, dtype=torch.double)
    output = network(features)
    regression, classification = dense_maps(network, features)
    torch.testing.assert_close(output.regression, regression, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(output.classification, classification, atol=1e-7, rtol=1e-7)
    weights = torch.randn_like(regression)
    proposal = [p for name, p in network.named_parameters() if "_head" not in name]
    fast = ((output.regression + output.classification) * weights).sum()
    slow = ((regression + classification) * weights).sum()
    for one, other in zip(
        torch.autograd.grad(fast, proposal), torch.autograd.grad(slow, proposal), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-6)


def test_both_layouts_speak_of_the_same_proposals():
    # With 1×1 instead of 3×3 neighbourhoods the layout of the map cannot matter.
    one, other = small(), small(layout="start_end")
    other.load_state_dict(one.state_dict())
    for network in (one, other):
        for conv in network.map_convs.convs:
            nn.init.zeros_(conv.weight)
            with torch.no_grad():
                conv.weight[:, :, 1, 1] = torch.eye(6)
    features = torch.randn(2, 4, 10)
    for a, b in zip(one(features), other(features), strict=True):
        torch.testing.assert_close(a, b)


def test_shapes_and_invalid_cells():
    output = small(max_duration=4)(torch.randn(3, 4, 10))
    assert output.start.shape == output.end.shape == (3, 10)
    assert output.regression.shape == output.classification.shape == (3, 4, 10)
    cells = torch.from_numpy(valid_cells(10, 4))
    assert (output.regression[:, ~cells] == 0).all()
    assert (output.regression[:, cells] > 0).all()
    assert all(((part >= 0) & (part <= 1)).all() for part in output)


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


def attended(site, name):
    return small(attention={site: (name, {})})


@pytest.mark.parametrize("name", [None, "csa", "se", "sta"])
def test_the_content_of_the_padding_changes_nothing(name):
    network = small() if name is None else attended("encoder", name)
    features = torch.randn(1, 4, 10)
    valid = torch.arange(10)[None] < 7
    other = torch.where(valid[:, None], features, torch.nan)
    for one, two in zip(network(features, valid), network(other, valid), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("variant", ["code", "paper"])
def test_boundaries_of_the_valid_steps_are_those_of_the_shorter_sequence(variant):
    long, short = small(10, variant=variant), small(7, variant=variant)
    short.load_state_dict(long.state_dict())
    features = torch.randn(2, 4, 10)
    valid = (torch.arange(10) < 7).expand(2, -1)
    padded, cropped = long(features, valid), short(features[:, :, :7])
    torch.testing.assert_close(padded.start[:, :7], cropped.start)
    torch.testing.assert_close(padded.end[:, :7], cropped.end)


def test_no_mask_is_the_full_mask():
    network, features = small(), torch.randn(2, 4, 10)
    full = torch.ones(2, 10, dtype=torch.bool)
    for one, two in zip(network(features), network(features, full), strict=True):
        torch.testing.assert_close(one, two)


def test_mixed_precision_trains():
    network = attended("encoder", "csa")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(torch.randn(2, 4, 10), torch.arange(10) < torch.tensor([[10], [6]]))
    made = targets(truth_of([[2.0, 6.0]]), Timeline(10, 1.0, 1.0, 1.0, 10.0))
    loss(output, {k: torch.from_numpy(np.stack([v, v])) for k, v in made.items()})[
        "total"
    ].backward()
    assert all(part.dtype == torch.float32 for part in output)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


class Probe(nn.Module):
    def forward(self, feature, context, valid=None):
        self.seen = (feature.shape[1], context)
        return feature


def test_attention_reads_r_at_every_site():
    dims = {"input": 4, "middle": 8, "encoder": 8}
    probes = {site: Probe() for site in SITES}
    features = torch.randn(1, 4, 10)
    probed(probes)(features)
    for site, probe in probes.items():
        assert probe.seen[0] == dims[site]
        torch.testing.assert_close(probe.seen[1], features)


def test_the_papers_encoder_is_half_as_wide():
    probe = Probe()
    network = small(variant="paper", attention={"encoder": ("none", {})})
    network.sites["encoder"] = probe
    network(torch.randn(1, 4, 10))
    assert probe.seen[0] == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_duration": 11}, "max_duration"),
        ({"max_duration": 0}, "max_duration"),
        ({"groups": 3}, "groups"),
        ({"layout": "start_end", "max_duration": 4}, "start_end"),
        ({"attention": {"decoder": ("se", {})}}, "attention.decoder"),
    ],
)
def test_settings_that_do_not_fit(options, message):
    def build():
        check_options(BMN, options)
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
    detector = DETECTORS["bmn"]
    network = detector.network(
        6, length, hidden_dim=16, sampled_dim=32, map_dim=16, groups=1, bins=8, samples=2
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
