"""What a folder of videos holds beside them, and what is said of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from attentad.core import AttentadError
from attentad.core.names import VIDEO_SUFFIXES, video_id
from attentad.data.video_files import find_videos, look_into


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_what_is_no_video_is_named_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, "b.MTS", "a.mp4", "._a.mp4", ".DS_Store", ".video-abcdefgh.npy", ".cam.mp4")
    fill(tmp_path, "notes.txt", "a.csv", "f.npy", "f.json", "below/c.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "dead.avi").symlink_to(tmp_path / "nowhere.avi")
    folder = look_into(tmp_path)
    assert [file.name for file in folder.videos] == ["a.mp4", "b.MTS"]
    assert [file.name for file in folder.tables] == ["a.csv", "f.npy"]
    assert folder.left_out == {
        "below": "a folder",
        "folder.mp4": "a folder",
        "dead.avi": "a link to nothing",
        ".cam.mp4": "hidden",
        "notes.txt": "no video",
    }
    videos, notes = find_videos([tmp_path])
    assert videos == list(folder.videos)
    assert len(notes) == 1
    assert ".cam.mp4 (hidden), a.csv (no video)" in notes[0]
    assert "and 2 more" in notes[0]


def test_a_folder_of_videos_alone_needs_no_note(tmp_path: Path) -> None:
    names = [
        f"v{i}{suffix.upper() if i % 2 else suffix}" for i, suffix in enumerate(VIDEO_SUFFIXES)
    ]
    videos, notes = find_videos([fill(tmp_path, *names)])
    assert sorted(file.name for file in videos) == sorted(names)
    assert not notes


def test_folders_of_folders_are_told(tmp_path: Path) -> None:
    fill(tmp_path, "run/a.mp4", "jump/b.mp4", "empty/readme.txt")
    with pytest.raises(AttentadError, match=r"the folders in it do; give these: .*jump, .*run\.$"):
        find_videos([tmp_path])
    with pytest.raises(AttentadError, match="holds no video files"):
        find_videos([tmp_path / "empty"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_utf8_is_read_with_a_replacement_sign() -> None:
    assert video_id(os.fsdecode("Käfig.mp4".encode("latin-1"))) == "K\ufffdfig"
    assert video_id("folder/Käfig.1.mp4") == "Käfig.1"
