"""A trained detector on annotated videos: its detections and how good they are."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attentad.core import Annotations, Detections
from attentad.core.found import Found
from attentad.data.features import FeatureStore
from attentad.data.tracks import FeatureSource
from attentad.metrics import DetectionResult, VideoMapResult, detection_map, video_map
from attentad.models.detect import detect_features
from attentad.models.model import DetectorModel
from attentad.models.sets import AnnotatedSets
from attentad.models.video_scores import video_scores


@dataclass(frozen=True)
class Scored:
    """What a detector found and how good that is.

    Args:
        result: temporal detection.
        detections: what was scored.
        video_classification: for detectors that also say which classes a video has.
    """

    result: DetectionResult
    detections: Detections
    video_classification: VideoMapResult | None = None

    def validation(self) -> dict[str, float]:
        """Values for the training log, 0..1."""
        values = {"mAP": self.result.average_map}
        if self.video_classification is not None:
            values["video_mAP"] = self.video_classification.mean_ap
        return values

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        content: dict[str, Any] = self.result.to_dict()
        if self.video_classification is not None:
            content["video_classification"] = self.video_classification.to_dict()
        return content


def score_detector(
    model: DetectorModel, store: FeatureStore, annotations: Annotations, sets: AnnotatedSets
) -> Scored:
    """Run the model on every annotated video's features and evaluate as its recipe says.

    Classification is scored against the video-level labels of `sets`.
    """
    results = run_annotated(model, store, annotations)
    detections = _as_detections(model, results)
    result = detection_map(annotations, detections, **model.recipe.evaluation.model_dump())
    return Scored(result, detections, _video_classification(model, results, sets))


def rehearse(
    model: DetectorModel, store: FeatureStore, annotations: Annotations, sets: AnnotatedSets
) -> None:
    """Score one video with an instance: what cannot be done stops before training, not after.

    Raises:
        AttentadError: as `score_detector`.
    """
    # A video without an instance cannot be scored by itself.
    video = max(annotations.videos, key=lambda name: bool(annotations.videos[name].labels))
    item = annotations.videos[video]
    score_detector(model, store, replace(annotations, videos={video: item}), sets)


def detect_annotated(
    model: DetectorModel, store: FeatureStore, annotations: Annotations
) -> Detections:
    """Run the model on the features of every annotated video."""
    return _as_detections(model, run_annotated(model, store, annotations))


def run_annotated(
    model: DetectorModel, store: FeatureStore, annotations: Annotations
) -> dict[str, Found]:
    """What the model says of the features of every annotated video."""
    class_scores = video_scores(model.recipe, model.classes)
    source = FeatureSource(store, annotations.videos, model.clock)
    results = {}
    for video in annotations.videos:
        track = source.read(video)
        results[video] = detect_features(
            model, track.array, track.timeline, video=video, class_scores=class_scores(video)
        )
    return results


def _as_detections(model: DetectorModel, results: dict[str, Found]) -> Detections:
    detections = {video: found.detections for video, found in results.items()}
    return Detections(detections, model.classes, {"detector": model.recipe.detector.name})


def _video_classification(
    model: DetectorModel, results: dict[str, Found], sets: AnnotatedSets
) -> VideoMapResult | None:
    """HAM-Net's measures of whole videos; None if nothing is said of them or none has a class."""
    probabilities = [found.class_probabilities for found in results.values()]
    truth = np.zeros((len(results), len(sets.classes)), dtype=bool)
    for row, video in zip(truth, results, strict=True):
        row[sets.video_classes(video)] = True
    if not truth.any() or any(row is None for row in probabilities):
        return None
    # The exact set is that of the classes which get detections, if decoding has a threshold for it.
    options = inspect.signature(model.detector.decode).parameters
    by_default = options["class_threshold"].default if "class_threshold" in options else 0.5
    threshold = model.recipe.detector.decode.get("class_threshold", by_default)
    return video_map(np.array(probabilities), truth, classes=sets.classes, threshold=threshold)
