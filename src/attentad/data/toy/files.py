"""Toy videos and clips on disk: untrimmed videos with annotations, trimmed clips with labels.

Each video and clip has a random stream of its own, so that number i is the same whatever the
number of others.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import signal
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attentad.core import Annotations, AttentadError, VideoAnnotation, write_annotations
from attentad.core.files import read_json, remove_leftovers, write_json
from attentad.core.formats.csv_rows import write_csv
from attentad.core.progress import Progress
from attentad.data.toy.classes import checked_range, present_classes
from attentad.data.toy.render import render
from attentad.data.toy.scene import (
    BACKGROUND,
    CLASSES,
    FPS,
    ScenePlan,
    count_actions,
    plan_clip,
    plan_video,
)
from attentad.video.encode import write_video

CLIP_CLASSES = (*CLASSES, BACKGROUND)
"""The recogniser's classes: those of the videos and `background`."""

_VIDEO, _CLIP = 0, 1
# Raise it whenever the pixels of a given seed change: files of an older drawing are redone.
_DRAWING = 3


@dataclass(frozen=True)
class _Job:
    """One file to draw; `label` is None for an untrimmed video, `classes` None for all of them."""

    path: Path
    seed: int
    index: int
    label: str | None
    classes: tuple[str, ...] | None = None


def make_toy(
    out: str | Path,
    *,
    videos: int,
    seed: int,
    test_fraction: float = 1 / 3,
    clips_per_class: int = 80,
    clip_test_fraction: float = 0.2,
    classes_per_video: tuple[int, int] | None = None,
    processes: int = 2,
    progress: Progress | None = None,
) -> None:
    """Draw a toy data set for detector and recogniser.

    Writes `videos/toy_0000.mp4` …, `annotations.json` (ActivityNet JSON), `clips/CLASS/000.mp4`
    … and `clips.csv` (path relative to `out`, label, subset). Files of an earlier, interrupted
    run with the same seed and settings are kept.

    Args:
        out: folder, made when missing.
        videos: number of untrimmed videos, at least 1.
        seed: 0 or more; the same seed gives the same annotations and the same pixels.
        test_fraction: share of the videos in subset `test`, spread evenly, not in `training`.
        clips_per_class: trimmed clips of each of the eight classes and of `background`; may be 0.
        clip_test_fraction: share of each class's clips in subset `test`.
        classes_per_video: fewest and most classes that a video holds, such as (1, 3), so that it
            says something to know which; dealt evenly within each subset, so that each holds
            every class when it has videos enough. None for actions of all classes.
        processes: files drawn at a time. More than 1 starts Python anew: a script that calls this
            needs the usual `if __name__ == "__main__":`, or is run again in each process.
        progress: called with (files done, files in all).

    Raises:
        AttentadError: an argument is out of range, or a file cannot be written.
    """
    share = "give a share from 0 to 1"
    rules = {
        f"{videos} videos were asked for; give 1 or more": videos >= 1,
        f"seed {seed} is negative; give 0 or more": seed >= 0,
        f"clips_per_class is {clips_per_class}; give 0 or more": clips_per_class >= 0,
        f"processes is {processes}; give 1 or more": processes >= 1,
        f"test_fraction is {test_fraction}; {share}": 0 <= test_fraction <= 1,
        f"clip_test_fraction is {clip_test_fraction}; {share}": 0 <= clip_test_fraction <= 1,
    }
    if wrong := [complaint for complaint, holds in rules.items() if not holds]:
        raise AttentadError(f"toy videos: {wrong[0]}.")
    if classes_per_video is not None:
        checked_range(classes_per_video)
    out = Path(out)
    classes = _present(videos, seed, test_fraction, classes_per_video)
    video_jobs = [
        _Job(out / "videos" / f"toy_{i:04d}.mp4", seed, i, None, classes[i]) for i in range(videos)
    ]
    clip_jobs = [
        _Job(out / "clips" / label / f"{i:03d}.mp4", seed, i, label)
        for i in range(clips_per_class)
        for label in CLIP_CLASSES
    ]
    jobs = video_jobs + clip_jobs
    stamp: dict[str, Any] = {"drawing": _DRAWING, "seed": seed}
    if classes_per_video is not None:  # which classes a video holds depends on its subset
        stamp |= {"classes_per_video": [*classes_per_video], "test_fraction": test_fraction}
    remove_leftovers([job.path for job in jobs])
    missing = _not_drawn(out, stamp, jobs)
    report = progress or (lambda done, total: None)
    done = len(jobs) - len(missing)
    report(done, len(jobs))
    with contextlib.closing(_drawn(missing, processes)) as drawn:
        for _ in drawn:
            done += 1
            report(done, len(jobs))
    _write_clip_list(out, clip_jobs, clip_test_fraction)
    # Last: where there are annotations, everything they name is there.
    annotated = {job.path.stem: _annotation(job, test_fraction) for job in video_jobs}
    write_annotations(out / "annotations.json", Annotations(annotated, CLASSES))


