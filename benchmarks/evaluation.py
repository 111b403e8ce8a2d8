"""Detection mAP at the size of ActivityNet: a whole process, and ours beside the public design.

Detections are made with a fixed seed: 100 for each validation video of ActivityNet 1.3 that has
ground truth, its instances jittered, 60 % with the right label. `python -m attentad eval` then
runs on files of them, everything from the start of Python to the table included.

The public evaluator walks through the predictions: for each, its video's instances of the class are
gathered and sorted by overlap, and for every threshold scanned for one that is free. The loop here
does just that on numpy arrays, without the data frames (so it flatters the original), on a tenth of
the videos. Both sides get the same objects in one process, in turn, and have to agree.

    python benchmarks/evaluation.py [--data ../shared/data/activitynet13 --rounds 5]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attentad.core import (
    Annotations,
    Detections,
    VideoAnnotation,
    VideoDetections,
    read_annotations,
    write_detections,
)
from attentad.metrics import ACTIVITYNET_TIOU, detection_map

DATA = Path(__file__).parents[2] / "shared/data/activitynet13"
PER_VIDEO, RIGHT_LABELS, SEED = 100, 0.6, 0
SHORTEST_SEC = 0.1
PROCESS_TARGET, TOLERANCE = 4.0, 1e-12


def make_detections(annotations: Annotations) -> Detections:
    """100 detections per video: jittered ground truth, 60 % of it with the right label."""
    rng = np.random.default_rng(SEED)
    videos = {}
    for video, item in annotations.videos.items():
        chosen = rng.integers(len(item.labels), size=PER_VIDEO)
        segments = item.segments[chosen]
        length = segments[:, 1:] - segments[:, :1]
        moved = segments + rng.normal(0, 0.2, segments.shape) * length
        right = rng.random(PER_VIDEO) < RIGHT_LABELS
        segments = np.sort(np.maximum(moved, 0.0), axis=1).round(3)
        # Some instances have no length; a detection like them would be 0/0 in the public design.
        segments[:, 1] += SHORTEST_SEC
        videos[video] = VideoDetections(
            segments,
            rng.random(PER_VIDEO).round(6),
            np.where(
                right,
                annotations.label_ids(video)[chosen],
                rng.integers(len(annotations.classes), size=PER_VIDEO),
            ),
        )
    return Detections(videos, annotations.classes)


def evaluate_by_loop(
    annotations: Annotations, detections: Detections, tiou: tuple[float, ...]
) -> NDArray[np.float64]:
    """Average precision (K, J) by the public design: per class, per prediction, per threshold."""
    video_ids = list(annotations.videos)
    truth_rows = [
        (video, label, start, end)
        for video, item in enumerate(annotations.videos.values())
        for label, (start, end) in zip(item.labels, item.segments.tolist(), strict=True)
    ]
    number = {video: row for row, video in enumerate(video_ids)}
    found_video = np.concatenate(
        [np.full(len(item), number[video]) for video, item in detections.videos.items()]
    )
    found_label = np.concatenate([item.labels for item in detections.videos.values()])
    found_score = np.concatenate([item.scores for item in detections.videos.values()])
    found = np.concatenate([item.segments for item in detections.videos.values()])
    classes = [name for name in annotations.classes if any(name == row[1] for row in truth_rows)]
    areas = np.zeros((len(classes), len(tiou)))
    for row, name in enumerate(classes):
        own = [item for item in truth_rows if item[1] == name]
        rows = np.flatnonzero(found_label == detections.classes.index(name))
        order = rows[found_score[rows].argsort(kind="stable")[::-1]]
        truth_video = np.array([item[0] for item in own])
        truth = np.array([item[2:] for item in own])
        hit = match_by_loop(found_video[order], found[order], truth_video, truth, tiou)
        for column in range(len(tiou)):
            areas[row, column] = area_by_loop(hit[column], len(own))
    return areas


def match_by_loop(
    found_video: NDArray[np.int64],
    found: NDArray[np.float64],
    truth_video: NDArray[np.int64],
    truth: NDArray[np.float64],
    tiou: tuple[float, ...],
) -> NDArray[np.bool_]:
    """True positives (J, N) of one class, its predictions best first."""
    free = np.ones((len(tiou), len(truth)), dtype=bool)
    hit = np.zeros((len(tiou), len(found)), dtype=bool)
    for place, (video, segment) in enumerate(zip(found_video, found, strict=True)):
        candidates = np.flatnonzero(truth_video == video)
        if not len(candidates):
            continue
        overlap = overlap_with(segment, truth[candidates])
        by_overlap = overlap.argsort(kind="stable")[::-1]
        for row, threshold in enumerate(tiou):
            for index in by_overlap:
                if overlap[index] < threshold:
                    break
                if free[row, candidates[index]]:
                    free[row, candidates[index]] = False
                    hit[row, place] = True
                    break
    return hit


def overlap_with(segment: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """tIoU of one segment (2,) with others (N, 2)."""
    start = np.maximum(segment[0], others[:, 0])
    end = np.minimum(segment[1], others[:, 1])
    intersection = (end - start).clip(0)
    union = (others[:, 1] - others[:, 0]) + (segment[1] - segment[0]) - intersection
    return intersection / union


def area_by_loop(hit: NDArray[np.bool_], truth_count: int) -> float:
    """Area under the interpolated precision-recall curve."""
    true, false = np.cumsum(hit), np.cumsum(~hit)
    recall = np.concatenate([[0.0], true / truth_count, [1.0]])
    precision = np.concatenate([[0.0], true / (true + false), [0.0]])
    for index in range(len(precision) - 2, -1, -1):
        precision[index] = max(precision[index], precision[index + 1])
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * precision[steps]))


def process_seconds(detections: Path, annotations: Path) -> tuple[float, float]:
    """Wall and CPU time of `python -m attentad eval` on files, the start of Python included."""
    command = [sys.executable, "-m", "attentad", "eval", str(detections), str(annotations)]
    command += ["--protocol", "activitynet", "--subset", "validation", "--tiou", "0.5:0.95:0.05"]
    before, start = _children_seconds(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, _children_seconds() - before


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def videos_with_instances(annotations: Annotations) -> Annotations:
    """The videos in which something is annotated."""
    kept: dict[str, VideoAnnotation] = {
        video: item for video, item in annotations.videos.items() if item.labels
    }
    return Annotations(kept, annotations.classes)


def report_process(truth_file: Path, found: Detections, rounds: int) -> None:
    """Time the command on a file of all detections."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detections.json"
        write_detections(path, found)
        size = path.stat().st_size / 1e6
        times = [process_seconds(path, truth_file) for _ in range(rounds)]
    count = sum(len(item) for item in found.videos.values())
    print(f"attentad eval, {count:,} detections in {len(found.videos):,} videos ({size:.0f} MB)")
    walls, busy = zip(*times, strict=True)
    median = statistics.median(walls)
    print(
        f"  whole process {median:.2f} s (of {min(walls):.2f}..{max(walls):.2f}), of which busy "
        f"{statistics.median(busy):.2f} s ({_verdict(median <= PROCESS_TARGET)} "
        f"{PROCESS_TARGET:.0f} s)"
    )


