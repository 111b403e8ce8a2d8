"""Soft and hard NMS: all classes in one pass of array operations against plain loops.

The plain loop goes over the remaining candidates in Python for each segment taken, O(N·K), as most
published implementations do (NumPy scalars aside, which are slower). Both sides run in one process
on the same candidates and must agree to 1e-12. Other work on the machine only ever adds time: the
best of several rounds counts, and its processor time beside it is what a quiet machine would take
(there is one thread).

Detection suppresses many classes of few candidates: twenty of 200, all kept, are set against twenty
numpy loops (`direct/suppression.py`) by processor time, and so is hard NMS of 2,000. No compiled
code is ours. As a yardstick, a loop in C++ takes about a fourteenth of the numpy loop for 200.

    python benchmarks/suppression.py [--rounds 25 --classes 20 --candidates 2000 --keep 200]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from attentad.core import Segments, VideoDetections
from attentad.core.detections import concatenate
from attentad.suppression import nms, suppress
from direct.suppression import numpy_nms, numpy_suppress

SIGMA = 0.5
FEW, TIOU_THRESHOLD, FEW_TARGET = 200, 0.5, 13.0
VIDEO_TARGET_SEC, CLASS_TARGET_SEC, TOLERANCE = 0.080, 0.020, 1e-12


def plain_soft_nms(
    segments: Segments, scores: NDArray[np.float64], keep: int
) -> tuple[list[int], list[float]]:
    """The definition, on Python lists: indices in the order taken, and their decayed scores."""
    start, end = segments[:, 0].tolist(), segments[:, 1].tolist()
    score, index = scores.tolist(), list(range(len(scores)))
    taken: list[int] = []
    decayed: list[float] = []
    while score and len(taken) < keep:
        best = max(range(len(score)), key=score.__getitem__)
        taken.append(index.pop(best))
        decayed.append(score.pop(best))
        best_start, best_end = start.pop(best), end.pop(best)
        for i in range(len(score)):
            inter = min(end[i], best_end) - max(start[i], best_start)
            if inter > 0:
                union = (end[i] - start[i]) + (best_end - best_start) - inter
                overlap = inter / union
                score[i] *= math.exp(-overlap * overlap / SIGMA)
    return taken, decayed


def plain_suppress(detections: VideoDetections, keep: int) -> VideoDetections:
    """The plain loop within each class, best first in the result."""
    parts = []
    for label in np.unique(detections.labels):
        part = detections[detections.labels == label]
        taken, decayed = plain_soft_nms(part.segments, part.scores, keep)
        parts.append(VideoDetections(part.segments[taken], np.array(decayed), part.labels[taken]))
    joined = concatenate(parts)
    return joined[np.argsort(-joined.scores, kind="stable")]


def make_video(classes: int, candidates: int, seed: int = 0) -> VideoDetections:
    """Candidates of a video of 200 s, clustered about a few actions as a detector's are."""
    rng = np.random.default_rng(seed)
    count = classes * candidates
    action = rng.integers(0, 15, count)
    centre = rng.uniform(0, 200, 15)[action] + rng.normal(0, 3, count)
    length = rng.uniform(2, 20, 15)[action] * np.exp(rng.normal(0, 0.5, count))
    segments = np.stack([centre - length / 2, centre + length / 2], axis=1)
    labels = np.repeat(np.arange(classes), candidates)
    return VideoDetections(segments, rng.uniform(size=count), labels)


