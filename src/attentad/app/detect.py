"""`attentad detect`: a model and video or feature files → detections, a page, figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from attentad.core import Annotations, AttentadError, read_annotations, write_detections
from attentad.core.files import check_place, remove_leftovers
from attentad.core.formats.detections import detection_files
from attentad.core.progress import progress_bar
from attentad.models.cluster import on_cluster
from attentad.models.journal import Journal
from attentad.models.run import DetectRun, load, runs_report
from attentad.report import write_page
from attentad.report.timelines import timeline_files, write_timelines


def detect_and_write(
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    page: Path | None = None,
    figures: Path | None = None,
    annotations: Path | None = None,
    cluster: str | None = None,
) -> DetectRun:
    """Detect, and write what was asked for; see `LoadedDetector.detect` and `write_run`.

    Finished videos are kept beside `out` until that is written, so that the same command goes on
    where it was stopped.

    Raises:
        AttentadError: before any video is read: an output cannot be written, would replace an
            input or another output, or has a suffix that says no format; then as those.
    """
    given = [*inputs, *([] if annotations is None else [annotations])]
    _check_outputs(out, page, figures, given)
    truth = None if annotations is None else read_annotations(annotations)
    journal = Journal.beside(out)

    def check_names(videos: Sequence[str]) -> None:
        targets = detection_files(out, videos)
        remove_leftovers(targets if page is None else [*targets, page])
        if figures is not None:
            timeline_files(figures, videos)

    open_model = partial(load, model)
    elsewhere = None if cluster is None else partial(on_cluster, cluster, open_model)
    try:
        with progress_bar("detecting") as progress:
            run = open_model().detect(
                inputs, progress, truth, journal=journal, before=check_names, run=elsewhere
            )
        write_run(run, out, page, figures, annotations=truth)
        journal.remove()
    finally:
        journal.tidy()
    return run


def _check_outputs(
    out: Path, page: Path | None, figures: Path | None, given: Sequence[Path]
) -> None:
    detection_files(out, ("a video",))
    outputs = [out, *([] if page is None else [page])]
    if page is not None and page.resolve() == out.resolve():
        raise AttentadError(f"{out} is named for the detections and for the page; rename one.")
    for path in outputs:
        if path.resolve() in [other.resolve() for other in given]:
            raise AttentadError(f"{path} would replace what is read; choose another --out.")
        check_place(path)
    if figures is not None:
        check_place(figures / "timeline.svg")


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
