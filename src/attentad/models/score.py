"""A trained detector on annotated videos: its detections and how good they are."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attentad.core import Annotations, Detections
from attentad.data.clocks import frame_rate, video_timeline
from attentad.data.features import FeatureStore
from attentad.metrics import DetectionResult, VideoMapResult, detection_map, video_map
from attentad.models.detect import VideoResult, detect_features
from attentad.models.model import DetectorModel
from attentad.models.sets import AnnotatedSets
from attentad.models.training_data import multi_hot
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

    Args:
        model: the detector.
        store: features of the videos.
        annotations: the videos to score.
        sets: whose video-level labels classification is scored against.
    """
    return _scored(model, run_annotated(model, store, annotations), annotations, sets)


def rehearse(
    model: DetectorModel, store: FeatureStore, annotations: Annotations, sets: AnnotatedSets
) -> None:
    """Detect in the first annotated video and evaluate as `score_detector` will do with all.

    What cannot be done stops before training then, not after it.

    Raises:
        AttentadError: as `score_detector`.
    """
    video, item = next(iter(annotations.videos.items()))
    results = run_annotated(model, store, replace(annotations, videos={video: item}))
    _scored(model, results, annotations, sets)


def _scored(
    model: DetectorModel,
    results: dict[str, VideoResult],
    annotations: Annotations,
    sets: AnnotatedSets,
) -> Scored:
    evaluation = model.recipe.evaluation
    detections = as_detections(model, results)
    result = detection_map(
        annotations,
        detections,
        tiou=evaluation.tiou,
        protocol=evaluation.protocol,
        ground_truth_set=evaluation.ground_truth_set,
    )
    return Scored(result, detections, _video_classification(model, results, sets))


def detect_annotated(
    model: DetectorModel, store: FeatureStore, annotations: Annotations
) -> Detections:
    """Run the model on the features of every annotated video."""
    return as_detections(model, run_annotated(model, store, annotations))


def run_annotated(
    model: DetectorModel, store: FeatureStore, annotations: Annotations
) -> dict[str, VideoResult]:
    """What the model says of the features of every annotated video."""
    class_scores = video_scores(model.recipe, model.classes)
    results = {}
    for video, annotation in annotations.videos.items():
        features = store.load(video)
        timeline = video_timeline(
            video,
            len(features),
            store.sidecar(video),
            model.clock,
            annotation.duration_sec,
            frame_rate(annotation),
        )
        results[video] = detect_features(
            model, features, timeline, video=video, class_scores=class_scores(video)
        )
    return results


def as_detections(model: DetectorModel, results: dict[str, VideoResult]) -> Detections:
    """The results' detections with the model's classes."""
    found = {video: result.detections for video, result in results.items()}
    return Detections(found, model.classes, {"detector": model.recipe.detector.name})


def _video_classification(
    model: DetectorModel, results: dict[str, VideoResult], sets: AnnotatedSets
) -> VideoMapResult | None:
    """HAM-Net's measures of whole videos; None where nothing is said of them, or none has a class.

    The exact set is that of the classes which get detections.
    """
    probabilities = [result.class_probabilities for result in results.values()]
    truth = multi_hot(sets, results)
    if not truth.any() or any(row is None for row in probabilities):
        return None
    by_default = inspect.signature(model.detector.decode).parameters["class_threshold"].default
    threshold = model.recipe.detector.decode.get("class_threshold", by_default)
    return video_map(np.array(probabilities), truth, classes=sets.classes, threshold=threshold)
