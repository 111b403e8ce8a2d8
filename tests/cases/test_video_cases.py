"""Video files of real users: each is read whole, at the right times, or a sentence says why not.

The detector's weights are random: times, lengths, notes and files are asserted, not which actions
are found.
"""

from __future__ import annotations

import json
import math
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from tests.cases.running import CASES, Said, attentad, check_all_run, shell

from attentad.core import progress as progress_module
from attentad.core import read_detections
from attentad.models.file import load_detector, save_detector
from attentad.models.long_videos import TrainedSteps
from attentad.video import frames, probe

STEP_SEC = 0.4
MOUSE = CASES / "video/09_csv_beside_the_videos/videos/mouse1.mp4"


def test_that_every_case_is_run() -> None:
    own = {test_that_every_case_is_run.__name__}
    check_all_run("video", set(globals()) - own)


def lasts(detector: Path, video: str, duration_sec: float, note: str = "") -> Said:
    """Detect in a video, of which all must be looked at, with this note alone."""
    said = attentad("detect", detector, video, "--out", "f.json", "--report", "p.html")
    assert "f.json: " in said.out
    warnings = said.err.splitlines()
    assert len(warnings) == (1 if note else 0)
    assert re.search(note, said.err)
    found = read_detections("f.json").videos[Path(video).stem]
    assert found.segments.max() > duration_sec - 2
    assert found.segments.max() <= duration_sec
    assert f'"duration":{duration_sec},' in Path("p.html").read_text()
    return said


