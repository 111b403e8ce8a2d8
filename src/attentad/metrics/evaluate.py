"""Score detections, proposals and class scores: files or plain values. Never loads torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray

from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    align_videos,
    read_annotations,
    read_classes,
    read_detections,
)
from attentad.core.files import write_json
from attentad.core.formats.class_list import named_labels
from attentad.core.formats.frame_sequences import NOTHING, read_frame_sequences
from attentad.core.formats.plain import annotations_from, detections_from
from attentad.core.progress import Progress
from attentad.core.wording import first_few
from attentad.metrics.bootstrap import BootstrapResult, bootstrap_map
from attentad.metrics.detection import DetectionResult, detection_map
from attentad.metrics.diagnosis import Diagnosis
from attentad.metrics.frame_sequences import indexed
from attentad.metrics.framewise import FRAMEWISE_TIOU, FramewiseResult, framewise_scores
from attentad.metrics.proposals import ProposalResult, average_recall
from attentad.metrics.recognition import (
    RecognitionResult,
    VideoMapResult,
    recognition_scores,
    video_map,
)
from attentad.metrics.score_files import read_scores

Result = TypeVar("Result", DetectionResult, ProposalResult, Diagnosis)


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
        results = {name: result.to_dict() for name, result in self.results.items()}
        drawn = {} if self.bootstrap is None else {"bootstrap": self.bootstrap.to_dict()}
        return {"results": results, **drawn}


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
    if isinstance(annotations, str | Path):
        truth = read_annotations(annotations, classes=classes, keep_ambiguous=True)
    else:
        truth = annotations_from(annotations, classes=classes)
    aligned, _ = _load_detections(detections, truth, classes=classes)
    return detection_map(truth, aligned, tiou=tiou, **options)


def evaluate_files(
    detections_path: str | Path,
    annotations_path: str | Path,
    *,
    out_json: str | Path | None = None,
    **options: Any,
) -> DetectionResult:
    """Detection mAP of one file of detections, also written to `out_json`; see `compare_files`."""
    (result,) = compare_files([detections_path], annotations_path, **options).results.values()
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
    progress: Progress | None = None,
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
    score = partial(detection_map, tiou=tiou, **options)
    results = _by_file(score, detections_paths, annotations_path, classes_path)
    if not bootstrap:
        return Comparison(results)
    drawn = bootstrap_map(list(results.values()), samples=bootstrap, seed=seed, progress=progress)
    return Comparison(results, drawn)


def evaluate_proposals(
    proposals_paths: Sequence[str | Path],
    annotations_path: str | Path,
    *,
    tiou: str | Sequence[float] | None = None,
    **options: Any,
) -> dict[str, ProposalResult]:
    """Average recall of files of proposals, labels ignored: name → result.

    Arguments and errors are as in `compare_files`; `options` as in `metrics.average_recall`.
    """
    score = partial(average_recall, tiou=tiou, **options)
    return _by_file(score, proposals_paths, annotations_path)


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


def evaluate_framewise(
    predicted_paths: Sequence[str | Path],
    truth_path: str | Path,
    *,
    background: Collection[str] | None = None,
    classes_path: str | Path | None = None,
    tiou: str | Sequence[float] | None = None,
    protocol: str = "ms-tcn",
    strict: bool = False,
) -> dict[str, FramewiseResult]:
    """Accuracy, edit score and segmental F1 of files, or folders, of frame labels: name → result.

    Args:
        predicted_paths: see `read_frame_sequences`.
        truth_path: ditto.
        background: labels of frames in which nothing happens; None for `background` where it
            occurs, as in MS-TCN's evaluation.
        classes_path: class list, where labels are numbers.
        tiou: overlaps of the F1, as `metrics.parse_tiou`; None for 0.1, 0.25 and 0.5.
        protocol: a key of `FRAMEWISE_PROTOCOLS`.
        strict: see `framewise_scores`.

    Raises:
        AttentadError: a file is missing or malformed, a background that is named never occurs, or
            as `framewise_scores`.
    """
    label_ids = {} if classes_path is None else read_classes(classes_path)
    truth = _frame_labels(truth_path, label_ids)
    results = {}
    for name, path in zip(_names(predicted_paths), predicted_paths, strict=True):
        predicted = _frame_labels(path, label_ids)
        sides = [*truth.values(), *predicted.values()]
        classes = np.unique(np.concatenate(sides)).tolist()
        absent = sorted(set(background or ()) - set(classes))
        if absent:
            raise AttentadError(
                f"neither {truth_path} nor {path} has the background {absent[0]!r}; their labels "
                f"are {first_few(classes, 8)}."
            )
        marks = {NOTHING} & set(classes) if background is None else set(background)
        try:
            result = framewise_scores(
                indexed(truth, classes),
                indexed(predicted, classes),
                classes=classes,
                background=[classes.index(mark) for mark in marks],
                tiou=FRAMEWISE_TIOU if tiou is None else tiou,
                protocol=protocol,
                strict=strict,
            )
        except AttentadError as error:
            raise AttentadError(f"{path} against {truth_path}: {error}") from error
        results[name] = replace(
            result,
            ground_truth={"file": str(truth_path), **result.ground_truth},
            detections={"file": str(path), **result.detections},
        )
    return results


def score_file(
    score: Callable[[Annotations, Detections], Result],
    path: str | Path,
    annotations: Annotations,
    annotations_path: str | Path,
    *,
    classes_path: str | Path | None = None,
) -> tuple[Result, Detections]:
    """What `score` gives for a file of detections, and the detections under the annotated ids.

    Args:
        score: a function of `metrics` with its options; the two files are named in its result and
            in its errors.
        path: the detections.
        annotations: the ground truth.
        annotations_path: the file that it is from.
        classes_path: class list, for a file whose labels are numbers.

    Raises:
        AttentadError: a file is missing or malformed, or as `score`.
    """
    label_ids = None if classes_path is None else read_classes(classes_path)
    detections, renamed = _load_detections(path, annotations, label_ids=label_ids)
    try:
        result = score(annotations, detections)
    except AttentadError as error:
        raise AttentadError(f"{path} against {annotations_path}: {error}") from error
    named = replace(
        result,
        ground_truth={"file": str(annotations_path), **result.ground_truth},
        detections={"file": str(path), **result.detections, "renamed_videos": len(renamed)},
    )
    return named, detections


def _by_file(
    score: Callable[[Annotations, Detections], Result],
    paths: Sequence[str | Path],
    annotations_path: str | Path,
    classes_path: str | Path | None = None,
) -> dict[str, Result]:
    annotations = read_annotations(annotations_path, keep_ambiguous=True)
    return {
        name: score_file(score, path, annotations, annotations_path, classes_path=classes_path)[0]
        for name, path in zip(_names(paths), paths, strict=True)
    }


def _load_detections(
    source: Any,
    annotations: Annotations,
    *,
    classes: Sequence[str] | None = None,
    label_ids: dict[int, str] | None = None,
) -> tuple[Detections, dict[str, str]]:
    """Detections under the annotated videos' ids, and old → new id of those that were renamed."""
    if isinstance(source, str | Path):
        numbered = label_ids if label_ids is not None else annotations.class_ids
        named = [name for name in annotations.classes if name != annotations.marker]
        detections = read_detections(source, named, label_ids=numbered, keep_reversed=True)
    else:
        detections = detections_from(source, classes=classes, keep_reversed=True)
    return align_videos(detections, annotations.videos)


def _frame_labels(path: str | Path, label_ids: Mapping[int, str]) -> dict[str, NDArray[np.str_]]:
    """Video → label of each frame, with names for numbers where a class list has them."""
    videos = read_frame_sequences(path)
    known = sorted({str(label) for labels in videos.values() for label in np.unique(labels)})
    named = named_labels(known, frozenset(label_ids.values()), label_ids, str(path))
    names = np.array(named)
    return {video: names[np.searchsorted(known, labels)] for video, labels in videos.items()}


def _names(paths: Sequence[str | Path]) -> list[str]:
    """What to call each file: its name without suffix, or its path where names repeat."""
    stems = [Path(path).stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise AttentadError(f"{names[0]} is given twice; name each file of detections once.")
    return names
