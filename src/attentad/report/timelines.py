"""A figure of each video of a report: the ground truth, the detections, score and attention."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from attentad.core import AttentadError, VideoAnnotation, VideoDetections
from attentad.core.arrays import Floats
from attentad.core.found import Curve
from attentad.report.content import Report, VideoPage
from attentad.report.drawing import save_figure
from attentad.report.matching import first_threshold
from attentad.report.table_figures import Curves, Tracks, timeline_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUTH = "ground truth"
SCORE = "detection score"
_POINTS = 1000


def write_timelines(report: Report, folder: Path) -> list[Path]:
    """Write a figure FOLDER/VIDEO.svg of each video, with its attention as curves.

    Of an annotated video the best detections of each detector are drawn, as many as there are
    instances; of another one those whose score is at least half of the highest.

    Args:
        report: what a page would show.
        folder: made when missing.

    Returns:
        The files.

    Raises:
        AttentadError: a file cannot be written, two videos would have the same, or matplotlib
            is not installed.
    """
    files = timeline_files(folder, [page.video for page in report.videos])
    for path, page in zip(files, report.videos, strict=True):
        save_figure(_page_figure(page, tuple(report.classes)), path)
    return files


def timeline_files(folder: Path, videos: Sequence[str]) -> list[Path]:
    """The figure of each video.

    Raises:
        AttentadError: two videos would have the same.
    """
    owner: dict[Path, str] = {}
    for video in videos:
        name = re.sub(r"[^\w.-]+", "_", video)
        path = folder / f"{name}.svg"
        if path in owner:
            raise AttentadError(
                f"the figures of videos {owner[path]} and {video} would both be {path}; rename one."
            )
        owner[path] = video
    return list(owner)


def attention_curves(curves: Iterable[Curve]) -> Curves:
    """Those of a video's curves that show where the network attends, for `timeline_figure`."""
    return {
        curve.name: (curve.time_sec, curve.value) for curve in curves if curve.kind == "attention"
    }


def score_curve(detections: VideoDetections, end_sec: float) -> tuple[Floats, Floats]:
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


def _page_figure(page: VideoPage, classes: tuple[str, ...]) -> Figure:
    truth = page.ground_truth
    tracks: Tracks = {}
    curves: dict[str, tuple[ArrayLike, ArrayLike]] = {}
    if truth is not None:
        classes = (*classes, *sorted(set(truth.labels) - set(classes)))
        tracks[TRUTH] = [(truth.segments, [classes.index(label) for label in truth.labels])]
    for name, found in page.found.items():
        best = _best(found.detections, truth)
        tracks[name or "detections"] = [(best.segments, best.labels.tolist())]
        before = f"{name}: " if name else ""
        curves[before + SCORE] = score_curve(found.detections, page.duration_sec)
        for curve, values in attention_curves(found.curves).items():
            curves[before + curve] = values
    return timeline_figure(tracks, page.duration_sec, classes, curves)


def _best(detections: VideoDetections, truth: VideoAnnotation | None) -> VideoDetections:
    if truth is None:
        return detections[detections.scores >= first_threshold([(detections.scores, None)])]
    return detections[np.argsort(-detections.scores, kind="stable")[: len(truth.labels)]]
