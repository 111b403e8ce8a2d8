"""BMN, G-TAD and DBG against their direct forms: training step and inference, time and memory.

The direct forms (`direct/`) sample first and convolve over the whole proposal map, as published,
with the same weights. Both sides run in one process, a call of each side in turn; on a processor
peak memory is that of a process of its own, less what it holds after its imports, the network
included. A training step is forward, loss and backward; inference is the forward pass alone.
Where there is a GPU, our outputs on it are compared with those on the processor.

    python benchmarks/detectors.py [--detector gtad dbg] [--setting thumos14] [--batch 1 4]
        [--rounds 3] [--threads 2] [--device cuda] [--amp]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from attentad.core import Timeline
from attentad.core.found import Truth
from attentad.detection import DETECTORS
from direct.bmn import DirectBMN
from direct.dbg import DirectDBG
from direct.gtad import DirectGTAD
from direct.measure import held_bytes, in_fresh_process, peak_bytes, restart_peak, times_in_turn

Side = Literal["direct", "ours"]
Task = Literal["training", "inference"]
SIDES: tuple[Side, Side] = ("direct", "ours")
TASKS: tuple[Task, Task] = ("training", "inference")
DIRECT: dict[str, type[nn.Module]] = {"bmn": DirectBMN, "gtad": DirectGTAD, "dbg": DirectDBG}
AMP = torch.bfloat16
# Several short calls, so that both sides see the machine for a comparable while.
REPEATS: dict[Side, int] = {"ours": 3}
ROUNDS = {"cpu": 3, "cuda": 20}


class Setting(NamedTuple):
    """Features (batch, feature_dim, length), and a detector's options on them."""

    feature_dim: int
    length: int
    options: Mapping[str, Any] = {}


# Specification csa, §§ 2.6, 3.1 and 4.4.
SETTINGS: dict[str, dict[str, Setting]] = {
    "activitynet13": dict.fromkeys(DIRECT, Setting(400, 100)),
    "thumos14": {
        "bmn": Setting(2048, 256, {"max_duration": 64}),
        "gtad": Setting(
            2048,
            256,
            {"max_duration": 64, "interior_bins": 16, "context_bins": 16, "map_kernel": 3},
        ),
        "dbg": Setting(2048, 128),
    },
}
# As many items as fit 16 GB in the direct form.
BATCHES = {"activitynet13": (1, 4), "thumos14": (1,)}


class Case(NamedTuple):
    """What is measured."""

    detector: str
    setting: Setting
    batch: int
    device: str
    amp: bool
    threads: int


class Measured(NamedTuple):
    """Seconds of each call and peak bytes, by side, and the largest difference between them."""

    times: dict[Side, list[float]]
    peaks: dict[Side, int]
    difference: float

    @property
    def speed(self) -> float:
        """How many times faster ours is."""
        return statistics.median(self.times["direct"]) / statistics.median(self.times["ours"])


def build(side: Side, case: Case) -> nn.Module:
    """The network on the case's device, with weights that do not depend on the side."""
    torch.manual_seed(0)
    feature_dim, length, options = case.setting
    ours = DETECTORS[case.detector].network(feature_dim, length, **options)
    if side == "ours":
        return ours.to(case.device)
    direct = DIRECT[case.detector](feature_dim, length, **options)
    direct.load_state_dict(ours.state_dict())
    return direct.to(case.device)


def make_batch(case: Case) -> tuple[Tensor, dict[str, Tensor]]:
    """Random features and the targets of a few random actions per item."""
    rng = np.random.default_rng(0)
    feature_dim, length, options = case.setting
    timeline = Timeline(length, 1.0, 1.0, 1.0, float(length))
    given = {key: options[key] for key in ("max_duration",) if key in options}
    items = []
    for _ in range(case.batch):
        starts = rng.uniform(0, 0.8 * length, 5)
        lengths = rng.uniform(0.02 * length, 0.4 * length, 5)
        actions = np.stack([starts, starts + lengths], axis=1)
        truth = Truth(actions, np.zeros(len(actions), dtype=np.int64), 1)
        items.append(DETECTORS[case.detector].targets(truth, timeline, **given))
    features = torch.from_numpy(rng.standard_normal((case.batch, feature_dim, length)))
    stacked = {key: torch.from_numpy(np.stack([i[key] for i in items])) for key in items[0]}
    on_device = {key: value.to(case.device) for key, value in stacked.items()}
    return features.float().to(case.device), on_device