def difference(ours: VideoDetections, plain: VideoDetections) -> float:
    """Largest difference of scores and times; infinite where other segments were taken."""
    if len(ours) != len(plain) or (ours.labels != plain.labels).any():
        return math.inf
    found = (np.abs(ours.scores - plain.scores).max(), np.abs(ours.segments - plain.segments).max())
    return float(max(found))


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Wall time and processor time of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def compare(
    name: str,
    video: VideoDetections,
    keep: int,
    target_sec: float,
    *,
    rounds: int,
    plain_rounds: int,
) -> None:
    """Time both sides on one video and print them, their ratio and their difference."""
    plain = plain_suppress(video, keep)
    ours = suppress(video, sigma=SIGMA, keep=keep)
    worst = difference(ours, plain)
    times = [seconds(lambda: suppress(video, sigma=SIGMA, keep=keep)) for _ in range(rounds)]
    plain_times = [seconds(lambda: plain_suppress(video, keep)) for _ in range(plain_rounds)]
    best, plain_sec = min(times)[0], min(plain_times)[0]
    print(f"{name}: {len(video):,} candidates, {len(ours):,} kept")
    print(f"  plain loop  {1000 * plain_sec:9.1f} ms (best of {plain_rounds})")
    print(
        f"  ours        {1000 * best:9.1f} ms (best of {rounds}; "
        f"{_verdict(best < target_sec)} {1000 * target_sec:.0f} ms), "
        f"{1000 * min(processor for _, processor in times):.1f} ms of processor time"
    )
    print(f"  ratio       {plain_sec / best:9.1f} x")
    print(f"  difference  {worst:9.1e}    ({_verdict(worst <= TOLERANCE)} {TOLERANCE:.0e})")


def compare_loops(name: str, calls: dict[str, Callable[[], object]], rounds: int) -> float:
    """Print the least processor time of both sides, in turn; the ratio, loop to ours."""
    times = [{side: seconds(call)[1] for side, call in calls.items()} for _ in range(rounds)]
    best = {side: min(time[side] for time in times) for side in calls}
    ratio = best["numpy loop"] / best["ours"]
    print(name)
    for side, taken in best.items():
        print(f"  {side:<10}  {1000 * taken:9.2f} ms of processor time (best of {rounds})")
    print(f"  ratio       {ratio:9.1f} x")
    return ratio


def compare_few(video: VideoDetections, classes: int, rounds: int) -> None:
    """Many classes of few candidates, all kept, against a numpy loop for each."""
    worst = difference(suppress(video, sigma=SIGMA), numpy_suppress(video, SIGMA))
    calls: dict[str, Callable[[], object]] = {
        "numpy loop": lambda: numpy_suppress(video, SIGMA),
        "ours": lambda: suppress(video, sigma=SIGMA),
    }
    name = f"{classes} classes of {len(video) // classes}, all kept"
    ratio = compare_loops(name, calls, rounds)
    print(f"              {_verdict(ratio >= FEW_TARGET):>9} {FEW_TARGET:.0f} x")
    print(f"  difference  {worst:9.1e}    ({_verdict(worst <= TOLERANCE)} {TOLERANCE:.0e})")


def compare_hard(video: VideoDetections, rounds: int) -> None:
    """Hard NMS of one class."""
    segments, scores = video.segments, video.scores
    ours, plain = (call(segments, scores, TIOU_THRESHOLD) for call in (nms, numpy_nms))
    calls: dict[str, Callable[[], object]] = {
        "numpy loop": lambda: numpy_nms(segments, scores, TIOU_THRESHOLD),
        "ours": lambda: nms(segments, scores, TIOU_THRESHOLD),
    }
    compare_loops(f"hard NMS: {len(video):,} candidates, {len(ours):,} kept", calls, rounds)
    print(f"  the same are kept: {'yes' if np.array_equal(ours, plain) else 'no'}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time of Soft and hard NMS.")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--plain-rounds", type=int, default=1, help="of the plain loop")
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--candidates", type=int, default=2000, help="per class")
    parser.add_argument("--keep", type=int, default=200, help="per class")
    options = parser.parse_args()
    whole = make_video(options.classes, options.candidates)
    one = whole[whole.labels == 0]
    rounds = {"rounds": options.rounds, "plain_rounds": options.plain_rounds}
    compare("one video", whole, options.keep, VIDEO_TARGET_SEC, **rounds)
    compare("one class, all kept", one, options.candidates, CLASS_TARGET_SEC, **rounds)
    few = make_video(options.classes, min(FEW, options.candidates))
    compare_few(few, options.classes, options.rounds)
    compare_hard(one, options.rounds)


def _verdict(met: bool) -> str:
    return "meets" if met else "misses"


if __name__ == "__main__":
    main()
