"""DETAD profile: counted by hand, against the loop, and its invariants."""

from __future__ import annotations

import json
import math

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.metrics.diagnosis_reference import Found, SlowDiagnosis, Truth, slow_diagnosis

from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    VideoAnnotation,
    VideoDetections,
    as_segments,
)
from attentad.metrics import Diagnosis, diagnose
from attentad.metrics.diagnosis_attributes import DIAGNOSIS_BUCKETS
from attentad.metrics.diagnosis_errors import VERDICTS

CLASSES = ("a", "b", "c")


def annotations(truth: list[Truth], durations: dict[str, float | None]) -> Annotations:
    items = {}
    for video, duration in durations.items():
        own = [row for row in truth if row[0] == video]
        items[video] = VideoAnnotation(
            as_segments([row[2:] for row in own]),
            tuple(row[1] for row in own),
            duration_sec=duration,
        )
    return Annotations(items, tuple(sorted({row[1] for row in truth})))


def detections(found: list[Found]) -> Detections:
    videos = {}
    for video in dict.fromkeys(row[0] for row in found):
        own = [row for row in found if row[0] == video]
        videos[video] = VideoDetections(
            as_segments([row[2:4] for row in own]),
            np.array([row[4] for row in own]),
            np.array([CLASSES.index(row[1]) for row in own]),
        )
    return Detections(videos, CLASSES)


def shares(result: Diagnosis, slot: int) -> dict[str, float]:
    """Non-zero shares of slot 1, 2, …"""
    row = dict(zip(VERDICTS, result.shares[slot - 1].tolist(), strict=True))
    return {name: value for name, value in row.items() if value}


# One video with an instance of a at 10–20 and of b at 30–40, and one without any instance.
TRUTH: list[Truth] = [("v", "a", 10, 20), ("v", "b", 30, 40)]
DURATIONS: dict[str, float | None] = {"v": 100.0, "empty": 50.0}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("v", "a", 11, 19, 0.5), "double detection"),  # u = 0.8 with what is taken
        (("v", "a", 30, 40, 0.5), "wrong label"),
        (("v", "a", 30, 35, 0.5), "wrong label"),  # u = 0.5, the threshold itself
        (("v", "a", 15, 25, 0.5), "localization"),  # u = 1/3
        (("v", "a", 10, 11, 0.5), "localization"),  # u = 0.1, the low threshold itself
        (("v", "a", 35, 45, 0.5), "confusion"),
        (("v", "a", 19.5, 29.5, 0.5), "background"),  # u = 0.5 / 19.5
        (("v", "a", 50, 60, 0.5), "background"),
        (("empty", "a", 10, 20, 0.5), "background"),
        (("elsewhere", "a", 10, 20, 0.5), "background"),
    ],
)
def test_each_error_type(row: Found, expected: str) -> None:
    found = [("v", "a", 10, 20, 0.9), row]
    result = diagnose(annotations(TRUTH, DURATIONS), detections(found))
    assert shares(result, 1) == {"true positive": 1.0}
    assert shares(result, 2) == {expected: 1.0}
    assert result.slot_count.tolist() == [1, 1] + [0] * 8
    # a: one instance of one on the first rank, so AP_N = 1; b has no detection.
    assert result.top_map_n == result.map_n == 0.5
    assert set(result.gain.values()) == {0.0}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (("v", "a", 30, 40, 0.95), "wrong label"),
        (("v", "a", 15, 25, 0.95), "localization"),
        (("v", "a", 35, 45, 0.95), "confusion"),
        (("empty", "a", 10, 20, 0.95), "background"),
    ],
)
def test_an_error_above_the_hit_costs_half(row: Found, kind: str) -> None:
    result = diagnose(annotations(TRUTH, DURATIONS), detections([("v", "a", 10, 20, 0.9), row]))
    # N̄ = 1: P_N at the hit = 1 / (1 + 1) for a, 0 for b; without the error 1 for a.
    assert result.top_map_n == pytest.approx(0.25)
    assert result.gain.pop(kind) == pytest.approx(0.25)
    assert set(result.gain.values()) == {0.0}


def test_a_double_detection_above_another_hit() -> None:
    truth: list[Truth] = [("v", "a", 0, 10), ("v", "a", 20, 30)]
    found: list[Found] = [
        ("v", "a", 0, 10, 0.9),
        ("v", "a", 0, 9, 0.8),
        ("v", "a", 20, 30, 0.7),
    ]
    result = diagnose(annotations(truth, {"v": 100.0}), detections(found))
    # N̄ = G = 2: P_N = 1, then 2 / (2 + 1).
    assert result.top_map_n == pytest.approx((1 + 2 / 3) / 2)
    assert result.gain["double detection"] == pytest.approx(1 / 6)
    assert shares(result, 1) == {"true positive": 0.5, "double detection": 0.5}
    assert shares(result, 2) == {"true positive": 1.0}


