"""`attentad diagnose`: what is wrong with a file of detections. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from attentad.core import (
    Annotations,
    Detections,
    VideoDetections,
    no_detections,
    read_annotations,
)
from attentad.core.files import write_json
from attentad.core.found import Found
from attentad.core.segments import forwards
from attentad.metrics import VERDICTS, Diagnosis, diagnose, tiou_key
from attentad.metrics.evaluate import score_file
from attentad.report import (
    Report,
    VideoPage,
    diagnosis_figures,
    figure_svg,
    save_figure,
    write_page,
)
from attentad.report.result_tables import detection_notes, truth_notes

# What the attribute `instances` is called by what it counts.
_INSTANCES = {"class": "instances", "video": "instances of the video"}


def diagnose_files(
    detections_path: str | Path,
    annotations_path: str | Path,
    *,
    tiou: str | Sequence[float] | None = None,
    classes_path: str | Path | None = None,
    out_json: str | Path | None = None,
    figures: str | Path | None = None,
    page: str | Path | None = None,
    **options: Any,
) -> Diagnosis:
    """Diagnose a file of detections and write what is asked for; `options` of `metrics.diagnose`.

    Raises:
        AttentadError: a file is missing, malformed or empty, an option is wrong, matplotlib is
            needed and missing, or something cannot be written.
    """
    annotations = read_annotations(annotations_path, keep_ambiguous=True)
    diagnosis, detections = score_file(
        partial(diagnose, tiou=tiou, **options),
        detections_path,
        annotations,
        annotations_path,
        classes_path=classes_path,
    )
    if out_json is not None:
        write_json(out_json, diagnosis.to_dict())
    if figures is not None:
        for title, figure in diagnosis_figures(diagnosis).items():
            for suffix in (".svg", ".png"):
                name = title.lower().replace(" ", "_")
                save_figure(figure, Path(figures) / f"{name}{suffix}")
    if page is not None:
        # Ambiguous segments were read to be counted; the page shows what there was to find.
        _write_page(page, diagnosis, read_annotations(annotations_path), detections)
    return diagnosis


def profile_table(diagnosis: Diagnosis) -> Table:
    """Shares of true positives and error types by slot in percent, and the gain without each."""
    # The slots from the sixth on say little that a terminal has room for; JSON has them all.
    shown = diagnosis.shares[:5]
    table = Table(title="Detections by rank, % (G: instances of the class)", title_justify="left")
    table.add_column("", min_width=16)
    for slot in range(1, len(shown) + 1):
        table.add_column(f"{slot}G", justify="right")
    table.add_column("gain", justify="right", style="bold")
    for name, shares in zip(VERDICTS, shown.T, strict=True):
        gain = _percent(diagnosis.gain[name]) if name in diagnosis.gain else ""
        table.add_row(name, *(f"{100 * value:.1f}" for value in shares), gain)
    return table


def attribute_table(diagnosis: Diagnosis) -> Table:
    """Missed instances, average-mAP_N and its ratio to that of all, by bucket of attributes."""
    table = Table(title="Instances by attribute", title_justify="left")
    table.add_column("attribute")
    table.add_column("bucket")
    for heading in ("instances", "missed %", "mAP_N %", "× all"):
        table.add_column(heading, justify="right")
    named = {"instances": _INSTANCES[diagnosis.counted_instances]}
    for item in diagnosis.attributes:
        values = (item.truth_count, item.false_negative_rate, item.mean_ap_n)
        rows = zip(item.buckets, item.ranges, *(part.tolist() for part in values), strict=True)
        for number, (bucket, text, count, missed, value) in enumerate(rows):
            table.add_row(
                named.get(item.name, item.name) if number == 0 else "",
                f"{bucket:2} {text} {item.unit}".rstrip(),
                f"{count}",
                *(_percent(x) if count else "–" for x in (missed, value)),
                f"{value / diagnosis.map_n:.2f}" if count and diagnosis.map_n else "–",
            )
        table.add_section()
    total = diagnosis.ground_truth["instances"]
    overall = (_percent(diagnosis.false_negative_rate), _percent(diagnosis.map_n))
    table.add_row("all", "", f"{total}", *overall, style="bold")
    return table


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """Show the tables on standard output and what to know about them on standard error."""
    console = Console(highlight=False)
    console.print(profile_table(diagnosis))
    console.print(
        f"average-mAP_N {_percent(diagnosis.top_map_n)} % of the first {len(diagnosis.shares)}G; "
        "gain: what it rises by without the errors of a type"
    )
    console.print(attribute_table(diagnosis))
    truth = diagnosis.ground_truth
    console.print(
        f"DETAD at tIoU {', '.join(map(tiou_key, diagnosis.tiou))}: {truth['instances']} instances "
        f"of {truth['classes']} classes in {truth['videos']} videos"
    )
    for note in notes(diagnosis):
        Console(stderr=True).print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)


def notes(diagnosis: Diagnosis) -> list[str]:
    """What a reader of the numbers should know, one sentence each."""
    return [*diagnosis.notes, *detection_notes(diagnosis), *truth_notes(diagnosis)]


def _write_page(
    path: str | Path, diagnosis: Diagnosis, annotations: Annotations, detections: Detections
) -> None:
    """A page with the figures, and the timelines of the annotated videos that were evaluated."""
    truth = diagnosis.ground_truth
    chosen = annotations if truth["subset"] is None else annotations.subset(truth["subset"])
    gone = {video for ids in truth["dropped_videos"].values() for video in ids}
    videos = [
        VideoPage(
            video=video,
            duration_sec=item.duration_sec or 0.0,
            source=None,
            found={"": Found(_drawn(detections.videos.get(video, no_detections())))},
            ground_truth=item,
        )
        for video, item in chosen.videos.items()
        if video not in gone
    ]
    facts = {
        "detections": str(diagnosis.detections["file"]),
        "annotations": str(truth["file"]),
        "diagnosis": f"DETAD at tIoU {', '.join(map(tiou_key, diagnosis.tiou))}",
        "instances": f"{truth['instances']} of {truth['classes']} classes",
        "average-mAP_N": f"{_percent(diagnosis.map_n)} %",
    }
    if remarks := notes(diagnosis):
        facts["notes"] = " ".join(remarks)
    pictures = {title: figure_svg(item) for title, item in diagnosis_figures(diagnosis).items()}
    title = f"Diagnosis of {Path(diagnosis.detections['file']).name}"
    write_page(path, Report(title, detections.classes, videos, facts=facts, figures=pictures))


def _drawn(detections: VideoDetections) -> VideoDetections:
    """The detections as a timeline can show them; what those that end before they start count as
    is among the notes."""
    return replace(detections, segments=forwards(detections.segments))


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
