"""Evaluation of detections. numpy only."""

from attentad.metrics.detection import (
    ACTIVITYNET_TIOU,
    PROTOCOLS,
    DetectionResult,
    detection_map,
    tiou_key,
)

__all__ = ["ACTIVITYNET_TIOU", "PROTOCOLS", "DetectionResult", "detection_map", "tiou_key"]
