"""HAM-Net's loss, video scores, curves and decoding against golden values and plain loops."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detection.plain import to_detections

from attentad.attention.hybrid import Hybrid
from attentad.core import AttentadError, Timeline
from attentad.core.options import check_options
from attentad.detection import DETECTORS, GIVEN
from attentad.detection.hamnet import THRESHOLDS, HAMOutput, loss, video_scores
from attentad.detection.hamnet import decode as decode_views
from attentad.layers import weak_losses as module
from attentad.suppression import soft_nms

decode = to_detections(decode_views)
# Spec hamnet §9: T = 6, C = 2 and the background.
ATTENTION = torch.tensor([[0.9, 0.5, 0.1, 1, 0.15, 0.05]], dtype=torch.double)
SCORES = torch.tensor(
    [[[2, 0, -1], [1, 0.5, 0], [-1, 0, 2], [3, -1, 0], [0, 1, 1], [-2, 0.5, 3]]],
    dtype=torch.double,
)
GOLDEN = HAMOutput(SCORES, ATTENTION)
FOUR = [
    (3.264086, 1.92, 2.56),
    (1.764086, 1.92, 3.2),
    (1.314086, 0.0, 1.28),
    (1.314086, 0.0, 1.28),
]


def timeline(length, step_sec=0.64):
    """HAM-Net's: 16 frames of 25 a second, from 0."""
    return Timeline(length, 25.0, 25 * step_sec, 25 * step_sec, length * step_sec)


def rows(found):
    """Score, start and end of each detection."""
    return [
        (score, start, end)
        for score, (start, end) in zip(found.scores.tolist(), found.segments.tolist(), strict=True)
    ]


def golden(**options):
    given = {"top_k_ratio": 3.0, "attention_thresholds": [0.12, 0.4]} | options
    return decode(GOLDEN, [timeline(6)], **given)[0]


def make(batch, length, classes, seed):
    """Outputs and the lengths of the videos."""
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.normal(0, 2, (batch, length, classes + 1)))
    attention = torch.from_numpy(rng.uniform(size=(batch, length)))
    lengths = rng.integers(1, length + 1, batch)
    return HAMOutput(scores, attention), lengths


# --- golden values ------------------------------------------------------------------------------


def test_golden_loss():
    terms = loss(GOLDEN, {"labels": torch.tensor([[1.0, 0.0]])}, top_k_ratio=3.0)
    found = {name: round(value.item(), 6) for name, value in terms.items()}
    assert found.pop("total") == pytest.approx(1.789337, abs=1e-5)
    assert found == {
        "base": 0.776426,
        "soft": 0.197905,
        "semi_soft": 1.149117,
        "hard": 1.477746,
        "sparsity": 0.45,
        "guide": 0.155624,
    }


def test_golden_video_scores():
    found = video_scores(GOLDEN, top_k_ratio=3.0)
    assert found[0] == pytest.approx([0.820432, 0.090906], abs=1e-6)
    assert video_scores(GOLDEN, top_k=2)[0] == pytest.approx(found[0])


def test_golden_decoding():
    found = golden()
    assert np.array(rows(found)) == pytest.approx(np.array(FOUR), abs=1e-6)
    assert found.labels.tolist() == [0, 0, 0, 0]


def test_golden_soft_nms():
    found = golden()
    taken, scores = soft_nms(
        found.segments, found.scores, sigma=0.3, plus_one=True, negative="keep"
    )
    assert scores == pytest.approx([3.264086, 1.270048, 0.306821, 0.044212], abs=1e-6)
    expected = np.array([[1.92, 2.56], [0, 1.28], [1.92, 3.2], [0, 1.28]])
    assert found.segments[taken] == pytest.approx(expected)


def test_golden_outer_inner():
    z = torch.tensor([0, 0.2, 1, 2, 3, 2.5, 2, 1.5, 1, 0.5, 0.1, 0], dtype=torch.double)
    inside = torch.zeros(12, dtype=torch.double)
    inside[3:8] = 1
    # One run, whatever the scores: an attention of 1 and nearly 1 leaves z as it is.
    attention = 1 - 1e-12 * (1 - inside)
    outputs = HAMOutput(torch.stack([z, z * 0], 1)[None], attention[None])
    found = decode(outputs, [timeline(12)], attention_thresholds=[1 - 1e-13], top_k=1)[0]
    p = 1 / (1 + math.exp(-3))
    assert rows(found)[0] == pytest.approx((1.586667 + 0.2 * (p - 0.6), 1.92, 5.12), abs=1e-6)


