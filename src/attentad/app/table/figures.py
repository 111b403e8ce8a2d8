"""Timelines of videos as figures: of a run of `detect`, and of the rows of a paper's table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attentad.app.table.runs import RowRun
from attentad.core import (
    Annotations,
    AttentadError,
    VideoAnnotation,
    VideoDetections,
    read_detections,
)
from attentad.core.found import Curve, Found
from attentad.models.file import load_detector
from attentad.models.score import run_annotated
from attentad.models.sets import open_store, read_sets
from attentad.models.train import MODEL_NAME
from attentad.report import save_figure
from attentad.report.matching import first_threshold
from attentad.report.table_figures import Curves, Tracks, timeline_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUTH = "ground truth"
SCORE = "detection score"
_POINTS = 1000


def write_timelines(
    results: Mapping[str, Found],
    durations_sec: Mapping[str, float],
    classes: Sequence[str],
    folder: Path,
    *,
    annotations: Annotations | None = None,
) -> list[Path]:
    """Write a figure FOLDER/VIDEO.svg of each video, with its attention as curves.

    Of an annotated video the best detections are drawn, as many as there are instances; of
    another one those whose score is at least half of the highest.

    Args:
        results: video → what a detector says of it.
        durations_sec: of the same videos.
        classes: names of the detections' classes.
        folder: made when missing.
        annotations: ground truth.

    Returns:
        The files.

    Raises:
        AttentadError: a file cannot be written, two videos would have the same, or matplotlib
            is not installed.
    """
    truths = annotations.videos if annotations is not None else {}
    files: dict[Path, str] = {}
    for video in results:
        name = re.sub(r"[^\w.-]+", "_", video)
        path = folder / f"{name}.svg"
        if path in files:
            raise AttentadError(
                f"the figures of videos {files[path]} and {video} would both be {path}; rename one."
            )
        files[path] = video
    for path, video in files.items():
        figure = _video_figure(results[video], durations_sec[video], classes, truths.get(video))
        save_figure(figure, path)
    return list(files)


def rows_timeline(runs: Sequence[RowRun]) -> Figure:
    """One test video: what is annotated, and the best detections of every row (a Figure 3).

    Of each row as many detections are shown as there are instances. Below them are the attentions
    of the last row, where its network has any to show, as HAM-Net's.

    Args:
        runs: of one seed, in the order of the table; those of the first one's fold are shown.
    """
    shown, sets, video = _video_of(runs)
    truth = sets.videos[video]
    tracks: Tracks = {TRUTH: [(truth.segments, sets.label_ids(video).tolist())]}
    for run in shown:
        best = _detections(run, sets, video)[: len(truth.labels)]
        tracks[run.row.name] = [(best.segments, best.labels.tolist())]
    attention = attention_curves(_last_curves(shown[-1], sets, video))
    return timeline_figure(tracks, _end_sec(truth), sets.classes, attention)


def rows_scores(runs: Sequence[RowRun]) -> Figure:
    """The same video: what is annotated, and every row's detection score (HAM-Net's Figure 5).

    Args:
        runs: as of `rows_timeline`.
    """
    shown, sets, video = _video_of(runs)
    truth = sets.videos[video]
    end_sec = _end_sec(truth)
    labels = sets.label_ids(video)
    curves = {}
    for run in shown:
        detections = _detections(run, sets, video)
        of_classes = detections[np.isin(detections.labels, labels)]
        curves[run.row.name] = score_curve(of_classes, end_sec)
    tracks: Tracks = {TRUTH: [(truth.segments, labels.tolist())]}
    return timeline_figure(tracks, end_sec, sets.classes, curves)


def attention_curves(curves: Iterable[Curve]) -> Curves:
    """Those of a video's curves that show where the network attends, for `timeline_figure`."""
    return {
        curve.name: (curve.time_sec, curve.value) for curve in curves if curve.kind == "attention"
    }


def score_curve(
    detections: VideoDetections, end_sec: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (P,) from 0 to `end_sec`, and at each the highest score of what is detected there.

    Where nothing is, the score is NaN, which leaves a gap in a curve.
    """
    times = np.linspace(0.0, end_sec, _POINTS)
    score = np.full(_POINTS, np.nan)
    # The surest is written last.
    for row in np.argsort(detections.scores, kind="stable"):
        start, end = detections.segments[row]
        score[(times >= start) & (times <= end)] = detections.scores[row]
    return times, score


def _video_figure(
    found: Found, duration_sec: float, classes: Sequence[str], truth: VideoAnnotation | None
) -> Figure:
    detections = found.detections
    tracks: Tracks = {}
    names = tuple(classes)
    if truth is not None:
        names += tuple(sorted(set(truth.labels) - set(classes)))
        tracks[TRUTH] = [(truth.segments, [names.index(label) for label in truth.labels])]
        order = np.argsort(-detections.scores, kind="stable")
        best = detections[order[: len(truth.labels)]]
    else:
        best = detections[detections.scores >= first_threshold([(detections.scores, None)])]
    tracks["detections"] = [(best.segments, best.labels.tolist())]
    curves = {SCORE: score_curve(detections, duration_sec), **attention_curves(found.curves)}
    return timeline_figure(tracks, duration_sec, names, curves)


def _video_of(runs: Sequence[RowRun]) -> tuple[list[RowRun], Annotations, str]:
    """Runs of the first one's fold, its test set, and the video there with most classes.

    Of several videos the first by name.
    """
    first = runs[0]
    test = read_sets(first.recipe.data).test
    assert test is not None
    video = min(test.videos, key=lambda name: (-len(set(test.videos[name].labels)), name))
    return [run for run in runs if run.fold == first.fold], test, video


def _detections(run: RowRun, test: Annotations, video: str) -> VideoDetections:
    return read_detections(run.folder / "detections.json", test.classes).videos[video]


def _end_sec(truth: VideoAnnotation) -> float:
    return max(truth.duration_sec or 0.0, float(truth.segments.max(initial=1.0)))


def _last_curves(run: RowRun, test: Annotations, video: str) -> Sequence[Curve]:
    """What there is to look at beside the detections of a finished run."""
    model = load_detector(run.folder / MODEL_NAME)
    only = replace(test, videos={video: test.videos[video]})
    return run_annotated(model, open_store(run.recipe.data), only)[video].curves
