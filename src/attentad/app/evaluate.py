"""`attentad eval`: score files, show the tables, write what was asked for. Never loads torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from attentad.core import AttentadError
from attentad.core.files import read_bytes, write_json
from attentad.core.progress import Progress
from attentad.metrics import (
    DetectionResult,
    FramewiseResult,
    ProposalResult,
    RecognitionResult,
    VideoMapResult,
    precision_recall,
    tiou_key,
)
from attentad.metrics.evaluate import (
    Comparison,
    MapOptions,
    compare_files,
    evaluate_framewise,
    evaluate_proposals,
    evaluate_recognition,
)
from attentad.report import (
    TABLE_SUFFIXES,
    Report,
    Table,
    average_recall_figure,
    confusion_figure,
    figure_svg,
    precision_recall_figure,
    save_figure,
    transposed,
    write_page,
    write_table,
)
from attentad.report.result_tables import (
    class_table,
    comparison_table,
    detection_notes,
    framewise_notes,
    framewise_table,
    print_tables,
    recall_table,
    recognition_table,
    result_table,
    truth_notes,
)

TASKS = ("detection", "proposals", "recognition", "framewise")
# Resamples behind the intervals when files are compared and nobody says how many.
COMPARING_SAMPLES = 1000
# A table of as many columns does not fit a terminal's 80.
_MOST_COLUMNS = 8


class Outputs(NamedTuple):
    """Files to write beside what is shown; None or empty for none."""

    json: Path | None = None
    tables: tuple[Path, ...] = ()
    class_table: Path | None = None
    figures: Path | None = None
    page: Path | None = None


class _Scored(NamedTuple):
    """What a task gives: to show, and to write."""

    table: Table
    content: dict[str, Any]
    figures: Callable[[], dict[str, Any]]
    remarks: Sequence[str] = ()
    classes: Table | None = None


def evaluate_and_write(
    files: Sequence[Path],
    task: str,
    outputs: Outputs,
    *,
    tiou: str | None = None,
    classes_path: Path | None = None,
    blocked_path: Path | None = None,
    background: str | None = None,
    per_class: bool = False,
    bootstrap: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Unpack[MapOptions],
) -> None:
    """Run one task of `attentad eval`; see the command's own help for the arguments.

    Raises:
        AttentadError: a file or an option does not fit; nothing has been written then.
    """
    if task not in TASKS:
        raise AttentadError(f"there is no task {task!r}; choose one of {', '.join(TASKS)}.")
    for path in (*outputs.tables, *([outputs.class_table] if outputs.class_table else [])):
        if path.suffix.lower() not in TABLE_SUFFIXES:
            raise AttentadError(f"{path}: a table ends in one of {', '.join(TABLE_SUFFIXES)}.")
    if outputs.class_table is not None and task != "detection":
        raise AttentadError("--class-table is for the task detection; leave it out here.")
    if task != "recognition" and len(files) < 2:
        raise AttentadError(f"{files[0]} stands alone: give the detections, then the annotations.")
    if background is not None and task != "framewise":
        raise AttentadError("--background is for the task framewise; leave it out here.")
    if blocked_path is not None:
        options["blocked"] = _lines(blocked_path)
    if task == "recognition":
        scored = _recognition(evaluate_recognition(files))
    elif task == "proposals":
        chosen = _among(options, ("protocol", "subset", "strict", "blocked"))
        scored = _proposals(evaluate_proposals(files[:-1], files[-1], tiou=tiou, **chosen))
    elif task == "framewise":
        of_frames = ("protocol", "strict")
        _refuse_others({**options, "bootstrap": bootstrap, "figures": outputs.figures}, of_frames)
        chosen = _among(options, of_frames)
        results = evaluate_framewise(
            files[:-1],
            files[-1],
            tiou=tiou,
            background=None if background is None else _named(background),
            classes_path=classes_path,
            **chosen,
        )
        scored = _framewise(results)
    else:
        if bootstrap is None:
            bootstrap = COMPARING_SAMPLES if len(files) > 2 else 0
        compared = compare_files(
            files[:-1],
            files[-1],
            tiou=tiou,
            classes_path=classes_path,
            bootstrap=bootstrap,
            seed=seed,
            progress=progress,
            **options,
        )
        scored = _detection(compared)
    _write(scored, outputs)
    classes = [scored.classes] if per_class and scored.classes is not None else []
    print_tables([*classes, _fitting(scored.table)], scored.remarks)


def _detection(compared: Comparison) -> _Scored:
    results = compared.results
    first = next(iter(results.values()))
    alone = len(results) == 1 and compared.bootstrap is None
    return _Scored(
        table=result_table(first) if alone else comparison_table(results, compared.bootstrap),
        content=first.to_dict() if alone else compared.to_dict(),
        figures=lambda: _precision_recall_figures(results),
        remarks=_remarks(results),
        classes=class_table(results),
    )


def _proposals(results: Mapping[str, ProposalResult]) -> _Scored:
    curves = {
        name: (result.proposals_per_video, result.average_recall)
        for name, result in results.items()
    }
    return _Scored(
        table=recall_table(results),
        content=_by_name(results),
        figures=lambda: {"Average recall": average_recall_figure(curves)},
        remarks=_remarks(results),
    )


def _recognition(results: Mapping[str, RecognitionResult | VideoMapResult]) -> _Scored:
    return _Scored(
        table=recognition_table(results),
        content=_by_name(results),
        figures=lambda: {
            f"Confusion of {name}": confusion_figure(result.confusion, result.classes)
            for name, result in results.items()
            if isinstance(result, RecognitionResult)
        },
    )


def _framewise(results: Mapping[str, FramewiseResult]) -> _Scored:
    several = len(results) > 1
    remarks = [
        f"{name}: {note}" if several else note
        for name, result in results.items()
        for note in framewise_notes(result)
    ]
    return _Scored(
        table=framewise_table(results),
        content=_by_name(results),
        figures=dict,
        remarks=remarks,
    )


def _among(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The options that a task knows."""
    return {name: value for name, value in options.items() if name in names}


