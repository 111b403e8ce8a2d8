"""Sequences of any length, dealt to others of fixed length."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from attentad.layers.any_length import Dealing, dealt_rows


@given(st.integers(1, 60), st.integers(1, 20))
def test_every_step_stands_in_a_row_and_is_found_again(steps, length):
    rows, first = dealt_rows(steps, length)
    assert rows.shape == (-(-steps // length), length)
    assert (rows.reshape(-1)[first] == np.arange(steps)).all()
    # In each row time only goes on, evenly, over the whole video.
    assert (np.diff(rows, axis=1) >= 0).all()
    for row in rows:
        _, copies = np.unique(row, return_counts=True)
        assert copies.max() - copies.min() <= 1
        assert row[0] < len(rows)
        assert row[-1] >= steps - len(rows)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 3))
def test_what_is_dealt_is_gathered_again(steps, length, batch):
    dealing = Dealing(steps, length)
    for tensor in (torch.randn(batch, steps), torch.randn(batch, 2, steps)):
        dealt = dealing.deal(tensor)
        assert dealt.shape[1:] == (*tensor.shape[1:-1], length)
        assert torch.equal(dealing.gather(dealt), tensor)
    assert dealing.deal(None) is None


def test_by_hand():
    dealing = Dealing(6, 4)
    dealt = dealing.deal(torch.arange(6.0)[None])
    assert dealt.tolist() == [[0, 0, 2, 4], [1, 1, 3, 5]]
    # What a module makes of the first of a step's copies counts.
    assert dealing.gather(dealt * 10 + torch.arange(4)).tolist() == [[0, 10, 22, 32, 43, 53]]
    two = Dealing(2, 4)
    dealt = two.deal(torch.arange(2.0)[None])
    assert two.gather(dealt * 10 + torch.arange(4)).tolist() == [[0, 12]]