def scene(
    seed: int, index: int, label: str | None = None, classes: Sequence[str] | None = None
) -> ScenePlan:
    """The plan of clip number `index` of class `label`, or of video number `index` without a label.

    A video's actions are of `classes`, see `plan_video`.

    Raises:
        AttentadError: there is no such class.
    """
    if label is None:
        return plan_video(_video_stream(seed, index), classes)
    if label not in CLIP_CLASSES:
        raise AttentadError(
            f"there is no toy class {label!r}; the classes are: {', '.join(CLIP_CLASSES)}."
        )
    rng = np.random.default_rng([seed, _CLIP, index, CLIP_CLASSES.index(label)])
    return plan_clip(rng, label)


def _video_stream(seed: int, index: int) -> np.random.Generator:
    return np.random.default_rng([seed, _VIDEO, index])


def _present(
    videos: int, seed: int, test_fraction: float, classes_per_video: tuple[int, int] | None
) -> Sequence[tuple[str, ...] | None]:
    """The classes of each video; None where they are all of them."""
    if classes_per_video is None:
        return [None] * videos
    actions = [count_actions(_video_stream(seed, i)) for i in range(videos)]
    subsets = [_subset(i, test_fraction) for i in range(videos)]
    return present_classes(actions, subsets, classes_per_video, seed)


def _subset(index: int, test_fraction: float) -> str:
    """Spread the test items evenly, so that item `index` never changes sides with the number."""
    before, after = (math.floor(round(i * test_fraction, 9)) for i in (index, index + 1))
    return "test" if after > before else "training"


def _annotation(job: _Job, test_fraction: float) -> VideoAnnotation:
    plan = scene(job.seed, job.index, classes=job.classes)
    return VideoAnnotation(
        segments=np.round(plan.segments_frames / FPS, 4),
        labels=plan.labels,
        subset=_subset(job.index, test_fraction),
        duration_sec=round(plan.duration_sec, 4),
        fps=FPS,
        frames=plan.frames,
    )


def _write_clip_list(out: Path, jobs: list[_Job], test_fraction: float) -> None:
    rows = (
        (job.path.relative_to(out).as_posix(), job.label, _subset(job.index, test_fraction))
        for job in jobs
    )
    write_csv(out / "clips.csv", [("path", "label", "subset"), *rows])


def _not_drawn(out: Path, stamp: Mapping[str, Any], jobs: list[_Job]) -> list[_Job]:
    """The jobs left to do: all of them unless `out` was begun under the same stamp."""
    path = out / "toy.json"
    with contextlib.suppress(AttentadError):
        if path.exists() and read_json(path) == stamp:
            return [job for job in jobs if not job.path.exists()]
    # Nothing drawn under another stamp may survive under this one.
    for old in filter(Path.exists, [job.path for job in jobs]):
        try:
            old.unlink()
        except OSError as error:
            raise AttentadError(
                f"{old} is of another toy data set and could not be replaced ({error.strerror}); "
                "choose another folder."
            ) from error
    write_json(path, dict(stamp))
    return jobs


def _draw(job: _Job) -> None:
    plan = scene(job.seed, job.index, job.label, job.classes)
    write_video(job.path, render(plan), FPS)


def _drawn(jobs: list[_Job], processes: int) -> Generator[_Job, None, None]:
    """Draw every job, in any order; yields each one that is done."""
    left = dict.fromkeys(jobs)
    if processes > 1 and len(jobs) >= 8:
        # Where processes cannot be had (a script without a main guard, a closed-in sandbox),
        # the loop below does what they left.
        with (
            contextlib.suppress(BrokenProcessPool, OSError),
            contextlib.closing(_drawn_by_processes(jobs, processes)) as drawn,
        ):
            for job in drawn:
                del left[job]
                yield job
    for job in left:
        _draw(job)
        yield job


def _drawn_by_processes(jobs: list[_Job], processes: int) -> Generator[_Job, None, None]:
    # Spawned rather than forked: a fork of a process with torch's threads may hang.
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,  # interrupts are left to this process
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        pending = {pool.submit(_draw, job): job for job in jobs}
        for future in as_completed(pending):
            future.result()
            yield pending[future]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
