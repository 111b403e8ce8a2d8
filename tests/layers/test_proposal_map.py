"""Convolving only the cells that are needed against convolving the whole map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attentad.core import AttentadError
from attentad.layers.boundary_matching import valid_cells
from attentad.layers.proposal_map import ProposalMapConvs, cell_positions, dilated


def with_last(cells, background):
    """The cells (B, cells, C) and, last, the background, (C,) or (B, C)."""
    last = background.unsqueeze(-2).expand(len(cells), 1, -1)
    return torch.cat([cells, last], dim=1)


def whole_map(layer, cells, background, layout, length, duration):
    """The published way: every cell of the map, invalid ones included."""
    batch, _, dim = cells.shape
    height, width = (duration, length) if layout == "dur_start" else (length, length)
    image = background[None, :, None, None].expand(batch, dim, height, width).clone()
    order = [(d, s) for d in range(duration) for s in range(length - d)]
    places = [(d, s) if layout == "dur_start" else (s, s + d) for d, s in order]
    for n, (row, column) in enumerate(places):
        image[:, :, row, column] = cells[:, n]
    for conv in layer.convs:
        image = torch.relu(conv(image))
    return torch.stack([image[:, :, row, column] for row, column in places], dim=1)


@pytest.mark.parametrize(
    ("layout", "length", "duration"),
    [("dur_start", 9, 9), ("dur_start", 9, 4), ("start_end", 9, 9), ("dur_start", 1, 1)],
)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    ("precision", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)]
)
def test_needed_cells_equal_the_whole_map(layout, length, duration, count, precision, tolerance):
    torch.manual_seed(count)
    layer = ProposalMapConvs(4, count, length, duration, layout).to(precision)
    number = int(valid_cells(length, duration).sum())
    cells = torch.randn(2, number, 4, dtype=precision, requires_grad=True)
    background = torch.randn(4, dtype=precision, requires_grad=True)
    fast = layer(with_last(cells, background))
    slow = whole_map(layer, cells, background, layout, length, duration)
    torch.testing.assert_close(fast, slow, atol=tolerance, rtol=tolerance)
    inputs = [cells, background, *layer.parameters()]
    upstream = torch.randn_like(fast)
    by_fast = torch.autograd.grad((fast * upstream).sum(), inputs)
    by_slow = torch.autograd.grad((slow * upstream).sum(), inputs)
    for one, other in zip(by_fast, by_slow, strict=True):
        torch.testing.assert_close(one, other, atol=10 * tolerance, rtol=10 * tolerance)


def test_gradcheck():
    torch.manual_seed(0)
    layer = ProposalMapConvs(2, 2, 4, 3, "dur_start").double()
    cells = torch.rand(1, 9, 2, dtype=torch.double, requires_grad=True)
    background = torch.rand(2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *rows: layer(with_last(*rows)), (cells, background))


def test_items_do_not_meet():
    torch.manual_seed(0)
    layer = ProposalMapConvs(4, 2, 7, 5, "dur_start")
    cells, background = torch.randn(3, len(layer.positions), 4), torch.randn(3, 4)
    single = [layer(with_last(cells[i : i + 1], background[i : i + 1])) for i in range(3)]
    assert torch.equal(layer(with_last(cells, background)), torch.cat(single))


def test_autocast_takes_the_plain_convolutions():
    layer = ProposalMapConvs(4, 2, 6, 6, "dur_start")
    cells, background = torch.randn(1, 21, 4), torch.randn(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = layer(with_last(cells, background))
    torch.testing.assert_close(
        rough.float(), layer(with_last(cells, background)), atol=0.05, rtol=0.05
    )


def test_dilated_by_one_cell():
    cells = np.zeros((4, 4), dtype=bool)
    cells[0, 1] = True
    assert dilated(cells, 0).sum() == 1
    assert np.argwhere(dilated(cells, 1)).max(axis=0).tolist() == [1, 2]


def test_start_end_needs_full_durations():
    shape, positions = cell_positions(3, 3, "start_end")
    assert shape == (3, 3)
    # Durations 1, 1, 1, 2, 2, 3: the diagonals of the upper triangle.
    assert positions.tolist() == [0, 4, 8, 1, 5, 2]
    with pytest.raises(AttentadError, match="max_duration"):
        cell_positions(3, 2, "start_end")
