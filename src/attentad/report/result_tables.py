"""What an evaluation says, as tables and as sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attentad.core.formats.frame_labels import BACKGROUND
from attentad.core.names import suggest, told_matches
from attentad.core.wording import first_few, number_of
from attentad.metrics import (
    BootstrapResult,
    DetectionResult,
    Diagnosis,
    FramewiseResult,
    ProposalResult,
    RecognitionResult,
    VideoMapResult,
    tiou_key,
)
from attentad.report.tables import Table, to_rich


def result_table(result: DetectionResult) -> Table:
    """mAP in percent, a row per threshold and their average."""
    keys = map(tiou_key, result.tiou)
    rows = [(key, _percent(mean)) for key, mean in zip(keys, result.mean_ap, strict=True)]
    average = ("average", _percent(result.average_map))
    return Table(("tIoU", "mAP %"), (*rows, average), note=ground_truth_line(result))


def comparison_table(
    results: Mapping[str, DetectionResult], bootstrap: BootstrapResult | None = None
) -> Table:
    """mAP in percent, a row per method; differences are to the first.

    Args:
        results: name → result, all on the same ground truth and thresholds.
        bootstrap: for intervals of the averages and of their differences.
    """
    first = next(iter(results.values()))
    columns = ["mAP %", *map(tiou_key, first.tiou), "average"]
    gaps = ["difference"] if len(results) > 1 else []
    note = ground_truth_line(first)
    if bootstrap is not None:
        level = f"{100 * bootstrap.level:g} % interval"
        columns, gaps = [*columns, level], [*gaps, *(f"its {level}" for _ in gaps)]
        note += f"; intervals: {bootstrap.samples} bootstrap samples of the videos"
    rows = []
    for number, (name, result) in enumerate(results.items()):
        row = [name, *map(_percent, result.mean_ap), _percent(result.average_map)]
        if bootstrap is not None:
            row.append(_interval(bootstrap.average_map[number]))
        if len(results) > 1:
            gap = result.average_map - first.average_map
            row.append(f"{100 * gap:+.2f}" if number else "")
            if bootstrap is not None:
                row.append(_interval(bootstrap.difference[number], "+") if number else "")
        rows.append(tuple(row))
    return Table((*columns, *gaps), tuple(rows), note=note)


def class_table(results: Mapping[str, DetectionResult]) -> Table:
    """Average precision in percent of each class.

    One result is shown at each threshold, several by their averages beside one another.
    """
    first = next(iter(results.values()))
    columns = [result.average_precision.mean(axis=1) for result in results.values()]
    headings = ("average AP %", "instances", *results)
    if len(results) == 1:
        columns = [*first.average_precision.T, *columns]
        headings = ("AP %", "instances", *map(tiou_key, first.tiou), "average")
    rows = tuple(
        (name, str(count), *map(_percent, values))
        for name, count, *values in zip(first.classes, first.truth_count, *columns, strict=True)
    )
    return Table(headings, rows, note=ground_truth_line(first))


def recall_table(results: Mapping[str, ProposalResult]) -> Table:
    """AR@AN and AUC in percent, a row per method."""
    first = next(iter(results.values()))
    columns = ("%", *(f"AR@{count}" for count in first.at), "AUC")
    rows = tuple(
        (name, *map(_percent, result.at.values()), f"{result.auc_percent:.2f}")
        for name, result in results.items()
    )
    truth = first.ground_truth
    note = (
        f"protocol {first.protocol}: {truth['instances']} instances in {truth['videos']} videos, "
        f"tIoU {tiou_key(first.tiou[0])} to {tiou_key(first.tiou[-1])}"
    )
    return Table(columns, rows, note=note)


def framewise_table(results: Mapping[str, FramewiseResult]) -> Table:
    """Accuracy with and without background, edit score and F1 in percent, a row per method."""
    first = next(iter(results.values()))
    overlaps = (f"F1@{100 * value:.10g}" for value in first.tiou)
    columns = ("%", "accuracy", "without bg", "edit", *overlaps)
    rows = tuple(
        (
            name,
            _percent(result.accuracy),
            _percent(result.foreground_accuracy),
            _percent(result.edit),
            *map(_percent, result.f1),
        )
        for name, result in results.items()
    )
    truth = first.ground_truth
    note = (
        f"protocol {first.protocol}: {truth['frames']} frames and {truth['segments']} segments in "
        f"{truth['videos']} videos; background: {', '.join(truth['background']) or 'none'}"
    )
    return Table(columns, rows, note=note)


def framewise_notes(result: FramewiseResult) -> list[str]:
    """What did not match in a file of frame labels, and what was taken for an action."""
    remarks = []
    predicted, truth = result.detections, result.ground_truth
    if videos := predicted["undetected_videos"]:
        remarks.append(
            f"{number_of(videos, 'video')} of the truth without a prediction left out: "
            f"{first_few(videos, 5)}."
        )
    if videos := predicted["videos_outside_ground_truth"]:
        remarks.append(
            f"{number_of(videos, 'predicted video')} without a truth left out: "
            f"{first_few(videos, 5)}."
        )
    if labels := predicted["unknown_labels"]:
        meant = _meant(labels, truth["labels"])
        remarks.append(
            f"{sum(labels.values())} frames have a predicted label that the truth never has: "
            f"{first_few(sorted(labels), 5)}{meant}; they are wrong."
        )
    if surplus := predicted["surplus_frames"]:
        remarks.append(
            f"{number_of(surplus, 'prediction')} overhang their video's end by up to "
            f"{max(surplus.values())} frames, which belong to segments and not to accuracy, as in "
            "MS-TCN's evaluation."
        )
    if quiet := [
        name
        for name in sorted(BACKGROUND & set(truth["labels"]))
        if name not in truth["background"]
    ]:
        remarks.append(
            f"{first_few(quiet, 5)} counted as actions; --background leaves such labels out."
        )
    return remarks


def recognition_table(results: Mapping[str, RecognitionResult | VideoMapResult]) -> Table:
    """Accuracies or video-level mAP in percent, a row per method; ± between its splits."""
    rows = []
    for name, result in results.items():
        if isinstance(result, VideoMapResult):
            names = ["video mAP", "exact set"]
            cells = [_percent(result.mean_ap), _percent(result.exact_set_accuracy)]
            count, splits = result.videos, 1
        else:
            names = ["top-1", "top-5", "mean class"]
            parts = (result.split_top1, result.split_top5, result.split_mean_class)
            count, splits = int(result.clips.sum()), len(result.splits)
            cells = [_percent(part.mean()) for part in parts]
            if splits > 1:
                cells = [f"{_percent(part.mean())} ± {_percent(part.std())}" for part in parts]
        rows.append((name, *cells, str(count), str(splits)))
    return Table(("%", *names, "rows", "splits"), tuple(rows))


def ground_truth_line(result: DetectionResult) -> str:
    """Protocol and ground truth in one line: what a number means nothing without."""
    truth = result.ground_truth
    chosen = truth["ground_truth_set"]
    kind = "" if chosen == "all" else f" ({chosen})"
    return (
        f"protocol {result.protocol}: {truth['instances']} instances of {truth['classes']} "
        f"classes in {truth['videos']} videos{kind}"
    )


def print_result(result: DetectionResult) -> None:
    """Show one result on standard output and what to know about it on standard error."""
    print_tables([result_table(result)], notes(result))


def print_tables(tables: Iterable[Table], remarks: Iterable[str] = ()) -> None:
    """Show tables, the note of the last one, and remarks on standard error."""
    from rich.console import Console

    console = Console()
    note = ""
    for table in tables:
        console.print(to_rich(table))
        note = table.note
    if note:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    for remark in dict.fromkeys(remarks):
        Console(stderr=True).print(f"note: {remark}", highlight=False, markup=False, soft_wrap=True)


def notes(result: DetectionResult | ProposalResult) -> list[str]:
    """What a reader of the number should know: one sentence each, empty when all matched."""
    return detection_notes(result) + truth_notes(result)


def detection_notes(result: DetectionResult | ProposalResult | Diagnosis) -> list[str]:
    """What did not match in the file of detections."""
    remarks = []
    detected = result.detections
    labels = detected.get("unknown_labels", {})
    if labels:
        meant = _meant(labels, getattr(result, "classes", ()))
        remarks.append(
            f"{sum(labels.values())} detections were left out, as the ground truth evaluated has "
            f"no class {first_few(sorted(labels), 5)}{meant}."
        )
    videos = detected.get("videos_outside_ground_truth", {})
    if videos:
        counted = detected.get("outside_counts_as") == "false positives"
        remarks.append(
            f"{sum(videos.values())} detections in {len(videos)} videos without ground truth "
            f"({first_few(sorted(videos), 5)}) "
            f"{'count as false positives' if counted else 'were left out'}."
        )
    if backwards := detected.get("reversed"):
        remarks.append(
            f"{backwards} of the detections end before they start; as in the tool that this "
            f"protocol is from, those evaluated count as {detected['reversed_count_as']}."
        )
    remarks += _undetected(result)
    if detected.get("renamed_videos"):
        remarks.append(f"{told_matches(detected['renamed_videos'])}.")
    return remarks


def _undetected(result: DetectionResult | ProposalResult | Diagnosis) -> list[str]:
    """Annotated videos and classes of which the file of detections says nothing."""
    remarks = []
    detected, holding = result.detections, result.ground_truth.get("videos_with_instances", 0)
    if videos := detected.get("undetected_videos"):
        remarks.append(
            f"{len(videos)} of {holding} annotated videos ({first_few(videos, 5)}) have no "
            "detection; all of their instances count as missed. Evaluate one subset with --subset, "
            "or detect in these too."
        )
    if classes := detected.get("undetected_classes"):
        count = number_of(classes, "annotated class has", "annotated classes have")
        remarks.append(f"{count} no detection: {first_few(classes, 5)}.")
    return remarks


def truth_notes(result: DetectionResult | ProposalResult | Diagnosis) -> list[str]:
    """What is special about the ground truth, and what was dropped of it."""
    dropped = [
        f"Ground truth dropped ({reason.replace('_', ' ')}): {count}."
        for reason, count in result.ground_truth.get("dropped", {}).items()
        if count
    ]
    return [*result.ground_truth.get("notes", ()), *dropped]


def _meant(labels: Iterable[str], classes: Iterable[str]) -> str:
    """A hint at the class that was probably meant by the first label that resembles one."""
    pairs = ((label, suggest(label, classes)) for label in sorted(labels))
    hints = (f" (did {label!r} mean {meant!r}?)" for label, meant in pairs if meant is not None)
    return next(hints, "")


def _interval(bounds: Iterable[float], sign: str = "") -> str:
    low, high = (format(100 * bound, f"{sign}.2f") for bound in bounds)
    return f"{low} … {high}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
