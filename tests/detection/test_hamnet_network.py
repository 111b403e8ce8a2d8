"""HAM-Net's network: layers, pooling, batches, padding, its site; that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from attentad.attention import ATTENTION
from attentad.core import AttentadError, Timeline, as_segments, tiou
from attentad.core.found import Truth
from attentad.core.options import check_options
from attentad.detection import DETECTORS
from attentad.detection.hamnet import HAMNet, decode, loss, targets
from attentad.suppression import suppress

C_IN, T = 8, 12
OPTIONS = {"classes": 3, "hidden_dim": 8, "attention_dim": 5}


def hot_labels(labels, classes):
    truth = Truth(as_segments([]), np.array(labels, dtype=np.int64), classes)
    return targets(truth, Timeline(T, 1.0, 1.0, 1.0, float(T)))["labels"]


def small(**options):
    torch.manual_seed(0)
    return HAMNet(C_IN, T, **OPTIONS | options).eval()


def probed(module):
    """A small network with this module at its site."""
    network = small(attention={"input": ("none", {})})
    network.sites["input"] = module
    return network


def batch_of(network):
    """Features and targets of three videos."""
    torch.manual_seed(0)
    labels = [[0], [1, 2], []]
    hot = torch.stack([torch.from_numpy(hot_labels(one, 3)) for one in labels])
    return torch.randn(3, network.feature_dim, T), {"labels": hot}


def test_published_parameter_count():
    # Spec hamnet §1.2 with 2048 channels and 20 classes.
    classification = 2 * (2048 * 3 + 1) * 2048 + (2048 + 1) * 21
    attention = (2048 * 3 + 1) * 512 + (512 * 3 + 1) * 512 + 512 + 1
    network = HAMNet(2048, 500, classes=20)
    assert sum(p.numel() for p in network.parameters()) == classification + attention


def test_is_its_layers():
    network = small().double()
    for conv in (network.conv_1, network.conv_2, network.classifier):
        nn.init.normal_(conv.bias)
    features = torch.randn(2, C_IN, T, dtype=torch.double)
    hidden = features
    for conv in (network.conv_1, network.conv_2):
        padded = nn.functional.pad(hidden, (1, 1))
        hidden = (
            sum(conv.weight[:, :, j] @ padded[:, :, j : j + T] for j in range(3))
            + conv.bias[:, None]
        )
        hidden = hidden.clamp(min=0) + 0.2 * hidden.clamp(max=0)
    scores = network.classifier.weight[:, :, 0] @ hidden + network.classifier.bias[:, None]
    output = network(features)
    torch.testing.assert_close(output.scores, scores.transpose(1, 2))
    torch.testing.assert_close(output.attention, network.foreground(features))
    assert output.scores.shape == (2, T, 4)
    assert output.scores.max() > 0 > output.scores.min()


def test_initialisation():
    torch.manual_seed(0)
    network = HAMNet(30, T, classes=3, hidden_dim=40)
    for conv in (network.conv_1, network.conv_2, network.classifier, network.foreground.conv_1):
        bound = (6 / (conv.in_channels * conv.kernel_size[0])) ** 0.5
        assert (conv.bias == 0).all()
        assert 0.9 * bound < conv.weight.abs().max() <= bound
    sites = HAMNet(C_IN, T, **OPTIONS, attention={"input": ("csa", {})}).sites
    assert all(conv.bias.any() for conv in sites.modules() if isinstance(conv, nn.Conv1d))


def test_dropout_is_before_the_last_layer():
    network, features = small(dropout=0.5), torch.randn(1, C_IN, T)
    assert network.dropout.p == 0.5
    assert torch.equal(network(features).scores, network(features).scores)
    network.train()
    assert not torch.equal(network(features).scores, network(features).scores)
    assert torch.equal(network(features).attention, network(features).attention)
    without = small(dropout=0).train()
    assert torch.equal(without(features).scores, without(features).scores)


def test_hidden_dim_is_that_of_the_features_by_default():
    assert HAMNet(C_IN, T, classes=2).conv_1.out_channels == C_IN


@pytest.mark.parametrize("smooth", ["in_network", "test_only", "off"])
@pytest.mark.parametrize("training", [False, True])
def test_smoothing(smooth, training):
    plain = small(dropout=0).train(training)
    smoothed = small(dropout=0, pool_steps=5, smooth=smooth).train(training)
    features = torch.randn(2, C_IN, T)
    before, after = plain(features), smoothed(features)
    active = smooth == "in_network" or (smooth == "test_only" and not training)
    for one, two in zip(before, after, strict=True):
        if active:
            padded = nn.functional.pad(one, (0, 0, 2, 2) if one.dim() == 3 else (2, 2))
            one = sum(padded[:, j : j + T] for j in range(5)) / 5
        torch.testing.assert_close(two, one)


@pytest.mark.parametrize("pool_steps", [1, 5])
def test_valid_snippets_are_those_of_the_shorter_video(pool_steps):
    network = small(pool_steps=pool_steps)
    features = torch.randn(3, C_IN, T)
    lengths = (T, 7, 1)
    valid = torch.arange(T) < torch.tensor(lengths)[:, None]
    nan = features.masked_fill(~valid[:, None], torch.nan)
    padded, filled = network(features, valid), network(nan, valid)
    for i, n in enumerate(lengths):
        single = network(features[i : i + 1, :, :n])
        for one, many, other in zip(single, padded, filled, strict=True):
            torch.testing.assert_close(many[i, :n], one[0], atol=1e-6, rtol=1e-5)
            torch.testing.assert_close(other[i], many[i])
            assert (many[i, n:] == 0).all()


def test_no_mask_is_the_full_mask_and_any_length_goes():
    network = small()
    features = torch.randn(2, C_IN, 3 * T)
    full = torch.ones(2, 3 * T, dtype=torch.bool)
    for one, two in zip(network(features), network(features, full), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("name", [name for name in ATTENTION if name != "none"])
def test_every_attention_at_the_input(name):
    network = small(attention={"input": (name, {})})
    features, made = batch_of(network)
    valid = torch.arange(T) < torch.tensor([[T], [7], [1]])
    output = network(features, valid)
    plain = small()(features, valid)
    assert not torch.allclose(output.scores[0], plain.scores[0])
    assert not torch.allclose(output.attention[0], plain.attention[0])
    for i in range(3):
        single = network(features[i : i + 1], valid[i : i + 1])
        for one, many in zip(single, output, strict=True):
            torch.testing.assert_close(one[0], many[i], atol=1e-6, rtol=1e-5)
    nan = network(features.masked_fill(~valid[:, None], torch.nan), valid)
    for one, two in zip(output, nan, strict=True):
        torch.testing.assert_close(one, two)
    loss(output, made, valid)["total"].backward()
    assert all(p.grad is not None for p in network.sites.parameters())


def test_attention_reads_r():
    class Probe(nn.Module):
        def forward(self, feature, context, valid=None):
            self.seen = (feature, context, valid)
            return 2 * feature

    probe, features = Probe(), torch.randn(1, C_IN, T)
    valid = torch.arange(T)[None] < 5
    output = probed(probe)(features, valid)
    kept = features * valid
    torch.testing.assert_close(probe.seen[0], kept)
    torch.testing.assert_close(probe.seen[1], kept)
    assert probe.seen[2] is valid
    torch.testing.assert_close(output.scores, small()(2 * features, valid).scores)


def test_what_attention_writes_beyond_the_video_goes_nowhere():
    class Writes(nn.Module):
        def forward(self, feature, context, valid=None):
            return feature + 1

    features, network = torch.randn(1, C_IN, T), probed(Writes())
    padded = network(features, torch.arange(T)[None] < 5)
    for one, many in zip(network(features[..., :5]), padded, strict=True):
        torch.testing.assert_close(many[:, :5], one)


def test_mixed_precision_trains():
    network = small().train()
    features, made = batch_of(network)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(features, torch.arange(T) < torch.tensor([[T], [7], [1]]))
    assert all(part.dtype == torch.float32 for part in output)
    loss(output, made)["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_targets():
    assert hot_labels([2, 0, 2], 4).tolist() == [1, 0, 1, 0]
    assert hot_labels([], 2).tolist() == [0, 0]
    assert hot_labels([0], 1).dtype == np.float32
    for wrong in (4, -1):
        with pytest.raises(AttentadError, match=f"no class {wrong} among 4"):
            hot_labels([0, wrong], 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 0}, "at least 1 class"),
        ({"hidden_dim": 0}, "hidden_dim"),
        ({"attention_dim": 0}, "attention_dim"),
        ({"pool_steps": 4}, "pool_steps"),
        ({"pool_steps": -1}, "pool_steps"),
        ({"dropout": 1.0}, "dropout"),
        ({"attention": {"encoder": ("se", {})}}, "attention.encoder"),
    ],
)
def test_settings_that_do_not_fit(options, message):
    def build():
        check_options(HAMNet, options)
        small(**options)

    with pytest.raises(AttentadError, match=message):
        build()


def test_wrong_input_is_refused():
    with pytest.raises(AttentadError, match="8 channels and got 5"):
        small()(torch.randn(1, 5, T))


def test_nan_is_not_hidden():
    network = small()
    features, made = batch_of(network)
    features[1, 0, 3] = torch.nan
    output = network(features)
    assert output.scores[0].isfinite().all()
    assert loss(output, made)["total"].isnan()
    with pytest.raises(AttentadError, match="not finite"):
        decode(output, [Timeline(T, 1.0, 1.0, 1.0, float(T))] * 3)


# Video → class, first snippet and the one after the last. With fewer videos noise would do as well
# to tell the classes apart, and nothing says that it may not.
ACTIONS = {video: (video % 2, 2 + 7 * video % 20, 9 + 7 * video % 20) for video in range(12)}


def planted(length=32, dims=8):
    """Videos with an action each: its class's direction is on in its snippets."""
    draw = torch.Generator().manual_seed(0)
    features = 0.2 * torch.randn(len(ACTIONS), dims, length, generator=draw)
    features[:, 0] += 1
    for video, (label, start, end) in ACTIONS.items():
        features[video, 0, start:end] -= 1
        features[video, 1 + label, start:end] += 1
    return features


