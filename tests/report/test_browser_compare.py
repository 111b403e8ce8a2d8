"""The page of several detectors in a real Chromium; see test_browser for that of one."""

from __future__ import annotations

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
WEAK = "weak <b>&"


def evaluation(value: float) -> dict:
    values = {"AP": {"0.5": value}, "average_AP": value, "ground_truth": 2}
    classes = dict.fromkeys(CLASSES, values)
    return {"mAP": {"0.5": value}, "average_mAP": value, "per_class": classes}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "page.html"
    full = VideoDetections(
        as_segments([[2, 4], [6, 8], [1, 9]]), np.array([0.9, 0.6, 0.1]), np.array([0, 1, 0])
    )
    weak = VideoDetections(
        as_segments([[2.1, 4], [0, 1], [7, 9.5]]), np.array([3.0, -0.5, -2.0]), np.array([0, 0, 1])
    )
    truth = VideoAnnotation(as_segments([[2, 4], [6, 8]]), CLASSES)
    time = np.linspace(0, 10, 50)
    gate = Curve("encoder gate", time, np.sin(time) ** 2, "attention")
    attentions = [
        Curve("soft attention", time, np.cos(time) ** 2, "attention"),
        Curve("hard attention", time, np.round(np.cos(time) ** 2), "attention"),
    ]
    found = {"full": Found(full, curves=[gate]), WEAK: Found(weak, curves=attentions)}
    first = VideoPage("first", 10.0, None, found, truth)
    second = VideoPage("second", 5.0, None, {"full": Found(no_detections()), WEAK: Found(weak[:1])})
    report = Report(
        "Two",
        CLASSES,
        [first, second],
        evaluations={"full": evaluation(0.5), WEAK: evaluation(0.25)},
        losses={"full": {"total": [2.0, 1.0]}, WEAK: {"total": [3.0], "val_mAP": [0.1]}},
    )
    write_page(path, report)
    return path


def bars(page: Page, detector: int) -> int:
    return page.locator(f"rect.detection[data-detector='{detector}']").count()


def switch(page: Page, detector: int) -> None:
    page.locator("#thresholds .toggle").nth(detector).click()


def test_a_lane_for_each_detector_under_the_truth(compared: Path, open_page: Open) -> None:
    page = open_page(compared)
    # Each begins at its best F1: 0.6 and, on a scale of its own, 3.
    assert (bars(page, 0), bars(page, 1)) == (2, 1)
    row = page.locator(".class-row").first
    truth, full, weak = (
        row.locator(of).first.bounding_box()
        for of in ("rect.truth", "[data-detector='0']", "[data-detector='1']")
    )
    assert truth is not None
    assert full is not None
    assert weak is not None
    assert truth["y"] + truth["height"] <= full["y"]
    assert full["y"] + full["height"] <= weak["y"]
    # In front of each lane stands its detector's mark, and shapes differ.
    marks = [mark.get_attribute("d") for mark in row.locator("path.glyph").all()]
    assert len(set(marks)) == 2
    box = row.locator("path.glyph").nth(1).bounding_box()
    assert box is not None
    assert weak["y"] <= box["y"] + box["height"] / 2 <= weak["y"] + weak["height"]
    assert row.get_attribute("aria-label") == (
        f"jump: full 1 detection, {WEAK} 1 detection, 1 true action"
    )
    assert page.locator("#key .detector").all_inner_texts() == ["full", WEAK]
    assert page.inner_text("#count") == "2 of 3 shown · 2 of 2 actions found"


def test_every_slider_has_the_scale_of_its_detector(compared: Path, open_page: Open) -> None:
    page = open_page(compared)
    ranges = page.evaluate(
        """() => [...document.querySelectorAll("#thresholds input[type=range]")]
            .map((input) => [input.min, input.max, input.value].map(Number))"""
    )
    assert ranges == [[0, 0.9, 0.6], [-2, 3, 3]]
    assert "its lowest score where that is below 0" in page.inner_text(".scales")
    assert "F1" in page.inner_text(".scales")
    page.locator("#threshold-2").fill("-0.5")
    assert (bars(page, 0), bars(page, 1)) == (2, 2)
    page.fill("#threshold-number-2", "-2")
    assert (bars(page, 0), bars(page, 1)) == (2, 3)
    # A bar is the stronger the higher its score stands on that scale.
    strength = page.evaluate(
        """() => [0, 1, 2].map((i) => Number(document
            .querySelector(`rect[data-detector="1"][data-detection="${i}"]`)
            .style.getPropertyValue("--strength")))"""
    )
    assert strength == pytest.approx([1.0, 0.45 + 0.55 * 1.5 / 5, 0.45], abs=0.01)
    # A true action is missed where no detector that is on finds it.
    assert page.locator("rect.truth.missed").count() == 0
    page.locator("#threshold").fill("0.7")
    assert page.locator("rect.truth.missed").count() == 1
    page.locator("#threshold").fill("0.9")
    assert (bars(page, 0), bars(page, 1)) == (1, 3)
    assert page.inner_text("#video-list li:first-child .counts") == "1 · 3 / 2"
    assert page.inner_text("#shown-total") == "5"
    # The jump was found by both: it is still found when one of them is off.
    switch(page, 0)
    assert page.locator("rect.truth.missed").count() == 1
    switch(page, 1)
    assert page.locator("rect.truth.missed").count() == 2


