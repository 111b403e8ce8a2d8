"""The decoded pictures of a stream with their times, and an account of what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame

from attentad.video.clock import Clock
from attentad.video.length import nominal_rate, stated_end_sec, time_base, zero_ticks
from attentad.video.open import OpenVideo


class Pictures:
    """An iterator over (time in ticks of the stream's time base, decoded frame), in order.

    Time 0 is where players begin to count (`zero_ticks`), and times never fall. Packets that
    cannot be decoded are left out and counted.

    Attributes:
        clock: which placed the pictures so far.
        first_tick: when the first picture comes; None before it has.
        lost: packets after the first picture that could not be decoded so far.
        lost_before: those before it, as in a recording that starts inside a group of pictures.
    """

    def __init__(self, video: OpenVideo) -> None:
        container, stream = video.container, video.stream
        self.first_tick: int | None = None
        self.lost = self.lost_before = 0
        self._time_base = time_base(stream)
        zero = zero_ticks(container, stream)
        self.clock = Clock(zero, self._time_base, nominal_rate(stream))
        self._stated_sec = stated_end_sec(container, stream)
        self._zero_sec = (zero or 0) * self._time_base
        # AVI has no presentation times; its packets are counted in decoding order, which is
        # also the rhythm in which pictures come out of the decoder.
        self._by_dts = container.format.name == "avi"
        # A packet cut short by the end of the file is marked; a transport stream marks packets
        # after any gap, and those are worth decoding.
        self._skip_marked = container.format.name != "mpegts"
        self._frames = self._decoded(video)

    def __iter__(self) -> Iterator[tuple[int, VideoFrame]]:
        return self

    def __next__(self) -> tuple[int, VideoFrame]:
        frame = next(self._frames)
        stamp = frame.dts if self._by_dts or frame.pts is None else frame.pts
        tick = self.clock.place(stamp, frame.duration)
        if self.first_tick is None:
            self.first_tick, self.lost_before, self.lost = tick, self.lost, 0
        return tick, frame

    @property
    def start_sec(self) -> Fraction:
        """When the first picture comes."""
        return max(0, self.first_tick or 0) * self._time_base

    @property
    def end_sec(self) -> Fraction:
        """When the last picture so far stops being on screen; ask at the end for the length.

        Not every file says how long its last picture stays (Matroska), or says it well (MP4 with
        reordered pictures). The header decides then, within what pictures before it have stayed.
        """
        clock, stated = self.clock, self.stated_end_sec
        if stated is not None:
            held = stated / self._time_base - clock.tick
            if 0 < held <= clock.longest:
                return stated
        return clock.end * self._time_base

    @property
    def stated_end_sec(self) -> Fraction | None:
        """When the video ends by its header; None where it does not say or its clock breaks."""
        if self._stated_sec is None or self.clock.breaks:
            return None
        return self._stated_sec - self._zero_sec

    def _decoded(self, video: OpenVideo) -> Iterator[VideoFrame]:
        for packet in self._packets(video):
            if packet is not None and packet.is_corrupt and self._skip_marked:
                self.lost += 1
                continue
            try:
                decoded = video.stream.decode(packet)
            except (FFmpegError, OSError):
                self.lost += 1
                continue
            yield from decoded

    def _packets(self, video: OpenVideo) -> Iterator[Packet | None]:
        """Packets up to the end or to where the file cannot be read; the last one flushes."""
        packets = video.container.demux(video.stream)
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