def test_learns_one_batch_and_finds_its_actions_from_video_labels():
    detector = DETECTORS["hamnet"]
    assert detector.weak
    torch.manual_seed(0)
    network = detector.network(8, 32, classes=2, hidden_dim=16, attention_dim=16, dropout=0.2)
    features = planted()
    made = [{"labels": hot_labels([label], 2)} for label, _, _ in ACTIONS.values()]
    batch = {"labels": torch.from_numpy(np.stack([one["labels"] for one in made]))}
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    first = None
    for _ in range(150):
        optimiser.zero_grad()
        total = detector.loss(network(features), batch)["total"]
        total.backward()
        optimiser.step()
        first = first or total.item()
    assert total.item() < 0.6 * first
    with torch.no_grad():
        outputs = network.eval()(features)
    found = detector.decode(outputs, [Timeline(32, 1.0, 1.0, 1.0, 32.0)] * len(ACTIONS))
    overlaps = []
    for video, (label, start, end) in ACTIONS.items():
        assert found[video].class_probabilities.argmax() == label
        best = suppress(found[video].detections, sigma=0.3, plus_one=True, negative="keep")[0]
        assert best.labels == label
        # Nothing told it where an action ends: its surest core will do.
        assert start < best.segments.mean() < end
        overlaps.append(tiou(best.segments[None], np.array([[start, end]], dtype=float))[0, 0])
    assert np.mean(overlaps) > 0.5
