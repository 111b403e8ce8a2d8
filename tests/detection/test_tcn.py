"""TCN, its weak kin and the framewise baseline: lengths, padding, batches, sites; they learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attentad.core import AttentadError, Timeline, as_segments, tiou
from attentad.core.found import Truth
from attentad.detection import DETECTORS, tcn, tcn_weak
from attentad.detection.framewise import Framewise
from attentad.detection.tcn import TCN
from attentad.detection.tcn_weak import WeakTCN
from attentad.suppression import suppress

C_IN, K = 5, 2
NETWORKS = {
    "tcn": lambda: TCN(C_IN, K, hidden_dim=8, blocks=3),
    "tcn sigmoid": lambda: TCN(C_IN, K, hidden_dim=8, blocks=3, activation="sigmoid"),
    "tcn stages": lambda: TCN(C_IN, K, hidden_dim=8, blocks=2, stages=3, input_norm="video"),
    "tcn_weak": lambda: WeakTCN(C_IN, K, hidden_dim=8, attention_dim=4),
    "framewise": lambda: Framewise(C_IN, K, input_norm="video"),
}


def built(name):
    torch.manual_seed(0)
    return NETWORKS[name]().eval()


def tensors(outputs):
    """The outputs with time last."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    named = hasattr(outputs, "_fields")
    return [outputs[0].transpose(1, 2), outputs[1]] if named else list(outputs)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_any_length(name, steps):
    for part in tensors(built(name)(torch.randn(2, C_IN, steps))):
        assert part.shape[-1] == steps
        assert part.isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_changes_nothing(name):
    network, features = built(name), torch.randn(1, C_IN, 9)
    plain = tensors(network(features))
    for filling in (0.0, torch.nan):
        wide = torch.cat([features, torch.full((1, C_IN, 30), filling)], dim=2)
        valid = torch.arange(39)[None] < 9
        for one, other in zip(plain, tensors(network(wide, valid)), strict=True):
            torch.testing.assert_close(other[..., :9], one, atol=1e-5, rtol=0)
            assert not other[..., 9:].any()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_is_its_items(name):
    network, features = built(name), torch.randn(3, C_IN, 12)
    valid = torch.arange(12) < torch.tensor([[12], [5], [1]])
    batch = tensors(network(features, valid))
    for i in range(3):
        alone = tensors(network(features[i : i + 1], valid[i : i + 1]))
        for part, one in zip(batch, alone, strict=True):
            torch.testing.assert_close(part[i : i + 1], one, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_wrong_width_and_no_class_are_told(name):
    with pytest.raises(AttentadError, match="built for 5 channels and got 6"):
        built(name)(torch.randn(1, 6, 4))
    with pytest.raises(AttentadError, match="at least 1 class"):
        type(built(name))(C_IN, 0)


def test_the_last_block_sees_as_far_as_its_dilations_say():
    network = built("tcn")
    features = torch.randn(1, C_IN, 41, requires_grad=True)
    network(features)[-1][0, :, 20].sum().backward()
    assert features.grad is not None
    seen = features.grad[0].abs().sum(0).nonzero().flatten()
    assert (seen.min(), seen.max()) == (20 - 7, 20 + 7)  # 1 + 2 + 4


def test_a_later_stage_reads_the_probabilities_before_it():
    network = built("tcn stages")
    features = torch.randn(1, C_IN, 11)
    first, second, _ = network(features)
    stage = network.stages[1]
    hidden = stage.stem(torch.softmax(first, 1))
    for block in stage.blocks:
        hidden = block(hidden, None)
    torch.testing.assert_close(stage.logits(hidden, None), second)


def test_noise_is_for_training_alone():
    network = TCN(C_IN, K, hidden_dim=8, blocks=1, dropout=0.0, input_noise=0.5)
    features, valid = torch.randn(1, C_IN, 6), torch.arange(6)[None] < 4
    one, two = (network(features, valid)[0] for _ in range(2))
    assert not torch.equal(one, two)
    assert not one[..., 4:].any()
    network.eval()
    torch.testing.assert_close(network(features, valid)[0], network(features, valid)[0])


@pytest.mark.parametrize("site", ["input", "block1", "block3", "encoder"])
def test_attention_stands_at_every_site(site):
    def network(length, **attention):
        torch.manual_seed(0)
        return TCN(C_IN, K, length, hidden_dim=8, blocks=3, attention=attention or None).eval()

    features = torch.randn(1, C_IN, 10)
    plain = network(None)(features)[0]
    torch.testing.assert_close(network(None, **{site: ("none", {})})(features)[0], plain)
    assert not torch.equal(network(10, **{site: ("csa", {})})(features)[0], plain)
    assert not torch.equal(network(None, **{site: ("se", {"reduction": 2})})(features)[0], plain)


def test_csa_needs_one_length():
    with pytest.raises(AttentadError, match="csa is made for a fixed number of steps"):
        TCN(C_IN, K, attention={"encoder": ("csa", {})})


def fitted(detector, network, batch, steps=250, lr=0.02, **options):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    for _ in range(steps):
        terms = detector.loss(
            network(batch["features"], batch["valid"]), batch["targets"], batch["valid"], **options
        )
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
    return network.eval()


ACTIONS = [([(3, 9), (14, 18)], [0, 1]), ([(5, 12)], [1]), ([], [])]


WEAK = [([(2 + 7 * video % 20, 9 + 7 * video % 20)], [video % 2]) for video in range(12)]


def batch_of(detector, actions, steps=20):
    lines = [Timeline(steps, 1.0, 1.0, 1.0, float(steps)) for _ in actions]
    truths = [Truth(as_segments(a), np.array(b, dtype=np.int64), K) for a, b in actions]
    made = [detector.targets(truth, line) for truth, line in zip(truths, lines, strict=True)]
    torch.manual_seed(1)
    features = 0.1 * torch.randn(len(actions), C_IN, steps)
    features[:, -1] += 1  # nothing is on
    for item, (segments, labels) in enumerate(actions):
        for (start, end), label in zip(segments, labels, strict=True):
            features[item, label, start:end] += 1
            features[item, -1, start:end] -= 1
    stacked = {key: torch.stack([torch.from_numpy(m[key]) for m in made]) for key in made[0]}
    valid = torch.ones(len(actions), steps, dtype=torch.bool)
    return {"features": features, "valid": valid, "targets": stacked}, lines


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tcn", {}),
        ("tcn", {"activation": "sigmoid"}),
        ("tcn", {"stages": 2}),
        ("framewise", {}),
        ("framewise", {"activation": "sigmoid"}),
    ],
)
def test_overfits_one_batch(name, options):
    detector = DETECTORS[name]
    batch, lines = batch_of(detector, ACTIONS)
    torch.manual_seed(0)
    sizes = {"hidden_dim": 16, "blocks": 3, "dropout": 0.0} if name == "tcn" else {}
    told = {key: value for key, value in options.items() if key == "activation"}
    smooth = {"smoothing_weight": 0.01} if name == "tcn" else {}
    network = detector.network(C_IN, K, **sizes, **options)
    network = fitted(detector, network, batch, **smooth, **told)
    found = detector.decode(network(batch["features"]), lines, smoothing=1, **told)
    for (segments, labels), one in zip(ACTIONS, found, strict=True):
        kept = suppress(one.detections, method="hard")
        best = kept[: len(labels)]
        for segment, label in zip(segments, labels, strict=True):
            overlap = tiou(as_segments([segment]), best.segments[best.labels == label])
            assert overlap.max() > 0.8
        assert not labels or best.scores.min() > 0.5
        assert labels or (kept.scores < 0.5).all()