def test_detectors_are_switched_off_and_on(compared: Path, open_page: Open) -> None:
    page = open_page(compared)
    height = page.locator(".class-row").first.bounding_box()
    assert page.locator(".lane-track .label").all_inner_texts() == [
        "full: attention",
        f"{WEAK}: attention",
    ]
    assert page.locator(".lane").nth(1).locator("path.curve").count() == 2
    switch(page, 0)
    expect(page.locator("#thresholds .toggle").first).to_have_attribute("aria-pressed", "false")
    assert (bars(page, 0), bars(page, 1)) == (0, 1)
    lower = page.locator(".class-row").first.bounding_box()
    assert height is not None
    assert lower is not None
    assert lower["height"] < height["height"]
    assert page.locator(".lane-track .label").all_inner_texts() == [f"{WEAK}: attention"]
    # The table lists a detector that is on.
    expect(page.locator("#listed button").first).to_be_disabled()
    assert page.inner_text("#count") == "1 of 3 shown · 1 of 2 actions found"
    switch(page, 1)
    assert page.locator("rect.detection").count() == 0
    expect(page.locator("#detections-more")).to_have_text("Every detector is switched off.")
    assert page.inner_text("#shown-total") == "0"
    page.locator("#next").click()
    page.locator("#previous").click()
    switch(page, 0)
    switch(page, 1)
    assert (bars(page, 0), bars(page, 1)) == (2, 1)


def test_table_tooltip_and_playhead_name_the_detector(compared: Path, open_page: Open) -> None:
    page = open_page(compared)
    page.locator("#listed button").nth(1).click()
    assert page.locator("#detection-rows td:nth-child(4)").all_inner_texts() == ["3.000"]
    page.locator("#detection-rows tr").first.click()
    selected = page.locator("rect.selected")
    expect(selected).to_have_attribute("data-detector", "1")
    assert selected.count() == 1
    assert page.locator("#now-list .detected").all_inner_texts() == ["jump 0.900", "jump 3.000"]
    assert page.locator("#now-list .glyph").count() == 2
    selected.hover()
    assert WEAK in page.inner_text("#tooltip")
    # A bar of the other detector lists that one.
    page.locator("rect.detection[data-detector='0']").first.click()
    expect(page.locator("#listed button").first).to_have_attribute("aria-pressed", "true")
    assert page.locator("#detection-rows tr.selected").count() == 1
    page.locator("rect.truth").nth(1).hover()
    text = page.inner_text("#tooltip")
    assert "found by full" in text
    assert f"missed by {WEAK}" in text


def test_map_and_losses_of_each(compared: Path, open_page: Open) -> None:
    page = open_page(compared)
    lines = page.locator(".evaluation tr").all_inner_texts()
    assert [line.split("\t") for line in lines] == [
        ["tIoU", "detector", "average", "0.5", "actions"],
        ["Mean", "full", "50.0", "50.0", "–"],
        [WEAK, "25.0", "25.0"],
        ["jump", "full", "50.0", "50.0", "2"],
        [WEAK, "25.0", "25.0"],
        ["run", "full", "50.0", "50.0", "2"],
        [WEAK, "25.0", "25.0"],
    ]
    names = page.locator(".headline .lead dt").all_inner_texts()
    assert [name.lower() for name in names] == ["average map, full", f"average map, {WEAK}"]
    assert page.locator(".headline .lead dd").all_inner_texts() == ["50.0%", "25.0%"]
    assert page.locator(".losses figcaption").all_inner_texts() == [
        "full: Loss",
        f"{WEAK}: Loss",
        f"{WEAK}: Validation",
    ]


def test_a_video_without_truth_and_a_narrow_screen(compared: Path, open_page: Open) -> None:
    page = open_page(compared, "#second", viewport={"width": 390, "height": 844})
    assert page.inner_text("#video-name") == "second"
    assert (bars(page, 0), bars(page, 1)) == (0, 1)
    assert page.inner_text("#count") == "0 of 0 shown"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.locator("path.glyph").first.bounding_box()
    assert box is not None
    assert box["x"] >= 0


def test_many_detectors_with_long_names_fit(tmp_path: Path, open_page: Open) -> None:
    found = VideoDetections(as_segments([[1, 2]]), np.array([0.5]), np.array([0]))
    names = ["a", *(f"detector with a rather long name, number {i}" for i in range(8))]
    path = tmp_path / "page.html"
    video = VideoPage("v", 9.0, None, dict.fromkeys(names, Found(found)))
    write_page(path, Report("t", CLASSES, [video]))
    page = open_page(path)
    assert page.locator("rect.detection").count() == 9
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert "F1" not in page.inner_text(".scales")
    assert "" not in page.locator("#key .detector").all_inner_texts()
