"""The page of long recordings in a real Chromium: times, names, crowds, and no picture."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from attentad.core import VideoAnnotation, VideoDetections, as_segments, no_detections
from attentad.core.found import Found, Profile
from attentad.report import Report, VideoPage, write_page
from attentad.video import frames, write_video

Open = Callable[..., Page]
NAME = "2024-05-17_cage-07_left-camera_mouse-0312_treatment-B_session-{:02d}.mp4"
HOURS = 3


def crowd(count: int) -> Found:
    rng = np.random.default_rng(0)
    start = rng.uniform(0, HOURS * 3600 - 30, count)
    segments = as_segments(np.stack([start, start + rng.uniform(1, 20, count)], axis=1))
    scores = -np.sort(-rng.uniform(0.5, 1.0, count))
    return Found(VideoDetections(segments, scores, rng.integers(0, 2, count)))


def long_video(source: Path | None = None, truth: VideoAnnotation | None = None) -> VideoPage:
    return VideoPage(NAME.format(1), HOURS * 3600.0, source, {"": crowd(4000)}, truth)


def wait_until(node: Locator, condition: str) -> None:
    for _ in range(160):
        if node.evaluate(condition):
            return
        node.page.wait_for_timeout(50)
    pytest.fail(f"this never came true: {condition}")


def open_report(tmp_path: Path, open_page: Open, *videos: VideoPage, width: int = 1280) -> Page:
    path = tmp_path / "page.html"
    write_page(path, Report("Long", ("grooming", "rearing"), videos))
    return open_page(path, viewport={"width": width, "height": 900})


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An AVI, which no browser plays."""
    path = tmp_path / "old.avi"
    write_video(path, [np.zeros((32, 32, 3), np.uint8)] * 5, 5.0)
    return path


@pytest.mark.parametrize("width", [1280, 700])
def test_why_no_video_of_the_page_can_be_played_is_seen(
    width: int, old: Path, tmp_path: Path, open_page: Open
) -> None:
    page = open_report(tmp_path, open_page, long_video(old), width=width)
    note = page.locator("#video-note")
    expect(note).to_be_visible()
    expect(note).to_contain_text("Browsers do not play old.avi (h264 in AVI)")
    expect(page.locator("#video")).to_be_hidden()
    expect(page.locator("#clock")).to_be_visible()
    assert page.locator("#detection-rows tr").first.is_visible()


def test_without_any_file_there_is_no_screen(tmp_path: Path, open_page: Open) -> None:
    page = open_report(tmp_path, open_page, long_video())
    expect(page.locator(".screen")).to_be_hidden()
    assert page.locator("#detection-rows tr").first.is_visible()


def test_long_names_give_way_in_their_middle(tmp_path: Path, open_page: Open) -> None:
    names = [NAME.format(number) for number in (1, 2)]
    videos = [VideoPage(name, 10.0, None, {"": Found(no_detections())}) for name in names]
    page = open_report(tmp_path, open_page, *videos)
    shown = page.locator("#video-list .name")
    assert shown.all_text_contents() == names
    assert [item.get_attribute("title") for item in shown.all()] == names
    ends = page.locator("#video-list .name .tail")
    assert ends.all_text_contents() == [name[-12:] for name in names]
    for item in shown.all():
        inside, cut = item.bounding_box(), item.locator(".tail").bounding_box()
        assert inside is not None
        assert cut is not None
        assert cut["x"] + cut["width"] <= inside["x"] + inside["width"] + 1
        head = item.locator(".head")
        assert head.evaluate("node => node.scrollWidth > node.clientWidth"), "an ellipsis"


def test_a_crowd_begins_readable_and_is_listed_page_by_page(
    tmp_path: Path, open_page: Open
) -> None:
    page = open_report(tmp_path, open_page, long_video())
    shown = page.locator("rect.detection").count()
    assert 400 <= shown <= 420  # the threshold is rounded down
    assert page.locator("#count").inner_text() == f"{shown} of 4000 shown"
    assert page.locator("#detection-rows tr").count() == 200
    expect(page.locator("#detections-more")).to_contain_text(f"200 highest of {shown} are listed")
    page.locator("#detections-next").click()
    assert page.locator("#detection-rows tr").count() == 400
    page.locator("#detections-next").click()
    assert page.locator("#detection-rows tr").count() == shown
    expect(page.locator("#detections-next")).to_be_hidden()
    page.locator("#threshold").fill("0")
    assert page.locator("rect.detection").count() == 3000
    expect(page.locator("#detections-more")).to_contain_text("1000 lower scores left out")
    page.locator("rect.detection[data-detection='777']").dispatch_event(
        "pointerdown", {"button": 0}
    )
    assert page.locator("#detection-rows tr").count() == 800
    expect(page.locator("#detection-rows tr.selected")).to_have_attribute("data-detection", "777")


def test_narrow_bars_without_a_match_have_no_outline(tmp_path: Path, open_page: Open) -> None:
    truth = VideoAnnotation(as_segments([[100.0, 110.0]]), ("rearing",))
    page = open_report(tmp_path, open_page, long_video(truth=truth))
    slim = page.locator("rect.detection.slim")
    assert slim.count() > 100
    assert slim.first.evaluate("node => getComputedStyle(node).stroke") == "none"
    for _ in range(10):
        page.locator("#zoom-in").click()
    assert page.locator("rect.detection.slim").count() == 0


def test_gates_of_channels_have_an_axis_of_their_own(tmp_path: Path, open_page: Open) -> None:
    profile = Profile("encoder gate <b>over channels", np.array([0.2, 0.9, 0.4]))
    page = open_report(
        tmp_path,
        open_page,
        VideoPage("se", 10.0, None, {"": Found(no_detections(), profiles=[profile])}),
        VideoPage("none", 10.0, None, {"": Found(no_detections())}),
    )
    chart = page.locator("#profiles figure")
    expect(chart.locator(".name")).to_have_text(profile.name)
    expect(chart).to_contain_text("3 channels, mean 0.5")
    expect(chart).to_contain_text("channels, highest first")
    assert chart.locator("path.curve").get_attribute("d") is not None
    page.locator("#next").click()
    expect(page.locator("#profiles")).to_be_hidden()


def test_the_page_seeks_by_the_clock_of_players(tmp_path: Path, open_page: Open) -> None:
    """Pictures that begin 1.2 s into the file: second 2 is picture 20, here and in the detector."""
    path = tmp_path / "late.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(75):
            grey = np.full((64, 64, 3), 3 * number + 10, np.uint8)
            picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
            picture.pts, picture.time_base = 30 + number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    found = Found(VideoDetections(as_segments([[2.0, 3.0]]), np.ones(1), np.zeros(1, np.int64)))
    page = open_report(tmp_path, open_page, VideoPage("late", 4.2, path, {"": found}))
    video = page.locator("#video")
    wait_until(video, "node => node.readyState >= 2")
    page.locator("#detection-rows tr").click()
    wait_until(video, "node => !node.seeking && node.currentTime === 2")
    assert page.locator("#clock").inner_text() == "2.00 / 4.20 s"
    grey = page.evaluate(
        """() => {
            const canvas = new OffscreenCanvas(64, 64).getContext("2d");
            canvas.drawImage(document.getElementById("video"), 0, 0);
            return canvas.getImageData(32, 32, 1, 1).data[1];
        }"""
    )
    assert grey == pytest.approx(3 * 20 + 10, abs=3)
    picture = list(frames(path, 25.0))[50]
    assert picture.mean() == pytest.approx(grey, abs=3)
