"""What attention adds to BMN at inference: CSA beside SE, CBAM and a Transformer layer.

A video at a time at ActivityNet's size, T = 100 and C_in = 400, the module at the encoder's end
(256 channels). In a round every network has its turn; what a module adds is the median over the
rounds of the difference from the plain BMN of the same round. Beside it stands the time of the
module by itself, which other work on the machine disturbs less.

    python benchmarks/attention.py [--rounds 100 --threads 1 2 --length 100 --feature-dim 400]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from attentad.attention.sites import AttentionChoice
from attentad.detection.bmn import BMN
from direct.measure import times_in_turn

SITE = "encoder"
MODULES: dict[str, AttentionChoice] = {
    "se": ("se", {}),
    "cbam": ("cbam", {}),
    "transformer": ("transformer", {}),
    "csa, 1 conv": ("csa", {"convs": 1}),
    "csa, 2 convs": ("csa", {"convs": 2}),
}
PLAIN, PAPER = "bmn", "csa, 2 convs"
PAPER_MS = 1.0
WARM_UP_ROUNDS = 3


def build_networks(feature_dim: int, length: int) -> dict[str, BMN]:
    """BMN without attention, and with each module at its encoder's end; the same weights."""
    plain = BMN(feature_dim, length).eval()
    networks = {PLAIN: plain}
    for label, choice in MODULES.items():
        networks[label] = BMN(feature_dim, length, attention={SITE: choice}).eval()
        networks[label].load_state_dict(plain.state_dict(), strict=False)
    return networks


def measure(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every call in every round."""
    times_in_turn(calls, min(WARM_UP_ROUNDS, rounds))
    times = times_in_turn(calls, rounds)
    return {label: [1000 * value for value in values] for label, values in times.items()}


def added_ms(whole: Mapping[str, list[float]], label: str) -> tuple[float, float, float]:
    """Median and quartiles of what the module adds, each round against the plain BMN's."""
    pairs = zip(whole[label], whole[PLAIN], strict=True)
    low, middle, high = statistics.quantiles([one - plain for one, plain in pairs], n=4)
    return middle, low, high


def report(features: Tensor, threads: int, rounds: int) -> None:
    """Measure with so many threads and print a table."""
    torch.set_num_threads(threads)
    feature_dim, length = features.shape[1:]
    networks = build_networks(feature_dim, length)
    modules = {label: networks[label].sites[SITE] for label in MODULES}
    encoded = torch.rand(1, networks[PLAIN].base_2.out_channels, length)
    with torch.inference_mode():
        calls = {label: partial(network, features) for label, network in networks.items()}
        whole = measure(calls, rounds)
        calls = {label: partial(module, encoded, features) for label, module in modules.items()}
        alone = measure(calls, rounds)
    plain = statistics.median(whole[PLAIN])
    print(f"{threads} thread{'s' if threads > 1 else ''}: BMN {plain:.2f} ms per video")
    print(f"  {'':14s} parameters  added ms (quartiles)     by itself, ms")
    for label, module in modules.items():
        middle, low, high = added_ms(whole, label)
        count = sum(parameter.numel() for parameter in module.parameters())
        print(
            f"  {label:14s} {count:10,d}  {middle:8.2f} ({low:6.2f}..{high:6.2f}) "
            f"{statistics.median(alone[label]):14.2f}"
        )
    added, by_itself = added_ms(whole, PAPER)[0], statistics.median(alone[PAPER])
    print(
        f"  CSA adds {added:.2f} ms to {plain:.2f} ({added / plain:.0%}), {by_itself:.2f} ms by "
        f"itself; the paper says about {PAPER_MS:.0f} ms"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What attention adds to BMN at inference.")
    parser.add_argument("--rounds", type=int, default=100, help="at least 2")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--length", type=int, default=100, help="T")
    parser.add_argument("--feature-dim", type=int, default=400, help="C_in")
    options = parser.parse_args()
    features = torch.rand(1, options.feature_dim, options.length)
    print(
        f"attention at the end of BMN's encoder, T = {options.length}, "
        f"C_in = {options.feature_dim}, one video at a time, {options.rounds} rounds"
    )
    for threads in options.threads:
        report(features, threads, options.rounds)


if __name__ == "__main__":
    main()
