"""The file that is written, before any browser sees it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from attentad.core import AttentadError, VideoAnnotation, VideoDetections, as_segments
from attentad.core.found import Curve, Found
from attentad.report import Report, Table, VideoPage, write_page

EVIL = "<script>alert(1)</script>"


def one_video(source: Path | None = None, name: str = "v") -> VideoPage:
    found = VideoDetections(as_segments([[1, 3]]), np.array([0.5]), np.array([0]))
    return VideoPage(name, 10.0, source, {"": Found(found)})


def test_one_file_without_addresses(tmp_path: Path, mp4: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, Report("t", ("a",), [one_video(mp4)]))
    text = re.sub(r'<script type="text/plain".*?</script>', "", path.read_text(encoding="utf-8"))
    addresses = set(re.findall(r"https?://[^\s\"']+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"<(?:link|img|iframe)[^>]*(?:href|src)=\"(?!data:)", text)
    assert not re.findall(r"@import|url\(", text)
    assert not re.findall(r'\sstyle="|\son\w+="', text)
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_markup_in_names_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    report = Report(
        EVIL,
        (EVIL,),
        [one_video(name=EVIL)],
        {"": {"mAP": {"0.5": 0.1}, "protocol": EVIL, "per_class": {EVIL: {"AP": {"0.5": 0.1}}}}},
        {"": {EVIL: [1.0]}},
        {EVIL: EVIL},
        {EVIL: f"<svg xmlns='http://www.w3.org/2000/svg'>{EVIL}</svg>"},
        {EVIL: Table((EVIL, EVIL), ((EVIL, EVIL),), EVIL)},
    )
    write_page(path, report)
    text = path.read_text(encoding="utf-8")
    assert EVIL not in text
    assert text.count("<script") == 2  # the data and our own


def test_markup_in_names_of_detectors_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    other = EVIL.upper()
    found = one_video().found[""]
    video = VideoPage("v", 9.0, None, {EVIL: found, other: found})
    evaluation = {"mAP": {EVIL: 0.1}, "protocol": EVIL, "per_class": {EVIL: {}}}
    report = Report(
        "t",
        ("a",),
        [video],
        evaluations={EVIL: evaluation, other: evaluation},
        losses={EVIL: {"total": [1.0]}, other: {EVIL: [1.0]}},
    )
    write_page(path, report)
    text = path.read_text(encoding="utf-8")
    assert EVIL not in text
    assert other not in text
    assert text.count("<script") == 2


def test_names_that_are_no_proper_text_are_shown_as_far_as_possible(tmp_path: Path) -> None:
    half = "a\udc80b"
    path = tmp_path / "page.html"
    evaluation = {"mAP": {"0.5": 0.1}, "per_class": {half: {}}}
    report = Report(
        half,
        (half,),
        [one_video(name=half)],
        {"": evaluation},
        {"": {half: [1]}},
        {half: half},
        {half: half},
    )
    write_page(path, report)
    assert "a?b" in path.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AttentadError, match="could not be written"):
        write_page(tmp_path / "file" / "page.html", Report("t", (), []))


def test_large_reports_stay_small(tmp_path: Path) -> None:
    """200 videos of 400 detections, 40 true actions and 11 curves of 2000 points each."""
    rng = np.random.default_rng(0)
    classes = tuple(f"class number {i}" for i in range(20))
    time = np.linspace(0, 600, 2000)
    curves = [Curve(f"curve {i}", time, rng.random(2000)) for i in range(11)]
    videos = []
    for number in range(200):
        start = rng.uniform(0, 590, 440)
        segments = np.stack([start, start + rng.uniform(0.5, 10, 440)], axis=1)
        found = VideoDetections(segments[:400], rng.random(400), rng.integers(0, 20, 400))
        labels = tuple(classes[i] for i in rng.integers(0, 20, 40))
        truth = VideoAnnotation(segments[400:], labels)
        by_detector = {"": Found(found, curves=curves)}
        videos.append(VideoPage(f"video_{number:04d}", 600.0, None, by_detector, truth))
    path = tmp_path / "page.html"
    write_page(path, Report("large", classes, videos))
    assert path.stat().st_size < 10_000_000
