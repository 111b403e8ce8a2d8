"""What a user should know of a file that has been read: a sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from attentad.video.clock import Clock
from attentad.video.length import has_assumed_rate, late_zero_sec, nominal_rate
from attentad.video.open import OpenVideo
from attentad.video.pictures import Pictures
from attentad.video.structure import is_truncated


def notes(path: Path, video: OpenVideo, pictures: Pictures) -> Iterator[str]:
    """One sentence for each thing that is not as the file says or a user expects."""
    rate = nominal_rate(video.stream)
    noticeable_sec = max(Fraction(1, 4), 2 / rate)
    if video.note is not None:
        yield video.note
    if has_assumed_rate(video.container, video.stream):
        yield (
            f"{video.name} has no time stamps; {float(rate):g} frames a second are assumed: put "
            f"it into a container (ffmpeg -r RATE -i {video.name} -c copy "
            f"{Path(video.name).stem}.mp4)."
        )
    late_sec = late_zero_sec(video.container)
    if late_sec is not None:
        yield (
            f"The clock of {video.name} starts at {float(late_sec):.2f} s; its times are counted "
            "from there."
        )
    if pictures.lost_before and pictures.start_sec > noticeable_sec:
        yield (
            f"The first {float(pictures.start_sec):.2f} s of {video.name} cannot be decoded; its "
            "first picture is shown in their place."
        )
    if pictures.clock.breaks:
        yield _broken_clock(video.name, pictures.clock)
    ending = _ending(path, video, pictures, noticeable_sec)
    if ending is not None:
        yield ending
    elif pictures.lost:
        yield (
            f"{video.name} is damaged: {pictures.lost} of its packets could not be decoded, and "
            "the picture before each is held."
        )


def _ending(
    path: Path, video: OpenVideo, pictures: Pictures, noticeable_sec: Fraction
) -> str | None:
    """A sentence where the pictures end before the header, or the structure, says so."""
    stated, end = pictures.stated_end_sec, pictures.end_sec
    missing = stated is not None and stated - end > noticeable_sec
    suspicious = missing or stated is None or pictures.lost > 0
    if suspicious and is_truncated(path, video.container.format.name):
        whole = f"of its {float(stated):.2f} s" if stated is not None and missing else "s"
        return f"{video.name} is cut off: {float(end):.2f} {whole} could be decoded."
    if stated is None or not missing:
        return None
    lost = f", and {pictures.lost} packets could not be decoded" if pictures.lost else ""
    return (
        f"{video.name} has pictures for {float(end):.2f} s, though its header says "
        f"{float(stated):.2f} s{lost}; the pictures are followed."
    )


def _broken_clock(name: str, clock: Clock) -> str:
    first = clock.first_break
    assert first is not None
    what = f"jumps ahead by {first.by_sec:.0f} s" if first.by_sec > 0 else "falls back"
    more = f", and {clock.breaks - 1} more times" if clock.breaks > 1 else ""
    return (
        f"The clock of {name} {what} at {first.at_sec:.2f} s{more}; what comes after is taken to "
        "follow on without a gap."
    )
