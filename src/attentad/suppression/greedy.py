"""What all suppression does: take the best candidate, lower or remove its neighbours, again.

Many groups (classes, windows, videos) of few candidates go in step, the best of every group at
once, so that a call of numpy serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from attentad.core.arrays import Floats, Ints

# Keeps the union of two points from being zero; vanishes beside any real length.
TINY_SEC: Final = 1e-300
# The key of what may still be taken is no lower; −inf is what was taken, removed or never there.
LOWEST_KEY: Final = float(np.finfo(np.float64).min)
# Groups × candidates in step: few enough that the arrays stay in the processor's cache.
_CELLS = 8192
# Candidates left per step of the loop between two looks at how many are left.
_LEFT_PER_STEP = 12

# Lowers keys in place, given the tIoU with what was just taken, which it may overwrite; 0 where
# the rule's threshold is not exceeded. Both are (groups, candidates).
Decay: TypeAlias = Callable[[Floats, Floats], None]


class Candidates(NamedTuple):
    """Arrays (N,) of one length.

    Args:
        start, end: of the segments.
        key: what orders them; finite.
        threshold: the tIoU above which each, once taken, lowers others; None for 0.
    """

    start: Floats
    end: Floats
    key: Floats
    threshold: Floats | None = None


class Rule(NamedTuple):
    """How keys fall and when a group ends.

    Args:
        decay: lowers the keys.
        floor: a group ends when its best key is lower.
        least: and when fewer than so many reach the floor.
        union_as_bmn: the union of a pair is rounded in the order of BMN's code.
    """

    decay: Decay
    floor: float = LOWEST_KEY
    least: int = 1
    union_as_bmn: bool = False


def take(candidates: Candidates, groups: Ints, rule: Rule, keep: int | None) -> tuple[Ints, Floats]:
    """Indices of what is taken and its keys at that time, group by group, in the order taken.

    Args:
        candidates: of all groups, N of them.
        groups: (N,) which group each belongs to; any integers. On a tie of keys the first in
            order is taken.
        rule: how it goes.
        keep: at most so many of a group; None for all.

    Returns:
        Both (M,); groups ascend.
    """
    # Whoever begins below the floor never gets above it, and so changes nothing.
    rows = np.flatnonzero(candidates.key >= rule.floor)
    rows = rows[np.argsort(groups[rows], kind="stable")]
    first = np.flatnonzero(np.diff(groups[rows], prepend=np.nan))
    size = np.diff(first, append=len(rows))
    table = _table(candidates)
    taken, keys, owner = [np.zeros(0, dtype=np.int64)], [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    for batch in _batches(size):
        width = int(size[batch].max())
        column = np.arange(width)
        there = column < size[batch][:, None]
        index = rows[np.minimum(first[batch][:, None] + column, len(rows) - 1)]
        fields = np.take(table, index, axis=1)  # in the order of memory, unlike table[:, index]
        fields[_KEY, ~there] = -np.inf
        steps = width if keep is None else min(keep, width)
        go = _take_in_step if len(batch) > 1 else _take_alone
        cells, found = go(fields, rule, steps)
        valid = found >= rule.floor
        taken.append(index.ravel()[cells[valid]])
        keys.append(found[valid])
        owner.append(np.repeat(batch, valid.sum(axis=1)))
    order = np.argsort(np.concatenate(owner), kind="stable")
    return np.concatenate(taken)[order], np.concatenate(keys)[order]


# Rows of the table of candidates. The start is negated: then one minimum serves both ends.
_END, _MINUS_START, _LENGTH, _KEY, _THRESHOLD = range(5)


def _table(candidates: Candidates) -> Floats:
    """(4, N), or (5, N) with thresholds."""
    start, end, key, threshold = candidates
    rows = [end, -start, np.maximum(end - start, TINY_SEC), key]
    return np.stack(rows if threshold is None else [*rows, threshold])


def _batches(size: Ints) -> Iterator[Ints]:
    """Groups that go in step: of like sizes, so that padding is at most half of the cells."""
    order = np.argsort(-size, kind="stable")
    falling = size[order]
    begin = 0
    while begin < len(order):
        width = int(falling[begin])
        like = int(np.searchsorted(-falling, -(width // 2), side="right"))
        stop = min(max(like, begin + 1), begin + max(1, _CELLS // width))
        yield order[begin:stop]
        begin = stop


def _take_in_step(fields: Floats, rule: Rule, steps: int) -> tuple[Ints, Floats]:
    """What each group of (4 or 5, groups, candidates) gives in each step.

    Returns:
        Cells, counted over groups × candidates, and keys, both (groups, steps); a key below the
        rule's floor is none.
    """
    count, width = fields.shape[1:]
    taken = np.zeros((steps, count), dtype=np.int64)
    keys = np.full((steps, count), -np.inf)
    cells, groups, step = np.arange(count * width).reshape(count, width), np.arange(count), 0
    room, zeros = np.empty(3 * count * width), np.zeros(count * width)
    while step < steps and len(groups):
        at, top = _take_some(fields, rule, steps - step, room, zeros)
        stop = step + len(at)
        taken[step:stop, groups] = cells.ravel()[at]
        keys[step:stop, groups] = top
        # Groups that have ended go, and so does what was taken.
        goes_on = (top[-1] >= rule.floor) & (fields[_KEY] > -np.inf).any(axis=1)
        if not goes_on.all():
            fields, cells, groups = fields[:, goes_on], cells[goes_on], groups[goes_on]
        step = stop
        fields, cells = _without_taken(fields, cells)
    return taken.T, keys.T


def _take_some(
    fields: Floats, rule: Rule, steps: int, room: Floats, zeros: Floats
) -> tuple[Ints, Floats]:
    """Up to so many steps, fewer where many candidates have gone meanwhile; keys fall in place.

    Args:
        fields, rule, steps: as in `_take_in_step`.
        room: to work in, three times as many numbers as cells or more.
        zeros: as many zeros or more.

    Returns:
        Cells taken and their keys, both (steps done, groups).
    """
    _, count, width = fields.shape
    key, length, ends = fields[_KEY], fields[_LENGTH], fields[:_LENGTH]
    flat = fields.reshape(len(fields), -1)
    flat_key = flat[_KEY]
    best = np.empty((len(fields), count))
    best_key = best[_KEY]
    best_bounds, best_ends = best[:_KEY, :, None], best[:_LENGTH, :, None]
    best_threshold = best[_THRESHOLD, :, None] if len(fields) > _THRESHOLD else None
    bounds = room[: 3 * count * width].reshape(3, count, width)
    zero = zeros[: count * width].reshape(count, width)
    nearer, (overlap, minus_start, union) = bounds[:_LENGTH], bounds
    first_cell = width * np.arange(count)
    taken, top = np.empty((steps, count), dtype=np.int64), np.empty((steps, count))
    look = max(8, width // _LEFT_PER_STEP)
    decay, floor, least, union_as_bmn = rule
    step = 0
    for step, (at, now) in enumerate(zip(taken, top, strict=True), 1):
        np.add(key.argmax(axis=1), first_cell, out=at)
        flat.take(at, 1, best, "clip")
        now[:] = best_key
        if least > 1:
            now[np.count_nonzero(key >= floor, axis=1) < least] = -np.inf
        flat_key[at] = -np.inf
        # Numbers are spread out first: two whole arrays take a third of the time or less.
        np.copyto(bounds, best_bounds)
        np.minimum(nearer, ends, out=nearer)
        np.add(overlap, minus_start, out=overlap)
        np.maximum(overlap, zero, out=overlap)
        if union_as_bmn:
            np.subtract(length, overlap, out=union)
            np.add(union, best_ends[_END], out=union)
            np.add(union, best_ends[_MINUS_START], out=union)
            np.maximum(union, TINY_SEC, out=union)
        else:
            np.add(union, length, out=union)
            np.subtract(union, overlap, out=union)
        np.divide(overlap, union, out=overlap)
        if best_threshold is not None:
            np.copyto(union, best_threshold)
            np.copyto(overlap, 0.0, where=overlap <= union)
        decay(key, overlap)
        if not step % look and _worth_a_look(key, now, floor):
            break
    return taken[:step], top[:step]


def _worth_a_look(key: Floats, top: Floats, floor: float) -> bool:
    """Whether the loop should go on with fewer candidates, or not at all."""
    ended = np.count_nonzero(top < floor)
    return bool(4 * ended >= len(top) or np.count_nonzero(key > -np.inf) <= 0.75 * key.size)


def _take_alone(fields: Floats, rule: Rule, steps: int) -> tuple[Ints, Floats]:
    """`_take_in_step` for one group: numbers instead of arrays of one, for speed alone."""
    table, cells = fields[:, 0], np.arange(fields.shape[2])
    taken, keys, count = np.zeros((1, steps), dtype=np.int64), np.full((1, steps), -np.inf), 0
    end, minus_start, length, key = table[:_THRESHOLD]
    left = len(key)
    overlap, work, zero = np.empty(left), np.empty(left), np.zeros(left)
    decay, floor, least, union_as_bmn = rule
    while count < steps:
        best = int(key.argmax())
        value = key[best]
        if value < floor or (least > 1 and np.count_nonzero(key >= floor) < least):
            break
        taken[0, count], keys[0, count] = cells[best], value
        count += 1
        key[best] = -np.inf
        overlap.fill(end[best])
        np.minimum(overlap, end, out=overlap)
        work.fill(minus_start[best])
        np.minimum(work, minus_start, out=work)
        np.add(overlap, work, out=overlap)
        np.maximum(overlap, zero, out=overlap)
        if union_as_bmn:
            np.subtract(length, overlap, out=work)
            np.add(work, end[best], out=work)
            np.add(work, minus_start[best], out=work)
            np.maximum(work, TINY_SEC, out=work)
        else:
            np.add(length, length[best], out=work)
            np.subtract(work, overlap, out=work)
        np.divide(overlap, work, out=overlap)
        if len(table) > _THRESHOLD:
            np.copyto(overlap, 0.0, where=overlap <= table[_THRESHOLD, best])
        decay(key, overlap)
        left -= 1
        # What was taken leaves the arrays now and then, not each time.
        if left < 0.9 * len(key) and left > 64:
            alive = np.flatnonzero(key > -np.inf)
            table, cells, left = table.take(alive, axis=1), cells[alive], len(alive)
            if not left:
                break
            end, minus_start, length, key = table[:_THRESHOLD]
            overlap, work, zero = np.empty(left), np.empty(left), np.zeros(left)
    return taken, keys


def _without_taken(fields: Floats, cells: Ints) -> tuple[Floats, Ints]:
    """The arrays with what is left moved to the front, in order, and cut to the longest group."""
    alive = fields[_KEY] > -np.inf
    left = np.count_nonzero(alive, axis=1)
    longest = int(left.max(initial=0))
    rows = np.flatnonzero(alive)
    found = fields.reshape(len(fields), -1).take(rows, axis=1)
    if (left == longest).all():
        return found.reshape(len(fields), len(left), longest), cells.ravel()[rows].reshape(
            len(left), longest
        )
    there = np.arange(longest) < left[:, None]
    packed = np.zeros((len(fields), len(left), longest))
    packed[_KEY], packed[_LENGTH] = -np.inf, TINY_SEC
    packed[:, there] = found
    packed_cells = np.zeros((len(left), longest), dtype=np.int64)
    packed_cells[there] = cells.ravel()[rows]
    return packed, packed_cells