def test_of_equally_near_instances_the_one_of_the_same_class_decides() -> None:
    """Cliff diving in THUMOS14 is annotated twice, as that and as diving, with equal times."""
    for truth in ([("v", "a", 0, 10), ("v", "b", 0, 10)], [("v", "b", 0, 10), ("v", "a", 0, 10)]):
        found: list[Found] = [
            ("v", "a", 0, 10, 0.9),
            ("v", "a", 0, 10, 0.8),
            ("v", "a", 6, 16, 0.7),
        ]
        result = diagnose(annotations(truth, {"v": 100.0}), detections(found))
        assert shares(result, 2) == {"double detection": 1.0}
        assert shares(result, 3) == {"localization": 1.0}


def test_the_nearest_instance_alone_decides() -> None:
    truth: list[Truth] = [("v", "a", 0, 10), ("v", "b", 3, 13)]
    found: list[Found] = [("v", "a", 0, 10, 0.9), ("v", "a", 2, 12, 0.8)]
    result = diagnose(annotations(truth, {"v": 100.0}), detections(found))
    assert shares(result, 2) == {"wrong label": 1.0}  # tIoU 0.82 with b, 0.67 with a


def test_slots_follow_the_instances_of_each_class() -> None:
    truth: list[Truth] = [("v", "a", 0, 10), ("v", "a", 20, 30), ("v", "b", 40, 50)]
    found: list[Found] = [
        *(("v", "a", 80, 90, 1 - k / 10) for k in range(5)),
        ("v", "b", 40, 50, 0.3),
        ("v", "b", 40, 50, 0.2),
    ]
    result = diagnose(annotations(truth, {"v": 100.0}), detections(found), top=2)
    assert result.slot_count.tolist() == [3, 3]  # the fifth of a lies beyond
    assert shares(result, 1) == pytest.approx({"true positive": 1 / 3, "background": 2 / 3})
    assert shares(result, 2) == pytest.approx({"double detection": 1 / 3, "background": 2 / 3})


def test_normalised_precision_by_hand() -> None:
    truth: list[Truth] = [
        ("v", "a", 0, 10),
        ("v", "b", 20, 30),
        ("v", "b", 40, 50),
        ("v", "b", 60, 70),
    ]
    found: list[Found] = [("v", "a", 80, 90, 0.9), ("v", "a", 0, 10, 0.8)]
    result = diagnose(annotations(truth, {"v": 100.0}), detections(found))
    assert result.mean_instances == 2
    # R = 1, N̄ = 2, one false positive: 2 / 3. Plain precision would be 1 / 2.
    assert result.map_n == pytest.approx((2 / 3) / 2)


def test_misses_and_sensitivity_by_length() -> None:
    truth: list[Truth] = [
        ("v", "a", 0, 3),
        ("v", "a", 10, 15),
        ("v", "a", 20, 26),
        ("v", "a", 50, 90),
    ]
    found: list[Found] = [
        ("v", "a", 10, 15, 0.9),
        ("v", "a", 95, 99, 0.8),
        ("v", "a", 50, 90, 0.7),
    ]
    result = diagnose(annotations(truth, {"v": 500.0}), detections(found))
    length = result.attributes[1]
    assert length.name == "length"
    assert length.buckets == ("XS", "S", "M", "L", "XL")
    assert length.ranges == ("0–3", "3–6", "6–12", "12–18", ">18")
    assert length.truth_count.tolist() == [1, 2, 0, 0, 1]  # 6 s is S, as edges close on the right
    np.testing.assert_array_equal(length.false_negative_rate, [1, 0.5, np.nan, np.nan, 0])
    assert result.false_negative_rate == 0.5
    # S: two instances, N̄ = 4, found on the first rank: P_N 1, recall 1/2.
    # XL: the hit in S is removed, one false positive before: 4 / (4 + 1).
    np.testing.assert_allclose(length.mean_ap_n, [0, 0.5, np.nan, np.nan, 0.8])
    assert result.map_n == pytest.approx((1 + 2 / 3) / 4)
    worst, best = length.sensitivity or (math.nan, math.nan)
    assert worst == 0
    assert best == pytest.approx(0.8 / result.map_n)


