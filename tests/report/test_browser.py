"""The page in a real Chromium. Every test also fails on console noise, dialogs and requests."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from attentad.core import VideoAnnotation, VideoDetections, as_segments, no_detections
from attentad.core.found import Curve, Found
from attentad.report import Report, VideoPage, write_page

Open = Callable[..., Page]
CLASSES = ("jump", "run")
EVALUATION = {
    "protocol": "activitynet",
    "tiou": [0.3, 0.5],
    "mAP": {"0.3": 0.75, "0.5": 0.5},
    "average_mAP": 0.625,
    "per_class": {
        "jump": {"AP": {"0.3": 1.0, "0.5": 0.75}, "average_AP": 0.875, "ground_truth": 2},
        "run": {"AP": {"0.3": 0.5, "0.5": 0.25}, "average_AP": 0.375, "ground_truth": 1},
    },
    "ground_truth": {"instances": 3},
}


def first_video(source: Path | None) -> VideoPage:
    found = VideoDetections(
        as_segments([[2.0, 4.0], [6.0, 8.0], [1.0, 9.0], [3.0, 3.5]]),
        np.array([0.9, 0.6, 0.3, 0.1]),
        np.array([0, 1, 0, 1]),
    )
    truth = VideoAnnotation(
        as_segments([[2.1, 4.0], [6.1, 8.0], [9.0, 9.9]]), ("jump", "run", "run")
    )
    time = np.linspace(0.05, 9.95, 100)
    start = np.exp(-((time - 2.0) ** 2))
    start[40:45] = np.nan
    curves = [
        Curve("encoder gate over time", time, 0.5 + 0.4 * np.sin(time), "attention"),
        Curve("start", time, start, "boundaries"),
        Curve("end", time, np.exp(-((time - 4.0) ** 2)), "boundaries"),
        Curve("jump", time, np.full(100, 0.5), "class scores"),
        Curve("run", time, np.full(100, np.nan), "class scores"),
    ]
    return VideoPage("first", 10.0, source, {"bmn": Found(found, curves=curves)}, truth)


def second_video(source: Path | None = None) -> VideoPage:
    found = VideoDetections(as_segments([[1.0, 2.0]]), np.array([0.7]), np.array([1]))
    return VideoPage("second", 20.0, source, {"bmn": Found(found)})


@pytest.fixture(scope="module")
def full_page(mp4: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "page.html"
    losses = {"total": [3.0, 2.0, np.nan, 1.0], "tem": [1.0, 0.8, 0.7, 0.6], "val_mAP": [0.1, 0.2]}
    facts = {"model": "model.safetensors", "command": "attentad detect"}
    videos = [first_video(mp4), second_video()]
    report = Report("Demo", CLASSES, videos, {"bmn": EVALUATION}, {"bmn": losses}, facts)
    write_page(path, report)
    return path


def rows(page: Page) -> int:
    return page.locator("#detection-rows tr").count()


def set_threshold(page: Page, value: float) -> None:
    page.locator("#threshold").fill(str(value))


def video_time(page: Page) -> float:
    return float(page.evaluate("document.getElementById('video').currentTime"))


def wait_until(page: Page, condition: str) -> None:
    """Poll from outside: inside, the page's own policy forbids evaluating text as a script."""
    for _ in range(160):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"this never came true: {condition}")


def wait_for_video(page: Page) -> None:
    wait_until(page, "document.getElementById('video').readyState >= 2")


def playhead_sec(page: Page) -> float:
    """Where the playhead stands, read off the time axis by its position on the screen."""
    return float(
        page.evaluate(
            """() => {
                const axis = document.querySelector('.axis').getBoundingClientRect();
                const line = document.getElementById('playhead').getBoundingClientRect();
                const duration = Number(document.querySelector('.axis').ariaValueMax);
                return (line.left + 0.75 - axis.left) / axis.width * duration;
            }"""
        )
    )


