"""Random snippets: a fixed number of a video's snippets, drawn anew in every epoch.

Source: spec hamnet_sta_recognition §1.1; golden base indices in its §9.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError

Sampling = Literal["perturb", "uniform", "pad", "avg", "all"]
SAMPLINGS: Final[tuple[str, ...]] = get_args(Sampling)


def snippet_rows(
    n: int, length: int, sampling: Sampling, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Which of n snippets make a view of N = `length`, ascending; a short video repeats some.

    With base indices b_i = ⌊i·n/N⌋:

    - `perturb`: snippet i is drawn from {b_i, …, b_{i+1}}, both ends included, the last one from
      {b_i, …, n − 1}; all n of them where n = N.
    - `uniform`: b_i.
    - `avg`: where the chunks begin that `sample_snippets` takes means of: first n mod N chunks of
      ⌊n/N⌋ + 1 snippets, then those of ⌊n/N⌋ (10 in 4: 3, 3, 2, 2). As `perturb` where n < N.
    - `pad`: N neighbours from a random place on, or all n where there are fewer.
    - `all`: all n.

    The rows are (N,) int64; (n,) for `all`, and for `pad` where n < N.

    Raises:
        AttentadError: `sampling` is unknown, or a size is below 1.
    """
    if sampling not in SAMPLINGS:
        raise AttentadError(
            f"there is no way {sampling!r} to draw snippets; choose one of {', '.join(SAMPLINGS)}."
        )
    if n < 1 or length < 1:
        raise AttentadError(f"{length} of {n} snippets cannot be drawn; both must be 1 or more.")
    if sampling == "all":
        return np.arange(n)
    if sampling == "pad":
        start = int(rng.integers(0, max(n - length, 0), endpoint=True))
        return np.arange(start, start + min(n, length))
    steps = np.arange(length)
    if sampling == "avg" and n >= length:
        size, longer = divmod(n, length)
        return steps * size + np.minimum(steps, longer)
    base = steps * n // length
    if sampling != "uniform" and n != length:
        return rng.integers(base, np.append(base[1:], n - 1), endpoint=True)
    return base


def sample_snippets(
    features: NDArray[np.float32], length: int, sampling: Sampling, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A view of N = `length` snippets of a video, features (n, C), by the rules of `snippet_rows`.

    Besides, `pad` fills up with zeros, and `avg` takes the mean of each chunk where n ≥ N.
    Errors are those of `snippet_rows`.

    Returns:
        Features (N, C) float32 and where there is video (N,) bool; (n, C) and (n,) for `all`.
    """
    n = len(features)
    rows = snippet_rows(n, length, sampling, rng)
    if sampling == "all":
        return features, np.ones(n, bool)
    if sampling == "avg" and n > length:
        sums = np.add.reduceat(features, rows, axis=0, dtype=np.float64)
        chunk_sizes = np.diff(rows, append=n)
        return (sums / chunk_sizes[:, None]).astype(np.float32), np.ones(length, bool)
    filled = np.pad(features[rows], ((0, length - len(rows)), (0, 0)))
    return filled, np.arange(length) < len(rows)
