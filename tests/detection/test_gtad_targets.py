"""G-TAD's targets, loss and decoding where they differ from BMN's, which they share."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detection.plain import of_actions, to_detections

from attentad.core import AttentadError, Timeline
from attentad.core.options import check_options
from attentad.detection import GIVEN, bmn, gtad
from attentad.detection.gtad import loss
from attentad.layers.proposals import ProposalOutput

targets, bmn_targets = of_actions(gtad.targets), of_actions(bmn.targets)
decode, bmn_decode = to_detections(gtad.decode), to_detections(bmn.decode)


def seconds_timeline(length):
    """One step per second, from 0."""
    return Timeline(length, 10.0, 10.0, 10.0, float(length))


def random_output(batch, duration, length, seed=0):
    draw = torch.Generator().manual_seed(seed)
    sizes = [(batch, length)] * 2 + [(batch, duration, length)] * 2
    parts = [torch.rand(size, generator=draw).mul(0.9).add(0.05) for size in sizes]
    return ProposalOutput(*(part.requires_grad_() for part in parts))


def batched(*items):
    return {key: torch.from_numpy(np.stack([i[key] for i in items])) for key in items[0]}


@pytest.mark.parametrize("rule", ["center", "edge"])
def test_targets_are_bmns(rule):
    actions = np.array([[2.3, 9.1], [11.0, 14.5]])
    options = {"max_duration": 9, "boundary_rule": rule}
    ours = targets(actions, seconds_timeline(16), **options)
    theirs = bmn_targets(actions, seconds_timeline(16), **options)
    for key, value in theirs.items():
        np.testing.assert_array_equal(ours[key], value)


def test_half_shift_moves_the_map_only():
    timeline = seconds_timeline(12)
    actions = np.array([[2.5, 5.5]])
    shifted = targets(actions, timeline, gtad_half_shift=True)
    plain = targets(actions, timeline)
    assert shifted["iou"][2, 3] == 1
    assert plain["iou"].max() < 1
    np.testing.assert_array_equal(shifted["start"], plain["start"])
    np.testing.assert_array_equal(shifted["end"], plain["end"])
    np.testing.assert_array_equal(
        shifted["iou"], targets(actions + 0.5, timeline, gtad_half_shift=False)["iou"]
    )
    # What half a step carries out of the window is no action of it.
    late = targets(np.array([[11.6, 12.0]]), timeline, gtad_half_shift=True)
    assert not any(part.any() for part in late.values())


def test_default_loss_is_bmns():
    made = batched(targets(np.array([[2.0, 6.0], [5.0, 11.0]]), seconds_timeline(12)))
    output = random_output(1, 12, 12)
    one, two = (
        detector_loss(output, made, generator=torch.Generator().manual_seed(3))
        for detector_loss in (loss, bmn.loss)
    )
    for key, value in two.items():
        torch.testing.assert_close(one[key], value)


def test_release_loss_crosses_the_weights_and_smooths_the_map_counts():
    timeline = seconds_timeline(8)
    made = batched(*[targets(np.array([[1.0, 4.0]]), timeline, max_duration=5)] * 2)
    valid = torch.arange(8) < torch.tensor([[8], [5]])
    output = random_output(2, 5, 8)

    def terms(**options):
        draw = torch.Generator().manual_seed(0)
        return loss(output, made, valid, generator=draw, **options)

    plain, release = terms(), terms(gtad_release_loss=True)
    for key in ("start", "end", "regression"):
        assert release[key] == plain[key]
    parts = release["start"] + release["end"] + release["regression"]
    torch.testing.assert_close(release["total"], parts + 10 * release["classification"])
    positive, negative = [], []
    for item, steps in ((0, 8), (1, 5)):
        for d in range(5):
            for s in range(max(0, steps - d)):
                p = output.classification[item, d, s].item()
                if made["iou"][item, d, s] > 0.9:
                    positive.append(math.log(p + 1e-6))
                else:
                    negative.append(math.log(1 - p + 1e-6))
    total = len(positive) + len(negative) + 20
    ratio = total / (len(positive) + 10)
    expected = sum(positive) * ratio / 2 + sum(negative) * ratio / (ratio - 1) / 2
    assert release["classification"].item() == pytest.approx(-expected / total, rel=1e-5)


def test_weights_are_options():
    made = batched(targets(np.array([[2.0, 4.0]]), seconds_timeline(6)))
    terms = loss(random_output(1, 6, 6), made, regression_weight=3.0, classification_weight=2.0)
    parts = terms["start"] + terms["end"] + 2 * terms["classification"] + 3 * terms["regression"]
    torch.testing.assert_close(terms["total"], parts)


@pytest.mark.parametrize("release", [False, True])
@pytest.mark.parametrize("value", [None, 0, 1])
def test_loss_is_finite_whatever_the_ground_truth(value, release):
    made = targets(np.array([[2.0, 4.0]]), seconds_timeline(6))
    if value is not None:
        for part in made.values():
            part.fill(value)
    output = random_output(1, 6, 6)
    terms = loss(output, batched(made), gtad_release_loss=release)
    terms["total"].backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(part.grad is None or part.grad.isfinite().all() for part in output)


def test_padding_gets_no_gradient():
    made = batched(*[targets(np.array([[1.0, 4.0]]), seconds_timeline(8), max_duration=5)] * 2)
    valid = torch.arange(8) < torch.tensor([[8], [5]])
    output = random_output(2, 5, 8)
    loss(output, made, valid, gtad_release_loss=True)["total"].backward()
    assert (output.start.grad[1, 5:] == 0).all()
    for d in range(5):
        assert (output.classification.grad[1, d, max(0, 5 - d) :] == 0).all()
        assert (output.classification.grad[1, d, : max(0, 5 - d)] != 0).all()


def release_boxes(output, length, candidates):
    """The releases' loops: s < e = s + d + 1 < T, peaks looked for at inner steps only."""
    ps, pe, pr, pc = (part[0].detach().double().numpy() for part in output)

    def inner_peaks(p):
        return [
            i
            for i in range(1, length - 1)
            if (p[i] > p[i - 1] and p[i] > p[i + 1]) or p[i] > 0.5 * p.max()
        ]

    starts, ends = range(length), range(length)
    if candidates == "peaks":
        starts, ends = {0, *inner_peaks(ps)}, {length - 1, *inner_peaks(pe)}
    return {
        (float(s), float(e)): pr[e - s - 1, s] * pc[e - s - 1, s]
        for s in starts
        for e in ends
        if 0 < e - s <= len(pr)
    }


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    length=st.integers(2, 12),
    share=st.floats(0, 1),
    candidates=st.sampled_from(["peaks", "all"]),
)
def test_exclusive_decoding_is_the_releases(seed, length, share, candidates):
    output = random_output(1, max(1, round(share * length)), length, seed)
    found = decode(output, [seconds_timeline(length)], candidates=candidates, pairing="exclusive")
    expected = release_boxes(output, length, candidates)
    boxes = [tuple(box) for box in found[0].segments.tolist()]
    assert sorted(boxes) == sorted(expected)
    np.testing.assert_allclose(found[0].scores, [expected[box] for box in boxes])
    assert (np.diff(found[0].scores) <= 0).all()


def test_boundary_scores_are_an_option():
    output, timeline = random_output(1, 6, 6), seconds_timeline(6)
    options = {"candidates": "all", "boundary_scores": True}
    ours = decode(output, [timeline], **options)[0]
    theirs = bmn_decode(output, [timeline], **options)[0]
    np.testing.assert_array_equal(ours.scores, theirs.scores)
    assert decode(output, [timeline], candidates="all")[0].scores[0] > ours.scores[0]


@pytest.mark.parametrize(
    ("part", "option", "value"),
    [
        ("targets", "boundary_rule", "centre"),
        ("decode", "candidates", "some"),
        ("decode", "pairing", "both"),
        ("decode", "confidence", "mean"),
    ],
)
@pytest.mark.parametrize("detector", [bmn, gtad])
def test_unknown_values_are_named(detector, part, option, value):
    with pytest.raises(AttentadError, match=f"options.{option} cannot be '{value}'; use "):
        check_options(getattr(detector, part), {option: value}, GIVEN[part])