def test_page_opens_at_the_best_threshold(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    expect(page).to_have_title("Demo")
    assert page.locator("#threshold").input_value() == "0.6"
    assert rows(page) == 2
    assert page.inner_text("#count") == "2 of 4 shown · 2 of 3 actions found"
    assert page.locator("rect.truth").count() == 3
    assert page.locator("rect.truth.missed").count() == 1


def test_slider_filters_table_timeline_and_counts(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    for value, shown, total in ((0.0, 4, 5), (0.3, 3, 4), (0.65, 1, 2), (0.9, 1, 1)):
        set_threshold(page, value)
        assert rows(page) == shown
        assert page.locator("rect.detection").count() == shown
        assert page.inner_text("#count").startswith(f"{shown} of 4 shown")
        assert page.inner_text("#shown-total") == str(total)
        assert page.inner_text("#video-list li:first-child .counts") == f"{shown} / 3"
    page.fill("#threshold-number", "0.2")
    assert rows(page) == 3
    assert page.locator("#threshold").input_value() == "0.2"
    scores = page.locator("#detection-rows td:nth-child(4)").all_inner_texts()
    assert scores == ["0.900", "0.600", "0.300"]
    assert page.locator("rect.detection.false").count() == 1


def test_table_row_seeks_the_embedded_video(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    wait_for_video(page)
    page.locator("#detection-rows tr").nth(1).click()
    wait_until(page, "Math.abs(document.getElementById('video').currentTime - 6) < 0.01")
    assert playhead_sec(page) == pytest.approx(6.0, abs=0.05)
    assert page.locator("rect.selected").count() == 1
    assert page.locator("#now-list .detected").all_inner_texts() == ["run 0.600"]
    page.locator("#detection-rows button").first.press("Enter")
    wait_until(page, "Math.abs(document.getElementById('video').currentTime - 2) < 0.01")


def test_timeline_click_seeks(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    wait_for_video(page)
    axis = page.locator(".axis").bounding_box()
    assert axis is not None
    page.mouse.click(axis["x"] + 0.5 * axis["width"], axis["y"] + 5)
    wait_until(page, "Math.abs(document.getElementById('video').currentTime - 5) < 0.05")
    assert playhead_sec(page) == pytest.approx(5.0, abs=0.05)
    page.locator("rect.detection[data-detection='1']").click()
    wait_until(page, "Math.abs(document.getElementById('video').currentTime - 6) < 0.01")
    assert page.locator("#detection-rows tr.selected").count() == 1
    lane = page.locator(".plot.lane").first.bounding_box()
    assert lane is not None
    page.mouse.click(lane["x"] + 0.25 * lane["width"], lane["y"] + 20)
    wait_until(page, "Math.abs(document.getElementById('video').currentTime - 2.5) < 0.05")


def test_space_plays_and_the_playhead_follows(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    wait_for_video(page)
    page.keyboard.press("Space")
    wait_until(page, "document.getElementById('video').currentTime > 0.3")
    page.keyboard.press("Space")
    wait_until(page, "document.getElementById('video').paused")
    page.wait_for_timeout(100)
    assert playhead_sec(page) == pytest.approx(video_time(page), abs=0.1)


def test_arrows_step_videos_and_move_on_the_axis(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#video-name") == "second"
    assert page.locator("#video-list [aria-current]").inner_text().startswith("second")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#video-name") == "first"
    page.locator(".axis").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#video-name") == "first"
    assert page.locator(".axis").get_attribute("aria-valuenow") == "9.00"


def test_switching_to_a_video_without_picture_or_truth(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    page.locator("#video-list button").nth(1).click()
    expect(page.locator("#video-note")).to_have_text("No video file was given for this one.")
    expect(page.locator("#video")).to_be_hidden()
    assert page.locator("rect.truth").count() == 0
    assert page.locator(".key li:visible").all_inner_texts() == ["detection"]
    assert page.inner_text("#count") == "1 of 1 shown"
    page.locator("#detection-rows tr").click()
    assert playhead_sec(page) == pytest.approx(1.0, abs=0.1)
    page.locator("#previous").click()
    wait_for_video(page)
    assert rows(page) == 2
    page.reload()
    assert page.inner_text("#video-name") == "first"


def test_curves_are_drawn_with_gaps_and_toggled(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    assert page.locator(".lane-track .label").all_inner_texts() == [
        "attention",
        "boundaries",
        "class scores",
    ]
    paths = [p.get_attribute("d") or "" for p in page.locator(".lane path.curve").all()]
    assert [path.count("M") for path in paths] == [1, 2, 1, 1, 0]
    toggle = page.locator(".lane-track .toggle", has_text="start")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "false")
    assert page.locator(".lane path.curve").count() == 4
    # What is switched off stays off in the next video and back again.
    page.locator("#next").click()
    page.locator("#previous").click()
    assert page.locator(".lane path.curve").count() == 4
    page.locator(".lane-track .toggle", has_text="start").click()
    assert page.locator(".lane path.curve").count() == 5


def test_tooltip_says_label_times_and_score(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    page.locator("rect.detection[data-detection='0']").hover()
    text = page.inner_text("#tooltip")
    for part in ("jump", "2.00 – 4.00 s", "score 0.900", "tIoU 0.95"):
        assert part in text
    page.locator("rect.truth[data-truth='2']").hover()
    assert "ground truth, missed" in page.inner_text("#tooltip")
    page.locator(".plot.lane").nth(1).hover()
    assert re.search(r"start \d", page.inner_text("#tooltip"))
    page.mouse.move(2, 2)
    expect(page.locator("#tooltip")).to_be_hidden()


def test_zoom_keeps_time_and_pixels_together(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    wait_for_video(page)
    page.locator("#detection-rows tr").nth(1).click()
    before = page.locator("rect.detection[data-detection='1']").bounding_box()
    page.locator("#zoom-in").click()
    after = page.locator("rect.detection[data-detection='1']").bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] == pytest.approx(2 * before["width"], rel=0.02)
    axis = page.locator(".axis").bounding_box()
    assert axis is not None
    page.mouse.click(after["x"] - 20, axis["y"] + 5)
    wait_until(page, "document.getElementById('video').currentTime < 5.99")
    page.locator("#zoom-all").click()
    expect(page.locator("#zoom-out")).to_be_disabled()


def test_evaluation_losses_and_facts(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    table = page.locator(".evaluation tr").all_inner_texts()
    assert [line.split() for line in table] == [
        ["tIoU", "average", "0.3", "0.5", "actions"],
        ["Mean", "62.5", "75.0", "50.0", "3"],
        ["jump", "87.5", "100.0", "75.0", "2"],
        ["run", "37.5", "50.0", "25.0", "1"],
    ]
    assert page.locator(".losses figcaption").all_inner_texts() == ["Loss", "Validation"]
    lines = [p.get_attribute("d") or "" for p in page.locator(".losses path.curve").all()]
    assert [line.count("M") for line in lines] == [2, 1, 1]
    assert "epoch" in page.locator(".chart .axis-title").first.text_content()
    assert page.locator(".facts dd").all_inner_texts() == ["model.safetensors", "attentad detect"]


def test_markup_in_names_is_harmless(tmp_path: Path, open_page: Open) -> None:
    evil = "<script>alert(1)</script>"
    worse = '"><img src=x onerror=alert(2)> & <!-- \u2028'
    found = VideoDetections(as_segments([[0, 4], [5, 8]]), np.array([0.9, 0.8]), np.array([0, 1]))
    truth = VideoAnnotation(as_segments([[0, 4]]), (evil,))
    curve = Curve(worse, np.arange(3.0), np.ones(3))
    video = VideoPage(evil, 10.0, None, {"": Found(found, curves=[curve])}, truth)
    other = VideoPage(worse, 10.0, None, {"": Found(found, curves=[curve])}, truth)
    path = tmp_path / "page.html"
    evaluation = {"mAP": {evil: 0.1}, "protocol": worse, "per_class": {worse: {}}}
    losses = {"": {worse: [1.0]}}
    videos = [video, other]
    write_page(path, Report(evil, (evil, worse), videos, {"": evaluation}, losses, {evil: worse}))
    page = open_page(path)
    set_threshold(page, 0.0)
    assert page.inner_text("h1") == evil
    assert page.inner_text("#video-name") == evil
    assert page.locator(".class-name .name").all_text_contents() == [evil, worse]
    assert evil in (page.locator("#detection-rows tr").first.text_content() or "")
    page.locator("rect.detection").first.hover()
    assert evil in page.inner_text("#tooltip")
    page.locator("#next").click()
    assert page.locator("#video-name").text_content() == worse
    assert page.locator("img").count() == 0
    assert page.locator("script:not([type])").count() == 1


def test_only_the_pages_own_script_may_run(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.body.append(script);
        }"""
    )
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in text for text in open_page.noise)
    open_page.noise.clear()


def test_linked_video_plays_and_a_lost_one_is_explained(
    mp4: Path, tmp_path: Path, open_page: Open
) -> None:
    (tmp_path / "my videos").mkdir()
    clip = Path(shutil.copy(mp4, tmp_path / "my videos" / "clip #1.mp4"))
    path = tmp_path / "pages" / "page.html"
    write_page(path, Report("t", CLASSES, [first_video(clip)]), embed_limit_bytes=0)
    page = open_page(path)
    wait_for_video(page)
    assert page.evaluate("document.getElementById('video').videoWidth") == 96
    page.locator("#detection-rows tr").first.click()
    wait_until(page, "Math.abs(document.getElementById('video').currentTime - 2) < 0.01")
    clip.unlink()
    page.reload()
    expect(page.locator("#video-note")).to_contain_text("was not found beside this page")
    assert page.locator("rect.detection").count() == 2
    page.locator("#detection-rows tr").first.click()
    assert playhead_sec(page) == pytest.approx(2.0, abs=0.05)
    assert all("ERR_FILE_NOT_FOUND" in text for text in open_page.noise)
    open_page.noise.clear()


def test_damaged_video_is_explained(mp4: Path, tmp_path: Path, open_page: Open) -> None:
    path = tmp_path / "page.html"
    write_page(path, Report("t", CLASSES, [first_video(mp4)]))
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'(id="media-0">).{2000}', r"\1" + "A" * 2000, text), encoding="utf-8")
    page = open_page(path)
    expect(page.locator("#video-note")).to_have_text("This browser cannot play the embedded video.")
    assert page.locator("rect.detection").count() == 2


@pytest.mark.parametrize("videos", [0, 1])
def test_nothing_to_show(videos: int, tmp_path: Path, open_page: Open) -> None:
    path = tmp_path / "page.html"
    pages = [VideoPage("empty", 5.0, None, {"": Found(no_detections())})] * videos
    write_page(path, Report("Nothing", (), pages))
    page = open_page(path)
    if videos:
        assert page.inner_text("#count") == "0 of 0 shown"
        expect(page.locator("#detections-more")).to_have_text("Nothing was detected in this video.")
        expect(page.locator("#threshold")).to_be_disabled()
        page.locator(".axis").click()
    else:
        expect(page.locator("#no-videos")).to_be_visible()
        expect(page.locator("#viewer")).to_be_hidden()


def test_one_frame_one_class_one_point(tmp_path: Path, open_page: Open) -> None:
    found = VideoDetections(as_segments([[0, 0.04]]), np.array([1e-5]), np.array([-1]))
    curve = Curve("start", np.array([0.02]), np.array([0.3]))
    path = tmp_path / "page.html"
    video = VideoPage("v", 0.04, None, {"": Found(found, curves=[curve])})
    write_page(path, Report("t", (), [video]))
    page = open_page(path)
    assert rows(page) == 1
    assert page.locator("#detection-rows td").all_inner_texts()[0] == "action"
    assert page.locator(".lane path.curve").get_attribute("d").startswith("M")


def test_narrow_screen_and_dark_scheme(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page, viewport={"width": 390, "height": 844}, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert background == "rgb(14, 18, 23)"
    wide = page.locator(".axis").bounding_box()
    assert wide is not None
    assert wide["width"] > 300
    page.set_viewport_size({"width": 700, "height": 844})
    wait_until(page, "document.querySelector('.axis').viewBox.baseVal.width > 400")


def test_fields_keep_their_keys(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    page.locator("#threshold").focus()
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#video-name") == "first"
    assert page.evaluate("document.getElementById('video').paused")


def test_after_a_click_space_plays(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page)
    for target in ("#video-list button >> nth=0", "#detection-rows button >> nth=1", "#zoom-in"):
        page.locator(target).click()
        wait_for_video(page)
        page.keyboard.press("Space")
        wait_until(page, "!document.getElementById('video').paused")
        page.keyboard.press("Space")
        wait_until(page, "document.getElementById('video').paused")
    assert page.locator(".track").count() > 0


def test_an_address_can_name_video_and_second(full_page: Path, open_page: Open) -> None:
    page = open_page(full_page, "#first&t=7.5")
    wait_until(page, "Math.abs(document.getElementById('video').currentTime - 7.5) < 0.01")
    assert playhead_sec(page) == pytest.approx(7.5, abs=0.05)
    page = open_page(full_page, "#second&t=3")
    assert page.inner_text("#video-name") == "second"
    assert playhead_sec(page) == pytest.approx(3.0, abs=0.05)
    page = open_page(full_page, "#%E0%A4%A&t=x")
    assert page.inner_text("#video-name") == "first"


def test_figures_are_pictures_that_can_do_nothing(open_page: Open, tmp_path: Path) -> None:
    """The page's policy holds, styled SVG is drawn all the same, and its scripts stay dead."""
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 40 20' width='40pt' height='20pt'>"
        "<script>document.title = 'run'; alert(1)</script>"
        "<rect style='fill: rgb(0, 158, 115)' width='40' height='20'/></svg>"
    )
    path = tmp_path / "page.html"
    title = "Errors <b>by type</b>"
    write_page(path, Report("t", CLASSES, [], figures={title: svg, "Plain": svg}))
    page = open_page(path)
    figures = page.locator(".figures img")
    expect(figures).to_have_count(2)
    expect(figures.first).to_have_attribute("alt", title)
    expect(page.locator(".figures figcaption").first).to_have_text(title)
    assert page.title() == "t"
    colour = page.evaluate(
        """() => {
          const picture = document.querySelector(".figures img");
          const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 20 });
          const pen = canvas.getContext("2d");
          pen.drawImage(picture, 0, 0, 40, 20);
          return [...pen.getImageData(20, 10, 1, 1).data];
        }"""
    )
    assert colour == [0, 158, 115, 255]
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(overflow) <= 0


def test_no_figures_no_section(open_page: Open, full_page: Path) -> None:
    expect(open_page(full_page).locator(".figures")).to_have_count(0)