def test_a_hit_behind_too_many_false_positives_is_a_miss() -> None:
    def rate(false_positives: int) -> float:
        found: list[Found] = [("v", "a", 50, 60, 1 - k / 100) for k in range(false_positives)]
        found.append(("v", "a", 10, 20, 0.0))
        result = diagnose(annotations(TRUTH[:1], DURATIONS), detections(found))
        assert result.map_n == pytest.approx(1 / (1 + false_positives))  # counts there all the same
        return result.false_negative_rate

    assert rate(18) == 0  # P_N = 1 / 19
    assert rate(19) == 1  # P_N = 0.05, which is not above it


def test_instances_of_a_class_in_a_video() -> None:
    truth: list[Truth] = [("v", "a", k, k + 1) for k in range(41)]
    truth += [("u", "a", 0, 1), ("u", "b", 0, 1), ("u", "b", 4, 5)]
    result = diagnose(annotations(truth, {"v": 100.0, "u": 100.0}), detections([]))
    instances = result.attributes[2]
    assert (instances.name, instances.buckets) == ("instances", ("XS", "S", "M", "L"))
    assert instances.ranges == ("1", "2–40", "41–80", ">80")
    assert instances.truth_count.tolist() == [1, 2, 41, 0]


def test_the_published_buckets() -> None:
    ranges = {}
    for buckets in DIAGNOSIS_BUCKETS:
        result = diagnose(annotations(TRUTH, DURATIONS), detections([]), buckets=buckets)
        ranges[buckets] = {item.name: " ".join(item.ranges) for item in result.attributes}
    assert ranges == {
        "thumos14": {
            "coverage": "0–2 2–4 4–6 6–8 8–100",
            "length": "0–3 3–6 6–12 12–18 >18",
            "instances": "1 2–40 41–80 >80",
        },
        "activitynet": {
            "coverage": "0–20 20–40 40–60 60–80 80–100",
            "length": "0–30 30–60 60–120 120–180 >180",
            "instances": "1 2–4 5–8 >8",
        },
    }


def test_what_cannot_be_an_instance_is_dropped_and_counted() -> None:
    truth: list[Truth] = [
        *TRUTH,
        ("v", "c", 5, 5),
        ("short", "c", 0, 11),
        ("short", "a", 0, 10),
        ("v", "Ambiguous", 60, 70),
    ]
    found: list[Found] = [("v", "c", 5, 5, 0.5), ("v", "a", 60, 70, 0.4)]
    result = diagnose(annotations(truth, DURATIONS | {"short": 10.0}), detections(found))
    assert result.classes == ("a", "b")
    dropped = result.ground_truth["dropped"]
    assert (dropped["empty"], dropped["longer_than_video"], dropped["ambiguous"]) == (1, 1, 1)
    assert result.ground_truth["instances"] == 3
    assert result.detections["unknown_labels"] == {"c": 1}
    assert shares(result, 1) == {"background": 1.0}
    assert result.attributes[0].truth_count.tolist() == [0, 0, 0, 0, 3]


@pytest.mark.parametrize("duration", [None, 0.0, math.nan])
def test_without_durations_there_is_no_coverage(duration: float | None) -> None:
    result = diagnose(annotations(TRUTH, {"v": duration, "empty": None}), detections([]))
    assert [item.name for item in result.attributes] == ["length", "instances"]
    assert "1 of the 1 videos with instances" in result.notes[0]
    assert result.notes[0].endswith("being v.")
    # A video without instances needs none.
    known = diagnose(annotations(TRUTH, {"v": 100.0, "empty": None}), detections([]))
    assert (len(known.attributes), known.notes) == (3, ())


def test_one_unknown_duration_is_enough() -> None:
    truth: list[Truth] = [*TRUTH, ("u", "a", 0, 5)]
    result = diagnose(annotations(truth, DURATIONS | {"u": None}), detections([]))
    assert [item.name for item in result.attributes] == ["length", "instances"]
    assert "1 of the 2 videos" in result.notes[0]


def test_which_videos_count() -> None:
    truth: list[Truth] = [*TRUTH, ("gone", "a", 10, 20)]
    known = annotations(truth, DURATIONS | {"gone": 50.0})
    found: list[Found] = [("v", "a", 10, 20, 0.9), ("x", "a", 0, 9, 0.95), ("gone", "a", 0, 9, 1.0)]
    result = diagnose(known, detections(found), blocked=["gone"])
    assert shares(result, 1) == {"background": 1.0}
    assert result.ground_truth["dropped"]["blocked_videos"] == 1
    assert result.slot_count.sum() == 2  # those of x and v
    result = diagnose(known, detections(found), blocked=["gone"], restrict_to_gt_videos=True)
    assert shares(result, 1) == {"true positive": 1.0}
    with pytest.raises(AttentadError, match="the first being x"):
        diagnose(known, detections(found), blocked=["gone"], strict=True)


