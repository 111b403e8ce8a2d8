"""The page's data: rounded, thinned, safe inside a script element."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import VideoAnnotation, VideoDetections, as_segments, no_detections
from attentad.report import Curve, Report, VideoPage
from attentad.report.media import Media
from attentad.report.payload import (
    DETECTIONS_PER_VIDEO,
    page_data,
    plain_text,
    round_down,
    script_json,
    significant,
    thinned,
)

NONE = Media("none", note="No file.")
VALUES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, -3.0, math.nan, math.inf]), max_size=120)


def data_of(*videos: VideoPage, classes: tuple[str, ...] = ("a", "b"), **more: object) -> dict:
    report = Report("t", classes, list(videos), **more)  # type: ignore[arg-type]
    return json.loads(script_json(page_data(report, [NONE] * len(videos))))


def detections(*rows: tuple[float, float, float, int]) -> VideoDetections:
    return VideoDetections(
        as_segments([row[:2] for row in rows]),
        np.array([row[2] for row in rows], dtype=np.float64),
        np.array([row[3] for row in rows], dtype=np.int64),
    )


def slow_thinned(values: list[float], points: int) -> list[int]:
    if len(values) <= points:
        return list(range(len(values)))
    size = math.ceil(len(values) / (points // 2))
    kept = set()
    for first in range(0, len(values), size):
        rows = range(first, min(first + size, len(values)))
        missing = [row for row in rows if not math.isfinite(values[row])]
        known = [row for row in rows if math.isfinite(values[row])]
        kept.update(missing[:1])
        if known:
            kept.add(min(known, key=lambda row: values[row]))
            kept.add(max(known, key=lambda row: values[row]))
    # A stretch without any value is one gap: its first sample stands for it.
    return sorted(kept)


def test_detections_fall_by_score_and_know_their_overlap():
    truth = VideoAnnotation(as_segments([[0, 4], [6, 8]]), ("a", "b"))
    found = detections((6, 9, 0.2, 1), (0, 5, 0.9, 0), (0, 5, 0.5, 1))
    video = data_of(VideoPage("v", 10.0, None, found, truth))["videos"][0]
    assert video["detections"] == [
        {
            "start": [0.0, 0.0, 6.0],
            "end": [5.0, 5.0, 9.0],
            "score": [0.9, 0.5, 0.2],
            "label": [0, 1, 1],
            "omitted": 0,
            "overlap": [0.8, 0.0, 0.67],
            "foundBy": [0, 2],
        }
    ]
    assert video["truth"] == {"start": [0.0, 6.0], "end": [4.0, 8.0], "label": [0, 1]}


def test_no_ground_truth_differs_from_no_instances():
    none = data_of(VideoPage("v", 10.0, None, detections((0, 1, 0.5, 0)), None))["videos"][0]
    empty = VideoAnnotation(as_segments([]), ())
    some = data_of(VideoPage("v", 10.0, None, detections((0, 1, 0.5, 0)), empty))["videos"][0]
    assert none["truth"] is None
    assert some["truth"] == {"start": [], "end": [], "label": []}
    assert "foundBy" not in none["detections"][0]
    assert some["detections"][0]["foundBy"] == []
    assert "overlap" not in some["detections"][0]


def test_labels_beyond_the_classes_are_named():
    truth = VideoAnnotation(as_segments([[0, 4]]), ("rare",))
    found = detections((0, 4, 0.5, -1), (0, 4, 0.4, 1))
    data = data_of(VideoPage("v", 10.0, None, found, truth))
    assert data["classes"] == ["a", "b", "rare", "action"]
    (columns,) = data["videos"][0]["detections"]
    assert columns["label"] == [3, 1]
    assert columns["foundBy"] == [0]
    assert data["videos"][0]["truth"] == {"start": [0.0], "end": [4.0], "label": [2]}


def test_empty_report_and_empty_video():
    assert data_of()["videos"] == []
    data = data_of(VideoPage("v", math.nan, None, no_detections(), None))
    assert data["videos"][0]["duration"] == 1.0
    assert data["detectors"] == [{"name": "", "threshold": 0.0, "range": [0.0, 0.0]}]


def test_unknown_duration_is_the_last_end():
    truth = VideoAnnotation(as_segments([[0, 7]]), ("a",))
    found = detections((0, 5, 0.5, 0), (0, math.inf, 0.5, 0))
    video = data_of(VideoPage("v", 0.0, None, found, truth))["videos"][0]
    assert video["duration"] == 7.0
    assert video["detections"][0]["end"] == [5.0]


def test_only_the_highest_scores_enter_and_the_rest_is_counted():
    many = DETECTIONS_PER_VIDEO + 5
    found = VideoDetections(
        np.tile([0.0, 1.0], (many, 1)), np.arange(many, dtype=float), np.zeros(many, dtype=int)
    )
    video = data_of(VideoPage("v", 10.0, None, found, None))["videos"][0]
    assert video["detections"][0]["omitted"] == 5
    assert video["detections"][0]["score"][-1] == 5.0


def test_values_that_are_not_finite_become_null():
    curve = Curve("gate", np.array([0.0, 1.0, 2.0]), np.array([0.5, math.nan, math.inf]))
    data = data_of(
        VideoPage("v", 3.0, None, no_detections(), None, [curve]), losses={"total": [1.0, math.nan]}
    )
    assert data["videos"][0]["curves"][0]["value"] == [0.5, None, None]
    assert data["losses"] == [{"detector": "", "terms": {"total": [1.0, None]}}]


def test_curves_are_grouped_by_what_shares_an_axis():
    time = np.zeros(1)
    names = ["a", "start", "end", "encoder gate over time", "speed"]
    curves = [Curve(name, time, time) for name in names] + [Curve("x", time, time, "mine")]
    video = data_of(VideoPage("v", 3.0, None, no_detections(), None, curves))["videos"][0]
    groups = [curve["group"] for curve in video["curves"]]
    assert groups == ["class scores", "boundaries", "boundaries", "attention", "curves", "mine"]
    assert [curve["label"] for curve in video["curves"]] == [0, -1, -1, -1, -1, -1]


def test_each_detector_has_its_columns_matches_and_scale():
    truth = VideoAnnotation(as_segments([[0, 4], [6, 8]]), ("a", "b"))
    first = VideoPage(
        "v",
        10.0,
        None,
        detections((0, 4, 0.9, 0), (6, 8, 0.3, 0)),
        truth,
        detector="full",
        compared={"weak": detections((6, 8, -0.12341, 1), (0, 1, -2.0, 0))},
    )
    only_weak = detections((0, 1, 1.5, -1), (0, 12, -3.3335, 0))
    second = VideoPage("w", 0.0, None, only_weak, detector="weak")
    data = data_of(first, second)
    assert data["detectors"] == [
        {"name": "full", "threshold": 0.9, "range": [0.0, 0.9]},
        {"name": "weak", "threshold": -0.124, "range": [-3.34, 1.5]},
    ]
    assert data["classes"] == ["a", "b", "action"]
    full, weak = data["videos"][0]["detections"]
    assert (full["foundBy"], weak["foundBy"]) == ([0, -1], [-1, 0])
    assert (full["overlap"], weak["overlap"]) == ([1.0, 0.0], [1.0, 0.25])
    assert weak["score"] == [-0.1234, -2.0]
    # A video that a detector never saw: nothing is detected there.
    full, weak = data["videos"][1]["detections"]
    assert full == {"start": [], "end": [], "score": [], "label": [], "omitted": 0}
    assert weak["label"] == [2, 0]
    assert data["videos"][1]["duration"] == 12.0


def test_a_slider_begins_where_the_score_of_the_page_still_passes():
    """The page's scores are rounded, those below 0 too: its threshold may not be above them."""
    found = detections((0, 4, -0.34567, 0))
    truth = VideoAnnotation(as_segments([[0, 4]]), ("a",))
    data = data_of(VideoPage("v", 9.0, None, found, truth))
    score = data["videos"][0]["detections"][0]["score"][0]
    assert data["detectors"][0]["threshold"] <= score
    assert data["detectors"][0]["range"][0] <= score


