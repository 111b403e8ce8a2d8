"""Which videos go into the page, which are linked, and which cannot be shown."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import av
import numpy as np

from attentad.report import VideoPage
from attentad.report.media import Media, place_media


def place(
    folder: Path, *sources: Path | None, limit: int = 10**6, total: int = 10**7
) -> list[Media]:
    pages = [VideoPage(f"v{i}", 1.0, s, {}) for i, s in enumerate(sources)]
    return place_media(pages, folder, embed_limit_bytes=limit, embed_total_bytes=total)


def test_small_files_are_embedded(mp4: Path, tmp_path: Path) -> None:
    (media,) = place(tmp_path, mp4)
    assert (media.kind, media.mime) == ("embedded", "video/mp4")
    assert base64.b64decode(media.content()) == mp4.read_bytes()


def test_large_files_are_linked_relative_to_the_page(mp4: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my videos"
    folder.mkdir()
    clip = Path(shutil.copy(mp4, folder / "javascript: #1 ü.mp4"))
    (media,) = place(tmp_path / "pages", clip, limit=10)
    assert media.kind == "linked"
    assert media.href == "../my%20videos/javascript%3A%20%231%20%C3%BC.mp4"


def test_the_total_is_spent_in_order(mp4: Path, tmp_path: Path) -> None:
    size = mp4.stat().st_size
    kinds = [m.kind for m in place(tmp_path, mp4, mp4, mp4, total=2 * size + 1)]
    assert kinds == ["embedded", "embedded", "linked"]


def test_what_browsers_cannot_play_is_said(mp4: Path, tmp_path: Path) -> None:
    avi = tmp_path / "old.avi"
    with av.open(str(avi), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), dtype=np.uint8))
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    matroska = Path(shutil.copy(mp4, tmp_path / "clip.mkv"))
    media = place(tmp_path, None, tmp_path / "gone.mp4", broken, avi, matroska)
    assert {item.kind for item in media} == {"none"}
    notes = [item.note for item in media]
    assert "No video file" in notes[0]
    assert "gone.mp4 was not there" in notes[1]
    assert "broken.mp4 could not be opened" in notes[2]
    assert "old.avi (mpeg4 in AVI)" in notes[3]
    assert "h264 in MKV" in notes[4]
