"""Which of a file's streams is its video: the one that players show."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

_STILL = (
    Disposition.attached_pic
    | Disposition.timed_thumbnails
    | Disposition.still_image
    | Disposition.dependent
)
# Packets by which a stream beside others has shown whether it moves.
_PACKETS_TO_TELL = 5000


def moving_streams(container: InputContainer) -> list[VideoStream]:
    """The streams that are videos and no covers or thumbnails, best first.

    The best is flagged as default, or else the largest, or else the first. A stream of one
    picture counts only where there is no other. Reads on in the file where it does not say how
    many pictures its streams have: open it anew afterwards.
    """
    streams = [s for s in container.streams.video if not s.disposition & _STILL]
    if len(streams) > 1:
        counts = {s.index: s.frames for s in streams}
        if not all(counts.values()):
            counts = _counted(container, streams)
        streams = [s for s in streams if counts[s.index] > 1] or streams
    return sorted(streams, key=_rank, reverse=True)


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    # One without a codec context cannot be decoded; it has no size either.
    if stream.codec_context is None:
        return False, False, 0
    default = bool(stream.disposition & Disposition.default)
    return True, default, stream.width * stream.height


def _counted(container: InputContainer, streams: Sequence[VideoStream]) -> dict[int, int]:
    """Pictures at the file's beginning, up to the second of each stream."""
    seen: Counter[int] = Counter()
    # What cannot be read of a damaged file does not count.
    with contextlib.suppress(FFmpegError, OSError):
        for packet in islice(container.demux(*streams), _PACKETS_TO_TELL):
            seen[packet.stream_index] += packet.size > 0
            if all(seen[s.index] > 1 for s in streams):
                break
    return {s.index: seen[s.index] for s in streams}