def test_curves_of_a_detector_have_panels_of_their_own():
    time = np.zeros(1)
    curves = [
        Curve("soft attention", time, time, detector="weak"),
        Curve("hard attention", time, time, detector="weak"),
        Curve("encoder gate", time, time, detector="full"),
        Curve("a", time, time, "mine", detector="full"),
        Curve("start", time, time),
        Curve("end", time, time, detector="who"),
    ]
    page = VideoPage(
        "v", 3.0, None, no_detections(), None, curves, "full", {"weak": no_detections()}
    )
    shown = data_of(page)["videos"][0]["curves"]
    assert [(curve["group"], curve["detector"]) for curve in shown] == [
        ("weak: attention", 1),
        ("weak: attention", 1),
        ("full: attention", 0),
        ("full: mine", 0),
        ("boundaries", -1),
        ("who: boundaries", -1),
    ]
    assert shown[3]["label"] == 0


def test_losses_are_kept_by_detector():
    data = data_of(detector_losses={"full": {"total": [2.0]}, "weak": {"total": [1.0], "none": []}})
    assert data["losses"] == [
        {"detector": "full", "terms": {"total": [2.0]}},
        {"detector": "weak", "terms": {"total": [1.0]}},
    ]


@pytest.mark.parametrize("names", [("", "weak"), ("weak", "weak"), ("full", "")])
def test_each_of_several_detectors_needs_a_name(names):
    with pytest.raises(ValueError, match="video v: each of several detectors needs a name"):
        VideoPage(
            "v", 3.0, None, no_detections(), detector=names[0], compared={names[1]: no_detections()}
        )