def test_no_detections() -> None:
    result = diagnose(annotations(TRUTH, DURATIONS), Detections({}, CLASSES))
    assert result.map_n == result.top_map_n == 0
    assert result.false_negative_rate == 1
    assert not result.shares.any()
    assert set(result.gain.values()) == {0.0}
    assert result.attributes[0].sensitivity is None


def test_perfect_detections_of_one_class() -> None:
    truth: list[Truth] = [("v", "a", 10 * k, 10 * k + 5) for k in range(4)]
    found: list[Found] = [(*row, 1.0) for row in truth]
    result = diagnose(annotations(truth, {"v": 40.0}), detections(found), buckets="activitynet")
    assert result.tiou == BUCKET_TIOU
    assert result.map_n == result.top_map_n == 1
    assert result.false_negative_rate == 0
    assert shares(result, 1) == {"true positive": 1.0}
    assert all(item.sensitivity == (1, 1) for item in result.attributes)


BUCKET_TIOU = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.8999999999999999, 0.95)


def test_plain_json() -> None:
    found: list[Found] = [("v", "a", 10, 20, 0.9)]
    result = diagnose(annotations(TRUTH, DURATIONS), detections(found))
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain == orjson.loads(orjson.dumps(result.to_dict()))
    assert plain["false_positives"]["slots"][0]["true positive"] == 1
    assert plain["attributes"]["length"]["edges"] == [0, 3, 6, 12, 18, None]
    assert plain["attributes"]["length"]["buckets"]["XS"]["false_negative_rate"] is None
    assert plain["attributes"]["length"]["buckets"]["M"]["ground_truth"] == 2
    assert plain["attributes"]["length"]["buckets"]["M"]["range"] == "6–12 s"
    assert plain["sensitivity"]["average_mAP_N"] == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buckets": "mine"}, "no set of buckets 'mine'"),
        ({"tiou": ()}, "given: none"),
        ({"tiou": (0.5, 1.5)}, "above 0 and up to 1"),
        ({"tiou": (0.5, 0.5)}, "given twice"),
        ({"tiou": (0.3,), "low_tiou": 0.4}, "smallest tIoU threshold, 0.3, not at 0.4"),
        ({"low_tiou": 0}, "low_tiou must lie above 0"),
        ({"low_tiou": math.nan}, "low_tiou must lie above 0"),
        ({"top": 0}, "must be 1 or more"),
        ({"subset": "nowhere"}, "nowhere"),
        ({"ground_truth_set": "nothing"}, "ground-truth set"),
    ],
)
def test_wrong_options(options: dict, message: str) -> None:
    with pytest.raises(AttentadError, match=message):
        diagnose(annotations(TRUTH, DURATIONS), detections([]), **options)


def test_ground_truth_longer_than_its_videos() -> None:
    with pytest.raises(AttentadError, match="longer than its video"):
        diagnose(annotations(TRUTH, {"v": 5.0}), detections([]))


@pytest.mark.parametrize("column", [2, 3, 4])
def test_numbers_that_are_not_finite(column: int) -> None:
    row: list = ["v", "a", 10.0, 20.0, 0.5]
    row[column] = math.nan
    with pytest.raises(AttentadError, match="not finite"):
        diagnose(annotations(TRUTH, DURATIONS), detections([tuple(row)]))


def same(fast: Diagnosis, slow: SlowDiagnosis) -> None:
    close = {"rel": 0, "abs": 1e-12, "nan_ok": True}
    for row, expected in zip(fast.shares.tolist(), slow.shares, strict=True):
        assert dict(zip(VERDICTS, row, strict=True)) == pytest.approx(expected, **close)
    assert fast.slot_count.tolist() == slow.counts
    assert fast.top_map_n == pytest.approx(slow.top_map_n, **close)
    assert fast.gain == pytest.approx(slow.gain, **close)
    assert fast.map_n == pytest.approx(slow.map_n, **close)
    assert fast.false_negative_rate == pytest.approx(slow.false_negative_rate, **close)
    for item in fast.attributes:
        expected = slow.bucket_counts[item.name]
        assert dict(zip(item.buckets, item.truth_count.tolist(), strict=True)) == expected
        for values, slow_values in (
            (item.false_negative_rate, slow.missed[item.name]),
            (item.mean_ap_n, slow.sensitivity[item.name]),
        ):
            assert values.tolist() == pytest.approx(list(slow_values.values()), **close)


