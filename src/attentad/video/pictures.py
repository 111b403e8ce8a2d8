"""The decoded pictures of a stream with their times, and an account of what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from attentad.video.open import nominal_rate


class Pictures:
    """An iterator over (time in ticks of the stream's time base, decoded frame), in order.

    The first picture is at 0 and times never fall. Packets that cannot be decoded are left out
    and counted.

    Attributes:
        lost: packets that could not be decoded so far.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.lost = 0
        self._time_base = stream.time_base or Fraction(1, 1000)
        self._rate = nominal_rate(stream)
        self._nominal_ticks = max(1, round(1 / (self._rate * self._time_base)))
        # AVI has no presentation times; its packets are counted in decoding order, which is
        # also the rhythm in which pictures come out of the decoder.
        self._by_dts = container.format.name == "avi"
        # A packet cut short by the end of the file is marked; a transport stream marks packets
        # after any gap, and those are worth decoding.
        self._skip_marked = container.format.name != "mpegts"
        self._start_ticks = stream.start_time
        self._first: int | None = None
        self._end_ticks = 0
        self._frames = self._decoded(container, stream)
        self._last: int | None = None

    def __iter__(self) -> Iterator[tuple[int, VideoFrame]]:
        return self

    def __next__(self) -> tuple[int, VideoFrame]:
        frame = next(self._frames)
        stamp = frame.dts if self._by_dts or frame.pts is None else frame.pts
        length = frame.duration or self._nominal_ticks
        if self._first is None:
            self._first = stamp if stamp is not None else self._start_ticks or 0
        tick = self._end_ticks if stamp is None else stamp - self._first
        if self._last is not None:
            tick = max(tick, self._last)
        self._last, self._end_ticks = tick, tick + length
        return tick, frame

    @property
    def end_sec(self) -> Fraction:
        """When the last picture so far stops being on screen, in seconds after the first."""
        return self._end_ticks * self._time_base

    def is_cut_off(self, duration_sec: Fraction) -> bool:
        """Whether a noticeable part of `duration_sec` is missing at the end; ask at the end."""
        # Pictures before the first that can be decoded are missing too, but not at the end.
        lead = 0
        if self._first is not None and self._start_ticks is not None:
            lead = max(0, self._first - self._start_ticks)
        missing = duration_sec - self.end_sec - lead * self._time_base
        return missing > max(Fraction(1, 4), 2 / self._rate)

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        for packet in self._packets(container, stream):
            if packet is not None and packet.is_corrupt and self._skip_marked:
                self.lost += 1
                continue
            try:
                found = stream.decode(packet)
            except (FFmpegError, OSError):
                self.lost += 1
                continue
            yield from found

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet | None]:
        """Packets up to the end or to where the file cannot be read; the last one flushes."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (FFmpegError, OSError):
                self.lost += 1
                yield None
                return
            yield packet
