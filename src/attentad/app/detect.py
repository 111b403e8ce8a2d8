"""`attentad detect`: a model and video or feature files → detections, a page, figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attentad.core import Annotations, read_annotations, write_detections
from attentad.core.progress import progress_bar
from attentad.models.run import DetectRun, load, runs_report
from attentad.report import write_page
from attentad.report.timelines import write_timelines


def detect_and_write(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    page: Path | None = None,
    figures: Path | None = None,
    annotations: Path | None = None,
) -> DetectRun:
    """Detect, and write what was asked for; see `models.run.detect` and `write_run`."""
    truth = None if annotations is None else read_annotations(annotations)
    with progress_bar("detecting") as progress:
        run = load(model).detect(inputs, progress, truth)
    write_run(run, out, page, figures, annotations=truth)
    return run


def write_run(
    run: DetectRun,
    out: Path,
    page: Path | None = None,
    figures: Path | None = None,
    *,
    annotations: Annotations | None = None,
) -> None:
    """Write the detections by suffix (see `write_detections`) and, where asked for, the rest.

    Raises:
        AttentadError: a file cannot be written.
    """
    write_detections(out, run.detections)
    report = runs_report({"": run}, annotations=annotations)
    if page is not None:
        write_page(page, report)
    if figures is not None:
        write_timelines(report, figures)
