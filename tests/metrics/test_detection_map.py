"""ActivityNet's detection mAP against a per-prediction loop, golden cases, and its options."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.metrics import protocol_references as slow
from tests.metrics.protocol_references import Found, Truth, annotations, by_video

from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    VideoAnnotation,
    VideoDetections,
    as_segments,
    no_detections,
)
from attentad.metrics import DetectionResult, detection_map, matching

TIOU = (0.3, 0.5, 0.7, 1.0)
CLASSES = ("a", "b", "c")


def detections(found: Found, classes: tuple[str, ...] = CLASSES) -> Detections:
    return slow.detections(found, classes)


def check(truth: Truth, found: Found, videos: list[str]) -> DetectionResult:
    result = detection_map(annotations(truth, videos), detections(found), tiou=TIOU)
    labels = sorted({row[1] for row in truth})
    assert result.classes == tuple(labels)
    for row, label in enumerate(labels):
        for column, threshold in enumerate(TIOU):
            area, recall = slow.activitynet_ap(truth, by_video(found), label, threshold)
            assert result.average_precision[row, column] == pytest.approx(area, abs=1e-12)
            assert result.recall[row, column] == recall
    np.testing.assert_allclose(result.mean_ap, result.average_precision.mean(axis=0))
    return result


# Few places and few scores, so that ties in tIoU and score are the rule.
place = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(sorted)
truth_row = st.tuples(st.sampled_from(["u", "v"]), st.sampled_from(CLASSES[:2]), place)
found_row = st.tuples(
    st.sampled_from(["u", "v", "w"]),
    st.sampled_from(CLASSES),
    place,
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)


@given(st.lists(truth_row, min_size=1, max_size=8), st.lists(found_row, max_size=14))
@settings(deadline=None, max_examples=150)
def test_the_fast_evaluator_is_the_loop(truth: list, found: list) -> None:
    check(
        [(video, label, *row) for video, label, row in truth],
        [(video, label, *row, score) for video, label, row, score in found],
        ["u", "v"],
    )


@pytest.mark.parametrize("block_pairs", [5, 2_000_000])
def test_hundreds_of_random_cases(monkeypatch: pytest.MonkeyPatch, block_pairs: int) -> None:
    monkeypatch.setattr(matching, "_BLOCK_PAIRS", block_pairs)
    rng = np.random.default_rng(block_pairs)
    for _ in range(500):
        truth = [
            ("uv"[rng.integers(2)], CLASSES[rng.integers(2)], *sorted(rng.integers(0, 7, 2)))
            for _ in range(rng.integers(1, 12))
        ]
        found = [
            (
                "uvw"[rng.integers(3)],
                CLASSES[rng.integers(3)],
                *sorted(rng.integers(0, 7, 2)),
                rng.integers(0, 4) / 4,
            )
            for _ in range(rng.integers(0, 25))
        ]
        check(truth, found, ["u", "v"])


def test_one_crowded_video_takes_the_loops_choices() -> None:
    rng = np.random.default_rng(7)
    start = rng.uniform(0, 20, 40)
    truth = [("u", "a", s, s + d) for s, d in zip(start, rng.uniform(2, 9, 40), strict=True)]
    start = rng.uniform(0, 20, 400)
    found = [
        ("u", "a", s, s + d, p)
        for s, d, p in zip(start, rng.uniform(2, 9, 400), rng.uniform(size=400), strict=True)
    ]
    assert check(truth, found, ["u"]).recall[0, 0] > 0.5


def ap(truth: Truth, found: Found, threshold: float = 0.5) -> float:
    videos = sorted({row[0] for row in truth})
    result = detection_map(annotations(truth, videos), detections(found), tiou=(threshold,))
    return result.average_map


ONE: Truth = [("v", "a", 0.0, 10.0)]


def test_golden_cases() -> None:
    assert ap(ONE, [("v", "a", 0, 10, 0.5)]) == 1.0
    # A tIoU of exactly the threshold is a hit.
    assert ap(ONE, [("v", "a", 0, 5, 0.5)], 0.5) == 1.0
    assert ap(ONE, [("v", "a", 0, 3, 0.5)], 0.3) == 1.0
    assert ap(ONE, [("v", "a", 0, 4.99, 0.5)], 0.5) == 0.0
    # A duplicate is a false positive: below the hit it costs nothing, above it half.
    assert ap(ONE, [("v", "a", 0, 10, 0.9), ("v", "a", 0, 10, 0.8)]) == 1.0
    assert ap(ONE, [("v", "a", 0, 4, 0.9), ("v", "a", 0, 10, 0.8)]) == 0.5
    # So is a detection in a video without that class, and in a video without ground truth.
    two: Truth = [*ONE, ("u", "b", 0.0, 10.0)]
    right: Found = [("v", "a", 0, 10, 0.5), ("u", "b", 0, 10, 0.5)]
    assert ap(two, right) == 1.0
    assert ap(two, [*right, ("u", "a", 0, 10, 0.9)]) == 0.75
    assert ap(two, [*right, ("elsewhere", "a", 0, 10, 0.9)]) == 0.75
    # A class without a detection has AP 0 and stays in the mean.
    assert ap(two, right[:1]) == 0.5
    assert ap(two, []) == 0.0


def test_matching_falls_back_to_a_free_instance() -> None:
    truth: Truth = [("v", "a", 0.0, 10.0), ("v", "a", 2.0, 12.0)]
    # Both overlap the first best; the second detection takes the second instance (tIoU 2/3).
    assert ap(truth, [("v", "a", 0, 10, 0.9), ("v", "a", 0, 10, 0.8)], 0.6) == 1.0
    assert ap(truth, [("v", "a", 0, 10, 0.9), ("v", "a", 0, 10, 0.8)], 0.7) == 0.5


def test_on_a_tie_in_score_the_later_entry_comes_first() -> None:
    hit, miss = ("v", "a", 0.0, 10.0, 0.5), ("v", "a", 20.0, 30.0, 0.5)
    assert ap(ONE, [miss, hit]) == 1.0
    assert ap(ONE, [hit, miss]) == 0.5
    # Entries are counted through the videos in the order of the file.
    elsewhere = ("w", "a", 0.0, 10.0, 0.5)
    assert ap(ONE, [elsewhere, hit]) == 1.0
    assert ap(ONE, [hit, elsewhere]) == 0.5


def test_on_a_tie_in_tiou_the_later_instance_is_taken() -> None:
    truth: Truth = [("v", "a", 0.0, 4.0), ("v", "a", 4.0, 8.0)]
    # [2, 6] overlaps both by 1/3 and takes the later, leaving the earlier to [0, 4].
    found: Found = [("v", "a", 2, 6, 0.9), ("v", "a", 0, 4, 0.8)]
    assert ap(truth, found, 0.3) == 1.0
    mirrored: Found = [("v", "a", 2, 6, 0.9), ("v", "a", 4, 8, 0.8)]
    assert ap(truth, mirrored, 0.3) == 0.5


def scene(seed: int) -> tuple[Truth, Found]:
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for video in ("u", "v", "w", "x"):
        for _ in range(rng.integers(1, 5)):
            start, length = rng.uniform(0, 50), rng.uniform(1, 20)
            label = CLASSES[rng.integers(3)]
            truth.append((video, label, start, start + length))
            for _ in range(3):
                moved = start + rng.normal() * length / 4
                found.append((video, label, moved, moved + length, rng.uniform()))
    return truth, found


VIDEOS = ["u", "v", "w", "x"]


@pytest.mark.parametrize("seed", range(5))
def test_invariances(seed: int) -> None:
    truth, found = scene(seed)
    base = detection_map(annotations(truth, VIDEOS), detections(found), tiou=TIOU)
    assert 0 < base.average_map < 1
    shuffled = [found[i] for i in np.random.default_rng(seed).permutation(len(found))]
    order = detection_map(annotations(truth, VIDEOS[::-1]), detections(shuffled), tiou=TIOU)
    np.testing.assert_allclose(order.average_precision, base.average_precision, atol=1e-12)
    labels = detection_map(annotations(truth, VIDEOS), detections(found, CLASSES[::-1]), tiou=TIOU)
    np.testing.assert_array_equal(labels.average_precision, base.average_precision)
    scaled = detection_map(
        annotations([(v, c, 8 * s, 8 * e) for v, c, s, e in truth], VIDEOS),
        detections([(v, c, 8 * s, 8 * e, p) for v, c, s, e, p in found]),
        tiou=TIOU,
    )
    np.testing.assert_array_equal(scaled.average_precision, base.average_precision)
    squashed = detection_map(
        annotations(truth, VIDEOS),
        detections([(v, c, s, e, p**3 - 5) for v, c, s, e, p in found]),
        tiou=TIOU,
    )
    np.testing.assert_array_equal(squashed.average_precision, base.average_precision)
    worse = detection_map(
        annotations(truth, VIDEOS), detections([*found, ("u", "a", 900, 901, 2.0)]), tiou=TIOU
    )
    assert np.all(worse.average_precision <= base.average_precision)
    perfect: Found = [(*row, float(i)) for i, row in enumerate(truth)]
    result = detection_map(annotations(truth, VIDEOS), detections(perfect), tiou=TIOU)
    assert np.all(result.average_precision == 1.0)
    assert np.all(result.recall == 1.0)


def test_what_does_not_match_is_counted_and_named() -> None:
    truth: Truth = [("v", "a", 0, 10)]
    found: Found = [
        ("v", "a", 0, 10, 0.5),
        ("v", "b", 0, 10, 0.6),
        ("w", "c", 0, 10, 0.7),
        ("w", "c", 0, 10, 0.7),
        ("w", "a", 0, 10, 0.1),
    ]
    reference = annotations(truth, ["v", "empty"])
    result = detection_map(reference, detections(found), tiou=(0.5,))
    assert result.average_map == 1.0
    assert result.detections == {
        "total": 5,
        "evaluated": 2,
        "videos": 2,
        "blocked_videos": 0,
        "unknown_labels": {"b": 1, "c": 2},
        "videos_outside_ground_truth": {"w": 3},
        "undetected_videos": [],
        "undetected_classes": [],
        "outside_counts_as": "false positives",
        "reversed": 0,
        "reversed_count_as": "false positives",
        "discarded_ambiguous": {},
    }
    assert result.ground_truth == {
        "subset": None,
        "ground_truth_set": "all",
        "videos": 2,
        "videos_with_instances": 1,
        "instances": 1,
        "classes": 1,
        "ambiguous": 0,
        "dropped": {
            "blocked_videos": 0,
            "set_videos": 0,
            "set_instances": 0,
            "ambiguous": 0,
            "empty": 0,
            "duplicates": 0,
        },
        "dropped_videos": {"blocked": [], "ground_truth_set": []},
        "notes": [],
    }
    with pytest.raises(AttentadError, match="lacks 1 of the detected videos, the first being w"):
        detection_map(reference, detections(found), strict=True)
    with pytest.raises(AttentadError, match="no class 'b', yet 1 detections"):
        detection_map(reference, detections(found[:2]), strict=True)
    assert detection_map(reference, detections(found[:1]), strict=True).average_map == 1.0


def test_what_is_never_detected_is_named() -> None:
    truth: Truth = [("v", "a", 0, 10), ("w", "b", 0, 10), ("x", "a", 5, 6)]
    reference = annotations(truth, ["v", "w", "x", "empty"])
    found: Found = [("v", "a", 0, 10, 0.9), ("x", "a", 5, 6, 0.8)]
    result = detection_map(reference, detections(found), tiou=(0.5,))
    assert result.detections["undetected_videos"] == ["w"]
    assert result.detections["undetected_classes"] == ["b"]
    words = "1 of 3 annotated videos with an instance have no detection: w"
    with pytest.raises(AttentadError, match=words):
        detection_map(reference, detections(found), strict=True)
    found.append(("w", "a", 0, 1, 0.1))
    with pytest.raises(AttentadError, match="no detection names the annotated class 'b'"):
        detection_map(reference, detections(found), strict=True)
    found.append(("w", "b", 0, 1, 0.1))
    assert detection_map(reference, detections(found), strict=True).detections["total"] == 4


def test_proposals_are_the_class_action() -> None:
    proposals = VideoDetections(as_segments([[0, 10]]), np.array([0.5]), np.array([-1]))
    result = detection_map(annotations(ONE, ["v"]), Detections({"v": proposals}, ("a",)))
    assert result.detections["unknown_labels"] == {"action": 1}
    reference = annotations([("v", "action", 0, 10)], ["v"])
    assert detection_map(reference, Detections({"v": proposals}, ("a",))).average_map == 1.0


def test_options_for_the_ground_truth() -> None:
    truth: Truth = [
        ("v", "a", 0, 10),
        ("v", "a", 0.0005, 10.0005),
        ("v", "b", 0, 10),
        ("w", "a", 0, 10),
        ("w", "a", 3, 3),
        ("w", "c", 4, 4),
    ]
    reference = annotations(truth, ["v", "w"])
    found = detections([("v", "a", 0, 10, 0.5), ("w", "a", 0, 10, 0.4)])
    plain = detection_map(reference, found)
    assert plain.truth_count.tolist() == [4, 1, 1]
    merged = detection_map(reference, found, deduplicate=True, drop_empty=True)
    assert merged.classes == ("a", "b")
    assert merged.truth_count.tolist() == [2, 1]
    assert merged.ground_truth["dropped"]["empty"] == 2
    assert merged.ground_truth["dropped"]["duplicates"] == 1
    assert merged.average_map == 0.5
    without = detection_map(reference, found, blocked=["w", "unheard of"])
    assert without.ground_truth["dropped"]["blocked_videos"] == 1
    assert without.ground_truth["dropped_videos"]["blocked"] == ["w"]
    assert without.detections["blocked_videos"] == 1
    assert without.detections["evaluated"] == 1


def test_subset_takes_its_videos_and_classes() -> None:
    items = {
        "v": VideoAnnotation(as_segments([[0, 10]]), ("a",), subset="test"),
        "w": VideoAnnotation(as_segments([[0, 10]]), ("b",), subset="training"),
    }
    reference = Annotations(items, ("a", "b"))
    found = detections([("v", "a", 0, 10, 0.5), ("w", "a", 0, 10, 0.9), ("w", "b", 0, 10, 0.9)])
    result = detection_map(reference, found, subset="test")
    assert result.classes == ("a",)
    assert result.average_map == 0.5  # the detection in w is a false positive
    assert result.detections["unknown_labels"] == {"b": 1}
    assert detection_map(reference, found, subset=["test", "training"]).classes == ("a", "b")
    with pytest.raises(AttentadError, match="subset validation; the subsets are: test, training"):
        detection_map(reference, found, subset="validation")


def test_result_as_plain_values() -> None:
    truth, found = scene(1)
    result = detection_map(annotations(truth, VIDEOS), detections(found), tiou=(0.3, 0.55))
    plain = result.to_dict()
    assert list(plain) == [
        "protocol",
        "tiou",
        "mAP",
        "average_mAP",
        "per_class",
        "ground_truth",
        "detections",
    ]
    assert plain["protocol"] == "activitynet"
    assert plain["tiou"] == [0.3, 0.55]
    assert list(plain["mAP"]) == ["0.3", "0.55"]
    assert plain["average_mAP"] == pytest.approx(sum(plain["mAP"].values()) / 2)
    row = plain["per_class"]["a"]
    assert row["AP"]["0.55"] == result.average_precision[0, 1]
    assert row["recall"]["0.3"] == result.recall[0, 0]
    assert row["ground_truth"] == sum(item[1] == "a" for item in truth)
    assert row["detections"] == sum(item[1] == "a" for item in found)


def test_wrong_input() -> None:
    reference, found = annotations(ONE, ["v"]), detections([("v", "a", 0, 10, 0.5)])
    with pytest.raises(AttentadError, match="no evaluation protocol 'coco'; choose one of activ"):
        detection_map(reference, found, protocol="coco")
    for tiou in ((), (0.0,), (0.5, 1.5), (float("nan"),)):
        with pytest.raises(AttentadError, match="tIoU thresholds must lie above 0"):
            detection_map(reference, found, tiou=tiou)
    with pytest.raises(AttentadError, match="given twice"):
        detection_map(reference, found, tiou=(0.5, 0.5))
    for empty in (annotations([], ["v"]), Annotations({}, ())):
        with pytest.raises(AttentadError, match="hold no instance to find"):
            detection_map(empty, found)
    with pytest.raises(AttentadError, match="score or time that is not finite"):
        detection_map(reference, detections([("v", "a", 0, 10, float("nan"))]))
    nothing = Detections({"v": no_detections()}, ())
    assert detection_map(reference, nothing).average_map == 0.0
    assert detection_map(reference, Detections({}, ())).average_map == 0.0