def _refuse_others(options: Mapping[str, Any], names: Sequence[str]) -> None:
    """Say so where an option was given that frame labels have nothing to do with."""
    given = [name for name, value in options.items() if value and name not in names]
    if given:
        option = {"ground_truth_set": "gt-set"}.get(given[0], given[0].replace("_", "-"))
        raise AttentadError(f"--{option} is not for the task framewise; leave it out here.")


def _named(text: str) -> tuple[str, ...]:
    """Names with commas; an empty text is none."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _fitting(table: Table) -> Table:
    """The table, on its side where it is too wide."""
    return table if len(table.columns) < _MOST_COLUMNS else transposed(table)


def _by_name(results: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of one result, or of several by name."""
    if len(results) == 1:
        return dict(next(iter(results.values())).to_dict())
    return {"results": {name: result.to_dict() for name, result in results.items()}}


def _remarks(results: Mapping[str, DetectionResult | ProposalResult]) -> list[str]:
    """What to know, of the ground truth once and of each file by its name."""
    several = len(results) > 1
    about_files = [
        f"{name}: {note}" if several else note
        for name, result in results.items()
        for note in detection_notes(result)
    ]
    return about_files + truth_notes(next(iter(results.values())))


def _precision_recall_figures(results: Mapping[str, DetectionResult]) -> dict[str, Any]:
    """One figure per threshold: the mean curve of each method."""
    first = next(iter(results.values()))
    return {
        f"Precision-recall at tIoU {tiou_key(value)}": precision_recall_figure(
            {name: precision_recall(result, None, column) for name, result in results.items()}
        )
        for column, value in enumerate(first.tiou)
    }


def _write(scored: _Scored, outputs: Outputs) -> None:
    if outputs.json is not None:
        write_json(outputs.json, scored.content)
    for path in outputs.tables:
        write_table(path, scored.table)
    if outputs.class_table is not None and scored.classes is not None:
        write_table(outputs.class_table, scored.classes)
    if outputs.figures is None and outputs.page is None:
        return
    figures = scored.figures()
    if outputs.figures is not None:
        for title, figure in figures.items():
            for suffix in (".svg", ".png"):
                name = title.lower().replace(" ", "-")
                save_figure(figure, outputs.figures / f"{name}{suffix}")
    if outputs.page is not None:
        tables = {"Result": _fitting(scored.table)}
        if scored.classes is not None:
            tables["Classes"] = scored.classes
        pictures = {title: figure_svg(figure) for title, figure in figures.items()}
        facts = {"note": " ".join(scored.remarks)} if scored.remarks else {}
        page = Report("Evaluation", (), [], facts=facts, tables=tables, figures=pictures)
        write_page(outputs.page, page)


def _lines(path: Path) -> tuple[str, ...]:
    text = read_bytes(path).decode("utf-8-sig", "replace")
    return tuple(line.strip() for line in text.splitlines() if line.strip())
