"""A model over video or feature files → a run, and the page of one run or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import attentad
from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    Timeline,
    VideoAnnotation,
    no_detections,
)
from attentad.core.found import Found
from attentad.core.names import align_classes
from attentad.core.progress import Progress, counted
from attentad.data.features import is_feature_file, join_features, open_features
from attentad.data.tracks import FeatureSource, Source, read_noting
from attentad.models.detect import detect_features
from attentad.models.encode import VideoSource, find_videos
from attentad.models.file import file_sha256, load_detector
from attentad.models.model import DetectorModel
from attentad.models.video_scores import video_scores
from attentad.report import Report, VideoPage, plain_facts


@dataclass(frozen=True)
class DetectRun:
    """What a detector found in videos.

    Args:
        results: by video.
        classes: label index i is classes[i].
        meta: where it is from: model, detector, attention, version.
        sources: video → its file, or None where there are features only.
        timelines: video → when its features were taken.
        notes: a sentence on each input that was read in part.
    """

    results: Mapping[str, Found]
    classes: tuple[str, ...]
    meta: Mapping[str, Any]
    sources: Mapping[str, Path | None]
    timelines: Mapping[str, Timeline]
    notes: Sequence[str] = ()

    @property
    def detections(self) -> Detections:
        """Of all videos."""
        videos = {video: found.detections for video, found in self.results.items()}
        return Detections(videos, self.classes, self.meta)


@dataclass(frozen=True)
class LoadedDetector:
    """A trained detector, at hand: see `load`.

    Args:
        file: that it was loaded from.
        model: network and contract.
    """

    file: Path
    model: DetectorModel

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names; label index i of what is detected is classes[i]."""
        return self.model.classes

    def detect(
        self,
        inputs: Sequence[str | Path],
        progress: Progress | None = None,
        annotations: Annotations | None = None,
    ) -> DetectRun:
        """Detect actions in videos or feature files; the model knows how to read them.

        Args:
            inputs: video files, feature files, or folders of either. Where the model's recipe joins
                several feature streams: one file or folder per stream, in that order.
            progress: called with (done, total) inputs.
            annotations: tell durations and frame rates of videos, for features whose own files do
                not.

        Raises:
            AttentadError: an input is missing or broken, or does not fit the model.
        """
        model = self.model
        annotated = {} if annotations is None else annotations.videos
        sources = _sources(model, [Path(path) for path in inputs], annotated)
        class_scores = video_scores(model.recipe, model.classes)
        results, timelines = {}, {}
        notes: list[str] = []
        for video in counted([*sources], progress):
            track, warned = read_noting(sources[video], video)
            notes += warned
            results[video] = detect_features(
                model, track.array, track.timeline, video=video, class_scores=class_scores(video)
            )
            timelines[video] = track.timeline
        files = {
            video: source.files[video] if isinstance(source, VideoSource) else None
            for video, source in sources.items()
        }
        return DetectRun(results, model.classes, self._meta(), files, timelines, notes)

    def _meta(self) -> dict[str, Any]:
        recipe = self.model.recipe
        return {
            "model": self.file.name,
            "model_sha256": file_sha256(self.file),
            "detector": recipe.detector.name,
            "attention": {site: part.name for site, part in recipe.attention.items()},
            "attentad": attentad.__version__,
        }


def load(path: str | Path) -> LoadedDetector:
    """A trained detector from its model file, on the best device; runs no code of the file's.

    Raises:
        AttentadError: it is no model file of ours, damaged, or a recogniser.
    """
    return LoadedDetector(Path(path), load_detector(path))


def runs_report(
    runs: Mapping[str, DetectRun],
    title: str = "Detections",
    *,
    annotations: Annotations | None = None,
    evaluations: Mapping[str, Mapping[str, Any]] | None = None,
    losses: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
) -> Report:
    """What a page shows of the runs of one or several detectors.

    Args:
        runs: by the name that the page gives the detector. Their videos and classes may differ;
            of a video that several know, the first tells its duration.
        title, evaluations, losses: see `Report`.
        annotations: ground truth.
    """
    classes, detections = align_classes({name: run.detections for name, run in runs.items()})
    truths = annotations.videos if annotations is not None else {}
    pages = []
    for video in dict.fromkeys(video for run in runs.values() for video in run.results):
        found = {
            name: replace(
                run.results.get(video, Found(no_detections())),
                detections=detections[name].videos.get(video, no_detections()),
            )
            for name, run in runs.items()
        }
        looked = [run for run in runs.values() if video in run.results]
        source = next((run.sources[video] for run in looked if run.sources[video]), None)
        duration_sec = looked[0].timelines[video].duration_sec
        pages.append(VideoPage(video, duration_sec, source, found, truths.get(video)))
    facts = plain_facts({name: run.meta for name, run in runs.items()})
    return Report(title, classes, pages, evaluations or {}, losses or {}, facts)


def _sources(
    model: DetectorModel, inputs: Sequence[Path], annotated: Mapping[str, VideoAnnotation]
) -> dict[str, Source]:
    """Where each video to look at is read from, later."""
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
        joined = _feature_source(model, inputs, annotated)
        return dict.fromkeys(joined.videos, joined)
    sources: dict[str, Source] = {}
    for path in inputs:
        inside: Sequence[Source]
        if _holds_features(path):
            inside = [_feature_source(model, [path], annotated)]
        else:
            inside = _video_sources(model, path)
        for source in inside:
            for video in source.videos:
                if video in sources:
                    raise AttentadError(f"two inputs are named {video}; rename one of them.")
                sources[video] = source
    return sources


def _holds_features(path: Path) -> bool:
    files = path.iterdir() if path.is_dir() else [path]
    return any(is_feature_file(file) for file in files)


def _feature_source(
    model: DetectorModel, paths: Sequence[Path], annotated: Mapping[str, VideoAnnotation]
) -> FeatureSource:
    every = model.recipe.data.every
    store = join_features([open_features(path, every=every) for path in paths])
    return FeatureSource(store, annotated, model.clock)


def _video_sources(model: DetectorModel, path: Path) -> list[VideoSource]:
    if model.encoder is None:
        raise AttentadError(
            f"{path} is not a feature file and the model has no encoder for video; give feature "
            "files, or train with data.encoder=RECOGNISER."
        )
    return [VideoSource(model.encoder, {file.stem: file}) for file in find_videos([path])]
