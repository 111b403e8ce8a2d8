"""Pictures per second of decode-and-resample against PyAV alone, in one process.

Both sides decode every picture of the same stream on the same threads. PyAV alone is the loop of
its documentation, `for frame in container.decode(stream)`. Two comparisons are printed:

- decoding: ours gives what `frames(path, fps)` looks at, that is, decodes each picture, places it
  in time and accounts for what is lost, but converts none. Plain PyAV does the same without the
  account.
- decode and resample: ours is `frames(path, fps, size_px=...)`. Plain PyAV decodes every picture
  and scales, crops and copies, with the same scaler, those that are on screen at k / fps by their
  time stamps, with no care for clocks, damage, turned pictures or the end.

Other work on the machine only ever adds time: the sides take turns, and the best round of each
counts.

    python benchmarks/decoding.py [--video FILE --fps 10 --size-px 112 --rounds 7]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from attentad.video import frames, write_video
from attentad.video.open import opened
from attentad.video.pictures import Pictures

TARGET = 0.9
EPSILON_SEC = 1e-6


def plain_decode(path: Path) -> int:
    """Pictures of the file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(1 for _ in container.decode(stream))


def plain_resample(path: Path, fps: float, size_px: int) -> int:
    """Pictures on screen at k / fps, scaled and cropped to a square."""
    scaler, count = VideoReformatter(), 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        end = 0.0
        held = None
        for frame in container.decode(stream):
            count += _shown(scaler, held, count, frame.time, fps, size_px)
            held = frame
            end = frame.time + float(frame.duration * (frame.time_base or 0))
        return count + _shown(scaler, held, count, end - 0.5 / fps, fps, size_px)


def _shown(
    scaler: VideoReformatter,
    frame: av.VideoFrame | None,
    count: int,
    until_sec: float,
    fps: float,
    size_px: int,
) -> int:
    """Give `frame` for each k / fps before `until_sec`, converted once; how many there are."""
    shown = 0
    while frame is not None and (count + shown) / fps + EPSILON_SEC < until_sec:
        if shown == 0:
            scale = size_px / min(frame.width, frame.height)
            width, height = round(frame.width * scale), round(frame.height * scale)
            small = scaler.reformat(
                frame, width=width, height=height, format="rgb24", interpolation="AREA", threads=1
            ).to_ndarray()
            top, left = (height - size_px) // 2, (width - size_px) // 2
            small = small[top : top + size_px, left : left + size_px]
        small.copy()
        shown += 1
    return shown


def our_decode(path: Path) -> int:
    """Pictures of the file, placed in time."""
    with opened(path) as video:
        return sum(1 for _ in Pictures(video))


def our_resample(path: Path, fps: float, size_px: int) -> int:
    """Pictures that `frames` gives."""
    return sum(1 for _ in frames(path, fps, size_px=size_px))


def best_seconds(calls: list[Callable[[], int]], rounds: int) -> list[float]:
    """The best time of each call; they take turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, of_call in zip(calls, times, strict=True):
            started = time.perf_counter()
            call()
            of_call.append(time.perf_counter() - started)
    return [min(of_call) for of_call in times]


def compare(
    name: str, plain: Callable[[], int], ours: Callable[[], int], *, decoded: int, rounds: int
) -> None:
    """Time both sides and print decoded pictures a second and their ratio."""
    given = plain(), ours()
    plain_sec, our_sec = best_seconds([plain, ours], rounds)
    ratio = plain_sec / our_sec
    print(f"{name}: {given[1]:,} pictures given (PyAV alone {given[0]:,})")
    print(f"  PyAV alone {decoded / plain_sec:9,.0f} pictures a second")
    print(f"  ours       {decoded / our_sec:9,.0f} pictures a second")
    verdict = "meets" if ratio >= TARGET else "misses"
    print(f"  ratio      {ratio:9.2f} ({verdict} {TARGET})")


def make_video(path: Path, pictures: int) -> Path:
    """A film of drifting noise, 320 × 240, 25 pictures a second."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (15, 20, 3), dtype=np.uint8)
    scene = coarse.repeat(16, axis=0).repeat(16, axis=1)
    write_video(path, (np.roll(scene, 2 * i, axis=1) for i in range(pictures)), 25.0)
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of decoding and resampling.")
    parser.add_argument("--video", type=Path, help="instead of a generated one")
    parser.add_argument("--pictures", type=int, default=1500, help="of the generated video")
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--size-px", type=int, default=112)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    fps, size_px, rounds = options.fps, options.size_px, options.rounds
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        path = options.video or make_video(Path(folder) / "made.mp4", options.pictures)
        decoded = plain_decode(path)
        print(f"{path.name}: {decoded:,} pictures, best of {rounds} rounds")
        compare(
            "decoding",
            lambda: plain_decode(path),
            lambda: our_decode(path),
            decoded=decoded,
            rounds=rounds,
        )
        compare(
            f"decode and resample to {fps:g} a second, {size_px} px",
            lambda: plain_resample(path, fps, size_px),
            lambda: our_resample(path, fps, size_px),
            decoded=decoded,
            rounds=rounds,
        )


if __name__ == "__main__":
    main()