def forward(network: nn.Module, features: Tensor, amp: bool) -> tuple[Tensor, ...]:
    """The network's outputs, in mixed precision or in float32."""
    with torch.autocast(features.device.type, AMP, enabled=amp):
        outputs: tuple[Tensor, ...] = network(features)
    return outputs


def training_step(
    case: Case, network: nn.Module, features: Tensor, made: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Forward, loss and backward → the loss terms; the gradients stay in the parameters."""
    network.zero_grad(set_to_none=True)
    outputs = forward(network, features, case.amp)
    generator = torch.Generator(case.device).manual_seed(0)
    terms = DETECTORS[case.detector].loss(outputs, made, generator=generator)
    terms["total"].backward()
    return terms


def inference(case: Case, network: nn.Module, features: Tensor) -> tuple[Tensor, ...]:
    """The forward pass without gradients."""
    with torch.inference_mode():
        return forward(network, features, case.amp)


def steps(case: Case, network: nn.Module) -> dict[Task, Callable[[], object]]:
    """The calls to measure."""
    features, made = make_batch(case)
    return {
        "training": partial(training_step, case, network, features, made),
        "inference": partial(inference, case, network, features),
    }


def differences(case: Case, networks: Mapping[Side, nn.Module]) -> dict[Task, float]:
    """The largest difference between the sides, without dropout.

    Of inference that of the outputs, of training that of the loss terms and the gradients. That the
    two are the same function is shown by the tests in double precision; in single precision a
    ReLU's input now and then lies within rounding of zero.
    """
    features, made = make_batch(case)
    outputs, trained = [], []
    for side in SIDES:
        network = networks[side].eval()
        outputs.append(inference(case, network, features))
        terms = training_step(case, network, features, made)
        grads = [parameter.grad for parameter in network.parameters()]
        trained.append([*terms.values(), *(grad for grad in grads if grad is not None)])
    return {"training": _largest(*trained), "inference": _largest(*outputs)}


def _largest(one: Sequence[Tensor], two: Sequence[Tensor]) -> float:
    pairs = zip(one, two, strict=True)
    return max(float((a.detach().cpu() - b.detach().cpu()).abs().max()) for a, b in pairs)


def measure_peaks(side: Side, case: Case) -> dict[Task, int]:
    """Peak memory of the network and either task, beyond what this process holds before."""
    torch.set_num_threads(case.threads)
    device = torch.device(case.device)
    _warm_up(case)
    before = held_bytes(device)
    network = build(side, case)
    peaks: dict[Task, int] = {}
    # The training step comes last, as its gradients stay.
    for task in reversed(TASKS):
        step = steps(case, network.train(task == "training"))[task]
        restart_peak(device)
        step()
        peaks[task] = peak_bytes(device) - before
    return peaks


def _warm_up(case: Case) -> None:
    """Take a small step, which loads the libraries that torch opens lazily."""
    small = case._replace(setting=Setting(8, 8), batch=1)
    for step in steps(small, build("ours", small)).values():
        step()


def measure(case: Case, rounds: int) -> dict[Task, Measured]:
    """Both tasks on both sides."""
    # A GPU's memory is counted by tensor, a processor's is that of the whole process.
    fresh = partial(in_fresh_process, measure_peaks) if case.device == "cpu" else measure_peaks
    peaks = {side: fresh(side, case) for side in SIDES}
    networks = {side: build(side, case) for side in SIDES}
    found = differences(case, networks)
    measured = {}
    for task in TASKS:
        calls: dict[Side, Callable[[], object]] = {
            side: steps(case, network.train(task == "training"))[task]
            for side, network in networks.items()
        }
        times = times_in_turn(calls, rounds, REPEATS, torch.device(case.device))
        by_side = {side: peaks[side][task] for side in SIDES}
        measured[task] = Measured(times, by_side, found[task])
    return measured


def device_difference(case: Case) -> float:
    """The largest difference between our outputs on the processor and on the GPU, in float32."""
    outputs = []
    for device in ("cpu", "cuda"):
        placed = case._replace(device=device, amp=False)
        network = build("ours", placed).eval()
        outputs.append(inference(placed, network, make_batch(placed)[0]))
    return _largest(*outputs)


def with_length(setting: Setting, length: int) -> Setting:
    """The setting with another T; D becomes at most T."""
    options = dict(setting.options)
    if "max_duration" in options:
        options["max_duration"] = min(options["max_duration"], length)
    return setting._replace(length=length, options=options)


def cases(options: argparse.Namespace) -> list[tuple[str, Case]]:
    """What the options ask for, each with the name of its setting."""
    found = []
    for name in options.setting:
        for detector in options.detector:
            setting = SETTINGS[name][detector]
            if options.length is not None:
                setting = with_length(setting, options.length)
            for batch in options.batch or BATCHES[name]:
                for amp in (False, True) if options.amp else (False,):
                    case = Case(detector, setting, batch, options.device, amp, options.threads)
                    found.append((name, case))
    return found


def report(name: str, case: Case, measured: Mapping[Task, Measured]) -> None:
    """Two lines of the table."""
    precision = "amp" if case.amp else "fp32"
    for task, result in measured.items():
        direct, ours = (1000 * statistics.median(result.times[side]) for side in SIDES)
        share = result.peaks["direct"] / max(1, result.peaks["ours"])
        memory = [f"{result.peaks[side] / 1e9:6.2f}" for side in SIDES]
        print(
            f"{case.detector:5s} {name:13s} {case.batch:5d} {precision:4s} {task:9s} "
            f"{direct:9.1f} {ours:9.1f} {result.speed:6.1f} x {memory[0]} {memory[1]} "
            f"{share:6.1f} x {result.difference:10.1e}",
            flush=True,
        )


def report_devices(chosen: Sequence[tuple[str, Case]]) -> None:
    """CPU and GPU side by side, or a sentence that there is none."""
    if not torch.cuda.is_available():
        print("CPU against GPU: skipped, this machine has no GPU")
        return
    for name, case in chosen:
        if not case.amp:
            found = device_difference(case)
            print(
                f"CPU against GPU: {case.detector} {name}, batch {case.batch}: "
                f"largest difference {found:.1e}"
            )


def parse() -> argparse.Namespace:
    """The command line, with the defaults that depend on the device."""
    parser = argparse.ArgumentParser(description="The detectors against their direct forms.")
    parser.add_argument("--detector", nargs="+", choices=list(DIRECT), default=list(DIRECT))
    parser.add_argument("--setting", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument(
        "--batch", nargs="+", type=int, help="items; 1 and 4 on activitynet13, 1 on thumos14"
    )
    parser.add_argument("--length", type=int, help="T, instead of the setting's")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS['cpu']}, on a GPU {ROUNDS['cuda']}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=list(ROUNDS), default="cpu")
    parser.add_argument(
        "--amp", action="store_true", help="mixed precision as well; on a GPU always"
    )
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU, which this machine has not: use --device cpu.")
    options.amp = options.amp or options.device == "cuda"
    options.rounds = options.rounds or ROUNDS[options.device]
    return options


def main() -> None:
    """Measure and print."""
    options = parse()
    torch.set_num_threads(options.threads)
    # TensorFloat-32 has the precision of neither side.
    torch.backends.cudnn.allow_tf32 = False
    device = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    print(f"ours against the direct form on {device}, {options.threads} threads; {AMP} as amp")
    print(
        f"{'':49s}milliseconds{'':15s}peak memory in GB{'':9s}largest\n"
        f"{'':5s} {'setting':13s} batch {'':4s} {'':9s} {'direct':>9s} {'ours':>9s} {'ratio':>8s} "
        f"direct   ours {'ratio':>8s} difference"
    )
    slower = []
    chosen = cases(options)
    for name, case in chosen:
        measured = measure(case, options.rounds)
        report(name, case, measured)
        slower += [
            f"{case.detector} {name} batch {case.batch} {task}"
            for task, result in measured.items()
            if result.speed < 1
        ]
    report_devices(chosen)
    verdict = f"no, slower: {'; '.join(slower)}" if slower else "yes"
    print(f"no slower than direct anywhere: {verdict}")


if __name__ == "__main__":
    main()
