"""The weak losses against loops over videos, classes and snippets, and golden values."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError
from attentad.core.options import check_options
from attentad.detection import GIVEN
from attentad.detection.hamnet import HAMOutput, loss
from attentad.layers.weak_losses import (
    guide_loss,
    hybrid_attentions,
    hybrid_scores,
    multiple_instance_loss,
    sparsity_loss,
    top_k_mean,
)

# Spec hamnet §9: T = 6, C = 2 and the background, k = 2, the video holds the first class.
ATTENTION = torch.tensor([[0.9, 0.5, 0.1, 1, 0.15, 0.05]], dtype=torch.double)
SCORES = torch.tensor(
    [[[2, 0, -1], [1, 0.5, 0], [-1, 0, 2], [3, -1, 0], [0, 1, 1], [-2, 0.5, 3]]],
    dtype=torch.double,
)
LABELS = torch.tensor([[1.0, 0.0]], dtype=torch.double)
GOLDEN = {
    "base": 0.776426,
    "hard": 1.477746,
    "soft": 0.197905,
    "semi_soft": 1.149117,
    "sparsity": 0.45,
    "guide": 0.155624,
}
TERMS = tuple(GOLDEN)


def weak_losses(scores, attention, labels, valid=None, **options):
    return loss(HAMOutput(scores, attention), {"labels": labels}, valid, **options)


def loss_weights(w, first=1.0, second=1.0):
    """λ0 to λ3 in the form of the published code: `w` is the share of the dropped sequences."""
    return {
        "base_weight": first * (1 - w),
        "soft_weight": second * (1 - w),
        "semi_soft_weight": second * w,
        "hard_weight": first * w,
    }


# --- the reference ------------------------------------------------------------------------------


def slow_kept(a, gamma=0.2, threshold="relative", drop="most_discriminative"):
    """k of one video, a list of 0 and 1."""
    theta = {
        "relative": gamma * max(a),
        "absolute": gamma,
        "minmax": min(a) + gamma * (max(a) - min(a)),
    }[threshold]
    below = [1.0 if value < theta else 0.0 for value in a]
    return below if drop == "most_discriminative" else [1 - value for value in below]


def slow_sequences(s, a, dropped_value="class_min", **options):
    """Name → the sequence of one video as lists, by the table of spec §1.3."""
    kept = slow_kept(a, **options)
    found = {"base": [], "soft": [], "semi_soft": [], "hard": []}
    for t, row in enumerate(s):
        m = min(row) if dropped_value == "class_min" else 0.0
        found["base"].append(list(row))
        found["soft"].append([a[t] * x for x in row])
        found["semi_soft"].append([kept[t] * a[t] * (x - m) + m for x in row])
        found["hard"].append([kept[t] * (x - m) + m for x in row])
    return found


def slow_top_k(sequence, ratio=10.0, k=None):
    """Video-level score of each class."""
    length = len(sequence)
    count = max(1, math.floor(length / ratio)) if k is None else min(k, length)
    columns = [sorted((row[c] for row in sequence), reverse=True) for c in range(len(sequence[0]))]
    return [sum(column[:count]) / count for column in columns]


def slow_softmax(values):
    exponentials = [math.exp(v) for v in values]
    return [e / sum(exponentials) for e in exponentials]


def slow_losses(
    s, a, y, *, top_k_ratio=10.0, top_k=None, normalize=True, reduction="mean", **options
):
    """The six terms of one video."""
    found = {}
    for name, sequence in slow_sequences(s, a, **options).items():
        target = [*y, 1.0 if name in ("base", "hard") else 0.0]
        if normalize:
            target = [value / (sum(target) + 1e-4) for value in target]
        p = slow_softmax(slow_top_k(sequence, top_k_ratio, top_k))
        found[name] = -sum(t * math.log(q) for t, q in zip(target, p, strict=True))
    divisor = len(a) if reduction == "mean" else 1
    found["sparsity"] = sum(a) / divisor
    gaps = [abs(1 - a[t] - slow_softmax(row)[-1]) for t, row in enumerate(s)]
    found["guide"] = sum(gaps) / divisor
    return found


def make(batch, length, classes, seed):
    draw = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(batch, length, classes + 1, generator=draw, dtype=torch.double)
    attention = torch.rand(batch, length, generator=draw, dtype=torch.double)
    labels = torch.randint(0, 2, (batch, classes), generator=draw).double()
    lengths = torch.randint(1, length + 1, (batch, 1), generator=draw)
    return scores, attention, labels, torch.arange(length) < lengths


# --- golden values ------------------------------------------------------------------------------


def test_golden_losses():
    terms = weak_losses(SCORES, ATTENTION, LABELS, top_k_ratio=3.0)
    for name, expected in GOLDEN.items():
        assert terms[name].item() == pytest.approx(expected, abs=1e-6)
    weighted = 0.8 * (GOLDEN["base"] + GOLDEN["soft"]) + 0.2 * (GOLDEN["hard"])
    weighted += 0.2 * GOLDEN["semi_soft"] + 0.8 * (GOLDEN["sparsity"] + GOLDEN["guide"])
    assert terms["total"].item() == pytest.approx(weighted, abs=1e-5)


def test_golden_losses_with_fixed_k():
    terms = weak_losses(SCORES, ATTENTION, LABELS, top_k=2)
    assert all(terms[name].item() == pytest.approx(GOLDEN[name], abs=1e-6) for name in TERMS)


def test_golden_kept_mask():
    assert hybrid_attentions(ATTENTION).hard.tolist() == [[0, 0, 1, 0, 1, 1]]


# --- against the reference ----------------------------------------------------------------------

OPTIONS = st.fixed_dictionaries(
    {
        "threshold": st.sampled_from(["relative", "absolute", "minmax"]),
        "dropped_value": st.sampled_from(["class_min", "zero"]),
        "drop": st.sampled_from(["most_discriminative", "inverse"]),
        "gamma": st.sampled_from([0.0, 0.2, 0.5, 1.0]),
        "top_k": st.sampled_from([None, 1, 4, 100]),
        "top_k_ratio": st.sampled_from([1.0, 2.5, 10.0]),
        "normalize_labels": st.booleans(),
        "reduction": st.sampled_from(["mean", "sum_time_mean_batch"]),
    }
)


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(1, 4), OPTIONS, st.integers(0, 10_000))
def test_is_the_mean_of_the_reference_over_the_videos(batch, length, classes, options, seed):
    scores, attention, labels, valid = make(batch, length, classes, seed)
    terms = weak_losses(scores, attention, labels, valid, **options)
    slow = dict(options)
    slow["normalize"] = slow.pop("normalize_labels")
    steps = valid.sum(1).tolist()
    each = [
        slow_losses(scores[b, :n].tolist(), attention[b, :n].tolist(), labels[b].tolist(), **slow)
        for b, n in enumerate(steps)
    ]
    for name in TERMS:
        expected = sum(one[name] for one in each) / batch
        assert terms[name].item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.sampled_from([0.3, 0.7, 1.0, 3.0, 10.0]), st.integers(0, 1000))
def test_top_k_follows_each_videos_length(length, ratio, seed):
    scores, _, _, valid = make(3, length, 2, seed)
    found = top_k_mean(scores, valid, ratio=ratio)
    for b, n in enumerate(valid.sum(1).tolist()):
        count = min(n, max(1, math.floor(n / ratio)))
        expected = slow_top_k(scores[b, :n].tolist(), k=count)
        assert found[b].tolist() == pytest.approx(expected, rel=1e-12)


# --- invariances --------------------------------------------------------------------------------


def gradients(scores, attention, labels, valid, **options):
    """Terms, and the gradients by scores and attention."""
    inputs = [part.clone().requires_grad_() for part in (scores, attention)]
    terms = weak_losses(*inputs, labels, valid, **options)
    return terms, torch.autograd.grad(terms["total"], inputs)


@pytest.mark.parametrize("threshold", ["relative", "absolute", "minmax"])
@pytest.mark.parametrize("dropped_value", ["class_min", "zero"])
@pytest.mark.parametrize("content", [50.0, -50.0, math.nan])
def test_the_content_of_the_padding_changes_nothing(threshold, dropped_value, content):
    options = {"threshold": threshold, "dropped_value": dropped_value}
    scores, attention, labels, _ = make(2, 9, 3, 0)
    valid = torch.arange(9) < torch.tensor([[9], [4]])
    filled = scores.masked_fill(~valid[..., None], content), attention.masked_fill(~valid, content)
    one, grads = gradients(scores, attention, labels, valid, **options)
    two, others = gradients(*filled, labels, valid, **options)
    for name, value in one.items():
        torch.testing.assert_close(value, two[name])
    for grad, other in zip(grads, others, strict=True):
        torch.testing.assert_close(grad, other)
        assert (grad[~valid] == 0).all()
    shorter, _ = gradients(scores[1:, :4], attention[1:, :4], labels[1:], None, **options)
    padded, _ = gradients(scores[1:], attention[1:], labels[1:], valid[1:], **options)
    for name, value in shorter.items():
        torch.testing.assert_close(value, padded[name])


def test_the_loss_of_a_batch_is_the_mean_of_single_losses():
    scores, attention, labels, valid = make(4, 11, 3, 1)
    whole = weak_losses(scores, attention, labels, valid)
    parts = [
        weak_losses(scores[i : i + 1], attention[i : i + 1], labels[i : i + 1], valid[i : i + 1])
        for i in range(4)
    ]
    for name, value in whole.items():
        torch.testing.assert_close(value, torch.stack([part[name] for part in parts]).mean())


def test_no_mask_is_the_full_mask():
    scores, attention, labels, valid = make(3, 8, 2, 2)
    full = torch.ones_like(valid)
    for name, value in weak_losses(scores, attention, labels).items():
        torch.testing.assert_close(value, weak_losses(scores, attention, labels, full)[name])


def test_videos_of_one_snippet_of_none_and_without_or_with_all_classes():
    scores, attention, _, _ = make(4, 3, 2, 3)
    labels = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]).double()
    valid = torch.arange(3) < torch.tensor([[3], [3], [1], [0]])
    terms, grads = gradients(scores, attention, labels, valid, threshold="minmax")
    assert all(value.isfinite() for value in terms.values())
    assert all(grad.isfinite().all() for grad in grads)
    # Nothing to say of the foreground: the terms that leave the background out are silent.
    nothing = weak_losses(scores[:1], attention[:1], labels[:1])
    assert nothing["soft"] == nothing["semi_soft"] == 0
    assert nothing["base"] > 0


def test_nan_is_not_hidden():
    scores, attention, labels, _ = make(2, 5, 2, 4)
    scores[1, 2, 0] = torch.nan
    terms = weak_losses(scores, attention, labels)
    assert terms["total"].isnan()
    attention[0, 0] = torch.nan
    assert sparsity_loss(attention).isnan()


# --- options ------------------------------------------------------------------------------------


def test_gradients_flow_as_in_the_published_code():
    """Semi-soft and soft train the attention; hard does not, as k is a constant."""
    attends = {"base": False, "soft": True, "semi_soft": True, "hard": False}
    for name, expected in attends.items():
        attention = ATTENTION.clone().requires_grad_()
        scores = SCORES.clone().requires_grad_()
        sequence = getattr(hybrid_scores(scores, hybrid_attentions(attention)), name)
        term = multiple_instance_loss(top_k_mean(sequence, ratio=3.0), LABELS, background=1.0)
        by_scores, by_attention = torch.autograd.grad(term, [scores, attention], allow_unused=True)
        assert by_scores.abs().sum() > 0
        flows = by_attention is not None and bool(by_attention.abs().sum() > 0)
        assert flows is expected
    # A dropped snippet's scores become its lowest, whose gradient is that score's.
    scores = SCORES.clone().requires_grad_()
    hybrid_scores(scores, hybrid_attentions(ATTENTION)).hard[0, 0].sum().backward()
    assert scores.grad[0, 0].tolist() == [0, 0, 3]


def test_dropped_value():
    attentions = hybrid_attentions(ATTENTION)
    scored = hybrid_scores(SCORES, attentions)
    assert scored.hard[0, 0].tolist() == [-1, -1, -1]
    assert scored.hard[0, 2].tolist() == [-1, 0, 2]
    scored = hybrid_scores(SCORES, attentions, dropped_value="zero")
    assert scored.hard[0, 0].tolist() == scored.semi_soft[0, 0].tolist() == [0, 0, 0]
    assert scored.semi_soft[0, 2].tolist() == pytest.approx([-0.1, 0, 0.2])


def test_thresholds():
    attention = torch.tensor([[0.2, 0.3, 0.6]])
    kept = {
        rule: hybrid_attentions(attention, gamma=0.4, threshold=rule).hard[0].tolist()
        for rule in ("relative", "absolute", "minmax")
    }
    assert kept == {"relative": [1, 0, 0], "absolute": [1, 1, 0], "minmax": [1, 1, 0]}
    assert hybrid_attentions(attention, gamma=0.3, threshold="absolute").hard[0].tolist() == [
        1,
        0,
        0,
    ]
    # θ is the video's own, of its valid snippets.
    pair = torch.tensor([[0.1, 0.3, 1.0], [0.1, 0.3, 0.4]])
    assert hybrid_attentions(pair, gamma=0.5).hard.tolist() == [[1, 1, 0], [1, 0, 0]]
    valid = torch.tensor([[True, True, False]])
    assert hybrid_attentions(pair[:1], valid, gamma=0.5).hard.tolist() == [[1, 0, 0]]


def test_drop_variants():
    attention = torch.rand(1, 2000)
    usual, inverse = (
        hybrid_attentions(attention, drop=drop) for drop in ("most_discriminative", "inverse")
    )
    assert ((usual.hard + inverse.hard) == 1).all()
    torch.testing.assert_close(inverse.semi_soft, inverse.hard * attention)
    valid = torch.arange(2000)[None] < 1000
    assert (hybrid_attentions(attention, valid, drop="inverse").hard[~valid] == 0).all()
    one, two = (
        hybrid_attentions(
            attention, drop="random", drop_probability=0.3, generator=draw.manual_seed(seed)
        ).hard
        for seed in (0, 1)
        for draw in [torch.Generator()]
    )
    assert one.mean().item() == pytest.approx(0.7, abs=0.05)
    assert not torch.equal(one, two)
    assert not torch.equal(
        hybrid_attentions(attention, drop="random").hard,
        hybrid_attentions(attention, drop="random").hard,
    )
    assert hybrid_attentions(attention, drop="random", drop_probability=0).hard.all()
    assert not hybrid_attentions(attention, drop="random", drop_probability=1).hard.any()


def test_random_drop_reaches_the_losses():
    draw = torch.Generator()
    terms = [
        weak_losses(
            SCORES,
            ATTENTION,
            LABELS,
            drop="random",
            drop_probability=p,
            generator=draw.manual_seed(0),
        )
        for p in (0.0, 0.0, 0.5)
    ]
    assert terms[0]["hard"] == terms[1]["hard"] == terms[0]["base"]
    assert terms[2]["hard"] != terms[0]["hard"]


def test_label_normalisation():
    logits, labels = torch.zeros(1, 3), torch.ones(1, 2)
    plain = multiple_instance_loss(logits, labels, background=1, normalize_labels=False)
    assert plain.item() == pytest.approx(3 * math.log(3))
    normal = multiple_instance_loss(logits, labels, background=1)
    assert normal.item() == pytest.approx(math.log(3), rel=1e-4)
    assert normal < math.log(3)  # 1e-4 in the denominator


def test_reduction_of_sparsity_and_guide():
    scores, attention, _, valid = make(3, 7, 2, 5)
    for mean, summed in [
        (sparsity_loss(attention), sparsity_loss(attention, reduction="sum_time_mean_batch")),
        (
            guide_loss(attention, scores),
            guide_loss(attention, scores, reduction="sum_time_mean_batch"),
        ),
    ]:
        torch.testing.assert_close(7 * mean, summed)
    alone = sparsity_loss(attention[:, :1], valid[:, :1])
    torch.testing.assert_close(alone, attention[:, 0].mean())


def test_guide_trains_both():
    attention, scores = ATTENTION.clone().requires_grad_(), SCORES.clone().requires_grad_()
    guide_loss(attention, scores).backward()
    assert attention.grad.abs().min() > 0
    assert scores.grad.abs().min() > 0


@pytest.mark.parametrize("name", TERMS)
def test_each_term_has_its_weight(name):
    weights = {f"{term}_weight": 0.0 for term in TERMS}
    terms = weak_losses(SCORES, ATTENTION, LABELS, **weights)
    assert terms["total"] == 0
    terms = weak_losses(SCORES, ATTENTION, LABELS, **weights | {f"{name}_weight": 3.0})
    torch.testing.assert_close(terms["total"], 3 * terms[name])


def test_loss_weights_of_the_published_code():
    # Spec §1.4: the table of THUMOS14 and ActivityNet.
    assert loss_weights(0.2) == pytest.approx(
        {"base_weight": 0.8, "soft_weight": 0.8, "semi_soft_weight": 0.2, "hard_weight": 0.2}
    )
    assert loss_weights(0.5, 0.25, 2.0) == pytest.approx(
        {"base_weight": 0.125, "soft_weight": 1.0, "semi_soft_weight": 1.0, "hard_weight": 0.125}
    )
    assert loss_weights(0.0)["base_weight"] == 1
    terms = weak_losses(SCORES, ATTENTION, LABELS, **loss_weights(0.3, 0.5, 2.0))
    expected = (
        0.5 * (0.7 * terms["base"] + 0.3 * terms["hard"])
        + 2.0 * (0.7 * terms["soft"] + 0.3 * terms["semi_soft"])
        + 0.8 * (terms["sparsity"] + terms["guide"])
    )
    torch.testing.assert_close(terms["total"], expected)


def test_top_k():
    scores = torch.tensor([[[1.0], [5.0], [3.0], [4.0]]])
    assert top_k_mean(scores, k=2).item() == 4.5
    assert top_k_mean(scores, ratio=2.0).item() == 4.5
    assert top_k_mean(scores).item() == 5  # at least one
    assert top_k_mean(scores, k=9).item() == 13 / 4
    assert top_k_mean(scores, ratio=None, k=1).item() == 5
    none = torch.zeros(1, 4, dtype=torch.bool)
    assert top_k_mean(scores, none).item() == top_k_mean(scores, none, k=2).item() == 0
    assert top_k_mean(scores.half(), k=2).dtype == torch.half


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_probability": 1.5}, "drop_probability"),
        ({"top_k_ratio": 0.0}, "top_k_ratio"),
        ({"top_k_ratio": None}, "top_k_ratio"),
        ({"top_k": 0}, "top_k"),
    ],
)
def test_wrong_options(options, message):
    def build():
        check_options(loss, options)
        weak_losses(SCORES, ATTENTION, LABELS, **options)

    with pytest.raises(AttentadError, match=message):
        build()


@pytest.mark.parametrize(
    ("option", "value"),
    [("threshold", "max"), ("dropped_value", "min"), ("drop", "most"), ("reduction", "sum")],
)
def test_unknown_words(option, value):
    with pytest.raises(AttentadError, match=f"options.{option} cannot be '{value}'; use "):
        check_options(loss, {option: value}, GIVEN["loss"])
