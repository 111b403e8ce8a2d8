"""Every protocol of detection mAP against its loop, golden cases, and what holds for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.metrics.protocol_references import (
    REFERENCES,
    Found,
    Truth,
    annotations,
    by_video,
    detections,
)

from attentad.core import AttentadError, Detections, read_annotations
from attentad.metrics import (
    GROUND_TRUTH_SETS,
    PROTOCOL_RULES,
    PROTOCOLS,
    DetectionResult,
    detection_map,
    matching,
    precision_recall,
)

THUMOS14 = Path(__file__).parents[2] / "../shared/data/thumos14/annotations.json"
TIOU = (0.25, 0.5, 0.7, 1.0)
CLASSES = ("a", "b", "c", "Ambiguous")
VIDEOS = ["video_test_0001496", "video_test_0000004", "video_test_0000270"]
LEFT_OUT = {
    "all": [],
    "full": ["video_test_0001292"],
    "opentad211": ["video_test_0000270", "video_test_0001292"],
    "gtad210": ["video_test_0000270", "video_test_0001292", "video_test_0001496"],
}
SETS = list(LEFT_OUT)


def check(
    protocol: str, truth: Truth, found: Found, ground_truth_set: str, restrict: bool
) -> DetectionResult | None:
    """Evaluate and compare with the loop; None when there is nothing to find."""
    videos = [video for video in VIDEOS if video not in LEFT_OUT[ground_truth_set]]
    left = [row for row in truth if row[0] in videos]
    if protocol in ("activitynet", "thumos14"):
        left = [row for row in left if row[1] != "Ambiguous"]
    counted = [row for row in by_video(found) if not restrict or row[0] in videos]
    labels = sorted({row[1] for row in left} - {"Ambiguous"})
    if not labels:
        return None
    result = detection_map(
        annotations(truth, VIDEOS),
        detections(found, CLASSES),
        tiou=TIOU,
        protocol=protocol,
        ground_truth_set=ground_truth_set,
        restrict_to_gt_videos=restrict,
    )
    assert result.classes == tuple(labels)
    for row, label in enumerate(labels):
        for column, threshold in enumerate(TIOU):
            area, recall = REFERENCES[protocol](left, counted, label, threshold)
            assert result.average_precision[row, column] == pytest.approx(area, abs=1e-12)
            assert result.recall[row, column] == recall
    return result


# Few places and few scores, so that ties are the rule. Times are whole seconds, or quarters of
# a snippet for the protocol that rounds to snippets.
place = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted)
truth_row = st.tuples(
    st.sampled_from(VIDEOS), st.sampled_from(["a", "a", "b", "b", "Ambiguous"]), place
)
found_row = st.tuples(
    st.sampled_from([*VIDEOS, "elsewhere"]),
    st.sampled_from(CLASSES),
    place,
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(
    st.lists(truth_row, min_size=1, max_size=8),
    st.lists(found_row, max_size=12),
    st.sampled_from(SETS),
    st.booleans(),
)
@settings(deadline=None, max_examples=100)
def test_the_fast_evaluator_is_the_loop(
    protocol: str, truth: list, found: list, ground_truth_set: str, restrict: bool
) -> None:
    unit = 0.32 if protocol == "wtalc" else 1.0
    check(
        protocol,
        [(v, c, unit * s, unit * e) for v, c, (s, e) in truth],
        [(v, c, unit * s, unit * e, p) for v, c, (s, e), p in found],
        ground_truth_set,
        restrict,
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_hundreds_of_random_cases(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    rng = np.random.default_rng(len(protocol))
    unit = 0.16 if protocol == "wtalc" else 1.0
    size = 28 if protocol == "wtalc" else 8
    evaluated = 0
    for number in range(400):
        monkeypatch.setattr(matching, "_BLOCK_PAIRS", (7, 2_000_000)[number % 2])

        def span() -> tuple[float, float]:
            start, end = sorted(rng.integers(0, size, 2))
            return unit * start, unit * end

        truth = [
            (VIDEOS[rng.integers(3)], CLASSES[rng.choice([0, 0, 1, 1, 3])], *span())
            for _ in range(rng.integers(1, 14))
        ]
        found = [
            (
                [*VIDEOS, "elsewhere"][rng.choice(4, p=[0.3, 0.3, 0.3, 0.1])],
                CLASSES[rng.choice(4, p=[0.45, 0.45, 0.05, 0.05])],
                *span(),
                rng.integers(0, 6) / 4,
            )
            for _ in range(rng.integers(0, 25))
        ]
        result = check(protocol, truth, found, SETS[rng.integers(4)], bool(rng.integers(2)))
        evaluated += result is not None
    assert evaluated > 340


def test_choosers_come_back_in_order() -> None:
    chooser, wanted = np.array([2, 2, 5, 5, 9, 9, 9]), np.array([3, 0, 3, 1, 3, 1, 0])
    choosers, got = matching.choose_in_turn(chooser, wanted, 4)
    assert choosers.tolist() == [2, 5, 9]
    assert got.tolist() == [3, 1, 0]


def ap(protocol: str, truth: Truth, found: Found, threshold: float = 0.5) -> float:
    videos = sorted({row[0] for row in truth})
    return detection_map(
        annotations(truth, videos), detections(found, CLASSES), tiou=(threshold,), protocol=protocol
    ).average_map


ONE: Truth = [("v", "a", 0.0, 16.0)]
OFFICIAL, WTALC = "thumos14-official", "wtalc"


def test_official_overlap_has_to_exceed_the_threshold() -> None:
    assert ap(OFFICIAL, ONE, [("v", "a", 0, 8, 0.5)]) == 0.0
    assert ap(OFFICIAL, ONE, [("v", "a", 0, 8.1, 0.5)]) == 1.0
    assert ap(OFFICIAL, ONE, [("v", "a", 0, 16, 0.5)], threshold=1.0) == 0.0
    assert ap("activitynet", ONE, [("v", "a", 0, 8, 0.5)]) == 1.0
    assert ap(WTALC, ONE, [("v", "a", 0, 7.68, 0.5)]) == 0.0
    assert ap(WTALC, ONE, [("v", "a", 0, 8.32, 0.5)]) == 1.0
    # 16 s are 25 snippets: tIoU 0.48 is reached exactly.
    assert ap(WTALC, ONE, [("v", "a", 0, 7.68, 0.5)], threshold=0.48) == 1.0


def test_official_overlap_is_rounded_as_the_toolkit_does() -> None:
    # [a, c] and [b, d] on the boundary, their times in tenths: what decides is that the union is
    # d - a. Adding up the lengths rounds otherwise.
    rng = np.random.default_rng(0)
    times = np.sort(rng.integers(0, 40, (4000, 4)) / 10, axis=1)
    times = times[(times[:, 1] < times[:, 2]) & (times[:, 0] < times[:, 3])]
    overlaps = (times[:, 2] - times[:, 1]) / (times[:, 3] - times[:, 0])
    for threshold in (0.2, 0.3, 0.5, 0.6):
        near = times[np.abs(overlaps - threshold) < 1e-9][:40].tolist()
        assert near
        for a, b, c, d in near:
            got = ap(OFFICIAL, [("v", "a", a, c)], [("v", "a", b, d, 1.0)], threshold=threshold)
            assert got == float((c - b) / (d - a) > threshold)


def test_official_instances_choose_and_the_score_counts_for_nothing() -> None:
    # The better-scored detection overlaps less, so it is the false positive, and comes first.
    found: Found = [("v", "a", 0, 10, 0.9), ("v", "a", 0, 15, 0.1)]
    assert ap(OFFICIAL, ONE, found) == 0.5
    assert ap("activitynet", ONE, found) == 1.0
    # In file order: the first instance takes the detection that the second would need.
    truth: Truth = [("v", "a", 0, 10), ("v", "a", 0, 9)]
    one: Found = [("v", "a", 0, 9, 0.9), ("v", "a", 0, 5.5, 0.8)]
    assert ap(OFFICIAL, truth, one, threshold=0.6) == 1.0  # 0.9, then 0.611
    assert ap(OFFICIAL, truth[::-1], one, threshold=0.6) == 0.5  # 1.0, then 0.55
    # On a tie in overlap the higher score is taken.
    tie: Found = [("v", "a", 0, 12, 0.3), ("v", "a", 4, 16, 0.7)]
    assert ap(OFFICIAL, ONE, tie) == 1.0


def test_official_discards_on_ambiguous_segments_what_no_instance_took() -> None:
    truth: Truth = [*ONE, ("v", "Ambiguous", 15.0, 40.0), ("u", "Ambiguous", 0.0, 10.0)]
    right = ("v", "a", 0, 16, 0.5)
    assert ap(OFFICIAL, truth, [right]) == 1.0  # matched, so it stays
    for touching in [("v", "a", 39, 50, 0.9), ("u", "a", 0, 1, 0.9)]:
        assert ap(OFFICIAL, truth, [touching, right]) == 1.0
        assert ap("activitynet", truth, [touching, right]) == 0.5
    for apart in [("v", "a", 40, 50, 0.9), ("u", "a", 20, 30, 0.9), ("w", "a", 0, 1, 0.9)]:
        assert ap(OFFICIAL, truth, [apart, right]) == 0.5
    # At a threshold where the instance does not take it, the right one is discarded too.
    result = detection_map(
        annotations(truth, ["u", "v"]),
        detections([("v", "a", 0, 15.5, 0.5), ("u", "a", 0, 1, 0.4)], CLASSES),
        protocol=OFFICIAL,
        tiou=(0.5, 0.99),
    )
    assert result.mean_ap.tolist() == [1.0, 0.0]
    assert result.detections["discarded_ambiguous"] == {"0.5": 1, "0.99": 2}
    assert result.ranking.counted.tolist() == [[True, False], [False, False]]


def test_wtalc_removes_before_matching_and_takes_the_first_that_fits() -> None:
    truth: Truth = [*ONE, ("v", "Ambiguous", 15.0, 40.0)]
    assert ap(WTALC, truth, [("v", "a", 0, 16, 0.5)]) == 0.0
    assert ap(WTALC, truth, [("v", "a", 0, 14.4, 0.5)]) == 1.0
    # Less than a snippet shared: 15 s is 23.4 snippets, 14.9 s is 23.3, both round to 23.
    assert ap(WTALC, [*ONE, ("v", "Ambiguous", 14.5, 40)], [("v", "a", 0, 14.9, 1.0)]) == 1.0
    # The first in file order that fits is taken, though the second fits better.
    two: Truth = [("v", "a", 0.0, 16.0), ("v", "a", 0.0, 11.2)]
    found: Found = [("v", "a", 0, 11.2, 0.9), ("v", "a", 0, 16.0, 0.8)]
    assert ap(WTALC, two, found, threshold=0.65) == 1.0
    assert ap(WTALC, two[:1], found, threshold=0.65) == 1.0
    third: Found = [("v", "a", 0, 12.8, 0.9), ("v", "a", 0, 17.6, 0.8)]
    assert ap(WTALC, two, third, threshold=0.7) == 0.5
    assert ap("activitynet", two, third, threshold=0.7) == 1.0


def test_without_interpolation_precision_is_taken_as_it_stands() -> None:
    truth: Truth = [("v", "a", 0.0, 16.0), ("v", "a", 32.0, 48.0)]
    found: Found = [("v", "a", 100, 116, 0.9), ("v", "a", 0, 16, 0.8), ("v", "a", 32, 48, 0.7)]
    for protocol, area in ((OFFICIAL, (1 / 2 + 2 / 3) / 2), (WTALC, (1 / 2 + 2 / 3) / 2)):
        assert ap(protocol, truth, found) == pytest.approx(area, abs=1e-15)
    assert ap("activitynet", truth, found) == pytest.approx(2 / 3, abs=1e-15)


def test_ties_in_score() -> None:
    hit, miss = ("v", "a", 0.0, 16.0, 0.5), ("v", "a", 20.0, 30.0, 0.5)
    first, last = ("b", "a", 0.0, 16.0, 0.5), ("x", "a", 0.0, 16.0, 0.5)
    for protocol, earlier_first in ((OFFICIAL, True), (WTALC, True), ("activitynet", False)):
        assert ap(protocol, ONE, [hit, miss]) == (1.0 if earlier_first else 0.5)
        assert ap(protocol, ONE, [miss, hit]) == (0.5 if earlier_first else 1.0)
    # The official one goes by the name of the video, wherever it stands in the file.
    for found in ([first, hit], [hit, first]):
        assert ap(OFFICIAL, ONE, found) == 0.5
    for found in ([last, hit], [hit, last]):
        assert ap(OFFICIAL, ONE, found) == 1.0
    assert ap(WTALC, ONE, [first, hit]) == ap(WTALC, ONE, [last, hit]) == 0.5
    assert ap(WTALC, ONE, [hit, first]) == 1.0


def scene(seed: int) -> tuple[Truth, Found]:
    """Instances of a class apart from one another, and three detections near each."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for video in VIDEOS:
        for label in CLASSES:
            start = 0.0
            for _ in range(rng.integers(1, 4)):
                start, length = start + rng.uniform(2, 20), rng.uniform(2, 20)
                truth.append((video, label, start, start + length))
                start += length
                for _ in range(3):
                    moved = truth[-1][2] + rng.normal() * length / 5
                    found.append((video, label, moved, moved + length, rng.uniform()))
    rng.shuffle(truth)
    return [row if row[1] != "Ambiguous" else (row[0], row[1], 300, 400) for row in truth], found


