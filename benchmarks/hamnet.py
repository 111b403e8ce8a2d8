"""HAM-Net: training steps per second, and the localisation of a long video, beside plain loops.

The loops (`direct/hamnet.py`) go over videos, classes and thresholds, as the text of the method
does; the network under them is the same, with the same weights. A training step is forward, loss,
backward and Adam; localisation goes from a video's features to its suppressed detections. What
comes after the network, the losses with their gradients, and decoding with suppression, is measured
by itself as well. Both sides run in one process, a call of each side in turn; on a processor peak
memory is that of a process of its own, less what it holds after its imports, the network included.
In the end the video is taken at one, two and four times its length.

    python benchmarks/hamnet.py [--batch 20 --length 500 --feature-dim 2048 --snippets 2812]
        [--rounds 3] [--threads 2] [--device cuda]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attentad.core import Timeline, VideoDetections
from attentad.detection.hamnet import HAMNet, HAMOutput, decode, loss
from attentad.suppression import suppress
from direct.hamnet import direct_localise, direct_losses
from direct.measure import held_bytes, in_fresh_process, peak_bytes, restart_peak, times_in_turn

Side = Literal["loops", "ours"]
Task = Literal["training step", "losses alone", "localisation", "after the network"]
SIDES: tuple[Side, Side] = ("loops", "ours")
TASKS: tuple[Task, ...] = ("training step", "losses alone", "localisation", "after the network")
# Several calls of the short tasks, so that every task sees the machine for a while.
REPEATS: dict[Task, int] = {"losses alone": 5, "after the network": 5}
TOLERANCE = 1e-5
PRESENT = 3
BLOCK = 12
LENGTHS = (1, 2, 4)
# Four times the length may take so many times as long and still count as linear.
LINEAR = 4.8
LEARNING_RATE, WEIGHT_DECAY = 1e-5, 1e-3


class Case(NamedTuple):
    """What is measured: B videos of T snippets in training, one of `snippets` in localisation."""

    batch: int
    length: int
    feature_dim: int
    classes: int
    snippets: int
    device: str
    threads: int


def make_features(case: Case, videos: int, snippets: int) -> Tensor:
    """(videos, C_in, snippets), not negative; what happens changes every few snippets."""
    rng = np.random.default_rng(0)
    blocks = rng.standard_normal((videos, -(-snippets // BLOCK), case.feature_dim), np.float32)
    features = np.repeat(blocks, BLOCK, axis=1)[:, :snippets]
    features += 0.3 * rng.standard_normal(features.shape, np.float32)
    return torch.from_numpy(np.maximum(features, 0)).transpose(1, 2).contiguous().to(case.device)


def build(case: Case) -> HAMNet:
    """A network whose attention goes from 0 to 1 and that finds `PRESENT` classes.

    With its first weights attention stays near .5 and no class passes: there is nothing to decode.
    """
    torch.manual_seed(0)
    network = HAMNet(case.feature_dim, case.length, classes=case.classes).to(case.device).eval()
    with torch.no_grad():
        outputs = network(make_features(case, 1, case.length))
        middle, width = outputs.scores[0].mean(0), outputs.scores[0].std(0)
        weight, bias = network.classifier.parameters()
        weight.div_(width[:, None, None])
        bias.sub_(middle / width)
        bias[:PRESENT] += 4
        weight, bias = network.foreground.conv_out.parameters()
        logits = torch.logit(outputs.attention)
        weight.mul_(1.5 / logits.std())
        bias.sub_(1.5 * logits.mean() / logits.std() + 1)
    return network


def make_labels(case: Case) -> Tensor:
    """(B, C): one to three classes per video."""
    rng = np.random.default_rng(0)
    labels = np.zeros((case.batch, case.classes), dtype=np.float32)
    for row in labels:
        row[rng.choice(case.classes, rng.integers(1, PRESENT + 1), replace=False)] = 1
    return torch.from_numpy(labels).to(case.device)


def timeline(snippets: int) -> Timeline:
    """Snippets of 16 frames, 25 a second."""
    return Timeline(snippets, 25.0, 16.0, 16.0, snippets * 0.64)


def losses(side: Side, outputs: HAMOutput, labels: Tensor) -> dict[str, Tensor]:
    """The loss terms."""
    if side == "loops":
        return direct_losses(outputs, labels)
    return loss(outputs, {"labels": labels})


def localised(side: Side, outputs: HAMOutput) -> VideoDetections:
    """Suppressed detections of one video."""
    clock = timeline(outputs.scores.shape[1])
    if side == "loops":
        return direct_localise(outputs, clock)
    (found,) = decode(outputs, [clock])
    return suppress(found.detections, sigma=0.3, plus_one=True, negative="keep")


def training_step(
    side: Side, network: HAMNet, optimiser: torch.optim.Optimizer, features: Tensor, labels: Tensor
) -> None:
    """Forward, loss, backward, Adam."""
    optimiser.zero_grad(set_to_none=True)
    losses(side, network.train()(features), labels)["total"].backward()
    optimiser.step()


def loss_step(
    side: Side, outputs: HAMOutput, labels: Tensor
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """The loss terms and their gradients by scores and attention."""
    inputs = HAMOutput(*(part.detach().requires_grad_() for part in outputs))
    terms = losses(side, inputs, labels)
    return terms, list(torch.autograd.grad(terms["total"], list(inputs)))


@torch.inference_mode()
def localisation(side: Side, network: HAMNet, features: Tensor) -> VideoDetections:
    """From features to detections."""
    return localised(side, network.eval()(features))


def prepare(task: Task, side: Side, case: Case) -> Callable[[], Any]:
    """The call to measure; its inputs are the same on both sides."""
    if task == "losses alone":
        draw = torch.Generator().manual_seed(0)
        scores = torch.randn(case.batch, case.length, case.classes + 1, generator=draw)
        attention = torch.rand(case.batch, case.length, generator=draw)
        outputs = HAMOutput(scores.to(case.device), attention.to(case.device))
        return partial(loss_step, side, outputs, make_labels(case))
    network = build(case)
    if task == "training step":
        features, labels = make_features(case, case.batch, case.length), make_labels(case)
        optimiser = torch.optim.Adam(
            network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        return partial(training_step, side, network, optimiser, features, labels)
    video = make_features(case, 1, case.snippets)
    if task == "localisation":
        return partial(localisation, side, network, video)
    with torch.inference_mode():
        return partial(localised, side, network(video))


def measure_peak(task: Task, side: Side, case: Case) -> int:
    """Peak memory of a task beyond what this process held before, or beyond its inputs."""
    torch.set_num_threads(case.threads)
    device = torch.device(case.device)
    small = case._replace(batch=2, length=8, feature_dim=8, snippets=24)
    prepare(task, side, small)()  # loads the libraries that torch opens lazily
    before = held_bytes(device)
    call = prepare(task, side, case)
    if task in ("losses alone", "after the network"):
        before = held_bytes(device)
    restart_peak(device)
    call()
    return peak_bytes(device) - before


def differences(case: Case) -> dict[str, float]:
    """The largest difference between the sides: of loss terms and gradients, and of detections."""
    terms, grads = zip(*(prepare("losses alone", side, case)() for side in SIDES), strict=True)
    pairs = [*zip(*grads, strict=True), *((terms[0][k], terms[1][k]) for k in terms[0])]
    found = [_table(prepare("after the network", side, case)()) for side in SIDES]
    if found[0].shape != found[1].shape:
        raise SystemExit("the two sides found different numbers of detections")
    return {
        "losses": max(float((one - two).abs().max().detach()) for one, two in pairs),
        "detections": float(np.abs(found[0] - found[1]).max(initial=0)),
    }


def _table(found: Any) -> NDArray[np.float64]:
    """Class, start, end and score of each detection, in an order that the side does not choose."""
    parts = [found.labels[:, None], found.segments, found.scores[:, None]]
    table = np.concatenate(parts, axis=1)
    return table[np.lexsort(table.T[::-1])]


def report(task: Task, times: Mapping[Side, list[float]], peaks: Mapping[Side, int]) -> None:
    """A line of the table."""
    loops, ours = (1000 * statistics.median(times[side]) for side in SIDES)
    memory = [peaks[side] / 1e6 for side in SIDES]
    print(
        f"{task:18s} {loops:10.1f} {ours:10.1f} {loops / ours:7.2f} x  "
        f"{memory[0]:8.0f} {memory[1]:8.0f} {memory[0] / max(memory[1], 1e-6):7.2f} x",
        flush=True,
    )


def report_lengths(case: Case, rounds: int) -> None:
    """Localisation of one, two and four times the video, whole and after the network."""
    tasks: tuple[Task, ...] = ("localisation", "after the network")
    print("\nlocalisation, ours, by length")
    growth = {}
    for task in tasks:
        calls = {
            str(factor): prepare(task, "ours", case._replace(snippets=factor * case.snippets))
            for factor in LENGTHS
        }
        times = times_in_turn(calls, rounds, device=torch.device(case.device))
        best = [1000 * min(values) for values in times.values()]
        growth[task] = best[-1] / best[0]
        cells = [
            f"{factor * case.snippets} snippets {ms:.1f} ms ({ms / best[0]:.2f} x)"
            for factor, ms in zip(LENGTHS, best, strict=True)
        ]
        print(f"{task:18s} {', '.join(cells)}", flush=True)
    verdict = "yes" if growth["localisation"] <= LINEAR else "no"
    print(f"localisation linear in the length ({LENGTHS[-1]} x: at most {LINEAR} x): {verdict}")


def parse() -> tuple[Case, int]:
    """The command line."""
    parser = argparse.ArgumentParser(description="HAM-Net beside plain loops.")
    parser.add_argument("--batch", type=int, default=20, help="videos of a training step")
    parser.add_argument("--length", type=int, default=500, help="T, snippets of each")
    parser.add_argument("--feature-dim", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument(
        "--snippets", type=int, default=2812, help="of the video localised; 30 minutes by default"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = vars(parser.parse_args())
    if options["device"] == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU, which this machine has not: use --device cpu.")
    rounds: int = options.pop("rounds")
    return Case(**options), rounds


def main() -> None:
    """Measure and print."""
    case, rounds = parse()
    torch.set_num_threads(case.threads)
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device(case.device)
    name = torch.cuda.get_device_name() if case.device == "cuda" else "cpu"
    print(
        f"HAM-Net on {name}, {case.threads} threads: {case.batch} videos of {case.length} × "
        f"{case.feature_dim} in training, one of {case.snippets} in localisation"
    )
    # A GPU's memory is counted by tensor, a processor's is that of the whole process.
    fresh = partial(in_fresh_process, measure_peak) if case.device == "cpu" else measure_peak
    print(f"{'':26s}milliseconds{'':17s}peak memory in MB")
    print(f"{'':18s} {'loops':>10s} {'ours':>10s} {'ratio':>9s}     loops     ours     ratio")
    for task in TASKS:
        peaks = {side: fresh(task, side, case) for side in SIDES}
        calls = {side: prepare(task, side, case) for side in SIDES}
        times = times_in_turn(calls, rounds, dict.fromkeys(SIDES, REPEATS.get(task, 1)), device)
        report(task, times, peaks)
        if task == "training step":
            rates = {side: 1 / statistics.median(times[side]) for side in SIDES}
    print(f"training steps per second: loops {rates['loops']:.3f}, ours {rates['ours']:.3f}")
    for what, found in differences(case).items():
        verdict = "meets" if found <= TOLERANCE else "FAILS"
        print(f"largest difference of {what}: {found:.1e} ({verdict} {TOLERANCE:g})")
    report_lengths(case, rounds)


if __name__ == "__main__":
    main()
