"""What the benchmarks measure with: wall time of calls in turn, and peak memory."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch

CPU = torch.device("cpu")
STATUS = Path("/proc/self/status")
Side = TypeVar("Side", bound=str)
Result = TypeVar("Result")


def seconds(call: Callable[[], object], device: torch.device = CPU) -> float:
    """Wall time of one call, the work that it leaves in the device's queue included."""
    _synchronise(device)
    start = time.perf_counter()
    call()
    _synchronise(device)
    return time.perf_counter() - start


def times_in_turn(
    calls: Mapping[Side, Callable[[], object]],
    rounds: int,
    repeats: Mapping[Side, int] | None = None,
    device: torch.device = CPU,
) -> dict[Side, list[float]]:
    """Wall times of each side's call; in a round each side has its turn, of one call or several.

    Several calls of a fast side let both sides see the machine for a comparable while.
    """
    times: dict[Side, list[float]] = {side: [] for side in calls}
    for _ in range(rounds):
        for side, call in calls.items():
            for _ in range((repeats or {}).get(side, 1)):
                times[side].append(seconds(call, device))
    return times


def in_fresh_process(function: Callable[..., Result], *arguments: object) -> Result:
    """The function's result in a process that has done nothing else."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(function, arguments)


def held_bytes(device: torch.device = CPU) -> int:
    """What the process holds now: resident memory, or what tensors take on a GPU."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _status("VmRSS")


def peak_bytes(device: torch.device = CPU) -> int:
    """The most that the process has held since it began or since `restart_peak` (Linux only)."""
    # Not getrusage, whose maximum a process takes over from the one that started it.
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _status("VmHWM")


def restart_peak(device: torch.device = CPU) -> None:
    """Let `peak_bytes` begin anew from what is held now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return 1024 * int(lines[field].split()[0])


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
