"""Pictures by time: constant and variable rates, containers, sizes, rotation."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError
from attentad.video import frame_count, frames, probe, write_video

CLIPS = Path(__file__).parents[3] / "shared" / "data" / "clips"
Make = Callable[..., Path]
Number = Callable[[np.ndarray], int]
B_FRAMES = {"bf": "2", "g": "12"}
NO_B_FRAMES = {"bf": "0", "g": "12"}

LAYOUTS = {
    "mp4": ("a.mp4", {"options": {"bf": "3", "g": "12"}}),
    "mov": ("a.mov", {"options": B_FRAMES}),
    "mkv": ("a.mkv", {"options": B_FRAMES}),
    "ts": ("a.ts", {"form": "mpegts", "options": B_FRAMES}),
    "flv": ("a.flv", {"options": B_FRAMES}),
    "webm": ("a.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime"}}),
    "avi-mpeg4": ("a.avi", {"codec": "mpeg4"}),
    "avi-mpeg4-b": ("b.avi", {"codec": "mpeg4", "options": B_FRAMES}),
    "avi-h264-b": ("c.avi", {"options": B_FRAMES}),
    "raw-h264": ("a.h264", {"form": "h264", "options": B_FRAMES}),
    "fragmented": (
        "f.mp4",
        {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "options": NO_B_FRAMES},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_picture_once_in_order(
    layout: str, tmp_path: Path, make: Make, number: Number
) -> None:
    name, options = LAYOUTS[layout]
    path = make(tmp_path / name, range(50), **options)
    assert [number(picture) for picture in frames(path)] == list(range(50))
    info = probe(path)
    assert info.duration_sec == pytest.approx(2.0)
    assert info.fps == pytest.approx(25.0)
    assert (info.width_px, info.height_px, info.rotation_deg) == (64, 64, 0)
    assert info.frames in (50, None)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fps", [25.0, 8.0, 60.0])
def test_pictures_at_a_rate(
    layout: str, fps: float, tmp_path: Path, make: Make, number: Number
) -> None:
    name, options = LAYOUTS[layout]
    path = make(tmp_path / name, range(50), **options)
    # Source picture i is on screen from i/25 s on.
    expected = [int(Fraction(k) / Fraction(fps) * 25) for k in range(round(2 * fps))]
    assert [number(picture) for picture in frames(path, fps)] == expected


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_own_rate_of_a_television_video(
    name: str, tmp_path: Path, make: Make, number: Number
) -> None:
    # 30000/1001 has no exact float, and Matroska rounds times to milliseconds.
    path = make(tmp_path / name, range(90), time_base=Fraction(1001, 30000), options=B_FRAMES)
    assert [number(p) for p in frames(path, 30000 / 1001)][:90] == list(range(90))


def on_screen(ticks: list[int], fps: float, count: int, slack: Fraction) -> list[int]:
    """Slow and obvious: for each output time look through every source time (milliseconds)."""
    chosen = []
    for k in range(count):
        time = k / Fraction(fps) + slack
        begun = [i for i, t in enumerate(ticks) if Fraction(t, 1000) <= time]
        chosen.append(max(begun, default=0))
    return chosen


@settings(max_examples=40, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 300), max_size=24),
    start=st.integers(0, 400),
    fps=st.floats(0.5, 120.0),
    suffix=st.sampled_from([".mp4", ".mkv"]),
    options=st.sampled_from([B_FRAMES, NO_B_FRAMES]),
)
def test_variable_rate_against_the_slow_reference(
    gaps: list[int],
    start: int,
    fps: float,
    suffix: str,
    options: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    make: Make,
    number: Number,
) -> None:
    ticks = (start + np.cumsum([0, *gaps])).tolist()
    path = tmp_path_factory.getbasetemp() / f"variable{suffix}"
    make(path, ticks, time_base=Fraction(1, 1000), options=options)
    # Half a tick of the file's clock: 1/16000 s in this MP4, 1/1000 s in Matroska.
    slack = Fraction(1, 32000) if suffix == ".mp4" else Fraction(1, 2000)
    assert probe(path).start_sec * 1000 == pytest.approx(start)
    reader = frames(path, fps)
    assert reader.duration_sec is None
    found = [number(p) for p in reader]
    assert reader.duration_sec is not None
    assert reader.duration_sec * 1000 > ticks[-1]
    count = frame_count(reader.duration_sec, fps)
    assert found == on_screen(ticks, fps, count, slack)
    assert [number(p) for p in frames(path)] == list(range(len(ticks)))


def test_late_start_edit_list_and_longer_sound(tmp_path: Path, make: Make, number: Number) -> None:
    late = make(tmp_path / "late.mp4", range(100, 150), options=B_FRAMES)
    assert probe(late).duration_sec == pytest.approx(6.0)
    assert probe(late).start_sec == pytest.approx(4.0)
    assert [number(p) for p in frames(late, 5.0)] == [0] * 20 + list(range(0, 50, 5))
    # Pictures before time 0 are cut away by an edit list.
    edited = make(tmp_path / "edited.mp4", range(-20, 30), options=B_FRAMES)
    assert probe(edited).duration_sec == pytest.approx(1.2)
    assert [number(p) for p in frames(edited, 25.0)] == list(range(20, 50))
    for name in ("sound.mp4", "sound.mkv"):
        sound = make(tmp_path / name, range(50), options=B_FRAMES, sound_sec=4)
        assert probe(sound).duration_sec == pytest.approx(2.0)
        assert len(list(frames(sound, 10.0))) == 20


def test_last_picture_is_held_to_the_end(tmp_path: Path, make: Make, number: Number) -> None:
    ticks = [0, 40, 120, 130, 500, 1500]
    path = make(tmp_path / "a.mkv", ticks, time_base=Fraction(1, 1000))
    assert [number(p) for p in frames(path, 4.0)] == [0, 3, 4, 4, 4, 4]
    one = make(tmp_path / "one.mp4", [0])
    assert [number(p) for p in frames(one, 1.0)] == [0]
    assert [number(p) for p in frames(one, 100.0)] == [0, 0, 0, 0]


def test_frame_count() -> None:
    assert frame_count(10.01, 30000 / 1001) == 300
    assert frame_count(0.01, 1.0) == 1
    assert frame_count(2.0, 12.5) == 25


def test_repeated_pictures_are_arrays_of_their_own(tmp_path: Path, make: Make) -> None:
    path = make(tmp_path / "a.mp4", range(5))
    pictures = list(frames(path, 100.0))
    original = pictures[1].copy()
    pictures[0][:] = 0
    np.testing.assert_array_equal(pictures[1], original)
    assert all(p.flags.writeable and p.flags.c_contiguous for p in pictures)


def corners(height: int, width: int) -> np.ndarray:
    """Four quarters of four greys, so that every turn and mirroring shows."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = 30, 90
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = 150, 210
    return picture


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
def test_rotated_video_is_shown_upright(
    clockwise: int, mirrored: bool, tmp_path: Path, make: Make
) -> None:
    stored = corners(48, 80)
    path = make(
        tmp_path / "phone.mp4",
        range(3),
        pictures=[stored] * 3,
        prepare=lambda s: s.set_display_rotation(-clockwise, hflip=mirrored),
    )
    # FFmpeg mirrors after it has turned.
    upright = np.rot90(stored, -clockwise // 90)[:, :: -1 if mirrored else 1]
    info = probe(path)
    assert (info.height_px, info.width_px) == upright.shape[:2]
    if not mirrored:
        assert info.rotation_deg == clockwise
    for picture in frames(path):
        assert picture.shape == upright.shape
        assert np.abs(picture.astype(int) - upright).mean() < 4
    small = np.stack(list(frames(path, size_px=24)))
    assert small.shape == (3, 24, 24, 3)
    for row, column in ((3, 3), (3, 20), (20, 3), (20, 20)):
        shown = upright[upright.shape[0] * row // 24, upright.shape[1] * column // 24]
        assert np.abs(small[0, row, column].astype(int) - shown).max() < 12


@pytest.mark.parametrize(
    ("height", "width"), [(1080, 1920), (1920, 1080), (37, 51), (51, 37), (16, 16), (20, 300)]
)
def test_scaled_and_cropped_to_the_centre(
    height: int, width: int, tmp_path: Path, make: Make
) -> None:
    # The centre square is green, what lies outside is red and must not be seen.
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = 255
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    picture[top : top + side, left : left + side] = (0, 255, 0)
    path = make(
        tmp_path / "a.mp4",
        range(2),
        pictures=[picture] * 2,
        pixel_format="yuv444p",
        options={"crf": "5", "preset": "ultrafast"},
    )
    for size in (48, 7):
        for shown in frames(path, size_px=size):
            assert shown.shape == (size, size, 3)
            inner = shown[1:-1, 1:-1].astype(int)
            assert inner[..., 0].max() < 60
            assert inner[..., 1].min() > 190
    whole = next(frames(path))
    assert whole.shape == picture.shape
    assert np.abs(whole.astype(int) - picture).mean() < 12


def resident_mib() -> float:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (192, 256, 3), dtype=np.uint8)
    path = tmp_path / "long.mp4"
    write_video(path, (np.roll(picture, i, axis=1) for i in range(1200)), 25.0, preset="ultrafast")
    started, highest = 0.0, 0.0
    for i, _ in enumerate(frames(path, 25.0)):
        if i == 100:
            started = resident_mib()
        elif i > 100:
            highest = max(highest, resident_mib())
    # All pictures together are 169 MiB.
    assert highest - started < 30


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_an_abandoned_iterator_closes_its_file(tmp_path: Path, make: Make) -> None:
    path = make(tmp_path / "a.mp4", range(50))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        pictures = frames(path)
        next(pictures)
        del pictures
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_colon_in_the_name(tmp_path: Path, make: Make) -> None:
    path = make(tmp_path / "plain.mp4", range(3)).rename(tmp_path / "http:a b.mp4")
    assert len(list(frames(path))) == 3


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the shared clips are not on this machine")
@pytest.mark.parametrize(
    ("name", "fps", "duration_sec", "size", "count"),
    [
        ("arm_wrestling.mp4", 28.0, 10.0, (340, 256), 280),
        ("low_fps.mp4", 6.0, 9.5, (340, 256), 57),
        ("skeleton_1080p.mp4", 28.05, 2.567, (1920, 1080), 72),
        ("structuralize.mp4", 29.97, 10.01, (426, 240), 300),
        ("test.mp4", 30.0, 10.0, (340, 256), 300),
        ("test_mpeg4.avi", 25.0, 6.56, (320, 240), 164),
    ],
)
def test_real_clips(
    name: str, fps: float, duration_sec: float, size: tuple[int, int], count: int
) -> None:
    info = probe(CLIPS / name)
    assert info.fps == pytest.approx(fps, abs=0.01)
    assert info.duration_sec == pytest.approx(duration_sec, abs=0.001)
    assert (info.width_px, info.height_px) == size
    assert info.frames == count
    own = [p[::8, ::8].astype(int) for p in frames(CLIPS / name, size_px=64)]
    assert len(own) == count
    with av.open(str(CLIPS / name)) as container:
        # AVI's pictures have no times of their own: they come one a tick.
        times = [frame.time for frame in container.decode(video=0)]
    if name.endswith(".avi"):
        times = [i / fps for i in range(count)]
    at_ten = [p[::8, ::8].astype(int) for p in frames(CLIPS / name, 10.0, size_px=64)]
    assert len(at_ten) == frame_count(info.duration_sec, 10.0)
    for k, picture in enumerate(at_ten):
        last = max(i for i, time in enumerate(times) if time - times[0] <= k / 10 + 1e-6)
        assert (picture == own[last]).all()


@pytest.mark.skipif(not (CLIPS / "ucf101").is_dir(), reason="no shared UCF-101 clips here")
def test_ucf101_clips() -> None:
    paths = sorted((CLIPS / "ucf101").glob("*.avi"))
    assert paths
    for path in paths:
        info = probe(path)
        assert info.frames is not None
        assert info.duration_sec == pytest.approx(info.frames / info.fps, rel=1e-6)
        assert (info.width_px, info.height_px, info.codec) == (320, 240, "mpeg4")
        assert sum(1 for _ in frames(path, 8.0, size_px=16)) == frame_count(info.duration_sec, 8.0)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_out_of_range(fps: float, tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="give more than 0"):
        frames(tmp_path / "a.mp4", fps)


def test_a_size_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="size of 0 px"):
        frames(tmp_path / "a.mp4", size_px=0)