def evaluate(protocol: str, truth: Truth, found: Found, **options: object) -> DetectionResult:
    classes = options.pop("classes", CLASSES)
    videos = options.pop("videos", VIDEOS)
    return detection_map(
        annotations(truth, videos),
        detections(found, classes),
        protocol=protocol,
        ground_truth_set="all",
        **options,
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", range(4))
def test_what_holds_for_all(protocol: str, seed: int) -> None:
    truth, found = scene(seed)
    base = evaluate(protocol, truth, found)
    assert base.tiou == PROTOCOL_RULES[protocol].tiou
    assert 0 < base.average_map < 1
    shuffled = [found[i] for i in np.random.default_rng(seed).permutation(len(found))]
    order = evaluate(protocol, truth, shuffled, videos=VIDEOS[::-1])
    np.testing.assert_allclose(order.average_precision, base.average_precision, atol=1e-12)
    labels = evaluate(protocol, truth, found, classes=CLASSES[::-1])
    np.testing.assert_array_equal(labels.average_precision, base.average_precision)
    if protocol != WTALC:
        scaled = evaluate(
            protocol,
            [(v, c, 8 * s, 8 * e) for v, c, s, e in truth],
            [(v, c, 8 * s, 8 * e, p) for v, c, s, e, p in found],
        )
        np.testing.assert_array_equal(scaled.average_precision, base.average_precision)
    for wrong in (
        ("video_test_0000004", "a", 900.0, 901.0, 2.0),
        ("elsewhere", "b", 0.0, 1.0, 2.0),
        ("video_test_0000004", "a", 350.0, 380.0, 2.0),
    ):
        worse = evaluate(protocol, truth, [*found, wrong])
        assert np.all(worse.average_precision <= base.average_precision)
        assert worse.average_map < base.average_map or wrong[2] == 350
    perfect: Found = [(*row, float(i)) for i, row in enumerate(truth) if row[1] != "Ambiguous"]
    result = evaluate(protocol, truth, perfect)
    assert np.all(result.average_precision == 1.0)
    assert np.all(result.recall == 1.0)
    # Twice the same: a second instance is needed for the second detection.
    doubled = evaluate(protocol, truth + truth, perfect + perfect)
    assert np.all(doubled.average_precision == 1.0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_order_of_videos_matters_to_no_tie_of_the_official_protocol(protocol: str) -> None:
    truth, found = scene(9)
    tied = [(*row[:4], round(row[4] * 2) / 2) for row in found]
    turned = sorted(tied, key=lambda row: VIDEOS[::-1].index(row[0]))
    one, other = (evaluate(protocol, truth, rows) for rows in (tied, turned))
    same = np.array_equal(one.average_precision, other.average_precision)
    assert same == (protocol == OFFICIAL)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_ranking_says_what_the_precision_came_from(protocol: str) -> None:
    truth, found = scene(3)
    found += [("elsewhere", "a", 0.0, 5.0, 0.5), ("video_test_0000004", "a", 350.0, 380.0, 0.6)]
    found += [("video_test_0000004", "nothing", 0.0, 5.0, 0.5)]
    result = evaluate(protocol, truth, found, classes=("nothing", *CLASSES))
    ranking = result.ranking
    assert ranking.videos == (*VIDEOS, "elsewhere")
    assert ranking.hit.shape == ranking.counted.shape == (len(result.tiou), len(ranking.score))
    assert ranking.hit.dtype == ranking.counted.dtype == bool
    assert ranking.truth_count.shape == (4, 3)
    for v, video in enumerate(VIDEOS):
        for k, label in enumerate(result.classes):
            count = sum(row[:2] == (video, label) for row in truth)
            assert ranking.truth_count[v, k] == count
    rows = [
        (ranking.videos[v], result.classes[k], score)
        for v, k, score in zip(ranking.video, ranking.label, ranking.score, strict=True)
    ]
    expected = [(row[0], row[1], row[4]) for row in found if row[1] in result.classes]
    assert sorted(rows) == sorted(expected)
    assert rows == sorted(rows, key=lambda row: (row[1], -row[2]))
    for column in range(len(result.tiou)):
        assert not np.any(ranking.hit[column] & ~ranking.counted[column])
        for k in range(3):
            own = (ranking.label == k) & ranking.counted[column]
            hits = ranking.hit[column][own].tolist()
            precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
            if ranking.interpolated:
                precision = [max(precision[i:]) for i in range(len(hits))]
            area = sum(p for p, hit in zip(precision, hits, strict=True) if hit)
            count = int(result.truth_count[k])
            assert result.average_precision[k, column] == pytest.approx(area / count, abs=1e-12)
            assert result.recall[k, column] == pytest.approx(sum(hits) / count)
    discards = (~ranking.counted).any()
    assert discards == (protocol in (OFFICIAL, WTALC))
    assert ranking.interpolated == (protocol in ("activitynet", "thumos14"))
    assert "ranking" not in result.to_dict()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_area_under_the_curve_is_the_average_precision(protocol: str) -> None:
    truth, found = scene(5)
    found = [row for row in found if row[1] != "c"]  # a class without detections
    result = evaluate(protocol, truth, found)
    for column in range(len(result.tiou)):
        for k in (0, 1, 2, None):
            recall, precision = precision_recall(result, k, column)
            assert np.all(np.diff(recall) > 0)
            assert recall.shape == precision.shape
            area = float(np.sum(precision * np.diff(recall, prepend=0)))
            if k is None:
                assert area == pytest.approx(result.mean_ap[column], abs=1e-12)
                continue
            assert area == pytest.approx(result.average_precision[k, column], abs=1e-12)
            assert (recall[-1] if len(recall) else 0) == result.recall[k, column]
    nothing = evaluate(protocol, truth, [])
    assert [len(part) for part in precision_recall(nothing, None, 0)] == [0, 0]


def test_thresholds_of_the_protocols() -> None:
    assert list(PROTOCOLS) == ["activitynet", "thumos14", "thumos14-official", "wtalc"]
    assert PROTOCOL_RULES["activitynet"].tiou == tuple(np.linspace(0.5, 0.95, 10).tolist())
    assert PROTOCOL_RULES["activitynet"].tiou[8] == 0.8999999999999999
    assert PROTOCOL_RULES["thumos14"].tiou == tuple(np.linspace(0.3, 0.7, 5).tolist())
    assert PROTOCOL_RULES["thumos14-official"].tiou == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert PROTOCOL_RULES["wtalc"].tiou == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def test_ground_truth_sets_and_what_they_drop() -> None:
    truth: Truth = [
        ("video_test_0000004", "a", 0, 10),
        ("video_test_0000270", "a", 0, 10),
        ("video_test_0000270", "b", 0, 10),
        ("video_test_0001292", "Ambiguous", 0, 10),
        ("video_test_0001496", "a", 0, 10),
    ]
    videos = sorted({row[0] for row in truth})
    found = [("video_test_0000004", "a", 0, 10, 0.5), ("video_test_0001496", "a", 0, 10, 0.9)]

    def result(**options: object) -> DetectionResult:
        return detection_map(annotations(truth, videos), detections(found, CLASSES), **options)

    default = result(protocol="thumos14")
    assert default.average_map == 0.5  # the detection in 1496 is a false positive
    assert default.ground_truth["ground_truth_set"] == "gtad210"
    assert default.ground_truth["dropped_videos"]["ground_truth_set"] == videos[1:]
    assert default.ground_truth["dropped"]["set_videos"] == 3
    assert default.ground_truth["dropped"]["set_instances"] == 3
    assert default.ground_truth["notes"] == []
    assert default.detections["videos_outside_ground_truth"] == {"video_test_0001496": 1}
    assert default.detections["outside_counts_as"] == "false positives"
    # To predict for a video that the set leaves out is no mistake in the files.
    assert result(protocol="thumos14", strict=True).average_map == 0.5
    restricted = result(protocol="thumos14", restrict_to_gt_videos=True)
    assert restricted.average_map == 1.0
    assert restricted.detections["outside_counts_as"] == "left out"
    assert restricted.detections["videos_outside_ground_truth"] == {"video_test_0001496": 1}
    assert restricted.detections["evaluated"] == 1
    for name, instances, left in (("full", 4, 3), ("opentad211", 2, 2), ("gtad210", 1, 1)):
        facts = result(protocol="thumos14", ground_truth_set=name).ground_truth
        assert facts["instances"] == instances
        assert facts["videos"] == left
    everything = result(protocol="activitynet").ground_truth
    assert everything["ground_truth_set"] == "all"
    assert everything["videos"] == 4
    assert everything["videos_with_instances"] == 3
    assert everything["dropped"]["ambiguous"] == 1
    official = result(protocol="thumos14-official").ground_truth
    assert official["dropped"]["ambiguous"] == 0
    assert official["ambiguous"] == 1
    assert set(GROUND_TRUTH_SETS) == set(LEFT_OUT)
    with pytest.raises(AttentadError, match="no ground-truth set 'half'; choose one of all, full"):
        result(ground_truth_set="half")


@pytest.mark.skipif(not THUMOS14.is_file(), reason="../shared/data/thumos14 is not here")
def test_sets_of_the_real_annotations() -> None:
    reference = read_annotations(THUMOS14, keep_ambiguous=True)
    counts = {"all": (213, 3358), "full": (212, 3358), "opentad211": (211, 3329)}
    for name, expected in (counts | {"gtad210": (210, 3311)}).items():
        result = detection_map(
            reference, Detections({}, ()), protocol="thumos14", subset="test", ground_truth_set=name
        )
        facts = result.ground_truth
        assert (facts["videos"], facts["instances"]) == expected
        assert facts["classes"] == 20
        assert facts["dropped"]["set_instances"] == 3358 - expected[1]
    official = detection_map(
        reference, Detections({}, ()), protocol="thumos14-official", subset="test"
    )
    assert official.ground_truth["ambiguous"] == 99


def test_what_is_missing_is_said() -> None:
    found = [("v", "a", 0, 16, 0.5)]
    for protocol in (OFFICIAL, WTALC):
        facts = evaluate(protocol, ONE, found, videos=["v"]).ground_truth
        assert len(facts["notes"]) == 1
        assert "no segment of the class Ambiguous" in facts["notes"][0]
    assert evaluate("activitynet", ONE, found, videos=["v"]).ground_truth["notes"] == []
    reference = annotations(ONE, ["v"])
    notes = detection_map(reference, detections(found, CLASSES), protocol="thumos14")
    assert "None of the videos that the ground-truth set gtad210" in notes.ground_truth["notes"][0]
    # A class Ambiguous among the detections is one that the ground truth lacks.
    strange = [*found, ("v", "Ambiguous", 0, 5, 0.9)]
    for protocol in PROTOCOLS:
        truth: Truth = [*ONE, ("v", "Ambiguous", 100, 110)]
        result = evaluate(protocol, truth, strange, videos=["v"])
        assert result.detections["unknown_labels"] == {"Ambiguous": 1}
        assert result.average_map == 1.0
    with pytest.raises(AttentadError, match="no instance to find"):
        evaluate(OFFICIAL, [("v", "Ambiguous", 0, 5)], found, videos=["v"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_one_and_not_a_number(protocol: str) -> None:
    assert evaluate(protocol, ONE, [], videos=["v"]).average_map == 0.0
    assert evaluate(protocol, ONE, [("v", "a", 0, 16, 0.0)], videos=["v", "u"]).average_map == 1.0
    assert evaluate(protocol, ONE, [("v", "b", 0, 16, 0.0)], videos=["v"]).average_map == 0.0
    point: Truth = [("v", "a", 3.0, 3.0)]
    assert evaluate(protocol, point, [("v", "a", 3, 3, 0.5)], videos=["v"]).average_map == 0.0
    for bad in (("v", "a", 0, 16, float("nan")), ("v", "a", 0, float("inf"), 0.5)):
        with pytest.raises(AttentadError, match="score or time that is not finite"):
            evaluate(protocol, ONE, [bad], videos=["v"])
    with pytest.raises(AttentadError, match="ground truth holds a start or end that is not finite"):
        evaluate(protocol, [("v", "a", 0, float("nan"))], [], videos=["v"])
