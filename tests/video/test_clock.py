"""Clocks that fall back, jump or start late, against what players show."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentad.video import frames, probe
from attentad.video.clock import Clock

Make = Callable[..., Path]
Number = Callable[[np.ndarray], int]


def read(path: Path, number: Number, fps: float) -> tuple[list[int], float | None, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reader = frames(path, fps)
        found = [number(picture) for picture in reader]
    return found, reader.duration_sec, [str(warning.message) for warning in caught]


def joined(path: Path, make: Make, *starts: int, step: int = 1) -> Path:
    """Parts of 25 pictures, each with a clock of its own, one after the other."""
    parts = [
        make(
            path.with_name(f"p{i}.ts"),
            [start + step * k for k in range(25)],
            form="mpegts",
            options={"bf": "2"},
        )
        for i, start in enumerate(starts)
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("starts", [(0, 0), (100, 50, 0), (10**5, 0), (10**5, 10**5, 3)])
def test_joined_parts_follow_each_other(
    starts: tuple[int, ...], tmp_path: Path, make: Make, number: Number
) -> None:
    path = joined(tmp_path / "a.ts", make, *starts)
    found, length, told = read(path, number, 25.0)
    assert found == list(range(25)) * len(starts)
    assert length == pytest.approx(len(starts))
    assert len(told) == 1
    assert f"The clock of {path}" in told[0]
    assert "at 1.00 s" in told[0]


@pytest.mark.parametrize("hours", [2, 30])
def test_a_jump_of_hours_holds_no_picture(
    hours: int, tmp_path: Path, make: Make, number: Number
) -> None:
    ticks = [*range(50), *range(hours * 90000, hours * 90000 + 50)]
    for name in ("a.mkv", "a.mp4"):
        path = make(tmp_path / name, ticks)
        found, length, told = read(path, number, 25.0)
        assert found == list(range(100))
        assert length == pytest.approx(4.0, abs=0.01)
        assert len(told) == 1
        assert f"jumps ahead by {hours * 3600 - 2} s" in told[0]
        assert "at 2.00 s" in told[0]


def test_one_stray_picture_far_off(tmp_path: Path, make: Make, number: Number) -> None:
    path = joined(tmp_path / "a.ts", make, 0, 40 * 90000, 25)
    found, length, told = read(path, number, 25.0)
    assert found == list(range(25)) * 3
    assert length == pytest.approx(3.0)
    assert "and 1 more times" in told[0]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_minutes_on_one_slide_are_kept(
    name: str, tmp_path: Path, make: Make, number: Number
) -> None:
    path = make(tmp_path / name, [0, 1500, 1501, 1510, 4510], time_base=Fraction(1))
    found, length, told = read(path, number, 1.0)
    assert found[:4510] == [0] * 1500 + [1] + [2] * 9 + [3] * 3000
    assert length >= 4510
    assert told == []


def test_a_recording_whose_clock_starts_hours_late(
    tmp_path: Path, make: Make, number: Number
) -> None:
    path = make(tmp_path / "a.mkv", [900_000 + i for i in range(50)])
    found, length, told = read(path, number, 25.0)
    assert found == list(range(50))
    assert length == pytest.approx(2.0)
    assert told == [f"The clock of {path} starts at 36000.00 s; its times are counted from there."]
    assert probe(path).duration_sec == pytest.approx(2.0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts"])
def test_the_video_starts_later_than_the_sound(
    name: str, tmp_path: Path, make: Make, number: Number
) -> None:
    path = make(
        tmp_path / name,
        range(75, 125),
        form="mpegts" if name == "a.ts" else None,
        sound_sec=4,
        options={"bf": "0"},
    )
    info = probe(path)
    # A transport stream's sound begins with the coder's delay.
    assert info.start_sec == pytest.approx(3.0, abs=0.07)
    found, length, told = read(path, number, 25.0)
    begin = found.count(0) - 1
    assert begin == round(25 * info.start_sec)
    assert found[begin:] == list(range(50))
    assert length == pytest.approx(info.duration_sec)
    assert length == pytest.approx(info.start_sec + 2)
    assert told == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.webm", "a.mkv"])
def test_browsers_count_from_the_files_own_zero(
    name: str, tmp_path: Path, make: Make, number: Number
) -> None:
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    options = {"deadline": "realtime"} if name == "a.webm" else None
    path = make(tmp_path / name, range(30, 80), codec=codec, options=options)
    found, length, _ = read(path, number, 25.0)
    assert found == [0] * 30 + list(range(50))
    assert length == pytest.approx(3.2)


def test_a_lone_transport_stream_starts_with_its_first_picture(
    tmp_path: Path, make: Make, number: Number
) -> None:
    path = make(tmp_path / "a.ts", range(1000, 1050), form="mpegts")
    assert read(path, number, 25.0) == (list(range(50)), pytest.approx(2.0), [])


@given(st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), min_size=1, max_size=50))
def test_no_clock_makes_times_fall_or_a_picture_stay_for_hours(stamps: list[int | None]) -> None:
    clock = Clock(None, Fraction(1, 1000), Fraction(25))
    ticks = [clock.place(stamp, None) for stamp in stamps]
    assert ticks[0] == 0
    steps = np.diff(ticks)
    assert (steps >= 0).all()
    assert (steps <= 3_600_000).all()
    assert clock.end > ticks[-1]


def test_an_edit_list_that_cuts_between_key_frames(
    tmp_path: Path, make: Make, number: Number
) -> None:
    """Copied from 1.3 s on without coding anew: sound at once, pictures from the next key frame."""
    source = make(tmp_path / "whole.mp4", range(100), options={"g": "50"}, sound_sec=4)
    path = tmp_path / "cut.mp4"
    with av.open(str(source)) as whole, av.open(str(path), "w") as part:
        to = {s.index: part.add_stream_from_template(s) for s in whole.streams}
        started = False
        for packet in whole.demux():
            if not packet.size or packet.pts * packet.time_base < Fraction(13, 10):
                continue
            if packet.stream.type == "video":
                started = started or packet.is_keyframe
                if not started:
                    continue
            shift = round(Fraction(13, 10) / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = to[packet.stream_index]
            part.mux(packet)
    found, _, _ = read(path, number, 10.0)
    # 0.7 s after the sound picture 50 comes, as everywhere else.
    assert found[:9] == [50] * 8 + [52]