# Few places and few scores, so that ties in tIoU and score, and empty instances, are the rule.
place = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted)
truth_row = st.tuples(st.sampled_from("uv"), st.sampled_from(CLASSES[:2]), place)
found_row = st.tuples(
    st.sampled_from("uvwx"), st.sampled_from(CLASSES), place, st.sampled_from([0.0, 0.25, 0.5, 1.0])
)


@given(
    st.lists(truth_row, min_size=1, max_size=8),
    st.lists(found_row, max_size=40),
    st.sampled_from([(0.5,), (0.3, 0.5), (0.25, 0.5, 1.0)]),
    st.sampled_from(["thumos14", "activitynet"]),
    st.integers(1, 3),
    st.sampled_from([0.1, 0.25]),
)
@settings(deadline=None, max_examples=250)
def test_the_fast_diagnosis_is_the_loop(
    truth: list, found: list, tiou: tuple[float, ...], buckets: str, top: int, low_tiou: float
) -> None:
    # The last instance keeps the ground truth from being empty.
    rows: list[Truth] = [(v, label, *times) for v, label, times in truth] + [("u", "a", 2, 5)]
    listed: list[Found] = [(v, label, *times, score) for v, label, times, score in found]
    durations: dict[str, float | None] = {"u": 60.0, "v": 6.0, "w": 10.0}
    # Entries are counted video after video, in the order of the detections.
    order = list(dict.fromkeys(row[0] for row in listed))
    counted = sorted(listed, key=lambda row: order.index(row[0]))
    fast = diagnose(
        annotations(rows, durations),
        detections(listed),
        tiou=tiou,
        buckets=buckets,
        top=top,
        low_tiou=low_tiou,
    )
    edges = {name: list(values) for name, values in DIAGNOSIS_BUCKETS[buckets].items()}
    by_video = sorted(rows, key=lambda row: list(durations).index(row[0]))
    slow = slow_diagnosis(by_video, counted, durations, edges, tiou, low_tiou, top)
    same(fast, slow)
    np.testing.assert_allclose(fast.shares.sum(axis=1), fast.slot_count > 0)
    assert min(fast.gain.values()) >= 0


def test_as_many_detections_as_of_a_published_detector() -> None:
    """As many as of S-CNN on THUMOS14: 200 videos, 3,400 instances, 40,000 detections."""
    rng = np.random.default_rng(0)
    names = tuple(f"class {k}" for k in range(20))
    truth, found = {}, {}
    for number in range(200):
        start = rng.uniform(0, 190, 217)
        segments = np.stack([start, start + rng.uniform(0.5, 10, 217)], axis=1)
        label = rng.integers(0, 20, 217)
        truth[f"v{number}"] = VideoAnnotation(
            segments[:17], tuple(names[k] for k in label[:17]), duration_sec=200.0
        )
        found[f"v{number}"] = VideoDetections(segments[17:], rng.random(200), label[17:])
    result = diagnose(Annotations(truth, names), Detections(found, names))
    assert result.slot_count.sum() == 34_000


def test_instances_are_counted_by_class_or_by_video() -> None:
    # v: one of a and three of b; w: one of a. Edges 0, 1, 40: XS holds 1, S holds 2 to 40.
    truth: list[Truth] = [
        ("v", "a", 0, 1),
        *(("v", "b", start, start + 1) for start in (2, 4, 6)),
        ("w", "a", 0, 1),
    ]
    found: list[Found] = [("v", "a", 0, 1, 0.9), ("v", "b", 2, 3, 0.8)]
    known = annotations(truth, {"v": 20.0, "w": 20.0})
    for counted, counts, missed in (
        ("class", [2, 3], [1 / 2, 2 / 3]),
        ("video", [1, 4], [1, 1 / 2]),
    ):
        result = diagnose(known, detections(found), counted_instances=counted)
        (profile,) = [item for item in result.attributes if item.name == "instances"]
        assert profile.truth_count.tolist() == [*counts, 0, 0]
        assert profile.false_negative_rate[:2].tolist() == pytest.approx(missed)
        assert result.to_dict()["counted_instances"] == counted
    with pytest.raises(AttentadError, match="'scene'"):
        diagnose(known, detections(found), counted_instances="scene")


def test_of_two_labels_on_one_segment_the_own_class_is_blamed() -> None:
    # The authors' tool blames the first in the file, b, and calls the third detection wrong label.
    truth: list[Truth] = [("v", "b", 0, 10), ("v", "a", 0, 10)]
    found: list[Found] = [("v", "a", 0, 10, 0.9), ("v", "a", 0, 10, 0.8)]
    for order in (truth, truth[::-1]):
        result = diagnose(annotations(order, {"v": 20.0}), detections(found))
        assert shares(result, 2) == {"double detection": 1.0}