def test_a_curve_needs_as_many_times_as_values():
    with pytest.raises(ValueError, match="curve gate"):
        Curve("gate", np.zeros(3), np.zeros(2))


def test_json_cannot_leave_its_element():
    text = script_json({"a": "</script><!-- \u2028\u2029 & <b>"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"a": "</script><!-- \u2028\u2029 & <b>"}


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_any_text_survives_the_trip(text):
    assert json.loads(script_json(plain_text(text))) == text


def test_half_a_surrogate_pair_does_not_break_the_page():
    assert plain_text("a\udc80b") == "a?b"


@settings(max_examples=80, deadline=None)
@given(VALUES, st.integers(2, 40))
def test_thinning_keeps_peaks_and_gaps(values, points):
    value = np.array(values)
    rows = thinned(value, points)
    assert rows.tolist() == slow_thinned(values, points)
    assert len(rows) <= max(points, 3 * points / 2)
    finite = value[np.isfinite(value)]
    kept = value[rows]
    if len(finite):
        assert kept[np.isfinite(kept)].max() == finite.max()
        assert kept[np.isfinite(kept)].min() == finite.min()
    assert (~np.isfinite(value)).any() == (~np.isfinite(kept)).any()


def test_numbers_keep_their_meaning():
    assert significant([0.00012345678, 123456.0, 0.0]) == [0.0001235, 123500.0, 0.0]
    assert round_down(0.56789) == 0.567
    assert round_down(0.5) == 0.5
    assert round_down(-0.3) == -0.3
    assert round_down(-0.12341) == -0.124
    assert round_down(math.nan) == 0.0


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-9, 1e6), st.sampled_from([-1, 1]))
def test_rounding_down_never_rises(size, sign):
    value = sign * size
    assert value - 0.02 * size <= round_down(value) <= value + 1e-9 * size
