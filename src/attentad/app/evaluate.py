"""Score detections, proposals and class scores: files or plain values. Never loads torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    align_videos,
    read_annotations,
    read_classes,
    read_detections,
)
from attentad.core.annotations import AMBIGUOUS
from attentad.core.files import write_json
from attentad.core.formats.plain import annotations_from, detections_from
from attentad.metrics import (
    BootstrapResult,
    DetectionResult,
    ProposalResult,
    RecognitionResult,
    VideoMapResult,
    average_recall,
    bootstrap_map,
    detection_map,
    read_scores,
    recognition_scores,
    video_map,
)


class MapOptions(TypedDict, total=False):
    """The keyword arguments of `metrics.detection_map` beside the thresholds."""

    protocol: str
    subset: str | Iterable[str] | None
    ground_truth_set: str | None
    restrict_to_gt_videos: bool
    strict: bool
    deduplicate: bool
    drop_empty: bool
    blocked: Collection[str]


class RecallOptions(TypedDict, total=False):
    """The keyword arguments of `metrics.average_recall` beside the thresholds."""

    protocol: str
    subset: str | Iterable[str] | None
    strict: bool
    blocked: Collection[str]
    merge_classes: bool


@dataclass(frozen=True)
class Comparison:
    """Several files of detections on one ground truth.

    Args:
        results: name → its result, in the order given.
        bootstrap: intervals over videos, where they were asked for.
    """

    results: dict[str, DetectionResult]
    bootstrap: BootstrapResult | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        content: dict[str, Any] = {
            "results": {name: result.to_dict() for name, result in self.results.items()}
        }
        if self.bootstrap is not None:
            content["bootstrap"] = self.bootstrap.to_dict()
        return content


def evaluate(
    detections: Any,
    annotations: Any,
    *,
    tiou: str | Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    **options: Unpack[MapOptions],
) -> DetectionResult:
    """Detection mAP, from whatever holds the detections and the ground truth.

    Args:
        detections: a file, or plain values as `core.plain.detections_from` takes them: for one,
            `{video: {"segments": (N, 2), "scores": (N,), "labels": (N,)}}` with arrays or tensors.
        annotations: a file or folder, or plain values as `core.plain.annotations_from` takes them.
        tiou: thresholds as `metrics.parse_tiou`; None for the protocol's own.
        classes: class names that numeric labels of plain values count from 0.
        options: `protocol`, `subset` and so on, see `metrics.detection_map`.

    Returns:
        The result; `.average_map` is the one number, `.to_dict()` everything as plain values.

    Raises:
        AttentadError: a file or value is malformed, or as `metrics.detection_map`.
    """
    truth = load_annotations(annotations, classes)
    found, _ = load_detections(detections, truth, classes=classes)
    return detection_map(truth, found, tiou=tiou, **options)


def evaluate_files(
    detections_path: str | Path,
    annotations_path: str | Path,
    *,
    tiou: str | Sequence[float] | None = None,
    classes_path: str | Path | None = None,
    out_json: str | Path | None = None,
    **options: Unpack[MapOptions],
) -> DetectionResult:
    """Detection mAP of one file of detections, also written to `out_json`; see `compare_files`."""
    (result,) = compare_files(
        [detections_path], annotations_path, tiou=tiou, classes_path=classes_path, **options
    ).results.values()
    if out_json is not None:
        write_json(out_json, result.to_dict())
    return result


def compare_files(
    detections_paths: Sequence[str | Path],
    annotations_path: str | Path,
    *,
    tiou: str | Sequence[float] | None = None,
    classes_path: str | Path | None = None,
    bootstrap: int = 0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[MapOptions],
) -> Comparison:
    """Detection mAP of several files on the same ground truth.

    Args:
        detections_paths: of any kind that `core.read_detections` reads.
        annotations_path: ActivityNet JSON, THUMOS14 text folder or CSV.
        tiou: as `metrics.parse_tiou`; None for the protocol's own thresholds.
        classes_path: class list, for files whose labels are numbers.
        bootstrap: resamples of the videos for confidence intervals; 0 for none.
        seed: of the resampling.
        progress: called with (resamples done, of all).
        options: see `metrics.detection_map`.

    Raises:
        AttentadError: a file is missing, malformed or empty, or an option is wrong.
    """
    annotations = read_annotations(annotations_path, keep_ambiguous=True)
    label_ids = None if classes_path is None else read_classes(classes_path)
    results = {}
    for name, path in zip(_names(detections_paths), detections_paths, strict=True):
        found, renamed = load_detections(path, annotations, label_ids=label_ids)
        try:
            result = detection_map(annotations, found, tiou=tiou, **options)
        except AttentadError as error:
            raise AttentadError(f"{path} against {annotations_path}: {error}") from error
        results[name] = replace(
            result,
            ground_truth={"file": str(annotations_path), **result.ground_truth},
            detections={"file": str(path), **result.detections, "renamed_videos": len(renamed)},
        )
    if not bootstrap:
        return Comparison(results)
    drawn = bootstrap_map(list(results.values()), samples=bootstrap, seed=seed, progress=progress)
    return Comparison(results, drawn)


def evaluate_proposals(
    proposals_paths: Sequence[str | Path],
    annotations_path: str | Path,
    *,
    tiou: str | Sequence[float] | None = None,
    **options: Unpack[RecallOptions],
) -> dict[str, ProposalResult]:
    """Average recall of files of proposals, labels ignored: name → result.

    Raises:
        AttentadError: as `compare_files`.
    """
    annotations = read_annotations(annotations_path, keep_ambiguous=True)
    results = {}
    for name, path in zip(_names(proposals_paths), proposals_paths, strict=True):
        found, renamed = load_detections(path, annotations)
        try:
            result = average_recall(annotations, found, tiou=tiou, **options)
        except AttentadError as error:
            raise AttentadError(f"{path} against {annotations_path}: {error}") from error
        results[name] = replace(
            result,
            ground_truth={"file": str(annotations_path), **result.ground_truth},
            detections={"file": str(path), **result.detections, "renamed_videos": len(renamed)},
        )
    return results


def evaluate_recognition(
    score_paths: Sequence[str | Path],
) -> dict[str, RecognitionResult | VideoMapResult]:
    """Accuracy of files of class scores, or video-level mAP where clips have several labels.

    Args:
        score_paths: see `metrics.read_scores`; all of one kind.

    Raises:
        AttentadError: a file is missing or malformed, or only some have several labels a clip.
    """
    results: dict[str, RecognitionResult | VideoMapResult] = {}
    for name, path in zip(_names(score_paths), score_paths, strict=True):
        table = read_scores(path)
        if table.multi_label:
            results[name] = video_map(table.scores, table.multi_hot(), classes=table.classes)
        else:
            results[name] = recognition_scores(
                table.scores, table.labels, classes=table.classes, splits=table.splits
            )
    if len({type(result) for result in results.values()}) > 1:
        raise AttentadError(
            "some of these files have several labels per clip and some have one; evaluate them "
            "apart."
        )
    return results


def load_annotations(source: Any, classes: Sequence[str] | None = None) -> Annotations:
    """Annotations from a path or from plain values, the class `Ambiguous` included."""
    if isinstance(source, str | Path):
        return read_annotations(source, classes=classes, keep_ambiguous=True)
    return annotations_from(source, classes=classes)


def load_detections(
    source: Any,
    annotations: Annotations,
    *,
    classes: Sequence[str] | None = None,
    label_ids: dict[int, str] | None = None,
) -> tuple[Detections, dict[str, str]]:
    """Detections from a path or from plain values, under the annotated videos' ids.

    Args:
        source: see `evaluate`.
        annotations: whose video ids and label numbers count.
        classes: see `evaluate`.
        label_ids: number → name of a file's numeric labels; by default the annotations' own.

    Returns:
        The detections, and old → new id of the videos that were renamed (`v_` prefix, suffix).
    """
    if isinstance(source, str | Path):
        names = label_ids if label_ids is not None else annotations.class_ids
        known = [name for name in annotations.classes if name != AMBIGUOUS]
        found = read_detections(source, known, label_ids=names)
    else:
        found = detections_from(source, classes=classes)
    return align_videos(found, annotations.videos)


def _names(paths: Sequence[str | Path]) -> list[str]:
    """What to call each file: its name without suffix, or its path where names repeat."""
    stems = [Path(path).stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise AttentadError(f"{names[0]} is given twice; name each file of detections once.")
    return names
