"""The vocabulary: Segments, Annotations, Detections, Timeline, errors. numpy only."""

from attentad.core.annotations import Annotations, VideoAnnotation
from attentad.core.detections import Detections, VideoDetections, no_detections
from attentad.core.errors import AttentadError
from attentad.core.formats.annotations import read_annotations, write_annotations
from attentad.core.formats.class_list import read_classes
from attentad.core.formats.detections import read_detections, write_detections
from attentad.core.names import align_videos, suggest
from attentad.core.segments import Segments, as_segments, tiou
from attentad.core.timeline import Sampling, Timeline

__all__ = [
    "Annotations",
    "AttentadError",
    "Detections",
    "Sampling",
    "Segments",
    "Timeline",
    "VideoAnnotation",
    "VideoDetections",
    "align_videos",
    "as_segments",
    "no_detections",
    "read_annotations",
    "read_classes",
    "read_detections",
    "suggest",
    "tiou",
    "write_annotations",
    "write_detections",
]
