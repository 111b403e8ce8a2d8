"""Evaluation of detections, proposals and recognition. numpy only."""

from attentad.metrics.bootstrap import BootstrapResult, bootstrap_map
from attentad.metrics.detection import DetectionResult, detection_map, precision_recall
from attentad.metrics.diagnosis import Diagnosis, diagnose
from attentad.metrics.diagnosis_attributes import DIAGNOSIS_BUCKETS, AttributeProfile
from attentad.metrics.diagnosis_errors import ERROR_TYPES, VERDICTS
from attentad.metrics.ground_truth import GROUND_TRUTH_SETS
from attentad.metrics.proposals import PROPOSAL_PROTOCOLS, ProposalResult, average_recall
from attentad.metrics.protocols import ACTIVITYNET_TIOU, PROTOCOL_RULES, PROTOCOLS
from attentad.metrics.ranking import Ranking
from attentad.metrics.recognition import (
    RecognitionResult,
    VideoMapResult,
    recognition_scores,
    video_map,
)
from attentad.metrics.score_files import ScoreTable, read_scores
from attentad.metrics.thresholds import parse_tiou, tiou_key

__all__ = [
    "ACTIVITYNET_TIOU",
    "DIAGNOSIS_BUCKETS",
    "ERROR_TYPES",
    "GROUND_TRUTH_SETS",
    "PROPOSAL_PROTOCOLS",
    "PROTOCOLS",
    "PROTOCOL_RULES",
    "VERDICTS",
    "AttributeProfile",
    "BootstrapResult",
    "DetectionResult",
    "Diagnosis",
    "ProposalResult",
    "Ranking",
    "RecognitionResult",
    "ScoreTable",
    "VideoMapResult",
    "average_recall",
    "bootstrap_map",
    "detection_map",
    "diagnose",
    "parse_tiou",
    "precision_recall",
    "read_scores",
    "recognition_scores",
    "tiou_key",
    "video_map",
]
