"""One training step of BMN: projection before sampling against the published design.

The published design multiplies the features with a dense sampling mask, T × (N·D·T), and runs a
Conv3d with kernel (N, 1, 1) over the result and 2-d convolutions over the whole map. Both sides
have the same weights, and everything outside the proposal module is shared code. Times are taken
in one process, a step of each side in turn; each side's peak memory is that of a process of its
own, less what it holds after its imports.

    python benchmarks/boundary_matching.py [--length 100 --batch 4 --rounds 5 --threads 2]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from attentad.core import Timeline
from attentad.detection.bmn import BMN, BMNOutput, loss, targets
from attentad.layers.boundary_matching import sampling_weights, valid_cells

FEATURE_DIM = 400
SPEED_TARGET, MEMORY_TARGET, TOLERANCE = 14.0, 1 / 5, 1e-5
Side = Literal["ours", "published"]


class Published(BMN):
    """BMN with the proposal module as published: dense mask, Conv3d, Conv2d over the whole map."""

    mask: Tensor

    def __init__(self, feature_dim: int, length: int) -> None:
        super().__init__(feature_dim, length)
        bins, out_dim, in_dim = self.matching.weight.shape
        self.register_buffer("mask", dense_mask(length, bins).flatten(1), persistent=False)
        hidden = self.map_in.out_features
        self.conv3d = nn.Conv3d(in_dim, out_dim, (bins, 1, 1), stride=(bins, 1, 1))
        self.conv2d_in = nn.Conv2d(out_dim, hidden, 1)
        self.conv2d_out = nn.Conv2d(hidden, 2, 1)

    def take_weights(self, network: BMN) -> None:
        """Take over the weights of `network`."""
        self.load_state_dict(network.state_dict(), strict=False)
        with torch.no_grad():
            self.conv3d.weight.copy_(network.matching.weight.permute(1, 2, 0)[..., None, None])
            self.conv3d.bias.copy_(network.matching.bias)  # type: ignore[union-attr]
            for conv, linear in (
                (self.conv2d_in, network.map_in),
                (self.conv2d_out, network.map_out),
            ):
                conv.weight.copy_(linear.weight[..., None, None])
                conv.bias.copy_(linear.bias)  # type: ignore[union-attr]

    def _proposals(self, feature: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        feature = torch.relu(self.pem_conv(feature))
        bins = len(self.matching.weight)
        sampled = (feature @ self.mask).unflatten(2, (bins, self.length, self.length))
        image = torch.relu(self.conv3d(sampled).squeeze(2))
        image = torch.relu(self.conv2d_in(image))
        for conv in self.map_convs.convs:
            image = torch.relu(conv(image))
        regression, classification = torch.sigmoid(self.conv2d_out(image)).unbind(1)
        return regression, classification


def dense_mask(length: int, bins: int) -> Tensor:
    """The sampling mask (T, N, D, T), D = T, zero where a proposal leaves the grid."""
    matrix = sampling_weights(length, length, bins)
    cells = np.flatnonzero(valid_cells(length, length))
    position = np.repeat(cells, np.diff(matrix.row_starts))
    step, sample = np.divmod(matrix.columns, bins)
    mask = torch.zeros(length, bins, length * length)
    mask[step, sample, position] = torch.from_numpy(matrix.values).float()
    return mask.unflatten(2, (length, length))


def build(side: Side, length: int) -> BMN:
    """Our network, or the published one with the same weights."""
    torch.manual_seed(0)
    ours = BMN(FEATURE_DIM, length)
    if side == "ours":
        return ours
    published = Published(FEATURE_DIM, length)
    published.take_weights(ours)
    return published


def make_batch(length: int, batch: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Random features and the targets of a few random actions per item."""
    rng = np.random.default_rng(0)
    timeline = Timeline(length, 1.0, 1.0, 1.0, float(length))
    items = []
    for _ in range(batch):
        starts = rng.uniform(0, 0.8 * length, 5)
        lengths = rng.uniform(0.02 * length, 0.4 * length, 5)
        items.append(targets(np.stack([starts, starts + lengths], axis=1), timeline))
    features = torch.from_numpy(rng.standard_normal((batch, FEATURE_DIM, length)))
    stacked = {key: torch.from_numpy(np.stack([i[key] for i in items])) for key in items[0]}
    return features.float(), stacked


