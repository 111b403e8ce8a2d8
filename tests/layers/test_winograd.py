"""Convolution of listed cells in tiles against torch's convolution of the whole map."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.layers import winograd
from attentad.layers.winograd import CellConv, minimal_filter, tile_corners


def listed(cells):
    """The numbers of the true cells in row-major order, −1 elsewhere."""
    rows = np.full(cells.shape, -1)
    rows[cells] = np.arange(cells.sum())
    return rows


@st.composite
def maps(draw):
    """Which cells of a map are read and which are asked for, one at least of each."""
    shape = (draw(st.integers(1, 10)), draw(st.integers(1, 10)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    read, written = rng.random((2, *shape)) < draw(st.sampled_from([0.1, 0.5, 1.0]))
    read.flat[rng.integers(read.size)] = written.flat[rng.integers(read.size)] = True
    return read, written


@settings(max_examples=40, deadline=None)
@given(maps())
def test_any_cells_equal_the_whole_map(chosen):
    read, written = chosen
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 2, 3, padding=1).double()
    cells = torch.randn(2, int(read.sum()), 3, dtype=torch.double)
    image = torch.zeros(2, 3, *read.shape, dtype=torch.double)
    image[:, :, torch.from_numpy(read)] = cells.transpose(1, 2)
    expected = torch.relu(conv(image))[:, :, torch.from_numpy(written)].transpose(1, 2)
    layer = CellConv(listed(read), listed(written)).double()
    torch.testing.assert_close(
        layer(cells, conv.weight, conv.bias), expected, atol=1e-10, rtol=1e-10
    )


def test_gradients_of_cells_kernel_and_bias():
    torch.manual_seed(0)
    written = np.zeros((5, 6), dtype=bool)
    written[0, 1:3] = written[4, 5] = True
    layer = CellConv(listed(np.ones((5, 6), dtype=bool)), listed(written)).double()
    shapes = [(2, 30, 2), (3, 2, 3, 3), (3,)]
    inputs = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(layer, inputs)


def test_one_row_of_a_filter_by_hand():
    a_t, g, b_t = minimal_filter()
    signal, kernel = np.array([3.0, 1, 4, 1, 5, 9]), np.array([2.0, 7, 1])
    found = a_t @ ((g @ kernel) * (b_t @ signal))
    # 2·3 + 7·1 + 1·4, and so on along the signal.
    np.testing.assert_allclose(found, [17, 31, 20, 46], atol=1e-12)


def test_points_lose_less_than_the_usual_ones(monkeypatch):
    torch.manual_seed(0)
    inside = np.ones((24, 24), dtype=bool)
    cells, conv = torch.rand(1, inside.size, 64), torch.nn.Conv2d(64, 8, 3, padding=1)
    image = cells.transpose(1, 2).unflatten(2, inside.shape).double()
    expected = torch.relu(conv.double()(image)).flatten(2).transpose(1, 2)
    conv.float()

    def error():
        layer = CellConv(listed(inside), listed(inside))
        found = layer(cells, conv.weight, conv.bias).detach()
        return float((found - expected.detach()).square().mean().sqrt())

    chosen = error()
    a_t, g, b_t = minimal_filter((0, 1, -1, 2, -2))
    for name, matrix in (("A_T", a_t), ("G", g), ("B_T", b_t)):
        monkeypatch.setattr(winograd, name, matrix)
    assert chosen < 0.7 * error()
    assert chosen < 1e-6


def test_tiles_without_an_asked_cell_are_left_out():
    written = np.zeros((9, 9), dtype=bool)
    written[0, 3] = written[8, 4] = written[8, 7] = True
    top, left = tile_corners(written)
    assert (top.tolist(), left.tolist()) == ([0, 8], [0, 4])


def test_several_blocks_of_tiles_are_as_one(monkeypatch):
    torch.manual_seed(0)
    every = np.ones((11, 13), dtype=bool)
    shapes = [(2, 143, 3), (2, 3, 3, 3), (2,)]
    inputs = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    results = []
    for tiles in (64, 3):
        monkeypatch.setattr(winograd, "BLOCK_TILES", tiles)
        layer = CellConv(listed(every), listed(every))
        assert len(layer.blocks) == (1 if tiles == 64 else 4)
        output = layer(*inputs)
        results.append([output, *torch.autograd.grad(output.square().sum(), inputs)])
    torch.testing.assert_close(*results, atol=1e-10, rtol=1e-10)