def number(picture: np.ndarray, square_px: int) -> int:
    """The number drawn on a picture: white squares are its binary digits, the lowest first."""
    centres = picture[square_px // 2 :: square_px, square_px // 2 :: square_px, 0]
    return sum(1 << i for i, white in enumerate((centres > 128).ravel().tolist()) if white)


def loop(source: Path, target: Path, seconds: float) -> None:
    """The video again and again, its packets as they are."""
    with av.open(str(target), "w") as out, av.open(str(source)) as video:
        stream = video.streams.video[0]
        assert stream.time_base is not None
        copied = out.add_stream_from_template(stream)
        packets = [packet for packet in video.demux(stream) if packet.dts is not None]
        length = max(packet.pts + packet.duration for packet in packets)
        for turn in range(math.ceil(seconds / (length * stream.time_base))):
            for packet in packets:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts = packet.pts + turn * length, packet.dts + turn * length
                copy.duration, copy.time_base = packet.duration, packet.time_base
                copy.is_keyframe, copy.stream = packet.is_keyframe, copied
                out.mux(copy)


def on_a_terminal(*arguments: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "attentad", *arguments]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            written += part
        os.close(ours)
    assert process.returncode == 0
    return written.decode()


def test_01_stale_mkv_tag_joined(case: Path, detector: Path) -> None:
    lasts(detector, "joined.mkv", 26.0)


def test_02_latin1_metadata(case: Path, detector: Path, encoder_model: Path) -> None:
    lasts(detector, "latin1.mp4", 26.0)
    attentad("extract", encoder_model, "latin1.mp4", "--out", "features")
    attentad("report", "f.json", "--videos", ".", "--out", "page.html")


def test_03_avi_header_counts_too_few(case: Path, detector: Path) -> None:
    lasts(detector, "hdr_less.avi", 26.0)


def test_04_ts_joined_clock_restarts(case: Path, detector: Path) -> None:
    lasts(detector, "cat.ts", 26.0, r"clock of cat\.ts falls back at 13\.04 s; what comes after is")


def test_05_raw_h264(case: Path, detector: Path) -> None:
    lasts(detector, "pi.h264", 26.0)  # the stream says its rate


def test_06_video_starts_later_than_sound(case: Path, detector: Path) -> None:
    lasts(detector, "late3.mp4", 29.0)
    assert probe("late3.mp4").start_sec == pytest.approx(3.0)
    # Browsers show picture 20 at 2.0 s.
    shown = list(frames("numbered_start1_2.mp4", 10))
    assert number(shown[20], 32) == 20
    assert len(shown) == pytest.approx(92, abs=1)


def test_07_one_bad_file_in_a_folder(case: Path, detector: Path, encoder_model: Path) -> None:
    said = attentad("detect", detector, "videos", "--out", "f.json", code=1)
    bad = r"^error: videos/b_bad\.mp4 cannot be opened as a video \(.*\); check that it is"
    assert len(re.findall(bad, said.err, re.MULTILINE)) == 1
    assert set(read_detections("f.json").videos) == {"a_good", "c_good"}
    for _ in range(2):
        said = attentad("extract", encoder_model, "videos", "--out", "features", code=1)
        assert re.search(bad, said.err, re.MULTILINE)
        made = sorted(path.name for path in Path("features").glob("[!.]*"))
        assert made == ["a_good.json", "a_good.npy", "c_good.json", "c_good.npy"]


def test_08_same_name_other_folder(case: Path, encoder_model: Path) -> None:
    attentad("extract", encoder_model, "monday", "--out", "f")
    said = attentad("extract", encoder_model, "tuesday", "--out", "f", code=2)
    assert re.search(r"f/trial01\.npy holds the features of \S*monday/trial01\.mp4", said.err)
    assert "not of tuesday/trial01.mp4" in said.err
    assert json.loads(Path("f/trial01.json").read_text())["duration_sec"] == 26.0


def test_09_csv_beside_the_videos(case: Path, detector: Path) -> None:
    said = attentad("detect", detector, "videos", "--out", "f.json")
    assert "videos: not read are mouse1DLC_resnet50_shuffle1_100000.csv (no sidecar)" in said.err
    assert set(read_detections("f.json").videos) == {"mouse1"}


def test_10_output_cannot_be_written(
    case: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("ro").mkdir()
    Path("ro/file").touch()
    video = CASES / "video/01_stale_mkv_tag_joined/joined.mkv"

    def read(*_: object, **__: object) -> None:
        raise AssertionError("a video was read before the output was tried")

    monkeypatch.setattr("attentad.models.encode.VideoSource.read", read)
    said = attentad("detect", detector, video, "--out", "ro/file/x.json", code=2)
    assert "ro/file/x.json cannot be written (" in said.err
    said = attentad("detect", detector, video, "--out", "x.xml", code=2)
    assert "x.xml has a name that tells no detection format to write" in said.err
    assert not Path("x.xml").exists()


def test_11_name_not_utf8(case: Path, detector: Path, encoder_model: Path) -> None:
    shell(f"python make.py; attentad detect '{detector}' . --out out/f.json")
    attentad("detect", detector, ".", "--out", "out/f.csv")
    attentad("extract", encoder_model, ".", "--out", "features")
    for name in ("f.json", "f.csv"):
        assert set(read_detections(f"out/{name}").videos) == {"K\ufffdfig", "plain"}
    made = sorted(path.name for path in Path("features").glob("[!.]*"))
    assert made == ["K\ufffdfig.json", "K\ufffdfig.npy", "plain.json", "plain.npy"]


def test_12_page_says_not_why_no_video(case: Path, detector: Path) -> None:
    lasts(detector, "ok.avi", 26.0)
    page = Path("p.html").read_text()
    assert "Browsers do not play ok.avi (mpeg4 in AVI)." in page
    assert "convert the file to H.264 in MP4 to see it here" in page
    hidden = re.search(r"\.without-media[^{}]*\.(screen|video-note)\s*\{[^}]*display:\s*none", page)
    assert hidden is None


def test_13_two_video_streams(case: Path, encoder_model: Path) -> None:
    said = attentad("extract", encoder_model, "second_default.mp4", "--out", "f")
    note = "second_default.mp4 holds 2 video streams; the one that players show is read (stream 1"
    assert note in said.err
    with pytest.warns(UserWarning, match="2 video streams"):
        shown = list(frames("second_default.mp4", 25))
    assert number(shown[25], 16) == 25


def test_14_program_stream_end_lost(case: Path, encoder_model: Path) -> None:
    attentad("extract", encoder_model, "mpeg1.mpg", "--out", "f")
    assert len(np.load("f/mpeg1.npy")) == 4.0 / STEP_SEC
    assert json.loads(Path("f/mpeg1.json").read_text())["duration_sec"] == 4.0


def test_15_suffixes_skipped_silently(case: Path, detector: Path) -> None:
    said = attentad("detect", detector, "videos", "--out", "f.json")
    assert set(read_detections("f.json").videos) == {"a", "b"}
    assert not said.err


def test_16_long_video_in_rescaled_model(case: Path, detector: Path) -> None:
    # Ten minutes, not thirty: the step of a model of 128 is 4.7 s, longer than most actions.
    loop(MOUSE, Path("long.mp4"), 600)
    said = attentad("detect", detector, "long.mp4", "--out", "f.json")
    assert re.search(r"long: one step of the model is 4\.\d+ s of this video", said.err)
    assert "cut the video into parts, or train with view.name=windows" in said.err
    model = replace(load_detector(detector), trained_steps=TrainedSteps(0.5, 0.6))
    save_detector(Path("told.safetensors"), model)
    said = attentad("detect", "told.safetensors", "long.mp4", "--out", "f.json")
    assert re.search(
        r"long lasts 6\d\d s, .* at most 77 s: it was read in \d+ parts of 64 s", said.err
    )
    segments = read_detections("f.json").videos["long"].segments
    assert (segments[:, 1] - segments[:, 0]).max() <= 64.5
    assert segments.max() > 550


def test_17_no_progress_in_a_video(
    case: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop(MOUSE, Path("long.mp4"), 200)
    told = on_a_terminal("detect", str(detector), "long.mp4", "--out", "f.json")
    assert len(set(re.findall(r"(━+)[^━]*╺?[^\n]*?0/1", told))) > 2
    assert re.search(r"0/1\S* +\S*0:00:\d\d\S* long", told)
    every = partial(progress_module.Lines, every_sec=0)
    monkeypatch.setattr(progress_module, "Lines", every)
    said = attentad("detect", detector, "long.mp4", "--out", "f.json")
    shares = re.findall(r"detecting: 0 of 1, long at (\d+) %, about 0:\d\d:\d\d left", said.err)
    assert len(set(shares)) > 5
