"""Mutated files for every reader: nothing but a sentence may come of them.

    python tests/fuzz.py --count 200000
    python tests/fuzz.py --kind npz --only 1234     # one input again, with its traceback

Each input follows from the seed, its kind and its number. Everything runs in this process. An
input is a find if a reader raises anything but `AttentadError`, or opens a file for writing
outside of the temporary folder; and all of them together may make the process larger by no more
than `MOST_GROWTH_MIB`.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.fuzz_seeds import KINDS, Kind

from attentad.core import AttentadError
from attentad.core.wording import visible

MOST_GROWTH_MIB = 300
_MOST_ADDRESS_SPACE = 2 << 30  # beyond what the process has: more is refused by the system
_LARGE: list[Any] = [2**31, 2**63, 2**64, -(2**63), 10**400, 1e308, "x" * 5000, [0] * 3000]
_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 3, 0.5, -0.0, float("nan"), float("inf"), 1e-300),
    *("", "a", "\0", "\x1b[31m", "=1+1", "../../etc/passwd", "/dev/zero", "1", "nan", "\ud800"),
    *([], [1], [[1]], {}, {"name": 1}, {"a": {"b": []}}, [None], ["a", 1]),
    *_LARGE,
]
_TOKENS = (
    *(b"", b"\xff" * 8, b"\0" * 8, b"[" * 2000, b"{" * 99, b'"', b"'", b",", b"\n", b"\r", b"\t"),
    *(b"nan", b"-1", b"1e999", b"9" * 400, b"0", b"18446744073709551616", b"null", b"\xef\xbb\xbf"),
    *(b"\x80\x04", b"PK\x05\x06", b"\x93NUMPY", b"(", b")", b"*a", b"&a ", b"!!int ", b"- ", b": "),
)


@dataclass
class Tally:
    """What came of the inputs.

    Args:
        inputs: by kind.
        finds: (kind, what and where) → numbers of inputs.
        slowest: seconds and name of the slowest input.
        growth_mib: by how much the process was larger at its peak than before.
    """

    inputs: Counter[str] = field(default_factory=Counter)
    finds: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    slowest: tuple[float, str] = (0.0, "")
    growth_mib: float = 0.0


def run(count: int, seed: int = 0, names: tuple[str, ...] = tuple(KINDS)) -> Tally:
    """Try `count` inputs, shared among the kinds by their weights."""
    tally = Tally()
    total = sum(KINDS[name].weight for name in names)
    with tempfile.TemporaryDirectory() as folder, watched(Path(folder)) as outside:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name in names:
            kind = KINDS[name]
            for number in range(max(1, count * kind.weight // total)):
                start = time.perf_counter()
                find = attempt(kind, Path(folder), seed, number)
                seconds = time.perf_counter() - start
                tally.slowest = max(tally.slowest, (seconds, f"{name} {number}"))
                tally.inputs[name] += 1
                if outside:
                    find = f"wrote {outside.pop()}"
                if find is not None:
                    tally.finds.setdefault((name, find), []).append(number)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tally.growth_mib = (after - before) / 1024
    return tally


def attempt(kind: Kind, folder: Path, seed: int, number: int) -> str | None:
    """Read one mutated input; what went wrong, or None."""
    path = folder / kind.file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(mutated(kind, Random(f"{seed} {kind.file} {number}")))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.read(path)
    except AttentadError as error:
        said = str(error)
        return None if visible(said) == said and len(said) < 5000 else f"said {said[:200]!r}"
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in last if "attentad" in frame.filename] or last
        return f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"
    finally:
        path.unlink(missing_ok=True)
    return None


def mutated(kind: Kind, rng: Random) -> bytes:
    """One of the kind's seeds, changed."""
    seed = rng.choice(kind.seeds)
    if isinstance(seed, bytes):
        return _changed_bytes(seed, [s for s in kind.seeds if isinstance(s, bytes)], rng)
    value = copy.deepcopy(seed)
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = _changed_value(value, rng)
    content = kind.write(value)
    return content if rng.random() < 0.95 else _changed_bytes(content, [content], rng)


def _changed_bytes(content: bytes, others: list[bytes], rng: Random) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        start = rng.randrange(len(content) + 1)
        # Headers are at the ends.
        if rng.random() < 0.5:
            start = rng.choice((start % 160, max(0, len(content) - start % 160)))
        stop = min(len(content), start + rng.choice((1, 1, 2, 4, 8, 64)))
        match rng.randrange(6):
            case 0 | 1:
                flipped = bytes(b ^ (1 << rng.randrange(8)) for b in content[start:stop])
                content = content[:start] + flipped + content[stop:]
            case 2:
                content = content[:start]
            case 3:
                other = rng.choice(others)
                content = content[:start] + other[rng.randrange(len(other) + 1) :]
            case 4:
                content = content[:start] + rng.choice(_TOKENS) + content[stop:]
            case _:
                content = content[:stop] + content[start:]
    return content


def _changed_value(value: Any, rng: Random) -> Any:
    """Plain values with one of them replaced, removed or added."""
    places = [*_places(value)]
    if not places or rng.random() < 0.02:
        return copy.deepcopy(rng.choice(_VALUES))
    holder, key = rng.choice(places)
    match rng.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(("", "name", "segment", "fps", "x" * 300, "\n"))] = holder[key]
        case 2:
            holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
        case _:
            holder[key] = copy.deepcopy(rng.choice(_VALUES))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) in plain values."""
    items = value.items() if isinstance(value, dict) else []
    if isinstance(value, list):
        items = enumerate(value)
    for key, inside in items:
        yield value, key
        yield from _places(inside)


_hooks: list[Callable[[str, tuple[Any, ...]], None]] = []
sys.addaudithook(lambda event, arguments: [hook(event, arguments) for hook in _hooks] and None)


@contextmanager
def watched(folder: Path) -> Iterator[set[str]]:
    """The paths that are written outside of `folder` meanwhile; and no more memory than allowed."""
    outside: set[str] = set()

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event in ("os.mkdir", "os.remove", "os.rename", "os.symlink", "os.link")
        if event == "open" and arguments[2] is not None:
            writes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and not str(arguments[0]).startswith((str(folder), os.devnull)):
            outside.add(str(arguments[0]))

    limits = resource.getrlimit(resource.RLIMIT_AS)
    sizes = Path("/proc/self/statm")
    if sizes.exists():
        used = int(sizes.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MOST_ADDRESS_SPACE, limits[1]))
    _hooks.append(note)
    try:
        yield outside
    finally:
        _hooks.remove(note)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000, help="inputs in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this kind")
    parser.add_argument("--only", type=int, help="only this number, with its traceback")
    given = parser.parse_args()
    names = tuple(given.kind or KINDS)
    if given.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            kind = KINDS[names[0]]
            path = Path(folder) / kind.file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(mutated(kind, Random(f"{given.seed} {kind.file} {given.only}")))
            print(repr(path.read_bytes()[:2000]))
            print(kind.read(path))
        return 0
    tally = run(given.count, given.seed, names)
    for name, inputs in tally.inputs.items():
        found = {what: numbers for (of, what), numbers in tally.finds.items() if of == name}
        print(f"{name}: {sum(map(len, found.values()))} finds in {inputs}")
        for what, numbers in found.items():
            print(f"  {what}: {json.dumps(numbers[:5])} ({len(numbers)})")
    print(f"peak memory grew by {tally.growth_mib:.0f} MiB; slowest {tally.slowest}")
    return int(bool(tally.finds) or tally.growth_mib > MOST_GROWTH_MIB)


if __name__ == "__main__":
    sys.exit(main())