# --- decoding against loops ---------------------------------------------------------------------


def slow_runs(values, threshold):
    found = []
    for t, value in enumerate(values):
        if value > threshold:
            if found and found[-1][1] == t - 1:
                found[-1][1] = t
            else:
                found.append([t, t])
    return found


def slow_psi(z, i, j, flank, extra):
    n = j - i + 1
    outside = list(range(max(0, math.floor(i - flank * n)), i))
    outside += list(range(j + 1, min(len(z) - 1, math.floor(j + flank * n)) + 1))
    outer = sum(z[t] for t in outside) / len(outside) if outside else 0.0
    return sum(z[i : j + 1]) / n - outer + extra


def slow_interpolation(values, scale):
    """Points in the middle of the scale parts of every snippet; level before the first middle."""
    found = []
    for u in range(len(values) * scale):
        x = min(max((u + 0.5) / scale - 0.5, 0), len(values) - 1)
        low = math.floor(x)
        high = min(low + 1, len(values) - 1)
        found.append(values[low] + (x - low) * (values[high] - values[low]))
    return found


def slow_video_scores(s, a, ratio, attended):
    pooled = []
    count = max(1, math.floor(len(s) / ratio))
    for c in range(len(s[0])):
        column = [row[c] * (a[t] if attended else 1) for t, row in enumerate(s)]
        pooled.append(sum(sorted(column, reverse=True)[:count]) / count)
    exponentials = [math.exp(value) for value in pooled]
    return [e / sum(exponentials) for e in exponentials[:-1]]


def slow_decode(s, a, *, tau, thresholds, flank, weight, ratio, scale, force, drop, proposals):
    """(class, score, start step, end step) of one video, unsorted."""
    attended = proposals == "attention"
    p = slow_video_scores(s, a, ratio, attended)
    classes = [c for c in range(len(p)) if p[c] >= tau]
    if force and not classes:
        classes = [p.index(max(p))]
    found = []
    for c in classes:
        z = [row[c] * (a[t] if attended else 1) for t, row in enumerate(s)]
        z, over = slow_interpolation(z, scale), slow_interpolation(a, scale)
        if not attended:
            span = max(z) - min(z)
            over = [(value - min(z)) / span if span else 1.0 for value in z]
        for theta in thresholds:
            for i, j in slow_runs(over, theta):
                psi = slow_psi(z, i, j, flank, weight * p[c])
                if psi >= 0 or not drop:
                    found.append((c, psi, i / scale, (j + 1) / scale))
    return found


def by_segment(row):
    """Class, start and end: an order that the last digits of equal scores have no say in."""
    c, psi, start, end = row
    return c, round(start, 6), round(end, 6), psi


DECODING = st.fixed_dictionaries(
    {
        "tau": st.sampled_from([0.0, 0.2, 0.6, 1.1]),
        "thresholds": st.sampled_from(["code", "paper", [0.3], [0.2, 0.9]]),
        "flank": st.sampled_from([0.25, 0.0, 1.0]),
        "weight": st.sampled_from([0.2, 0.0]),
        "ratio": st.sampled_from([1.0, 3.0, 10.0]),
        "scale": st.sampled_from([1, 2, 3]),
        "force": st.booleans(),
        "drop": st.booleans(),
        "proposals": st.sampled_from(["attention", "class"]),
    }
)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 3), st.integers(1, 12), st.integers(1, 3), DECODING, st.integers(0, 10_000))
def test_decoding_is_the_reference(batch, length, classes, options, seed):
    outputs, lengths = make(batch, length, classes, seed)
    valid = torch.arange(length) < torch.from_numpy(lengths)[:, None]
    results = decode(
        outputs,
        [timeline(length, 1.0)] * batch,
        valid=valid,
        class_threshold=options["tau"],
        attention_thresholds=options["thresholds"],
        proposals=options["proposals"],
        flank=options["flank"],
        video_weight=options["weight"],
        top_k_ratio=options["ratio"],
        scale=options["scale"],
        force_top1=options["force"],
        drop_negative=options["drop"],
    )
    chosen = options["thresholds"]
    slow = options | {"thresholds": THRESHOLDS[chosen] if isinstance(chosen, str) else chosen}
    for b, n in enumerate(lengths.tolist()):
        s, a = outputs.scores[b, :n].tolist(), outputs.attention[b, :n].tolist()
        expected = sorted(slow_decode(s, a, **slow), key=by_segment)
        found = [(int(c), *row) for c, row in zip(results[b].labels, rows(results[b]), strict=True)]
        assert (np.diff(results[b].scores) <= 0).all()
        found.sort(key=by_segment)
        assert np.array(found) == pytest.approx(np.array(expected), rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 15), st.sampled_from([1.0, 3.0, 10.0]), st.integers(0, 1000))
