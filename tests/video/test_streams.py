"""Files with several video streams, and with names and titles in any bytes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from attentad.core import AttentadError
from attentad.video import frames, probe

Make = Callable[..., Path]
Number = Callable[[np.ndarray], int]


def several(path: Path, streams: Sequence[tuple[int, int, bool]], *, level_step: int = 60) -> Path:
    """A file of streams (side in px, pictures, default); stream i is of grey i · `level_step`."""
    with av.open(str(path), "w") as container:
        made = []
        for side, _, default in streams:
            stream = container.add_stream("libx264", rate=Fraction(25), options={"bf": "0"})
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p"
            stream.disposition = Disposition.default if default else Disposition(0)
            made.append(stream)
        for k in range(max(count for _, count, _ in streams)):
            for i, (stream, (side, count, _)) in enumerate(zip(made, streams, strict=True)):
                if k < count:
                    grey = np.full((side, side, 3), 20 + level_step * i, np.uint8)
                    frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
                    frame.pts, frame.time_base = k, Fraction(1, 25)
                    container.mux(stream.encode(frame))
        for stream in made:
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("streams", "shown", "real"),
    [
        ([(64, 50, False), (64, 50, True)], 1, 2),
        ([(64, 50, False), (96, 50, False), (48, 50, False)], 1, 3),
        ([(96, 50, False), (64, 50, True)], 1, 2),
        ([(96, 1, True), (64, 50, False)], 1, 1),
        ([(64, 50, True), (96, 1, False)], 0, 1),
    ],
)
def test_the_stream_that_players_show(
    streams: list[tuple[int, int, bool]], shown: int, real: int, suffix: str, tmp_path: Path
) -> None:
    if suffix == ".mp4" and not any(default for _, _, default in streams):
        pytest.skip("an MP4's first stream is its default then")
    path = several(tmp_path / f"a{suffix}", streams)
    assert probe(path).width_px == streams[shown][0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pictures = list(frames(path, 25.0))
    assert len(pictures) == 50
    assert pictures[0].mean() == pytest.approx(20 + 60 * shown, abs=4)
    notes = [str(warning.message) for warning in caught]
    if real == 1:
        assert notes == []
    else:
        assert len(notes) == 1
        assert f"{path} holds {real} video streams" in notes[0]
        assert f"(stream {shown}, {streams[shown][0]}x{streams[shown][0]} px)" in notes[0]


def test_one_picture_alone_is_a_video(tmp_path: Path) -> None:
    path = several(tmp_path / "a.mp4", [(64, 1, True)])
    assert len(list(frames(path))) == 1


def test_titles_in_another_code_page(tmp_path: Path, make: Make, number: Number) -> None:
    path = make(tmp_path / "a.mkv", range(10))
    content = path.read_bytes()
    assert b"Lavf" in content
    path.write_bytes(content.replace(b"Lavf", b"L\xe4vf"))
    assert probe(path).duration_sec == pytest.approx(0.4)
    assert [number(picture) for picture in frames(path)] == list(range(10))


def test_file_names_in_another_code_page(tmp_path: Path, make: Make) -> None:
    name = os.fsdecode(b"K\xe4fig.mp4")
    try:
        path = make(tmp_path / "a.mp4", range(10)).rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    assert len(list(frames(path, 25.0))) == 10
    content = path.read_bytes()
    path.write_bytes(content[:100])
    missing = tmp_path / os.fsdecode(b"f\xfcr.mp4")
    for broken in (path, missing):
        for attempt in (lambda b=broken: probe(b), lambda b=broken: next(frames(b))):
            with pytest.raises(AttentadError) as caught:
                attempt()
            assert "�" in str(caught.value)
            str(caught.value).encode()
    with pytest.raises(AttentadError) as caught:
        frames(path, 0.0)
    str(caught.value).encode()
