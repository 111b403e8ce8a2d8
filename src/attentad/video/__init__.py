"""Video files in and out, with PyAV (FFmpeg)."""

from attentad.video.decode import VideoInfo, frame_count, frames, probe
from attentad.video.encode import write_video

__all__ = ["VideoInfo", "frame_count", "frames", "probe", "write_video"]
