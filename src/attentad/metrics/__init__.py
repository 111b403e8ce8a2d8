"""Evaluation of detections. numpy only."""

from attentad.metrics.detection import (
    ACTIVITYNET_TIOU,
    DEFAULT_TIOU,
    PROTOCOLS,
    DetectionResult,
    detection_map,
    tiou_key,
)
from attentad.metrics.diagnosis import Diagnosis, diagnose
from attentad.metrics.diagnosis_attributes import DIAGNOSIS_BUCKETS, AttributeProfile
from attentad.metrics.diagnosis_errors import ERROR_TYPES, VERDICTS
from attentad.metrics.ground_truth import GROUND_TRUTH_SETS
from attentad.metrics.ranking import Ranking, precision_recall

__all__ = [
    "ACTIVITYNET_TIOU",
    "DEFAULT_TIOU",
    "DIAGNOSIS_BUCKETS",
    "ERROR_TYPES",
    "GROUND_TRUTH_SETS",
    "PROTOCOLS",
    "VERDICTS",
    "AttributeProfile",
    "DetectionResult",
    "Diagnosis",
    "Ranking",
    "detection_map",
    "diagnose",
    "precision_recall",
    "tiou_key",
]
