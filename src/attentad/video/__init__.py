"""Video files in and out, with PyAV (FFmpeg)."""

from attentad.core.names import VIDEO_SUFFIXES
from attentad.video.decode import Frames, VideoInfo, frame_count, frames, probe
from attentad.video.encode import write_video

__all__ = [
    "VIDEO_SUFFIXES",
    "Frames",
    "VideoInfo",
    "frame_count",
    "frames",
    "probe",
    "write_video",
]
