"""The pictures decide how long a video is; headers, tags and guesses do not."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from attentad.video import frames, probe

Make = Callable[..., Path]


def read(path: Path, fps: float | None = 25.0) -> tuple[int, float | None, list[str]]:
    """Number of pictures, length, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reader = frames(path, fps)
        count = sum(1 for _ in reader)
    return count, reader.duration_sec, [str(warning.message) for warning in caught]


class Pipe(io.RawIOBase):
    """Writable, but what is written cannot be mended afterwards."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: bytes) -> int:
        self.content += data
        return len(data)


def piped(path: Path, form: str, codec: str) -> Path:
    pipe = Pipe()
    with av.open(pipe, "w", format=form) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for i in range(50):
            picture = np.full((64, 64, 3), 4 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    path.write_bytes(pipe.content)
    return path


@pytest.mark.parametrize(
    ("form", "codec"), [("avi", "mpeg4"), ("matroska", "libx264"), ("flv", "libx264")]
)
def test_a_file_from_a_pipe_has_no_length_in_its_header(
    form: str, codec: str, tmp_path: Path
) -> None:
    path = piped(tmp_path / f"a.{form}", form, codec)
    assert read(path) == (50, pytest.approx(2.0), [])
    assert probe(path).duration_sec == pytest.approx(2.0)


def with_avi_count(path: Path, count: int) -> Path:
    """Change the number of pictures in both headers of an AVI."""
    content = bytearray(path.read_bytes())
    main, stream = content.index(b"avih") + 8 + 16, content.index(b"strh") + 8 + 32
    for at in (main, stream):
        struct.pack_into("<I", content, at, count)
    path.write_bytes(content)
    return path


def test_an_avi_header_that_counts_too_few(tmp_path: Path, make: Make) -> None:
    path = with_avi_count(make(tmp_path / "a.avi", range(100), codec="mpeg4"), 30)
    assert read(path) == (100, pytest.approx(4.0), [])
    assert probe(path).duration_sec == pytest.approx(4.0)


def test_an_avi_header_that_counts_too_many_tells_of_no_cut(tmp_path: Path, make: Make) -> None:
    path = with_avi_count(make(tmp_path / "a.avi", range(100), codec="mpeg4"), 300)
    count, length, told = read(path)
    assert (count, length) == (100, pytest.approx(4.0))
    assert len(told) == 1
    assert "has pictures for 4.00 s, though its header says 12.00 s" in told[0]


def with_tag(path: Path, make: Make, tag: str, value: str) -> Path:
    """A Matroska copy of a video whose stream carries a tag."""
    make(path.with_suffix(".mp4"), range(50))
    with av.open(str(path.with_suffix(".mp4"))) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.metadata[tag] = value
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return path


@pytest.mark.parametrize("value", ["00:00:00.500000000", "00:01:00.000000000"])
def test_stale_matroska_tags(value: str, tmp_path: Path, make: Make) -> None:
    path = with_tag(tmp_path / "a.mkv", make, "DURATION-eng", value)
    assert read(path) == (50, pytest.approx(2.0), [])
    assert probe(path).duration_sec == pytest.approx(2.0)


@pytest.mark.parametrize(("stale", "count"), [(b"00:00:00.5", 50), (b"00:01:00.0", 50)])
def test_even_the_tag_without_a_language_may_be_stale(
    stale: bytes, count: int, tmp_path: Path, make: Make
) -> None:
    path = make(tmp_path / "a.mkv", range(50))
    content = path.read_bytes()
    assert content.count(b"00:00:02.0") == 1
    path.write_bytes(content.replace(b"00:00:02.0", stale))
    assert read(path) == (count, pytest.approx(2.0), [])


def test_program_streams(tmp_path: Path, make: Make) -> None:
    for name, codec in (("a.mpg", "mpeg1video"), ("b.mpg", "mpeg2video")):
        path = make(tmp_path / name, range(100), codec=codec, form="mpeg")
        assert read(path) == (100, pytest.approx(4.0), [])
        assert read(path, None) == (100, pytest.approx(4.0), [])
        assert probe(path).duration_sec == pytest.approx(4.0)


def test_a_stream_that_starts_inside_a_group(tmp_path: Path, make: Make) -> None:
    path = make(tmp_path / "a.ts", range(100), form="mpegts", options={"g": "25", "bf": "2"})
    content = path.read_bytes()
    packets = len(content) // 188
    path.write_bytes(content[188 * (packets // 8) :])
    count, length, told = read(path)
    assert count == round(25 * length)
    assert 3.0 < length < 4.0
    assert not [note for note in told if "cut off" in note]
    assert probe(path).duration_sec == pytest.approx(length)
    if told:
        assert "cannot be decoded; its first picture is shown in their place" in told[0]


def without_vui(annexb: bytes) -> bytes:
    """Baseline H.264 whose parameter set no longer says the rate."""
    start = annexb.index(b"\0\0\1\x67") + 4
    end = annexb.index(b"\0\0\1", start)
    end -= annexb[end - 1] == 0
    bits = "".join(f"{byte:08b}" for byte in annexb[start:end].replace(b"\0\0\3", b"\0\0"))
    at = 24

    def skip() -> None:  # an Exp-Golomb number
        nonlocal at
        at += 2 * (bits.index("1", at) - at) + 1

    for _ in range(4):  # id, frame numbers, order of pictures, reference pictures
        skip()
    at += 1
    skip()  # width
    skip()  # height
    at += 3  # frames only, direct inference, no cropping
    kept = bits[:at] + "01"
    kept += "0" * (-len(kept) % 8)
    return annexb[:start] + int(kept, 2).to_bytes(len(kept) // 8, "big") + annexb[end:]


def test_raw_h264_says_its_rate_or_is_warned_of(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "pi.h264"
    make(
        path,
        range(50),
        time_base=Fraction(2, 25),
        form="h264",
        options={"profile": "baseline"},
        prepare=lambda stream: setattr(stream.codec_context, "framerate", Fraction(25, 2)),
    )
    assert read(path, 12.5) == (50, pytest.approx(4.0), [])
    assert (probe(path).fps, probe(path).duration_sec) == (12.5, pytest.approx(4.0))
    path.write_bytes(without_vui(path.read_bytes()))
    count, length, told = read(path, 12.5)
    assert (count, length) == (25, pytest.approx(2.0))
    assert len(told) == 1
    assert "has no time stamps; 25 frames a second are assumed" in told[0]
    assert f"ffmpeg -r RATE -i {path} -c copy pi.mp4" in told[0]


def test_other_raw_streams(tmp_path: Path, make: Make) -> None:
    path = make(tmp_path / "a.m2v", range(50), form="mpeg2video", codec="mpeg2video")
    assert read(path) == (50, pytest.approx(2.0), [])
    path = make(
        tmp_path / "a.mjpeg", range(50), form="mjpeg", codec="mjpeg", pixel_format="yuvj420p"
    )
    count, length, told = read(path)
    assert (count, length) == (50, pytest.approx(2.0))
    assert "25 frames a second are assumed" in told[0]


def test_the_estimate_of_a_longer_file_is_near(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attentad.video.length._SEARCHED_PACKETS", 100)
    path = make(tmp_path / "a.ts", range(400), form="mpegts", options={"g": "10"})
    assert probe(path).duration_sec == pytest.approx(16.0, rel=0.2)
    assert read(path)[1] == pytest.approx(16.0)


@pytest.mark.parametrize("name", ["a.flv", "a.wmv", "fragments.mp4"])
def test_a_cut_is_told_where_the_header_says_no_length(
    name: str, tmp_path: Path, make: Make
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (100, 64, 64, 3), dtype=np.uint8)
    path = make(
        tmp_path / name,
        range(100),
        codec="wmv2" if name == "a.wmv" else "libx264",
        pictures=noise,
        options={"g": "10"},
        container_options=(
            {"movflags": "frag_keyframe+empty_moov"} if name == "fragments.mp4" else None
        ),
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(0.63 * len(content))])
    count, length, told = read(path)
    assert 50 <= count <= 64
    assert count == round(25 * length)
    assert len(told) == 1
    assert f"is cut off: {length:.2f} " in told[0]


def test_the_last_slide_stays_as_long_as_matroska_says(tmp_path: Path, make: Make) -> None:
    """Its pictures do not carry how long they stay; its header knows of the last."""
    source = make(tmp_path / "a.mp4", [0, 60, 120], time_base=Fraction(1), options={"bf": "0"})
    path = tmp_path / "a.mkv"
    with av.open(str(source)) as whole, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.duration = round(60 / packet.time_base)
                packet.stream = stream
                target.mux(packet)
    assert read(path, 1.0) == (180, pytest.approx(180.0), [])
