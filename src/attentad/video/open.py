"""Opening a video file: which stream to read, how long it is, and errors a person can use."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from attentad.core.errors import AttentadError

# FFmpeg draws text files and old bitmap fonts as if they were films.
_TEXT_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf"})


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream, ready to decode on several threads.

    Raises:
        AttentadError: the file is missing, cannot be read, is no video, has sound only, or is
            coded in a way that FFmpeg does not know.
    """
    if path.is_dir():
        raise AttentadError(f"{path} is a folder; give a video file.")
    if not path.exists():
        raise AttentadError(f"{path} does not exist; check the path.")
    try:
        # With the protocol named, a colon in a file's name is no protocol of its own.
        container = av.open(f"file:{path}")
    except (FFmpegError, OSError) as error:
        raise AttentadError(
            f"{path} cannot be opened as a video ({error.strerror}); check that it is a complete "
            "video file."
        ) from error
    with container:
        if container.format.name in _TEXT_FORMATS:
            raise AttentadError(f"{path} is a text file; give a video file.")
        stream = next(filter(_moves, container.streams.video), None)
        if stream is None:
            what = "sound but no video" if container.streams.audio else "no video"
            raise AttentadError(f"{path} holds {what}; give a file with a video stream.")
        if stream.codec_context is None:
            raise AttentadError(
                f"{path} is coded in a way that this build of FFmpeg cannot decode; convert it, "
                "for example to H.264."
            )
        stream.thread_type = "AUTO"
        yield container, stream


def nominal_rate(stream: VideoStream) -> Fraction:
    """Mean frames per second as the file says it, or as FFmpeg guesses it."""
    return stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)


def duration_sec(path: Path, container: InputContainer, stream: VideoStream) -> Fraction:
    """Length of the video stream from its first picture on, without decoding."""
    time_base = stream.time_base or Fraction(1, 1000)
    start = (stream.start_time or 0) * time_base
    if stream.duration is not None and stream.duration > 0:
        length = stream.duration * time_base
        if container.format.name == "avi":
            # Without its index, at the end of the file, an AVI is as long as FFmpeg can see; the
            # header knows better.
            return max(length, stream.frames * time_base)
        if "mp4" in container.format.name and stream.codec_context.has_b_frames:
            # MP4 adds up decoding times: with reordered pictures of uneven length its sum may
            # end before the last picture does.
            length = max(length, _end_sec(path, seek_sec=start + length) - start)
        return length
    # Matroska and Flash write the time at which the stream ends.
    end = _tagged_duration_sec(stream)
    if end is None and container.duration is not None and len(container.streams) == 1:
        end = Fraction(container.duration, av.time_base)
    if end is not None and end > start:
        return end - start
    return _end_sec(path) - start


def _moves(stream: VideoStream) -> bool:
    """Whether a stream is a video and not the cover picture of a sound file."""
    return not stream.disposition & Disposition.attached_pic


def _tagged_duration_sec(stream: VideoStream) -> Fraction | None:
    for key, value in stream.metadata.items():
        if key.upper().startswith("DURATION"):
            match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", value.strip())
            if match:
                hours, minutes, seconds = (Fraction(part) for part in match.groups())
                return 3600 * hours + 60 * minutes + seconds
    return None


def _end_sec(path: Path, *, seek_sec: Fraction | None = None) -> Fraction:
    """When the last picture ends, by the packets; from the key frame before `seek_sec` on."""
    with opened(path) as (container, stream):
        time_base = stream.time_base or Fraction(1, 1000)
        nominal = 1 / (nominal_rate(stream) * time_base)
        packets = 0
        end_ticks: Fraction | int = 0
        # What cannot be read of a damaged file does not count.
        with contextlib.suppress(FFmpegError, OSError):
            if seek_sec is not None:
                container.seek(int(seek_sec / time_base), stream=stream)
            for packet in container.demux(stream):
                if packet.size == 0:
                    continue
                packets += 1
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is None:
                    end_ticks = max(end_ticks, packets * nominal)
                else:
                    end_ticks = max(end_ticks, stamp + (packet.duration or nominal))
        return end_ticks * time_base
