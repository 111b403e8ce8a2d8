"""The vocabulary: Segments, Annotations, Detections, Timeline, errors. numpy only."""

from attentad.core.annotations import Annotations as Annotations
from attentad.core.annotations import VideoAnnotation as VideoAnnotation
from attentad.core.detections import Detections as Detections
from attentad.core.detections import VideoDetections as VideoDetections
from attentad.core.detections import no_detections as no_detections
from attentad.core.errors import AttentadError as AttentadError
from attentad.core.formats.annotations import read_annotations as read_annotations
from attentad.core.formats.annotations import write_annotations as write_annotations
from attentad.core.formats.class_list import read_classes as read_classes
from attentad.core.formats.detections import read_detections as read_detections
from attentad.core.formats.detections import write_detections as write_detections
from attentad.core.names import align_videos as align_videos
from attentad.core.names import suggest as suggest
from attentad.core.segments import Segments as Segments
from attentad.core.segments import as_segments as as_segments
from attentad.core.segments import tiou as tiou
from attentad.core.timeline import Sampling as Sampling
from attentad.core.timeline import Timeline as Timeline
