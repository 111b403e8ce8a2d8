"""Video files in and out, with PyAV (FFmpeg)."""

from attentad.video.decode import Frames, VideoInfo, frame_count, frames, probe
from attentad.video.encode import write_video

# Those that browsers play come first: of two files with one name a page takes that one.
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".webm", ".mov"),
    *(".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv", ".ogv", ".3gp"),
)

__all__ = [
    "VIDEO_SUFFIXES",
    "Frames",
    "VideoInfo",
    "frame_count",
    "frames",
    "probe",
    "write_video",
]
