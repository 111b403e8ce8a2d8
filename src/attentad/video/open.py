"""Opening a video file: which stream to read, how long it is, and errors a person can use."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from attentad.core.errors import AttentadError

# FFmpeg draws text files and old bitmap fonts as if they were films.
_TEXT_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf"})
# Matroska and Flash say when a stream ends, not how long it is.
_WRITES_END_TIMES = frozenset({"matroska", "webm", "flv"})


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
    if not _WRITES_END_TIMES.isdisjoint(container.format.name.split(",")):
        end = _tagged_sec(stream)
        if end is None and container.duration is not None and len(container.streams) == 1:
            end = Fraction(container.duration, av.time_base)
        if end is not None:
            start = _first_sec(path, stream)
            if end > start:
                return end - start
    elif stream.duration is not None and stream.duration > 0:
        time_base = _time_base(stream)
        length = stream.duration * time_base
        if container.format.name == "avi":
            # Without its index, at the end of the file, an AVI is as long as FFmpeg can see; the
            # header knows better.
            return max(length, stream.frames * time_base)
        if "mp4" in container.format.name and stream.codec_context.has_b_frames:
            # MP4 adds up decoding times: with reordered pictures of uneven length its sum may
            # end before the last picture does.
            start = (stream.start_time or 0) * time_base
            length = max(length, _span_sec(path, from_sec=start + length)[1] - start)
        return length
    first, last = _span_sec(path)
    return last - first


def _moves(stream: VideoStream) -> bool:
    """Whether a stream is a video and not the cover picture of a sound file."""
    return not stream.disposition & Disposition.attached_pic


def _tagged_sec(stream: VideoStream) -> Fraction | None:
    for key, value in stream.metadata.items():
        match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", value.strip())
        if match and key.upper().startswith("DURATION"):
            hours, minutes, seconds = map(Fraction, match.groups())
            return 3600 * hours + 60 * minutes + seconds
    return None


def _first_sec(path: Path, stream: VideoStream) -> Fraction:
    if stream.start_time is not None:
        return stream.start_time * _time_base(stream)
    return _span_sec(path, packets=32)[0]


def _span_sec(
    path: Path, *, from_sec: Fraction | None = None, packets: int | None = None
) -> tuple[Fraction, Fraction]:
    """When the first picture begins and the last one ends, by the times of so many packets.

    They are looked at from the key frame before `from_sec` on.
    """
    with opened(path) as (container, stream):
        time_base = _time_base(stream)
        nominal = 1 / (nominal_rate(stream) * time_base)
        first: Fraction | None = None
        last = Fraction(0)
        # What cannot be read of a damaged file does not count.
        with contextlib.suppress(FFmpegError, OSError):
            if from_sec is not None:
                container.seek(int(from_sec / time_base), stream=stream)
            seen = 0
            for packet in islice(container.demux(stream), packets):
                if packet.size == 0:
                    continue
                stamp = packet.pts if packet.pts is not None else packet.dts
                begin = seen * nominal if stamp is None else Fraction(stamp)
                first = begin if first is None else min(first, begin)
                last = max(last, begin + (packet.duration or nominal))
                seen += 1
        return (first or Fraction(0)) * time_base, last * time_base


def _time_base(stream: VideoStream) -> Fraction:
    return stream.time_base or Fraction(1, 1000)
