"""Timelines of videos as figures: of a run of `detect`, and of the rows of a paper's table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attentad.app.detect import DetectRun
from attentad.app.table.runs import RowRun
from attentad.app.train import MODEL_NAME
from attentad.core import (
    Annotations,
    AttentadError,
    VideoAnnotation,
    VideoDetections,
    read_detections,
)
from attentad.data.clocks import frame_rate, video_timeline
from attentad.detection import DETECTORS
from attentad.models.detect import detect_features
from attentad.models.model import load_detector
from attentad.models.sets import open_store, read_sets
from attentad.models.video_scores import video_scores
from attentad.report import Curve, save_figure
from attentad.report.matching import first_threshold
from attentad.report.table_figures import Curves, Tracks, timeline_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUTH = "ground truth"
SCORE = "detection score"
_POINTS = 1000


def write_timelines(
    run: DetectRun, folder: Path, *, annotations: Annotations | None = None
) -> list[Path]:
    """Write a figure FOLDER/VIDEO.svg of each video, with its attention as curves.

    Of an annotated video the best detections are drawn, as many as there are instances; of
    another one those whose score is at least half of the highest.

    Args:
        run: what `detect` found.
        folder: made when missing.
        annotations: ground truth.

    Returns:
        The files.

    Raises:
        AttentadError: a file cannot be written, two videos would have the same, or matplotlib
            is not installed.
    """
    known = annotations.videos if annotations is not None else {}
    files: dict[Path, str] = {}
    for video in run.results:
        name = re.sub(r"[^\w.-]+", "_", video)
        path = folder / f"{name}.svg"
        if path in files:
            raise AttentadError(
                f"the figures of videos {files[path]} and {video} would both be {path}; rename one."
            )
        files[path] = video
    for path, video in files.items():
        save_figure(_run_figure(run, video, known.get(video)), path)
    return list(files)


def rows_timeline(runs: Sequence[RowRun]) -> Figure:
    """One test video: what is annotated, and the best detections of every row (a Figure 3).

    Of each row as many detections are shown as there are instances. Below them are the attentions
    of the last row whose detector has any to show, as HAM-Net's.

    Args:
        runs: of one seed, in the order of the table; those of the first one's fold are shown.
    """
    shown, sets, video = _video_of(runs)
    truth = sets.videos[video]
    tracks: Tracks = {TRUTH: [(truth.segments, sets.label_ids(video).tolist())]}
    for run in shown:
        best = _found(run, sets, video)[: len(truth.labels)]
        tracks[run.row.name] = [(best.segments, best.labels.tolist())]
    attentive = [run for run in shown if DETECTORS[run.recipe.detector.name].curves is not None]
    curves = _run_curves(attentive[-1], sets, video) if attentive else []
    return timeline_figure(tracks, _end_sec(truth), sets.classes, attention_curves(curves))


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
        found = _found(run, sets, video)
        curves[run.row.name] = score_curve(found[np.isin(found.labels, labels)], end_sec)
    tracks: Tracks = {TRUTH: [(truth.segments, labels.tolist())]}
    return timeline_figure(tracks, end_sec, sets.classes, curves)


def attention_curves(curves: Iterable[Curve]) -> Curves:
    """Those of a video's curves that show where the network attends, for `timeline_figure`."""
    return {
        curve.name: (curve.time_sec, curve.value)
        for curve in curves
        if "attention" in curve.name or "gate" in curve.name
    }


def score_curve(
    found: VideoDetections, end_sec: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (P,) from 0 to `end_sec`, and at each the highest score of what is detected there.

    Where nothing is, the score is NaN, which leaves a gap in a curve.
    """
    times = np.linspace(0.0, end_sec, _POINTS)
    score = np.full(_POINTS, np.nan)
    # The surest is written last.
    for row in np.argsort(found.scores, kind="stable"):
        start, end = found.segments[row]
        score[(times >= start) & (times <= end)] = found.scores[row]
    return times, score


def _run_figure(run: DetectRun, video: str, truth: VideoAnnotation | None) -> Figure:
    result, classes = run.results[video], run.detections.classes
    found = result.detections
    tracks: Tracks = {}
    names = classes
    if truth is not None:
        names = (*classes, *sorted(set(truth.labels) - set(classes)))
        tracks[TRUTH] = [(truth.segments, [names.index(label) for label in truth.labels])]
        best = found[np.argsort(-found.scores, kind="stable")[: len(truth.labels)]]
    else:
        best = found[found.scores >= first_threshold([(found.scores, None)])]
    tracks["detections"] = [(best.segments, best.labels.tolist())]
    end_sec = run.timelines[video].duration_sec
    curves = {SCORE: score_curve(found, end_sec), **attention_curves(result.curves)}
    return timeline_figure(tracks, end_sec, names, curves)


def _video_of(runs: Sequence[RowRun]) -> tuple[list[RowRun], Annotations, str]:
    """Runs of the first one's fold, its test set, and the video there with most classes.

    Of several videos the first by name.
    """
    first = runs[0]
    test = read_sets(first.recipe.data).test
    assert test is not None
    video = min(test.videos, key=lambda name: (-len(set(test.videos[name].labels)), name))
    return [run for run in runs if run.fold == first.fold], test, video


def _found(run: RowRun, test: Annotations, video: str) -> VideoDetections:
    return read_detections(run.folder / "detections.json", test.classes).videos[video]


def _end_sec(truth: VideoAnnotation) -> float:
    return max(truth.duration_sec or 0.0, float(truth.segments.max(initial=1.0)))


def _run_curves(run: RowRun, test: Annotations, video: str) -> list[Curve]:
    """What there is to look at beside the detections of a finished run."""
    model = load_detector(run.folder / MODEL_NAME)
    store, annotation = open_store(run.recipe.data), test.videos[video]
    features = store.load(video)
    timeline = video_timeline(
        video,
        len(features),
        store.sidecar(video),
        model.clock,
        annotation.duration_sec,
        frame_rate(annotation),
    )
    class_scores = video_scores(model.recipe, model.classes)(video)
    return detect_features(model, features, timeline, video=video, class_scores=class_scores).curves
