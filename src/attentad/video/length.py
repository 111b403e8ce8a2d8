"""What a file says of its clock and its length; its pictures have the last word."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Set
from fractions import Fraction

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from attentad.video.clock import LONGEST_HELD_SEC, Clock

# These have a time 0 of their own, from which players count, wherever their streams start.
_STARTS_AT_ZERO = frozenset({"mov", "matroska"})
# Of others FFmpeg guesses the length, from bit rates or from the clock at the end; Flash's is
# counted from anywhere.
_STREAM_SAYS_LENGTH = frozenset({"mov", "avi", "asf"})
_NO_TIMESTAMPS = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS: raw streams
_SEARCHED_PACKETS = 2000


def time_base(stream: VideoStream) -> Fraction:
    """Seconds a tick of the stream's clock."""
    return stream.time_base or Fraction(1, 1000)


def nominal_rate(stream: VideoStream) -> Fraction:
    """Mean frames per second as the file says it, or as FFmpeg guesses it."""
    container = stream.container
    if container.format.flags & _NO_TIMESTAMPS and stream.codec_context.framerate:
        return stream.codec_context.framerate
    return stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)


def has_assumed_rate(container: InputContainer, stream: VideoStream) -> bool:
    """Whether neither time stamps nor the coded stream say how fast the pictures come."""
    return bool(container.format.flags & _NO_TIMESTAMPS) and not (stream.codec_context.framerate)


def zero_ticks(container: InputContainer, stream: VideoStream) -> int | None:
    """The stamp at which the video's time begins, as players count it; None: the first."""
    if _is(container, {"avi"}):  # its stamps are decoding times, late by the decoder's delay
        return None
    late_sec = late_zero_sec(container)
    if late_sec is None and _is(container, _STARTS_AT_ZERO):
        return 0
    start_sec = _seconds(container.start_time) if late_sec is None else late_sec
    return None if start_sec is None else round(start_sec / time_base(stream))


def late_zero_sec(container: InputContainer) -> Fraction | None:
    """Where the clock of a file starts that should start at 0 and is hours late; else None."""
    start_sec = _seconds(container.start_time)
    if start_sec is None or start_sec <= LONGEST_HELD_SEC:
        return None
    return start_sec if _is(container, _STARTS_AT_ZERO) else None


def stated_end_sec(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """When the stream ends by the file's header, in its own clock; None: it does not say."""
    whole = _seconds(container.duration)
    if _is(container, {"matroska"}):
        tagged = _tagged_sec(stream.metadata)
        if tagged is not None:
            return tagged if whole is None else min(tagged, whole)
        return whole if len(container.streams) == 1 else None
    if not _is(container, _STREAM_SAYS_LENGTH) or not stream.duration or stream.duration < 0:
        return None
    ticks = stream.duration
    if _is(container, {"avi"}):
        ticks = _avi_ticks(container, stream)
    if not ticks:
        return None
    return ((stream.start_time or 0) + ticks) * time_base(stream)


def estimated_end_sec(container: InputContainer, stream: VideoStream) -> Fraction:
    """When the video ends, in seconds of its time, by the packets at the file's beginning.

    Exact where those are all of the file; otherwise it is taken to go on as it began.
    """
    zero = zero_ticks(container, stream)
    clock = Clock(zero, time_base(stream), nominal_rate(stream))
    begins: list[int] = []
    end, share = 0, Fraction(1)
    # What cannot be read of a damaged file does not count.
    with contextlib.suppress(FFmpegError, OSError):
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if len(begins) == _SEARCHED_PACKETS and packet.pos:
                share = min(share, Fraction(packet.pos, container.size))
                break
            pts, dts = packet.pts, packet.dts
            # Decoding times tell where parts were joined; pictures come later, out of order.
            wait = 0 if pts is None or dts is None else pts - dts
            clock.place(pts if dts is None else dts, packet.duration)
            begins.append(clock.tick + wait)
            end = max(end, clock.end + wait)
    first = min(begins, default=0) if zero is None else 0
    return (end - first) * time_base(stream) / share


def _avi_ticks(container: InputContainer, stream: VideoStream) -> int:
    """Pictures by header or index, whichever knows of more; 0 where neither knows.

    The index, at the end, is lost where a file is cut; the header is a placeholder where the
    file was written into a pipe.
    """
    entries = stream.index_entries
    indexed = entries[len(entries) - 1].timestamp + 1 if len(entries) > 1 else 0
    # Even a picture that repeats the one before takes the eight bytes of its chunk's name.
    plausible = 8 * stream.frames <= container.size
    return max(indexed, stream.frames if plausible else 0)


def _tagged_sec(tags: Mapping[str, str]) -> Fraction | None:
    """The length that Matroska's writer noted. Tags that name a language are older: programs
    that cut or join copy them unseen."""
    plain = [v for k, v in tags.items() if k.upper() == "DURATION"]
    named = [v for k, v in tags.items() if k.upper().startswith("DURATION-")]
    for value in (*plain, *named):
        match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", value.strip())
        if match:
            hours, minutes, seconds = (Fraction(part) for part in match.groups())
            return 3600 * hours + 60 * minutes + seconds
    return None


def _seconds(duration: int | None) -> Fraction | None:
    return None if duration is None else Fraction(duration, av.time_base)


def _is(container: InputContainer, names: Set[str]) -> bool:
    return not names.isdisjoint(container.format.name.split(","))