def report_ratio(annotations: Annotations, found: Detections, rounds: int) -> None:
    """Time the evaluator beside the loop on every tenth video, and compare their results."""
    names = list(annotations.videos)[::10]
    truth = Annotations({name: annotations.videos[name] for name in names}, annotations.classes)
    part = Detections({name: found.videos[name] for name in names}, found.classes)
    ours = detection_map(truth, part)
    loop: list[NDArray[np.float64]] = []
    times: dict[str, list[float]] = {"loop": [], "ours": []}
    for number in range(rounds):
        times["ours"].append(seconds(lambda: detection_map(truth, part)))
        # The loop takes so long that one run of it says enough.
        if not number:
            times["loop"].append(
                seconds(lambda: loop.append(evaluate_by_loop(truth, part, ACTIVITYNET_TIOU)))
            )
    worst = float(np.abs(loop[0] - ours.average_precision).max())
    medians = {side: statistics.median(values) for side, values in times.items()}
    ratio = medians["loop"] / medians["ours"]
    count = sum(len(item) for item in part.videos.values())
    print(f"a tenth: {count:,} detections in {len(names)} videos, without reading files")
    print(f"  loop over predictions {medians['loop']:8.3f} s")
    print(f"  ours                  {medians['ours']:8.3f} s (median of {rounds})")
    print(f"  largest difference {worst:.1e} ({_verdict(worst <= TOLERANCE)} {TOLERANCE:.0e})")
    print(f"  ratio {ratio:.0f} x")


def main() -> None:
    """Make the detections, measure and print."""
    parser = argparse.ArgumentParser(description="Time of detection mAP at ActivityNet's size.")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the annotations")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    truth_file = options.data / "annotations.json.gz"
    if not truth_file.is_file():
        print(f"skipped: {truth_file} is not here; name its folder with --data")
        return
    annotations = videos_with_instances(read_annotations(truth_file).subset("validation"))
    found = make_detections(annotations)
    report_process(truth_file, found, options.rounds)
    report_ratio(annotations, found, options.rounds)


def _verdict(met: bool) -> str:
    return "meets" if met else "misses"


if __name__ == "__main__":
    main()
