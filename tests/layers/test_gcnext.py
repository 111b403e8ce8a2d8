"""GCNeXt against the published form, step by step and edge by edge."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attentad.layers.gcnext import GCNeXt, gathered, nearest, neighbour_mean


def slow_neighbours(feature, t, count, steps):
    """The nearest of the first `steps` steps by sorted distances; feature (C, T)."""
    distance = (feature[:, :steps] - feature[:, t : t + 1]).square().sum(0)
    return distance.argsort(stable=True)[:count].tolist()


def slow_semantic(block, feature, near):
    """Published order: concatenate, three 1×1 convolutions for each edge, maximum."""
    columns = []
    for t, neighbours in enumerate(near):
        edges = torch.stack([torch.cat([feature[:, n], feature[:, t]]) for n in neighbours], dim=1)
        weight = block.edge_in.weight[..., None]
        edges = torch.relu(nn.functional.conv1d(edges[None], weight, block.edge_in.bias))
        edges = block.edge_out(torch.relu(block.edge_groups(edges)))
        columns.append(edges[0].amax(1))
    return torch.stack(columns, dim=1)


def slow_block(block, feature, count, steps):
    """The block on the first `steps` steps of one item (C, T)."""
    feature = feature[:, :steps]
    near = [slow_neighbours(feature, t, count, steps) for t in range(steps)]
    time = torch.relu(block.time_groups(torch.relu(block.time_in(feature[None]))))
    return torch.relu(block.time_out(time)[0] + feature + slow_semantic(block, feature, near))


cases = {
    "seed": st.integers(0, 10**6),
    "length": st.integers(1, 12),
    "count": st.integers(1, 4),
    "share": st.floats(0, 1),
}


@settings(max_examples=40, deadline=None)
@given(**cases)
def test_neighbours_are_the_nearest_steps_with_video(seed, length, count, share):
    draw = torch.Generator().manual_seed(seed)
    feature = torch.randn(2, 3, length, generator=draw, dtype=torch.double) + 100
    steps = max(1, round(share * length))
    valid = (torch.arange(length) < torch.tensor([[length], [steps]])).contiguous()
    rows, real = nearest(feature, count, valid)
    mean = neighbour_mean(feature, nearest(feature, count, valid))
    for item, inside in ((0, length), (1, steps)):
        for t in range(inside):
            expected = slow_neighbours(feature[item], t, count, inside)
            found = (rows[item, t] - item * length)[real[item, t]].tolist()
            assert sorted(found) == sorted(expected)
            assert set((rows[item, t] - item * length).tolist()) <= set(expected)
            assert t in found
            torch.testing.assert_close(mean[item, :, t], feature[item][:, expected].mean(1))


@settings(max_examples=25, deadline=None)
@given(**cases)
def test_block_is_the_published_one(seed, length, count, share):
    torch.manual_seed(seed)
    block = GCNeXt(6, 2).double()
    feature = torch.randn(2, 6, length, dtype=torch.double)
    steps = max(1, round(share * length))
    valid = torch.arange(length) < torch.tensor([[length], [steps]])
    feature = feature * valid[:, None]
    result = block(feature, nearest(feature, count, valid), valid)
    for item, inside in ((0, length), (1, steps)):
        expected = slow_block(block, feature[item], count, inside)
        torch.testing.assert_close(result[item, :, :inside], expected)
        assert (result[item, :, inside:] == 0).all()


def test_no_mask_is_the_full_mask():
    block, feature = GCNeXt(6, 2), torch.randn(2, 6, 9)
    full = torch.ones(2, 9, dtype=torch.bool)
    one, other = nearest(feature, 3), nearest(feature, 3, full)
    assert one.real is None
    assert torch.equal(one.rows, other.rows)
    torch.testing.assert_close(block(feature, one), block(feature, other, full))
    torch.testing.assert_close(neighbour_mean(feature, one), neighbour_mean(feature, other))


def test_a_step_is_its_own_neighbour_even_among_equals():
    rows = nearest(torch.ones(1, 2, 7), 2).rows[0]
    assert all(t in row for t, row in enumerate(rows.tolist()))


def test_the_choice_of_neighbours_carries_no_gradient():
    feature = torch.randn(1, 3, 5, requires_grad=True)
    near = nearest(feature, 2)
    assert not near.rows.requires_grad
    neighbour_mean(feature, near).sum().backward()
    counted = np.bincount(near.rows.flatten().numpy(), minlength=5) / 2
    torch.testing.assert_close(feature.grad[0, 0], torch.from_numpy(counted).float())


def test_gradcheck():
    torch.manual_seed(0)
    block = GCNeXt(4, 1).double()
    feature = torch.randn(2, 4, 5, dtype=torch.double, requires_grad=True)
    valid = torch.arange(5) < torch.tensor([[5], [2]])
    near = nearest(feature, 3, valid)
    assert torch.autograd.gradcheck(lambda x: block(x, near, valid), (feature,))
    assert torch.autograd.gradcheck(lambda x: neighbour_mean(x, near), (feature,))


def test_a_large_common_offset_does_not_blur_the_neighbours():
    torch.manual_seed(0)
    feature = torch.randn(1, 8, 30)
    assert torch.equal(nearest(feature, 3).rows, nearest(feature + 3e3, 3).rows)


def test_gathered_rows_stay_within_their_item():
    steps = torch.arange(2 * 4).view(2, 4, 1).float()
    near = nearest(steps.transpose(1, 2), 2)
    assert (gathered(steps, near)[1] >= 4).all()
    assert (gathered(steps, near)[0] < 4).all()


def test_mixed_precision_finds_neighbours_in_full():
    torch.manual_seed(0)
    feature = torch.randn(1, 256, 256)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = nearest(feature, 3).rows
    assert torch.equal(mixed, nearest(feature.double(), 3).rows)


def test_published_parameter_count():
    assert sum(p.numel() for p in GCNeXt(256).parameters()) == 166_912
