"""The snippet classifier: its targets, its optimum against slow references, its answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError
from attentad.models.snippet_classifier import (
    SnippetClassifier,
    fit_snippet_classifier,
    objective,
    snippet_targets,
)


def blobs(seed=0, videos=3, length=60, classes=2, dim=5, spread=0.3):
    """Videos of (features, targets): each class and the background around its own point."""
    rng = np.random.default_rng(seed)
    points = np.random.default_rng(99).normal(0, 1, (classes + 1, dim))
    made = []
    for _ in range(videos):
        shown = rng.choice(classes + 1, length, p=[0.1, *[0.9 / classes] * classes])
        features = points[shown] + rng.normal(0, spread, (length, dim))
        made.append((features.astype(np.float32), np.eye(classes + 1, dtype=np.float32)[shown]))
    return made


def slow_gradient(weight, bias, features, targets, weight_decay, class_balance=0.0, scale=1.0):
    """∂/∂(weight, bias) of what the fit minimises, snippet by snippet and class by class."""
    features, targets = features.astype(np.float64), targets.astype(np.float64)
    counts = targets.sum(axis=0)
    share = np.array([n**-class_balance if n > 0 else 0.0 for n in counts])
    total = sum(float(share @ row) for row in targets)
    by_weight, by_bias = np.zeros_like(weight), np.zeros_like(bias)
    for x, row in zip(features, targets, strict=True):
        logits = [float(w @ x) + b for w, b in zip(weight, bias, strict=True)]
        top = max(logits)
        parts = [math.exp(z - top) for z in logits]
        for k, row_share in enumerate(share * row):
            for j, part in enumerate(parts):
                residual = row_share / total * (part / sum(parts) - (j == k))
                by_weight[j] += residual * x
                by_bias[j] += residual
    return by_weight + weight_decay * scale**2 * weight, by_bias


def test_targets_by_hand() -> None:
    centres = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    segments = np.array([[0.0, 1.5], [1.0, 3.5], [2.0, 2.6], [2.2, 3.0], [4.0, 5.5], [2.5, 2.5]])
    shown = snippet_targets(centres, segments, [0, 1, 0, 0, -1, 1], classes=2)
    expected = [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [0, 0, 1], [0, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(shown, np.float32(expected))
    nothing = snippet_targets(centres, np.zeros((0, 2)), [], classes=2)
    np.testing.assert_array_equal(nothing, np.tile(np.float32([0, 0, 1]), (6, 1)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-2, 20), st.integers(0, 12), st.integers(-1, 3)),
        max_size=6,
    ),
    st.integers(1, 12),
)
def test_targets_equal_the_definition(instances, length) -> None:
    centres = np.arange(length) + 0.5
    segments = np.array([(s / 2, (s + d) / 2) for s, d, _ in instances]).reshape(-1, 2)
    labels = [label for _, _, label in instances]
    shown = snippet_targets(centres, segments, labels, classes=4)
    for centre, row in zip(centres, shown, strict=True):
        here = {b for (s, e), b in zip(segments, labels, strict=True) if s <= centre < e}
        named = sorted(here - {-1})
        expected = np.zeros(5)
        if named:
            expected[named] = 1 / len(named)
        elif not here:
            expected[4] = 1
        np.testing.assert_allclose(row, expected)


def test_the_gradient_equals_the_slow_one() -> None:
    (features, targets), *_ = blobs(videos=1, length=20, classes=3)
    targets[:4] = [0.5, 0.5, 0, 0]
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(4, 5)), rng.normal(size=4)
    inputs = [torch.tensor(a, dtype=torch.float64) for a in (weight, bias, features, targets)]
    for leaf in inputs[:2]:
        leaf.requires_grad_()
    objective(*inputs[:3], inputs[3] / inputs[3].sum(), 0.3).backward()
    by_weight, by_bias = slow_gradient(weight, bias, features, targets, 0.3)
    np.testing.assert_allclose(inputs[0].grad, by_weight, atol=1e-12)
    np.testing.assert_allclose(inputs[1].grad, by_bias, atol=1e-12)


@pytest.mark.parametrize("class_balance", [0.0, 0.5, 1.0])
def test_the_fit_ends_at_the_optimum(class_balance: float) -> None:
    videos = blobs(spread=1.0)
    videos[0][1][:5] = 0  # instances without a class
    videos[0][1][5:9] = [0.5, 0.5, 0]
    fitted = fit_snippet_classifier(videos, weight_decay=0.02, class_balance=class_balance)
    features, targets = (np.concatenate(arrays) for arrays in zip(*videos, strict=True))
    scale = math.sqrt(features.var(axis=0).mean())
    centred = features - features.mean(axis=0)
    weight = fitted.weight.numpy()
    bias = fitted.bias.numpy() + weight @ features.mean(axis=0)
    slopes = slow_gradient(weight, bias, centred, targets, 0.02, class_balance, scale)
    assert max(np.abs(slope).max() for slope in slopes) < 1e-4
    elsewhere = slow_gradient(weight * 1.1, bias, centred, targets, 0.02, class_balance, scale)
    assert np.abs(elsewhere[0]).max() > 1e-3


def test_it_learns_what_can_be_separated() -> None:
    fitted = fit_snippet_classifier(blobs(), weight_decay=1e-4)
    for features, targets in blobs(seed=5):
        probabilities = fitted(torch.from_numpy(features)).numpy()
        assert (probabilities.argmax(axis=1) == targets.argmax(axis=1)).mean() > 0.98
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        scores = fitted.read(features)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, probabilities[:, :-1], rtol=1e-6)


def test_the_scale_of_the_features_does_not_matter() -> None:
    videos = blobs()
    fitted = fit_snippet_classifier(videos)
    moved = fit_snippet_classifier([(x * 50 + 300, y) for x, y in videos])
    features = videos[0][0]
    np.testing.assert_allclose(moved.read(features * 50 + 300), fitted.read(features), atol=2e-3)


def test_balance_favours_the_rare() -> None:
    videos = blobs(spread=1.5)
    plain, even = (fit_snippet_classifier(videos, class_balance=b) for b in (0.0, 1.0))
    rare = np.concatenate([even.read(x)[:, 0] - plain.read(x)[:, 0] for x, _ in videos])
    assert rare.mean() > 0.05


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.sampled_from([1, 3, 5, 7]), st.integers(0, 99))
def test_smoothing_is_the_mean_over_what_is_there(length, smoothing, seed) -> None:
    rng = np.random.default_rng(seed)
    classifier = SnippetClassifier(3, 2, smoothing=smoothing)
    classifier.weight += torch.from_numpy(rng.normal(size=(3, 3)))
    features = rng.normal(size=(length, 3)).astype(np.float32)
    found = classifier(torch.from_numpy(features)).numpy()
    classifier.smoothing = 1
    each = classifier(torch.from_numpy(features)).numpy()
    half = smoothing // 2
    for i in range(length):
        around = each[max(0, i - half) : i + half + 1]
        np.testing.assert_allclose(found[i], around.mean(axis=0), rtol=1e-12)


def test_again_is_the_same_and_nothing_else_changes() -> None:
    videos = blobs()
    before = [x.copy() for x, _ in videos]
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    first, second = fit_snippet_classifier(videos), fit_snippet_classifier(videos)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    one = videos[:1]
    fit_snippet_classifier(one)
    for old, (features, _) in zip(before, videos, strict=True):
        np.testing.assert_array_equal(old, features)


def test_of_too_many_snippets_an_even_sample_is_kept() -> None:
    """Each keeps its own targets; every video has its part; the seed chooses."""
    videos = [(x + 100 * i, y) for i, (x, y) in enumerate(blobs(videos=8, length=50))]
    seen: list[np.ndarray] = []

    def fit(seed: int, max_values: int) -> SnippetClassifier:
        return fit_snippet_classifier(iter(videos), seed=seed, max_values=max_values)

    with pytest.MonkeyPatch.context() as patch:
        module = "attentad.models.snippet_classifier"
        original = torch.var_mean
        patch.setattr(
            f"{module}.torch.var_mean",
            lambda x, **options: (seen.append(x.numpy().copy()), original(x, **options))[1],
        )
        small, other, again = fit(0, 5 * 100 + 4), fit(1, 5 * 100 + 4), fit(0, 5 * 100 + 4)
        whole = fit(0, 5 * 400)
    assert [len(rows) for rows in seen] == [100, 100, 100, 400]
    assert torch.equal(small.weight, again.weight)
    assert not torch.equal(small.weight, other.weight)
    np.testing.assert_array_equal(seen[3], np.concatenate([x for x, _ in videos]))
    from_each = np.bincount((seen[0][:, 0] / 100).round().astype(int), minlength=8)
    assert (from_each >= 4).all()
    order = [np.flatnonzero((seen[3] == row).all(axis=1))[0] for row in seen[0]]
    assert order == sorted(order)
    assert len(set(order)) == 100
    assert whole.weight.shape == (3, 5)


def test_a_class_without_snippets_is_never_found() -> None:
    videos = [(x, np.insert(y, 1, 0, axis=1)) for x, y in blobs()]
    fitted = fit_snippet_classifier(videos, class_balance=1.0)
    scores = fitted.read(videos[0][0])
    assert scores.shape == (60, 3)
    assert (scores[:, 1] == 0).all()
    plain = fit_snippet_classifier(blobs(), class_balance=1.0)
    np.testing.assert_allclose(scores[:, [0, 2]], plain.read(videos[0][0]), rtol=1e-5)


def test_one_class_and_no_background() -> None:
    one = fit_snippet_classifier(blobs(classes=1))
    features, targets = blobs(classes=1)[0]
    assert ((one.read(features)[:, 0] > 0.5) == (targets[:, 0] > 0.5)).mean() > 0.95
    always = fit_snippet_classifier([(features, np.tile(np.float32([1, 0]), (60, 1)))])
    np.testing.assert_array_equal(always.read(features), 1)
    constant = fit_snippet_classifier([(np.ones_like(features), targets)])
    np.testing.assert_allclose(constant.read(features * 0 + 1)[:, 0], targets[:, 0].mean(), 1e-3)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda x, y: [(x, np.tile(np.float32([0, 0, 1]), (60, 1)))], "annotated instance"),
        (lambda x, y: [(x, y * 0)], "annotated instance"),
        (lambda x, y: [(np.where(x > 0, np.nan, x), y)], "NaN"),
        (lambda x, y: [(x, y), (x[:, :3], y)], "5 and 3 wide"),
        (lambda x, y: [], "no training video"),
    ],
)
def test_mistakes_are_one_sentence(spoil, words) -> None:
    (features, targets), *_ = blobs(videos=1)
    with pytest.raises(AttentadError, match=words) as error:
        fit_snippet_classifier(spoil(features, targets))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")
    with pytest.raises(AttentadError, match="odd number of snippets, not 4"):
        SnippetClassifier(2, 2, smoothing=4)
