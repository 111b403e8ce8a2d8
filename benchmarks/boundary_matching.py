"""One training step of BMN: projection before sampling against the published design.

The published design multiplies the features with a dense sampling mask, T × (N·D·T), and runs a
Conv3d with kernel (N, 1, 1) over the result and 2-d convolutions over the whole map. Both sides
have the same weights, and everything outside the proposal module is shared code. Times are taken
in one process, a step of each side in turn; each side's peak memory is that of a process of its
own, less what it holds after its imports.

    python benchmarks/boundary_matching.py [--length 100 --batch 1 4 --rounds 5 --threads 2]
"""

from __future__ import annotations

import argparse
import statistics
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from attentad.core import Timeline
from attentad.core.found import Truth
from attentad.detection.bmn import BMN, loss, targets
from attentad.layers.proposals import ProposalOutput
from direct.bmn import DirectBMN
from direct.measure import in_fresh_process, peak_bytes, times_in_turn

FEATURE_DIM = 400
TOLERANCE = 1e-5
# How many times faster, by items of a batch (other batches as the largest), and how much smaller.
SPEED_TARGETS = {1: 25.0, 4: 20.0}
MEMORY_TARGET = 12.0
Side = Literal["ours", "published"]


def build(side: Side, length: int) -> BMN:
    """Our network, or the published one with the same weights."""
    torch.manual_seed(0)
    ours = BMN(FEATURE_DIM, length)
    if side == "ours":
        return ours
    published = DirectBMN(FEATURE_DIM, length)
    published.load_state_dict(ours.state_dict())
    return published


def make_batch(length: int, batch: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Random features and the targets of a few random actions per item."""
    rng = np.random.default_rng(0)
    timeline = Timeline(length, 1.0, 1.0, 1.0, float(length))
    items = []
    for _ in range(batch):
        starts = rng.uniform(0, 0.8 * length, 5)
        lengths = rng.uniform(0.02 * length, 0.4 * length, 5)
        actions = np.stack([starts, starts + lengths], axis=1)
        truth = Truth(actions, np.zeros(len(actions), dtype=np.int64), 1)
        items.append(targets(truth, timeline))
    features = torch.from_numpy(rng.standard_normal((batch, FEATURE_DIM, length)))
    stacked = {key: torch.from_numpy(np.stack([i[key] for i in items])) for key in items[0]}
    return features.float(), stacked


def training_step(
    network: BMN, features: Tensor, made: dict[str, Tensor]
) -> tuple[ProposalOutput, dict[str, Tensor]]:
    """Forward, loss and backward; the gradients stay in the parameters."""
    network.zero_grad(set_to_none=True)
    outputs = network(features)
    terms = loss(outputs, made, generator=torch.Generator().manual_seed(0))
    terms["total"].backward()
    return outputs, terms


def difference(ours: BMN, published: BMN, features: Tensor, made: dict[str, Tensor]) -> float:
    """Largest difference between the two sides of outputs, losses and gradients.

    That the two are the same function is shown by the tests in double precision; in single
    precision a ReLU's input now and then lies within rounding of zero.
    """
    one, one_terms = training_step(ours, features, made)
    two, two_terms = training_step(published, features, made)
    found = [(a - b).abs().max() for a, b in zip(one, two, strict=True)]
    found += [(one_terms[key] - two_terms[key]).abs() for key in one_terms]
    for mine, theirs in zip(ours.parameters(), published.parameters(), strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        found.append((mine.grad - theirs.grad).abs().max())
    return max(float(value.detach()) for value in found)


def measure_peak(side: Side, length: int, batch: int, threads: int) -> int:
    """Peak memory of one training step in this process, beyond what it holds after its imports."""
    torch.set_num_threads(threads)
    # A first small step loads the libraries that torch opens lazily.
    training_step(BMN(FEATURE_DIM, 8), *make_batch(8, 1))
    before = peak_bytes()
    training_step(build(side, length), *make_batch(length, batch))
    return peak_bytes() - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time and memory of a BMN training step.")
    parser.add_argument("--length", type=int, default=100, help="T = D")
    parser.add_argument("--batch", nargs="+", type=int, default=list(SPEED_TARGETS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for batch in options.batch:
        compare(options.length, batch, options.rounds, options.threads)


def compare(length: int, batch: int, rounds: int, threads: int) -> None:
    """Measure both sides and print."""
    sides: tuple[Side, Side] = ("published", "ours")
    measured = (length, batch, threads)
    peaks = {side: in_fresh_process(measure_peak, side, *measured) for side in sides}
    features, made = make_batch(length, batch)
    published, ours = build("published", length), build("ours", length)
    worst = difference(ours, published, features, made)
    calls = {
        "published": lambda: training_step(published, features, made),
        "ours": lambda: training_step(ours, features, made),
    }
    # Several short steps, so that both sides see the machine for a comparable while.
    times = times_in_turn(calls, rounds, {"ours": 5})
    medians = {side: statistics.median(times[side]) for side in sides}
    print(f"one training step of BMN, T = D = {length}, C_in = {FEATURE_DIM}, batch {batch}")
    for side in sides:
        spread = f"{min(times[side]):.2f}..{max(times[side]):.2f}"
        memory = peaks[side] / 1e9
        print(f"  {side:10s} {medians[side]:6.3f} s (of {spread}), peak memory {memory:5.2f} GB")
    speed = medians["published"] / medians["ours"]
    wanted = SPEED_TARGETS.get(batch, SPEED_TARGETS[max(SPEED_TARGETS)])
    share = peaks["published"] / peaks["ours"]
    print(f"  largest difference {worst:.1e} ({_verdict(worst <= TOLERANCE)} {TOLERANCE:.0e})")
    print(f"  speed ratio  {speed:5.1f} x ({_verdict(speed >= wanted)} {wanted:.0f} x)")
    memory_ratio, met = f"1/{share:.1f}", _verdict(share >= MEMORY_TARGET)
    print(f"  memory ratio {memory_ratio:>5} ({met} 1/{MEMORY_TARGET:.0f})", flush=True)


def _verdict(met: bool) -> str:
    return "meets" if met else "misses"


if __name__ == "__main__":
    main()