def test_video_scores_are_the_reference(length, ratio, seed):
    outputs, lengths = make(3, length, 2, seed)
    valid = torch.arange(length) < torch.from_numpy(lengths)[:, None]
    for proposals in ("attention", "class"):
        found = video_scores(outputs, valid, top_k_ratio=ratio, proposals=proposals)
        for b, n in enumerate(lengths.tolist()):
            s, a = outputs.scores[b, :n].tolist(), outputs.attention[b, :n].tolist()
            expected = slow_video_scores(s, a, ratio, proposals == "attention")
            assert found[b] == pytest.approx(expected, rel=1e-9)


# --- options ------------------------------------------------------------------------------------


def test_thresholds_of_the_code_and_the_paper():
    assert THRESHOLDS["code"] == pytest.approx(0.1 + 0.8 / 9 * np.arange(10))
    assert THRESHOLDS["paper"] == pytest.approx([0.1 + 0.05 * i for i in range(17)])
    assert len(golden(attention_thresholds="code")) == 19
    assert len(golden(attention_thresholds="paper")) == 33
    # Strictly above; and a run of snippet 0 alone counts.
    assert len(golden(attention_thresholds=[1.0])) == 0
    assert golden(attention_thresholds=[0.89]).segments.min() == 0


def test_class_threshold():
    assert set(golden(class_threshold=0.09).labels) == {0, 1}
    # Reaching τ is enough.
    assert len(golden(class_threshold=float(video_scores(GOLDEN, top_k_ratio=3.0)[0, 0]))) == 4
    assert len(golden(class_threshold=0.9)) == 0
    assert set(golden(class_threshold=0.9, force_top1=True).labels) == {0}
    assert set(golden(class_threshold=0.09, force_top1=True).labels) == {0, 1}


def test_drop_negative():
    found = golden(class_threshold=0.0)
    assert found.scores.min() < 0
    kept = golden(class_threshold=0.0, drop_negative=True)
    assert kept.scores.tolist() == found.scores[found.scores >= 0].tolist()
    # 0 is not negative.
    flat = HAMOutput(torch.zeros(1, 3, 2), torch.ones(1, 3))
    (found,) = decode(flat, [timeline(3)], video_weight=0.0, drop_negative=True)
    assert found.scores.tolist() == [0.0] * 10


def test_scale_keeps_the_times():
    step = HAMOutput(
        torch.ones(1, 8, 2, dtype=torch.double),
        torch.tensor([[0, 0, 1, 1, 1, 0, 0, 0]], dtype=torch.double),
    )
    for scale in (1, 2, 4):
        options = {"scale": scale, "attention_thresholds": [0.5], "top_k": 1}
        (found,) = decode(step, [timeline(8, 1.0)], **options)
        assert found.segments.tolist() == [[2.0, 5.0]]


def test_class_proposals_ignore_the_attention():
    changed = HAMOutput(SCORES, torch.rand_like(ATTENTION))
    options = {"proposals": "class", "attention_thresholds": [0.5]}
    one, two = (decode(out, [timeline(6)], **options)[0] for out in (GOLDEN, changed))
    assert rows(one) == rows(two)
    # s of class 0 is 2 1 −1 3 0 −2, in 0..1 above .5 where it exceeds .5.
    first = one[one.labels == 0]
    assert sorted(first.segments.tolist()) == [
        pytest.approx([0, 1.28]),
        pytest.approx([1.92, 2.56]),
    ]


def test_times_are_those_of_the_timeline_and_not_clipped():
    late = Timeline(6, 25.0, 16.0, 16.0, 2.0, offset_frames=100.0)
    (found,) = decode(GOLDEN, [late], top_k_ratio=3.0, attention_thresholds=[0.04])
    assert found.segments[0].tolist() == pytest.approx([4.0, 4.0 + 6 * 0.64])


# --- edges --------------------------------------------------------------------------------------


