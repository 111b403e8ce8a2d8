"""Which videos test: parts that hold alike much of each class, and no group is torn apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from attentad.core.arrays import Ints


def balanced_parts(counts: Ints, parts: int) -> Ints:
    """The part, 0 to `parts` − 1, of each of G groups.

    One group after the other, those with the largest shares of the classes first, goes to the part
    that has least of what it holds: the sum of squared shares of all parts grows least. A part is
    empty only where there are fewer groups than parts; where so many groups have instances, each
    part has some.

    Args:
        counts: (G, K) instances of each class in each group.
        parts: how many.

    Returns:
        (G,) int64.
    """
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    # Groups themselves are to be spread too, also those in which nothing happens.
    shares = np.column_stack([shares, np.full(len(counts), 1 / max(len(counts), 1))])
    held = np.zeros((parts, shares.shape[1]))
    chosen = np.zeros(len(counts), dtype=np.int64)
    for group in np.argsort(-shares.sum(axis=1), kind="stable"):
        part = int(np.argmin(held @ shares[group]))
        held[part] += shares[group]
        chosen[group] = part
    return chosen


def parts_of_videos(
    counts: Mapping[str, Ints], groups: Mapping[str, str], parts: int
) -> dict[str, int]:
    """Video → its part; videos of one group are in one part, see `balanced_parts`.

    Args:
        counts: video → (K,) instances of each class.
        groups: video → name of its group.
        parts: how many.
    """
    names = group_names(groups, counts)
    totals = [sum(counts[video] for video in counts if groups[video] == name) for name in names]
    part_of = dict(zip(names, balanced_parts(np.array(totals), parts).tolist(), strict=True))
    return {video: part_of[groups[video]] for video in counts}


def group_names(groups: Mapping[str, str], videos: Mapping[str, object]) -> Sequence[str]:
    """The groups of these videos, each once, in the order of the videos."""
    return list(dict.fromkeys(groups[video] for video in videos))
