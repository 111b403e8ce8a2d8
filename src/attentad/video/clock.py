"""One clock for a video whose own falls back or jumps, as where recordings were joined."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

# A slide or a still screen stays for minutes; no picture that is meant to be seen stays longer.
LONGEST_HELD_SEC = Fraction(3600)
# Pictures a little out of order, by two of them within these bounds, are no new part.
_JITTER_SEC = Fraction(1, 4), Fraction(2)


@dataclass(frozen=True)
class Break:
    """Where a file's clock leaves its course: at `at_sec` of the video, by `by_sec`."""

    at_sec: float
    by_sec: float


class Clock:
    """Stamps as a file has them → ticks since the start of the video, whatever the clock does.

    Where stamps fall back, or jump by more than an hour, a new part begins: one picture after
    the part before it.

    Args:
        zero: the stamp at which the video's time begins; None for that of the first picture.
        time_base: seconds a tick.
        rate: pictures a second, for a first picture that does not say how long it stays.

    Attributes:
        tick: when the latest picture begins.
        end: when it stops being on screen, going by its own duration.
        longest: the longest time, in ticks, that a picture has been on screen so far.
        breaks: how many times a new part began; `first_break` is the first of them.
    """

    def __init__(self, zero: int | None, time_base: Fraction, rate: Fraction) -> None:
        self.tick = self.end = self.longest = 0
        self.breaks = 0
        self.first_break: Break | None = None
        self._zero = zero
        self._started = False
        self._time_base = time_base
        # A clock that jumps makes the mean rate absurd: pictures tell better once some are there.
        self._usual = max(1, round(1 / (rate * time_base)))
        self._most_ahead = LONGEST_HELD_SEC / time_base
        least, most = _JITTER_SEC
        self._most_behind = min(most, max(least, 2 / rate)) / time_base

    def place(self, stamp: int | None, duration: int | None) -> int:
        """When the next picture begins; without a stamp it follows the one before."""
        tick = self.end if stamp is None else stamp - self._zero_of(stamp)
        ahead = tick - self.tick
        if ahead > self._most_ahead or (self._started and ahead < -self._most_behind):
            self._begin_part(tick)
            tick = self.end
        if self._started:
            tick = max(tick, self.tick)
            self.longest = max(self.longest, tick - self.tick)
        if duration and 0 < duration <= self._most_ahead:
            self._usual = duration
        self.longest = max(self.longest, self._usual)
        self.tick, self.end, self._started = tick, tick + self._usual, True
        return tick

    def _zero_of(self, stamp: int) -> int:
        if self._zero is None:
            self._zero = stamp - self.end
        return self._zero

    def _begin_part(self, tick: int) -> None:
        """Move zero, so that the picture with this tick comes at `end`."""
        if self.first_break is None:
            by = (tick - self.end) * self._time_base
            self.first_break = Break(float(self.end * self._time_base), float(by))
        self.breaks += 1
        self._zero = (self._zero or 0) + tick - self.end