def test_weak_learns_where_from_what():
    detector = DETECTORS["tcn_weak"]
    assert detector.weak
    batch, lines = batch_of(detector, WEAK, steps=32)
    torch.manual_seed(0)
    network = WeakTCN(C_IN, K, hidden_dim=16, attention_dim=16, dropout=0.2)
    fitted(detector, network, batch, steps=150, lr=0.01)
    found = tcn_weak.decode(network(batch["features"]), lines, smoothing=1)
    overlaps = []
    for ((segment,), (label,)), one in zip(WEAK, found, strict=True):
        best = one.detections[:1]
        assert best.labels.tolist() == [label]
        assert one.class_probabilities is not None
        assert one.class_probabilities.argmax() == label
        overlaps.append(tiou(as_segments([segment]), best.segments)[0, 0])
    # Nothing told it where an action ends.
    assert np.mean(overlaps) > 0.5


def test_outputs_that_are_not_finite_are_told():
    line = Timeline(3, 1.0, 1.0, 1.0, 3.0)
    with pytest.raises(AttentadError, match="not finite"):
        tcn.decode((torch.full((1, 3, 3), torch.nan),), [line])


def test_curves_are_the_classes_probabilities():
    network = built("tcn")
    features = torch.randn(1, C_IN, 6)
    (found,) = tcn.decode(network(features), [Timeline(6, 1.0, 1.0, 1.0, 6.0)])
    wanted = torch.softmax(network(features)[-1], 1)[0, :K].detach().numpy()
    assert [curve.label for curve in found.curves] == [0, 1]
    for curve, row in zip(found.curves, wanted, strict=True):
        assert curve.kind == "class scores"
        assert curve.value == pytest.approx(row, abs=1e-6)
