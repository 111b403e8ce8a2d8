"""Score a detection file against an annotation file. Never loads torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from attentad.core import AttentadError, read_annotations, read_detections
from attentad.core.files import write_json
from attentad.metrics import DetectionResult, detection_map, tiou_key

if TYPE_CHECKING:
    from rich.table import Table

_MOST_THRESHOLDS = 1000


def parse_tiou(text: str | Sequence[float]) -> tuple[float, ...]:
    """tIoU thresholds from what a user types.

    Args:
        text: `start:stop:step` with both ends included ("0.3:0.7:0.1"), a list ("0.5,0.75"),
            one number, or numbers already. Decimal arithmetic: the third of "0.1:0.7:0.1" is 0.3
            and not 0.30000000000000004.

    Raises:
        AttentadError: it is none of these, or a threshold is outside (0, 1].
    """
    if not isinstance(text, str):
        values = tuple(float(value) for value in text)
    else:
        try:
            parts = [Decimal(part.strip()) for part in text.split(":")] if ":" in text else []
            values = tuple(float(part) for part in text.split(",")) if not parts else ()
        except (InvalidOperation, ValueError):
            raise _tiou_error(text) from None
        if parts:
            values = _inclusive_range(parts, text)
    if not values or not all(0 < value <= 1 for value in values):
        raise _tiou_error(text)
    return values


def evaluate_files(
    detections_path: str | Path,
    annotations_path: str | Path,
    *,
    protocol: str = "activitynet",
    tiou: str | Sequence[float] = "0.5:0.95:0.05",
    subset: str | Iterable[str] | None = None,
    out_json: str | Path | None = None,
    strict: bool = False,
    deduplicate: bool = False,
    drop_empty: bool = False,
    blocked: Collection[str] = (),
) -> DetectionResult:
    """Detection mAP of a file of detections; see `metrics.detection_map` for the options.

    Args:
        detections_path: ActivityNet submission JSON or CSV.
        annotations_path: ActivityNet JSON, THUMOS14 text folder or CSV.
        protocol: a key of `metrics.PROTOCOLS`.
        tiou: as `parse_tiou`.
        subset: one or more names, as "test" or "training,validation"; None for all videos.
        out_json: also write the result there.
        strict: unknown labels and videos are an error.
        deduplicate: merge instances that agree to 1 ms.
        drop_empty: leave out instances that do not end after they start.
        blocked: video ids left out of both sides.

    Raises:
        AttentadError: a file is missing, malformed or empty, an option is wrong, or the result
            cannot be written.
    """
    thresholds = parse_tiou(tiou)
    annotations = read_annotations(annotations_path)
    detections = read_detections(detections_path)
    try:
        result = detection_map(
            annotations,
            detections,
            tiou=thresholds,
            protocol=protocol,
            subset=subset,
            strict=strict,
            deduplicate=deduplicate,
            drop_empty=drop_empty,
            blocked=blocked,
        )
    except AttentadError as error:
        raise AttentadError(f"{detections_path} against {annotations_path}: {error}") from error
    result = replace(
        result,
        ground_truth={"file": str(annotations_path), **result.ground_truth},
        detections={"file": str(detections_path), **result.detections},
    )
    if out_json is not None:
        write_json(out_json, result.to_dict())
    return result


def result_table(result: DetectionResult) -> Table:
    """mAP in percent at each threshold and on average, as a rich table."""
    from rich.table import Table

    table = Table()
    table.add_column("tIoU")
    table.add_column("mAP %", justify="right")
    for value, mean in zip(result.tiou, result.mean_ap, strict=True):
        table.add_row(tiou_key(value), _percent(mean))
    table.add_section()
    table.add_row("average", _percent(result.average_map), style="bold")
    return table


def class_table(result: DetectionResult) -> Table:
    """Average precision in percent of each class, on average and at each threshold."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("AP %", min_width=16)
    for heading in ("avg", *map(tiou_key, result.tiou)):
        table.add_column(heading, justify="right", min_width=4)
    for name, row in zip(result.classes, result.average_precision, strict=True):
        table.add_row(name, *(f"{100 * value:.1f}" for value in (row.mean(), *row)))
    return table


def print_result(result: DetectionResult, *, per_class: bool = False) -> None:
    """Show the table on standard output and what to know about it on standard error."""
    from rich.console import Console

    console = Console()
    if per_class:
        console.print(class_table(result))
    console.print(result_table(result))
    truth = result.ground_truth
    console.print(
        f"protocol {result.protocol}: {truth['instances']} instances of {truth['classes']} "
        f"classes in {truth['videos']} videos",
        highlight=False,
    )
    for note in notes(result):
        Console(stderr=True).print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)


def notes(result: DetectionResult) -> list[str]:
    """What a reader of the number should know: one sentence each, empty when all matched."""
    found = []
    labels = result.detections["unknown_labels"]
    if labels:
        found.append(
            f"{sum(labels.values())} detections were left out, as the ground truth evaluated has "
            f"no class {_some(labels)}."
        )
    videos = result.detections["videos_outside_ground_truth"]
    if videos:
        found.append(
            f"{sum(videos.values())} detections count as false positives, as they lie in "
            f"{len(videos)} videos without ground truth: {_some(videos)}."
        )
    dropped = result.ground_truth["dropped"]
    for reason, count in dropped.items():
        if count:
            found.append(f"Ground truth dropped ({reason.replace('_', ' ')}): {count}.")
    return found


def _inclusive_range(parts: list[Decimal], text: str) -> tuple[float, ...]:
    if len(parts) != 3 or not all(part.is_finite() for part in parts):
        raise _tiou_error(text)
    start, stop, step = parts
    if step <= 0 or stop < start or (stop - start) / step > _MOST_THRESHOLDS:
        raise _tiou_error(text)
    count = int((stop - start) / step) + 1
    return tuple(float(start + step * number) for number in range(count))


def _tiou_error(given: str | Sequence[float]) -> AttentadError:
    return AttentadError(
        f"tIoU thresholds {given!r} are not understood; write start:stop:step such as "
        "0.3:0.7:0.1, or a list such as 0.5,0.75,0.95, all above 0 and up to 1."
    )


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:5]) + (", …" if len(ordered) > 5 else "")
