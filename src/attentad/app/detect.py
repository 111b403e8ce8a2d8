"""`attentad detect`: a model and video or feature files → detections, and a page if wanted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import attentad
from attentad.app.comparison import align_classes
from attentad.app.extract import find_videos, video_features
from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    Timeline,
    VideoAnnotation,
    as_segments,
    no_detections,
    write_detections,
)
from attentad.core.found import Curve, Found
from attentad.data.clocks import frame_rate, video_timeline
from attentad.data.features import is_feature_file, join_features, open_features
from attentad.models.detect import detect_features
from attentad.models.file import file_sha256, load_detector
from attentad.models.model import DetectorModel
from attentad.models.video_scores import video_scores
from attentad.report import Curve as PageCurve
from attentad.report import Report, VideoPage, write_page


@dataclass(frozen=True)
class DetectRun:
    """What `detect` found, per video, with notes on inputs that were read in part."""

    detections: Detections
    results: dict[str, Found]
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
    annotations: Annotations | None = None,
) -> DetectRun:
    """Detect actions in videos or feature files; the model knows how to read them.

    Args:
        model_path: a trained detector.
        inputs: video files, feature files, or folders of either. Where the model's recipe joins
            several feature streams: one file or folder per stream, in that order.
        progress: called with (done, total) inputs.
        annotations: tell durations and frame rates of videos, for features whose own files do not.

    Raises:
        AttentadError: an input is missing or broken, or does not fit the model.
    """
    model = load_detector(model_path)
    entries = _entries(model, inputs, {} if annotations is None else annotations.videos)
    class_scores = video_scores(model.recipe, model.classes)
    results, sources, timelines, notes = {}, {}, {}, []
    for done, entry in enumerate(entries):
        if progress is not None:
            progress(done, len(entries))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            features, timeline = entry.read()
        notes += [str(warning.message) for warning in caught]
        scores = class_scores(entry.video)
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
            curves=[_drawn(curve) for curve in result.curves],
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


def write_comparison(
    runs: Mapping[str, DetectRun],
    page: Path,
    *,
    annotations: Annotations | None = None,
    evaluations: Mapping[str, Mapping[str, Any]] | None = None,
    losses: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    title: str = "Detections",
    embed_total_bytes: int = 48 * 2**20,
) -> None:
    """Write one page that shows the runs of several detectors side by side.

    Args:
        runs: by the name that the page gives the detector. Their videos and classes may differ;
            of a video that several know, the first tells its duration.
        page: the file to write.
        annotations: ground truth.
        evaluations: what `metrics.DetectionResult.to_dict` returns, by detector.
        losses: what `report.loss_curves` returns, by detector.
        title: heading of the page.
        embed_total_bytes: size of all videos in the page together; those beyond it are linked.

    Raises:
        AttentadError: there is no run, or the page cannot be written.
    """
    if not runs:
        raise AttentadError("a page that compares detectors needs a run; give one or more.")
    classes, found = align_classes({name: run.detections for name, run in runs.items()})
    known = annotations.videos if annotations is not None else {}
    facts: dict[str, str] = {}
    for name, run in runs.items():
        before = f"{name}: " if len(runs) > 1 else ""
        facts |= {before + key: _fact(value) for key, value in run.detections.meta.items()}
    report = Report(
        title=title,
        classes=classes,
        videos=[
            _compared_page(video, runs, found, known.get(video))
            for video in dict.fromkeys(video for run in runs.values() for video in run.results)
        ],
        facts=facts,
        evaluations=evaluations or {},
        detector_losses=losses or {},
    )
    write_page(page, report, embed_total_bytes=embed_total_bytes)


def _compared_page(
    video: str,
    runs: Mapping[str, DetectRun],
    found: Mapping[str, Detections],
    truth: VideoAnnotation | None,
) -> VideoPage:
    """A video with what each run found in it, and the curves of those that looked at it."""
    looked = {name: run for name, run in runs.items() if video in run.results}
    sources = [run.sources[video] for run in looked.values()]
    items = {name: item.videos.get(video, no_detections()) for name, item in found.items()}
    (detector, own), *others = items.items()
    return VideoPage(
        video=video,
        duration_sec=next(iter(looked.values())).timelines[video].duration_sec,
        source=next((source for source in sources if source is not None), None),
        detections=own,
        ground_truth=truth,
        curves=[
            _drawn(curve, name if len(runs) > 1 else "")
            for name, run in looked.items()
            for curve in run.results[video].curves
        ],
        detector=detector,
        compared=dict(others),
    )


def _drawn(curve: Curve, detector: str = "") -> PageCurve:
    return PageCurve(curve.name, curve.time_sec, curve.value, curve.kind, detector)


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} at {site}" for site, name in value.items()) or "none"
    return str(value)


def _entries(
    model: DetectorModel, inputs: Sequence[Path], known: Mapping[str, VideoAnnotation]
) -> list[_Input]:
    """Each video to look at, by name; reading is left for later."""
    for path in inputs:
        if not (path.exists() or "*" in path.name):
            raise AttentadError(f"{path} does not exist; check the path.")
    streams = len(model.recipe.data.streams)
    if streams > 1 and any(_holds_features(path) for path in inputs):
        if len(inputs) != streams:
            names = ", ".join(path.name for path in model.recipe.data.streams)
            raise AttentadError(
                f"this model joins {streams} feature streams ({names}), but {len(inputs)} are "
                "given; give one file or folder for each, in this order."
            )
        return _feature_entries(model, inputs, known)
    entries: dict[str, _Input] = {}
    for path in inputs:
        found = _feature_entries(model, [path], known) if _holds_features(path) else None
        for entry in found or _video_entries(model, path):
            if entry.video in entries:
                raise AttentadError(f"two inputs are named {entry.video}; rename one of them.")
            entries[entry.video] = entry
    return list(entries.values())


def _holds_features(path: Path) -> bool:
    if path.is_dir():
        return any(is_feature_file(file) for file in path.iterdir())
    return is_feature_file(path)


def _feature_entries(
    model: DetectorModel, paths: Sequence[Path], known: Mapping[str, VideoAnnotation]
) -> list[_Input]:
    every = model.recipe.data.every
    unknown = VideoAnnotation(as_segments([]), ())
    store = join_features([open_features(path, every=every) for path in paths])

    def reader(video: str) -> Callable[[], tuple[NDArray[np.float32], Timeline]]:
        def read() -> tuple[NDArray[np.float32], Timeline]:
            features = store.load(video)
            told = known.get(video) or known.get(video.removeprefix("v_")) or unknown
            timeline = video_timeline(
                video,
                len(features),
                store.sidecar(video),
                model.clock,
                told.duration_sec,
                frame_rate(told),
            )
            return features, timeline

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
