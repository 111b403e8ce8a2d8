"""Writing H.264 files and reading them back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attentad.core import AttentadError
from attentad.video import frames, probe, write_video


def ramp(count: int, size: int = 32) -> list[np.ndarray]:
    return [np.full((size, size, 3), 10 + 5 * i, np.uint8) for i in range(count)]


@pytest.mark.parametrize("fps", [12.5, 30000 / 1001, 6.0])
def test_round_trip(fps: float, tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.mp4"
    assert write_video(path, iter(ramp(40)), fps) == 40
    info = probe(path)
    assert info.fps == pytest.approx(fps)
    assert info.duration_sec == pytest.approx(40 / fps, abs=1e-3)
    assert (info.frames, info.codec, info.width_px) == (40, "h264", 32)
    for picture, original in zip(frames(path), ramp(40), strict=True):
        assert np.abs(picture.astype(int) - original).max() <= 4
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]


def test_same_pictures_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, ramp(30), 12.5)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="there are no frames"):
        write_video(tmp_path / "a.mp4", [], 25.0)
    with pytest.raises(AttentadError, match=r"could not be written as H\.264"):
        write_video(tmp_path / "b.mp4", ramp(3, size=33), 25.0)
    with pytest.raises(AttentadError, match="0 frames a second"):
        write_video(tmp_path / "c.mp4", ramp(3), 0)

    def interrupted():
        yield from ramp(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "d.mp4", interrupted(), 25.0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(AttentadError, match="could not be written"):
        write_video(tmp_path / "file" / "e.mp4", ramp(3), 25.0)
