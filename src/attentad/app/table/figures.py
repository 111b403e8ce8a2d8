"""The rows of a paper's table over one video, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attentad.app.table.runs import RowRun, run_model
from attentad.core import read_detections
from attentad.models.score import run_annotated
from attentad.models.sets import open_store, read_sets
from attentad.report.table_figures import Tracks, timeline_figure
from attentad.report.timelines import TRUTH, attention_curves, score_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def video_figures(runs: Sequence[RowRun]) -> dict[str, Figure]:
    """What is annotated in one test video, that with most classes, and what the rows say of it.

    `timeline` has the best detections of every row, as many as there are instances (a Figure 3),
    and below them the attentions of the last row, where its network has any to show, as HAM-Net's.
    `scores` has every row's detection score (HAM-Net's Figure 5). The runs are of one seed, in the
    order of the table; those of the first one's fold are shown.
    """
    shown = [run for run in runs if run.fold == runs[0].fold]
    test = read_sets(shown[0].recipe.data).test
    assert test is not None
    # Of several such videos the first by name.
    video = min(test.videos, key=lambda name: (-len(set(test.videos[name].labels)), name))
    truth, labels = test.videos[video], test.label_ids(video)
    end_sec = max(truth.duration_sec or 0.0, float(truth.segments.max(initial=1.0)))
    annotated: Tracks = {TRUTH: [(truth.segments, labels.tolist())]}
    detected: Tracks = {}
    scores = {}
    for run in shown:
        detections = read_detections(run.folder / "detections.json", test.classes).videos[video]
        best = detections[: len(truth.labels)]
        detected[run.row.name] = [(best.segments, best.labels.tolist())]
        of_classes = detections[np.isin(detections.labels, labels)]
        scores[run.row.name] = score_curve(of_classes, end_sec)
    model = run_model(shown[-1])
    only = replace(test, videos={video: truth})
    store, _ = open_store(shown[-1].recipe.data, test.videos)
    curves = run_annotated(model, store, only)[video].curves
    return {
        "timeline": timeline_figure(
            {**annotated, **detected}, end_sec, test.classes, attention_curves(curves)
        ),
        "scores": timeline_figure(annotated, end_sec, test.classes, scores),
    }
