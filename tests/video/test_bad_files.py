"""Files that are no videos, or no longer whole: one sentence each, and what can be saved is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from attentad.core import AttentadError
from attentad.video import frame_count, frames, probe

Make = Callable[..., Path]
FAST_START = {"movflags": "faststart"}


def noise(count: int) -> list[np.ndarray]:
    """Pictures that compress badly, so that the file is mostly pictures and not header."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(count)]


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def sound_file(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
        )
        silence.rate, silence.pts = 16000, 0
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    return path


def no_pictures(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
    return path


def test_no_video_to_read(tmp_path: Path, make: Make) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "words.mp4").write_text("This is not a video.\n" * 40)
    (tmp_path / "words.txt").write_text("This is not a video either.\n" * 40)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(20000))
    make(tmp_path / "no_moov.mp4", range(40), pictures=noise(40))
    cut(tmp_path / "no_moov.mp4", 0.6)
    sound_file(tmp_path / "sound.m4a")
    no_pictures(tmp_path / "none.mp4")
    no_pictures(tmp_path / "none.mkv")
    header = make(tmp_path / "header.mp4", range(40), container_options=FAST_START)
    header.write_bytes(header.read_bytes().partition(b"mdat")[0] + b"mdat")
    for name, message in (
        ("missing.mp4", "does not exist; check the path"),
        (".", "is a folder; give a video file"),
        ("empty.mp4", "cannot be opened as a video"),
        ("words.mp4", "cannot be opened as a video"),
        ("words.txt", "is a text file"),
        ("noise.mp4", "cannot be opened as a video"),
        ("no_moov.mp4", "check that it is a complete video file"),
        ("sound.m4a", "holds sound but no video"),
        ("none.mp4", "holds no video"),
        ("none.mkv", "cannot be opened as a video"),
        ("header.mp4", "holds no picture"),
    ):
        path = tmp_path / name
        for attempt in (
            lambda path=path: probe(path),
            lambda path=path: next(frames(path)),
            lambda path=path: next(frames(path, 8.0, size_px=48)),
        ):
            with pytest.raises(AttentadError) as caught:
                attempt()
            text = str(caught.value)
            assert message in text
            assert str(path) in text
            assert text.endswith(".")
            assert "\n" not in text


def test_cover_picture_of_a_sound_file_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=16000)
        cover = container.add_stream("mjpeg", rate=Fraction(1))
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        picture.pts, picture.time_base = 0, Fraction(1)
        container.mux(cover.encode(picture))
        container.mux(cover.encode())
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
        )
        silence.rate, silence.pts = 16000, 0
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
    with pytest.raises(AttentadError, match="sound but no video"):
        probe(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"container_options": FAST_START}),
        ("b.mp4", {"container_options": FAST_START, "options": {"bf": "0"}}),
        ("a.mkv", {}),
        ("a.avi", {"codec": "mpeg4"}),
    ],
)
def test_what_is_left_of_a_truncated_file(
    name: str, options: dict[str, object], tmp_path: Path, make: Make
) -> None:
    whole = make(tmp_path / f"whole_{name}", range(150), pictures=noise(150), **options)
    at_ten = list(frames(whole, 10.0))
    assert len(at_ten) == 60
    path = cut(make(tmp_path / name, range(150), pictures=noise(150), **options), 0.7)
    with pytest.warns(UserWarning, match=r"is cut off: \d\.\d\d of its 6\.00 s could") as caught:
        left = list(frames(path, 10.0))
    assert len(caught) == 1
    assert probe(path).duration_sec == pytest.approx(6.0)
    assert str(path) in str(caught[0].message)
    # Cut in the middle of a group, the last pictures may lack the ones they refer to.
    assert 35 <= len(left) <= 43
    for a, b in zip(left[:-2], at_ten, strict=False):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="is cut off"):
        every = list(frames(path))
    assert 90 <= len(every) <= 107


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_damage_in_the_middle_keeps_the_time(name: str, tmp_path: Path, make: Make) -> None:
    path = make(tmp_path / name, range(100), pictures=noise(100), options={"g": "10"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    path.write_bytes(bytes(content))
    whole = make(tmp_path / f"whole_{name}", range(100), pictures=noise(100), options={"g": "10"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = list(frames(path, 25.0))
    expected = list(frames(whole, 25.0))
    assert len(found) == frame_count(4.0, 25.0)
    # Beyond the damaged group of pictures everything is where it was.
    for k in [*range(30), *range(75, 100)]:
        np.testing.assert_array_equal(found[k], expected[k])


def test_an_intact_file_warns_of_nothing(tmp_path: Path, make: Make) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("a.mp4", "a.mkv", "a.ts", "a.avi", "a.flv"):
            path = make(tmp_path / name, range(100), form="mpegts" if name == "a.ts" else None)
            assert len(list(frames(path, 7.0))) == 28
            assert len(list(frames(path))) == 100