def training_step(
    network: BMN, features: Tensor, made: dict[str, Tensor]
) -> tuple[BMNOutput, dict[str, Tensor]]:
    """Forward, loss and backward; the gradients stay in the parameters."""
    network.zero_grad(set_to_none=True)
    outputs = network(features)
    terms = loss(outputs, made, generator=torch.Generator().manual_seed(0))
    terms["total"].backward()
    return outputs, terms


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def difference(ours: BMN, published: Published, features: Tensor, made: dict[str, Tensor]) -> float:
    """Largest difference between the two sides of outputs at valid cells, losses and gradients.

    That the two are the same function is shown by the tests in double precision; in single
    precision a ReLU's input now and then lies within rounding of zero.
    """
    one, one_terms = training_step(ours, features, made)
    two, two_terms = training_step(published, features, made)
    cells = torch.from_numpy(valid_cells(ours.length, ours.max_duration))
    found = [(a - b).abs().max() for a, b in zip(one[:2], two[:2], strict=True)]
    found += [(a - b)[:, cells].abs().max() for a, b in zip(one[2:], two[2:], strict=True)]
    found += [(one_terms[key] - two_terms[key]).abs() for key in one_terms]
    mine, theirs = dict(ours.named_parameters()), dict(published.named_parameters())
    pairs: dict[str, Tensor | None] = {name: theirs[name] for name in mine}
    pairs["matching.weight"] = published.conv3d.weight
    pairs["matching.bias"] = published.conv3d.bias
    for name, conv in (("map_in", published.conv2d_in), ("map_out", published.conv2d_out)):
        pairs[f"{name}.weight"], pairs[f"{name}.bias"] = conv.weight, conv.bias
    for name, parameter in mine.items():
        counterpart = pairs[name]
        assert counterpart is not None
        grad, other = parameter.grad, counterpart.grad
        assert grad is not None
        assert other is not None
        if name == "matching.weight":
            other = other[..., 0, 0].permute(2, 0, 1)
        found.append((grad - other.view_as(grad)).abs().max())
    return max(float(value.detach()) for value in found)


def peak_bytes(side: Side, length: int, batch: int, threads: int) -> int:
    """Peak memory of one training step in a fresh process, beyond its imports."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measure_peak, (side, length, batch, threads))


def _measure_peak(side: Side, length: int, batch: int, threads: int) -> int:
    torch.set_num_threads(threads)
    # A first small step loads the libraries that torch opens lazily.
    training_step(BMN(FEATURE_DIM, 8), *make_batch(8, 1))
    before = _resident_peak()
    training_step(build(side, length), *make_batch(length, batch))
    return _resident_peak() - before


def _resident_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time and memory of a BMN training step.")
    parser.add_argument("--length", type=int, default=100, help="T = D")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    length, batch = options.length, options.batch
    sides: tuple[Side, Side] = ("published", "ours")
    peaks = {side: peak_bytes(side, length, batch, options.threads) for side in sides}
    features, made = make_batch(length, batch)
    published, ours = build("published", length), build("ours", length)
    assert isinstance(published, Published)
    worst = difference(ours, published, features, made)
    times: dict[Side, list[float]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        times["published"].append(seconds(lambda: training_step(published, features, made)))
        # Several short steps, so that both sides see the machine for a comparable while.
        for _ in range(5):
            times["ours"].append(seconds(lambda: training_step(ours, features, made)))
    medians = {side: statistics.median(times[side]) for side in sides}
    print(f"one training step of BMN, T = D = {length}, C_in = {FEATURE_DIM}, batch {batch}")
    for side in sides:
        spread = f"{min(times[side]):.2f}..{max(times[side]):.2f}"
        memory = peaks[side] / 1e9
        print(f"  {side:10s} {medians[side]:6.3f} s (of {spread}), peak memory {memory:5.2f} GB")
    speed = medians["published"] / medians["ours"]
    share = peaks["ours"] / peaks["published"]
    print(f"  largest difference {worst:.1e} ({_verdict(worst <= TOLERANCE)} {TOLERANCE:.0e})")
    print(f"  speed ratio  {speed:5.1f} x ({_verdict(speed >= SPEED_TARGET)} {SPEED_TARGET:.0f} x)")
    memory_ratio = f"1/{1 / share:.1f}"
    print(f"  memory ratio {memory_ratio:>5} ({_verdict(share <= MEMORY_TARGET)} 1/5)")


def _verdict(met: bool) -> str:
    return "meets" if met else "misses"


if __name__ == "__main__":
    main()
