"""`attentad detect`: a model and video or feature files → detections, and a page if wanted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import attentad
from attentad.app.extract import find_videos, video_features
from attentad.app.inference import VideoResult, detect_features
from attentad.app.model import DetectorModel, file_sha256, load_detector
from attentad.core import Annotations, AttentadError, Detections, Timeline, write_detections
from attentad.data.detection_data import video_timeline
from attentad.data.features import is_feature_file, open_features
from attentad.report import Report, VideoPage, write_page


@dataclass(frozen=True)
class DetectRun:
    """What `detect` found, per video, with notes on inputs that were read in part."""

    detections: Detections
    results: dict[str, VideoResult]
    sources: dict[str, Path | None]
    timelines: dict[str, Timeline]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Input:
    video: str
    video_file: Path | None
    read: Callable[[], tuple[NDArray[np.float32], Timeline]]


def detect(
    model_path: Path,
    inputs: Sequence[Path],
    progress: Callable[[int, int], None] | None = None,
) -> DetectRun:
    """Detect actions in videos or feature files; the model knows how to read them.

    Args:
        model_path: a trained detector.
        inputs: video files, feature files, or folders of either.
        progress: called with (done, total) inputs.

    Raises:
        AttentadError: an input is missing or broken, or does not fit the model.
    """
    model = load_detector(model_path)
    entries = _entries(model, inputs)
    class_scores = _class_scores(model)
    results, sources, timelines, notes = {}, {}, {}, []
    for done, entry in enumerate(entries):
        if progress is not None:
            progress(done, len(entries))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            features, timeline = entry.read()
        notes += [str(warning.message) for warning in caught]
        scores = class_scores.get(entry.video)
        results[entry.video] = detect_features(
            model, features, timeline, video=entry.video, class_scores=scores
        )
        sources[entry.video], timelines[entry.video] = entry.video_file, timeline
    if progress is not None:
        progress(len(entries), len(entries))
    meta = {
        "model": model_path.name,
        "model_sha256": file_sha256(model_path),
        "detector": model.recipe.detector.name,
        "attention": {site: part.name for site, part in model.recipe.attention.items()},
        "attentad": attentad.__version__,
    }
    found = {video: result.detections for video, result in results.items()}
    return DetectRun(Detections(found, model.classes, meta), results, sources, timelines, notes)


def write_run(
    run: DetectRun,
    out: Path,
    report: Path | None = None,
    *,
    annotations: Annotations | None = None,
    evaluation: dict[str, Any] | None = None,
    losses: dict[str, list[float]] | None = None,
    title: str = "Detections",
    embed_total_bytes: int = 48 * 2**20,
) -> None:
    """Write the detections by suffix (see `write_detections`) and, if asked, the page."""
    write_detections(out, run.detections)
    if report is None:
        return
    known = annotations.videos if annotations is not None else {}
    pages = [
        VideoPage(
            video=video,
            duration_sec=run.timelines[video].duration_sec,
            source=run.sources[video],
            detections=result.detections,
            ground_truth=known.get(video),
            curves=result.curves,
        )
        for video, result in run.results.items()
    ]
    facts = {key: _fact(value) for key, value in run.detections.meta.items()}
    page = Report(
        title=title,
        classes=run.detections.classes,
        videos=pages,
        evaluation=evaluation,
        losses=losses or {},
        facts=facts,
    )
    write_page(report, page, embed_total_bytes=embed_total_bytes)


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} at {site}" for site, name in value.items()) or "none"
    return str(value)


def _entries(model: DetectorModel, inputs: Sequence[Path]) -> list[_Input]:
    """Each video to look at, by name; reading is left for later."""
    entries: dict[str, _Input] = {}
    for path in inputs:
        if not path.exists():
            raise AttentadError(f"{path} does not exist; check the path.")
        for entry in _feature_entries(model, path) or _video_entries(model, path):
            if entry.video in entries:
                raise AttentadError(f"two inputs are named {entry.video}; rename one of them.")
            entries[entry.video] = entry
    return list(entries.values())


def _feature_entries(model: DetectorModel, path: Path) -> list[_Input]:
    has_features = path.is_dir() and any(is_feature_file(file) for file in path.iterdir())
    if not (has_features or is_feature_file(path)):
        return []
    store = open_features(path)

    def reader(video: str) -> Callable[[], tuple[NDArray[np.float32], Timeline]]:
        def read() -> tuple[NDArray[np.float32], Timeline]:
            features = store.load(video)
            sidecar = store.sidecar(video)
            return features, video_timeline(video, len(features), sidecar, model.clock, None)

        return read

    return [_Input(video, None, reader(video)) for video in store.readers]


def _video_entries(model: DetectorModel, path: Path) -> list[_Input]:
    encoder = model.encoder
    if encoder is None:
        raise AttentadError(
            f"{path} is not a feature file and the model has no encoder for video; give feature "
            "files, or train with data.encoder=RECOGNISER."
        )

    def reader(file: Path) -> Callable[[], tuple[NDArray[np.float32], Timeline]]:
        return lambda: video_features(encoder, file)

    return [_Input(file.stem, file, reader(file)) for file in find_videos([path])]


def _class_scores(model: DetectorModel) -> dict[str, NDArray[np.float32]]:
    """Video id → (K,) class scores from the recipe's file; empty when labels come otherwise."""
    labels = model.recipe.labels
    if labels.source != "file":
        return {}
    if labels.file is None:
        raise AttentadError("labels.source is file, but labels.file is not set.")
    return read_class_scores(labels.file, len(model.classes))


def read_class_scores(path: Path, classes: int) -> dict[str, NDArray[np.float32]]:
    """Read video-level class scores: an archive with one array of `classes` scores per video.

    Raises:
        AttentadError: the file is missing or broken, or a row has another length.
    """
    store = open_features(path)
    scores = {}
    for video, read in store.readers.items():
        row = np.asarray(read(), dtype=np.float32).reshape(-1)
        if len(row) != classes or not np.isfinite(row).all():
            raise AttentadError(
                f"{path}: video {video} needs {classes} finite class scores, one per class."
            )
        scores[video] = row
    return scores
