"""The page's data: rounded, thinned, safe inside a script element."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import VideoAnnotation, VideoDetections, as_segments, no_detections
from attentad.core.found import Curve, Found, Profile
from attentad.report import Report, VideoPage
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


def page(
    found: VideoDetections,
    truth: VideoAnnotation | None = None,
    duration_sec: float = 10.0,
    curves: tuple[Curve, ...] = (),
) -> VideoPage:
    """Video v of one detector that nobody named."""
    return VideoPage("v", duration_sec, None, {"": Found(found, curves=curves)}, truth)


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
    video = data_of(page(found, truth))["videos"][0]
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
    none = data_of(page(detections((0, 1, 0.5, 0))))["videos"][0]
    empty = VideoAnnotation(as_segments([]), ())
    some = data_of(page(detections((0, 1, 0.5, 0)), empty))["videos"][0]
    assert none["truth"] is None
    assert some["truth"] == {"start": [], "end": [], "label": []}
    assert "foundBy" not in none["detections"][0]
    assert some["detections"][0]["foundBy"] == []
    assert "overlap" not in some["detections"][0]


def test_labels_beyond_the_classes_are_named():
    truth = VideoAnnotation(as_segments([[0, 4]]), ("rare",))
    found = detections((0, 4, 0.5, -1), (0, 4, 0.4, 1))
    data = data_of(page(found, truth))
    assert data["classes"] == ["a", "b", "rare", "action"]
    (columns,) = data["videos"][0]["detections"]
    assert columns["label"] == [3, 1]
    assert columns["foundBy"] == [0]
    assert data["videos"][0]["truth"] == {"start": [0.0], "end": [4.0], "label": [2]}


def test_empty_report_and_empty_video():
    assert data_of()["videos"] == []
    data = data_of(page(no_detections(), None, math.nan))
    assert data["videos"][0]["duration"] == 1.0
    assert data["detectors"] == [{"name": "", "threshold": 0.0, "range": [0.0, 0.0]}]


def test_unknown_duration_is_the_last_end():
    truth = VideoAnnotation(as_segments([[0, 7]]), ("a",))
    found = detections((0, 5, 0.5, 0), (0, math.inf, 0.5, 0))
    video = data_of(page(found, truth, 0.0))["videos"][0]
    assert video["duration"] == 7.0
    assert video["detections"][0]["end"] == [5.0]


def test_only_the_highest_scores_enter_and_the_rest_is_counted():
    many = DETECTIONS_PER_VIDEO + 5
    found = VideoDetections(
        np.tile([0.0, 1.0], (many, 1)), np.arange(many, dtype=float), np.zeros(many, dtype=int)
    )
    video = data_of(page(found))["videos"][0]
    assert video["detections"][0]["omitted"] == 5
    assert video["detections"][0]["score"][-1] == 5.0


@pytest.mark.parametrize(("hours", "kept"), [(0.5, 1000), (3.0, 3000), (30.0, 5000)])
def test_a_long_video_keeps_more(hours, kept):
    found = VideoDetections(
        np.tile([0.0, 1.0], (6000, 1)), np.arange(6000, dtype=float), np.zeros(6000, dtype=int)
    )
    video = data_of(page(found, duration_sec=3600 * hours))["videos"][0]
    assert len(video["detections"][0]["score"]) == kept
    assert video["detections"][0]["omitted"] == 6000 - kept


def test_profiles_fall_and_are_thinned():
    found = Found(no_detections(), profiles=[Profile("gate", np.array([0.2, math.nan, 0.9]))])
    many = Found(no_detections(), profiles=[Profile("many", np.arange(1000.0))])
    empty = Found(no_detections(), profiles=[Profile("empty", np.zeros(0))])
    videos = [VideoPage("v", 1.0, None, {"": item}) for item in (found, many, empty)]
    shown = [video["profiles"][0] for video in data_of(*videos)["videos"]]
    gate = {"name": "gate", "detector": 0, "count": 3, "mean": 0.55, "value": [0.9, 0.2]}
    assert shown[0] == gate
    assert len(shown[1]["value"]) == 128
    assert shown[1]["value"][0] == 999.0
    assert shown[1]["value"][-1] == 0.0
    assert shown[2] == {"name": "empty", "detector": 0, "count": 0, "mean": None, "value": []}


def test_values_that_are_not_finite_become_null():
    curve = Curve("gate", np.array([0.0, 1.0, 2.0]), np.array([0.5, math.nan, math.inf]))
    data = data_of(page(no_detections(), curves=(curve,)), losses={"": {"total": [1.0, math.nan]}})
    assert data["videos"][0]["curves"][0]["value"] == [0.5, None, None]
    assert data["losses"] == [{"detector": 0, "terms": {"total": [1.0, None]}}]


def test_only_class_scores_have_the_colour_of_a_class():
    time = np.zeros(1)
    curves = (Curve("a", time, time, "class scores"), Curve("a", time, time, "attention"))
    shown = data_of(page(no_detections(), curves=curves))["videos"][0]["curves"]
    assert [(curve["kind"], curve["label"]) for curve in shown] == [
        ("class scores", 0),
        ("attention", -1),
    ]


def test_each_detector_has_its_columns_matches_and_scale():
    truth = VideoAnnotation(as_segments([[0, 4], [6, 8]]), ("a", "b"))
    first = VideoPage(
        "v",
        10.0,
        None,
        {
            "full": Found(detections((0, 4, 0.9, 0), (6, 8, 0.3, 0))),
            "weak": Found(detections((6, 8, -0.12341, 1), (0, 1, -2.0, 0))),
        },
        truth,
    )
    only_weak = detections((0, 1, 1.5, -1), (0, 12, -3.3335, 0))
    second = VideoPage("w", 0.0, None, {"weak": Found(only_weak)})
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
    data = data_of(page(found, truth, 9.0))
    score = data["videos"][0]["detections"][0]["score"][0]
    assert data["detectors"][0]["threshold"] <= score
    assert data["detectors"][0]["range"][0] <= score


def test_curves_and_losses_are_kept_by_detector():
    time = np.zeros(1)
    found = {
        "full": Found(no_detections(), curves=[Curve("gate", time, time, "attention")]),
        "weak": Found(no_detections(), curves=[Curve("start", time, time, "boundaries")]),
    }
    data = data_of(
        VideoPage("v", 3.0, None, found),
        losses={"weak": {"total": [1.0], "none": []}, "third": {"total": [2.0]}},
    )
    shown = data["videos"][0]["curves"]
    assert [(curve["detector"], curve["kind"], curve["name"]) for curve in shown] == [
        (0, "attention", "gate"),
        (1, "boundaries", "start"),
    ]
    assert [detector["name"] for detector in data["detectors"]] == ["full", "weak", "third"]
    assert data["losses"] == [
        {"detector": 1, "terms": {"total": [1.0]}},
        {"detector": 2, "terms": {"total": [2.0]}},
    ]


def test_each_of_several_detectors_needs_a_name():
    both = {"": Found(no_detections()), "weak": Found(no_detections())}
    with pytest.raises(ValueError, match="t: each of several detectors needs a name"):
        Report("t", (), [VideoPage("v", 3.0, None, both)])
    with pytest.raises(ValueError, match="needs a name"):
        Report("t", (), [page(no_detections())], losses={"weak": {"total": [1.0]}})


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
    assert round_down(0.102) == 0.102
    assert round_down(-0.3) == -0.3
    assert round_down(-0.12341) == -0.124
    assert round_down(math.nan) == 0.0


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-9, 1e6), st.sampled_from([-1, 1]))
def test_rounding_down_never_rises(size, sign):
    value = sign * size
    assert value - 0.02 * size <= round_down(value) <= value + 1e-9 * size
