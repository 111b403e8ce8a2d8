"""Random snippets: golden base indices, each rule beside a slow one, sizes and order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentad.core import AttentadError
from attentad.data.random_snippets import SAMPLINGS, Sampling, sample_snippets, snippet_rows

sizes = st.integers(1, 60)
seeds = st.integers(0, 2**32 - 1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ramp(n: int) -> np.ndarray:
    """Features whose first column tells the row."""
    return np.stack([np.arange(n), -np.arange(n)], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("n", "base"),
    [
        (4, [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]),
        (10, list(range(10))),
        (25, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]),
    ],
)
def test_golden_base_indices(n: int, base: list[int]) -> None:
    """Spec §9."""
    rows = snippet_rows(n, 10, "uniform", rng())
    assert rows.dtype == np.int64
    assert rows.tolist() == base


def perturbed_choices(n: int, length: int) -> list[range]:
    """For each place, the snippets that may stand there (spec §1.1, word by word)."""
    if n == length:
        return [range(i, i + 1) for i in range(n)]
    base = [math.floor(i * n / length) for i in range(length)]
    choices = []
    for i in range(length - 1):
        same = base[i] == base[i + 1]
        choices.append(range(base[i], base[i] + 1 if same else base[i + 1] + 1))
    return [*choices, range(base[-1], n)]


@given(sizes, sizes, seeds)
def test_perturb_draws_from_each_stratum_in_order(n: int, length: int, seed: int) -> None:
    rows = snippet_rows(n, length, "perturb", rng(seed))
    assert rows.shape == (length,)
    assert rows.dtype == np.int64
    for row, choice in zip(rows.tolist(), perturbed_choices(n, length), strict=True):
        assert row in choice
    assert (np.diff(rows) >= 0).all()


@pytest.mark.parametrize(("n", "length"), [(25, 10), (7, 3), (3, 2), (5, 1), (4, 10), (10, 10)])
def test_perturb_reaches_all_of_each_stratum_evenly(n: int, length: int) -> None:
    draws = 3000
    rows = np.stack([snippet_rows(n, length, "perturb", rng(seed)) for seed in range(draws)])
    for i, choice in enumerate(perturbed_choices(n, length)):
        counts = np.bincount(rows[:, i], minlength=n)
        expected = draws / len(choice)
        assert set(np.flatnonzero(counts)) == set(choice)
        assert np.abs(counts[list(choice)] - expected).max() < 6 * math.sqrt(expected)


@given(sizes, sizes, seeds)
def test_pad_takes_neighbours_and_fills_up_with_nothing(n: int, length: int, seed: int) -> None:
    rows = snippet_rows(n, length, "pad", rng(seed))
    assert rows.tolist() == list(range(rows[0], rows[0] + min(n, length)))
    assert rows[0] >= 0
    assert rows[-1] < n
    features, valid = sample_snippets(ramp(n) + 1, length, "pad", rng(seed))
    assert features.shape == (length, 2)
    np.testing.assert_array_equal(features[valid], (ramp(n) + 1)[rows])
    assert valid.tolist() == [i < n for i in range(length)]
    assert not features[~valid].any()


def test_pad_reaches_every_window() -> None:
    starts = {int(snippet_rows(7, 3, "pad", rng(seed))[0]) for seed in range(200)}
    assert starts == {0, 1, 2, 3, 4}


@given(sizes, sizes, seeds)
def test_avg_is_the_mean_of_equal_chunks(n: int, length: int, seed: int) -> None:
    values = rng(n).normal(size=(n, 3)).astype(np.float32)
    features, valid = sample_snippets(values, length, "avg", rng(seed))
    if n >= length:
        expected = [chunk.mean(axis=0) for chunk in np.array_split(values, length)]
    else:  # the public code then draws
        expected = [values[row] for row in snippet_rows(n, length, "perturb", rng(seed))]
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
    assert features.dtype == np.float32
    assert valid.all()


def test_avg_golden_chunks() -> None:
    """Spec §10: the public code cuts 10 snippets into 4 as 3, 3, 2, 2."""
    assert snippet_rows(10, 4, "avg", rng()).tolist() == [0, 3, 6, 8]
    features, _ = sample_snippets(ramp(10), 4, "avg", rng())
    np.testing.assert_array_equal(features[:, 0], [1, 4, 6.5, 8.5])


def test_all_is_the_video_itself() -> None:
    features, valid = sample_snippets(ramp(5), 3, "all", rng())
    np.testing.assert_array_equal(features, ramp(5))
    assert valid.tolist() == [True] * 5
    assert snippet_rows(5, 3, "all", rng()).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 500])
def test_every_rule_gives_what_it_says(sampling: Sampling, n: int) -> None:
    length = n if sampling == "all" else 10
    features, valid = sample_snippets(ramp(n), 10, sampling, rng())
    assert features.shape == (length, 2)
    assert features.dtype == np.float32
    assert valid.shape == (length,)
    assert valid.dtype == bool
    if sampling in ("perturb", "uniform"):
        rows = snippet_rows(n, 10, sampling, rng())
        np.testing.assert_array_equal(features, ramp(n)[rows])


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_one_seed_one_draw(sampling: Sampling) -> None:
    first, second = (sample_snippets(ramp(40), 10, sampling, rng(3))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = sample_snippets(ramp(40), 10, sampling, rng(4))[0]
    assert (sampling in ("perturb", "pad")) == (not np.array_equal(first, other))


def test_nonsense_is_refused() -> None:
    with pytest.raises(AttentadError, match=r"no way 'random' to draw snippets; choose .*perturb"):
        snippet_rows(5, 3, "random", rng())  # type: ignore[arg-type]
    for n, length in ((0, 3), (3, 0)):
        with pytest.raises(AttentadError, match="both must be 1 or more"):
            snippet_rows(n, length, "perturb", rng())