def test_batch_of_n_is_n_single_calls_and_padding_changes_nothing():
    outputs, lengths = make(4, 20, 3, 0)
    valid = torch.arange(20) < torch.from_numpy(lengths)[:, None]
    filled = HAMOutput(
        outputs.scores.masked_fill(~valid[..., None], torch.nan),
        outputs.attention.masked_fill(~valid, torch.nan),
    )
    timelines = [timeline(20)] * 4
    many = decode(filled, timelines, valid=valid, class_threshold=0.0)
    scored = video_scores(filled, valid)
    for i, n in enumerate(lengths.tolist()):
        one = HAMOutput(*(part[i : i + 1, :n] for part in outputs))
        (single,) = decode(one, [timeline(n)], class_threshold=0.0)
        assert np.array(rows(many[i])) == pytest.approx(np.array(rows(single)))
        assert many[i].labels.tolist() == single.labels.tolist()
        assert scored[i] == pytest.approx(video_scores(one)[0])


def test_one_snippet_no_snippet_and_no_class():
    one = HAMOutput(torch.tensor([[[3.0, 0.0]]]), torch.tensor([[0.95]]))
    (found,) = decode(one, [timeline(1)])
    assert found.segments.tolist() == [pytest.approx([0, 0.64])] * 10
    (found,) = decode(one, [timeline(1)], proposals="class", attention_thresholds=[0.5])
    assert found.segments.tolist() == [pytest.approx([0, 0.64])]
    none = torch.zeros(1, 1, dtype=torch.bool)
    (found,) = decode(one, [timeline(1)], valid=none, force_top1=True)
    assert len(found) == 0
    background = HAMOutput(torch.tensor([[[0.0, 9.0]]]), torch.tensor([[0.95]]))
    (found,) = decode(background, [timeline(1)])
    assert len(found) == 0
    assert found.segments.shape == (0, 2)


def test_constant_class_scores_are_one_run():
    flat = HAMOutput(torch.ones(1, 5, 2), torch.full((1, 5), 0.5))
    (found,) = decode(flat, [timeline(5, 1.0)], proposals="class", attention_thresholds=[0.9])
    assert found.segments.tolist() == [[0.0, 5.0]]


def test_every_class_at_once():
    scores = torch.zeros(1, 4, 4)
    scores[..., -1] = -9
    outputs = HAMOutput(scores, torch.ones(1, 4))
    (found,) = decode(outputs, [timeline(4)], attention_thresholds=[0.5])
    assert sorted(found.labels.tolist()) == [0, 1, 2]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_refused(value):
    scores = SCORES.clone()
    scores[0, 2, 1] = value
    broken = HAMOutput(scores, ATTENTION)
    for call in (lambda: decode(broken, [timeline(6)]), lambda: video_scores(broken)):
        with pytest.raises(AttentadError, match="not finite"):
            call()
    with pytest.raises(AttentadError, match="not finite"):
        decode(HAMOutput(SCORES, ATTENTION * value), [timeline(6)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale"),
        ({"top_k": 0}, "top_k"),
        ({"flank": -1.0}, "flank"),
        ({"attention_thresholds": []}, "attention_thresholds .* in 0..1"),
        ({"attention_thresholds": [0.5, 1.5]}, "attention_thresholds .* in 0..1"),
    ],
)
def test_wrong_options(options, message):
    def build():
        check_options(decode_views, options)
        decode(GOLDEN, [timeline(6)], **options)

    with pytest.raises(AttentadError, match=message):
        build()


def test_unknown_words():
    for option, value in (("proposals", "cas"), ("attention_thresholds", "all")):
        with pytest.raises(AttentadError, match=f"options.{option} cannot be '{value}'"):
            check_options(decode_views, {option: value}, GIVEN["decode"])


# --- loss and curves ----------------------------------------------------------------------------


