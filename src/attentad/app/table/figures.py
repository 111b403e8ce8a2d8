"""The rows of a paper's table over one video, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attentad.app.table.runs import RowRun, run_model
from attentad.core import Annotations, VideoAnnotation, VideoDetections, read_detections
from attentad.core.found import Curve
from attentad.models.score import run_annotated
from attentad.models.sets import open_store, read_sets
from attentad.report.table_figures import Tracks, timeline_figure
from attentad.report.timelines import TRUTH, attention_curves, score_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    attention = attention_curves(_curves(shown[-1], sets, video))
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


def _curves(run: RowRun, test: Annotations, video: str) -> Sequence[Curve]:
    """What there is to look at beside the detections of a finished run."""
    model = run_model(run)
    only = replace(test, videos={video: test.videos[video]})
    return run_annotated(model, open_store(run.recipe.data), only)[video].curves