def test_every_option_of_the_loss_counts():
    outputs, lengths = make(3, 12, 2, 0)
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]).double()
    valid = torch.arange(12) < torch.from_numpy(lengths)[:, None]
    # Attention from .5 to 1 and γ = .75: the thresholds differ in what they keep.
    outputs = outputs._replace(attention=0.5 + outputs.attention / 2)
    base = {"gamma": 0.75}
    plain = loss(outputs, {"labels": labels}, valid, **base)["total"]
    every = {
        "base_weight": 0.1,
        "soft_weight": 0.3,
        "semi_soft_weight": 0.7,
        "hard_weight": 0.9,
        "sparsity_weight": 0.4,
        "guide_weight": 0.6,
        "top_k_ratio": 2.0,
        "top_k": 3,
        "gamma": 0.9,
        "threshold": "minmax",
        "dropped_value": "zero",
        "drop": "inverse",
        "normalize_labels": False,
        "reduction": "sum_time_mean_batch",
    }
    for name, value in every.items():
        one = loss(outputs, {"labels": labels}, valid, **base | {name: value})["total"]
        assert not torch.isclose(one, plain), name
    draws = [
        loss(
            outputs,
            {"labels": labels},
            valid,
            drop="random",
            drop_probability=p,
            generator=torch.Generator().manual_seed(seed),
        )["total"]
        for p, seed in ((0.5, 0), (0.5, 0), (0.5, 1), (0.1, 0))
    ]
    assert draws[0] == draws[1]
    assert len({draw.item() for draw in draws}) == 3


def test_defaults_are_the_codes_everywhere():
    """Spec §1.3 to §1.5, §8: what several functions take has one default."""
    expected = {
        "gamma": 0.2,
        "threshold": "relative",
        "dropped_value": "class_min",
        "drop": "most_discriminative",
        "drop_probability": 0.2,
        "normalize_labels": True,
        "reduction": "mean",
        "top_k_ratio": 10.0,
        "ratio": 10.0,
        "top_k": None,
        "k": None,
        "proposals": "attention",
        "class_threshold": 0.2,
        "attention_thresholds": "code",
        "flank": 0.25,
        "video_weight": 0.2,
        "scale": 1,
        "force_top1": False,
        "drop_negative": False,
        "hidden_dim": 512,
        "mode": "soft",
        "base_weight": 0.8,
        "soft_weight": 0.8,
        "semi_soft_weight": 0.2,
        "hard_weight": 0.2,
        "sparsity_weight": 0.8,
        "guide_weight": 0.8,
    }
    shared = {"valid": None, "generator": None, "loss_options": {}}
    functions = (
        *(module.top_k_mean, module.hybrid_attentions, module.hybrid_scores),
        *(module.multiple_instance_loss, module.sparsity_loss, module.guide_loss),
        *(loss, video_scores, decode_views, Hybrid),
    )
    seen = set()
    for function in functions:
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.default is not parameter.empty:
                assert parameter.default == (expected | shared)[name], (function, name)
                seen.add(name)
    assert seen == {*expected, *shared}


def curves_of(valid=None, **loss_options):
    (found,) = decode_views(GOLDEN, [timeline(6)], valid, loss_options=loss_options)
    assert all(curve.kind == "attention" for curve in found.curves)
    return {curve.name: curve for curve in found.curves}


def test_curves_are_the_three_attentions():
    found = curves_of()
    assert list(found) == ["soft attention", "semi-soft attention", "hard attention"]
    soft, semi_soft, hard = (curve.value.tolist() for curve in found.values())
    assert soft == pytest.approx([0.9, 0.5, 0.1, 1, 0.15, 0.05])
    assert hard == [0, 0, 1, 0, 1, 1]
    assert semi_soft == pytest.approx([0, 0, 0.1, 0, 0.15, 0.05])
    assert all(curve.value.dtype == np.float32 for curve in found.values())
    assert found["hard attention"].time_sec == pytest.approx(0.64 * (np.arange(6) + 0.5))


def test_curves_are_those_of_the_loss():
    options = {"gamma": 0.6, "threshold": "absolute", "drop": "inverse"}
    assert curves_of(**options)["hard attention"].value.tolist() == [1, 0, 0, 1, 0, 0]
    everything = curves_of(drop="random", drop_probability=1.0, guide_weight=0.1)
    assert everything["hard attention"].value.sum() == 0


def test_curves_end_with_the_video():
    hard = curves_of(torch.arange(6)[None] < 3)["hard attention"]
    assert hard.value.tolist() == [0, 0, 1]
    assert hard.time_sec == pytest.approx(0.64 * (np.arange(3) + 0.5))


def test_found_says_how_surely_the_video_holds_each_class():
    (found,) = decode_views(GOLDEN, [timeline(6)], top_k_ratio=3.0)
    expected = video_scores(GOLDEN, top_k_ratio=3.0)[0]
    assert found.class_probabilities == pytest.approx(expected)


def test_is_in_the_table():
    assert DETECTORS["hamnet"].weak
    assert DETECTORS["hamnet"].names_classes
    assert not DETECTORS["bmn"].weak
    assert not DETECTORS["bmn"].names_classes
