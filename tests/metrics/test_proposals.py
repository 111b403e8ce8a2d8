"""AR@AN and AUC against the loops of the specification, golden values, and invariants."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    VideoAnnotation,
    VideoDetections,
    as_segments,
    no_detections,
)
from attentad.metrics.proposals import PROPOSAL_PROTOCOLS, ProposalResult, average_recall

Span = tuple[float, float]
Truth = dict[str, list[Span]]
Found = dict[str, list[tuple[float, float, float]]]  # start, end, score

TIOU = (0.5, 0.75, 1.0)


def overlap(a: Span, b: Span) -> float:
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - inter
    return inter / union if union > 0 else 0.0


def slow(
    truth: Truth, found: Found, tiou: tuple[float, ...], most: int
) -> tuple[list[list[float]], float]:
    """Spec csa §7.2, one video, threshold and column after the other: recall, AUC in percent."""
    videos = [video for video, spans in truth.items() if spans]
    total = sum(len(rows) for rows in found.values())
    lists = {}
    for video in videos:
        rows = sorted(found.get(video, []), key=lambda row: row[2])[::-1]
        keep = min(int(len(rows) * (most * float(len(videos)) / total)), len(rows)) if total else 0
        lists[video] = rows[:keep]
    retrieved = sum(len(rows) for rows in lists.values())
    instances = sum(len(truth[video]) for video in videos)
    recall = []
    for threshold in tiou:
        line = []
        for j in range(1, most + 1):
            hits = 0
            for video in videos:
                rows = lists[video]
                if not retrieved:
                    continue
                share = j / float(most) * (most * float(len(videos)) / retrieved)
                first = rows[: min(int(len(rows) * share), len(rows))]
                for span in truth[video]:
                    hits += any(overlap(row[:2], span) >= threshold for row in first)
            line.append(hits / instances)
        recall.append(line)
    mean = [sum(column) / len(tiou) for column in zip(*recall, strict=True)]
    area = sum((a + b) / 2 for a, b in pairwise(mean))
    return recall, 100 * area / most


def annotations(truth: Truth, label: str = "a") -> Annotations:
    items = {
        video: VideoAnnotation(as_segments(spans), (label,) * len(spans))
        for video, spans in truth.items()
    }
    return Annotations(items, (label,))


def proposals(found: Found) -> Detections:
    items = {
        video: VideoDetections(
            as_segments([row[:2] for row in rows]),
            np.array([row[2] for row in rows], dtype=np.float64),
            np.full(len(rows), -1),
        )
        for video, rows in found.items()
    }
    return Detections(items, ())


def check(truth: Truth, found: Found, most: int) -> ProposalResult:
    result = average_recall(annotations(truth), proposals(found), tiou=TIOU, max_proposals=most)
    recall, auc = slow(truth, found, TIOU, most)
    np.testing.assert_allclose(result.recall, recall, atol=1e-12)
    assert result.auc_percent == pytest.approx(auc, abs=1e-9)
    np.testing.assert_allclose(result.proposals_per_video, np.arange(1, most + 1))
    assert np.all(np.diff(result.recall, axis=1) >= 0)  # AR never falls with AN
    return result


# Few places and few scores, so that ties in tIoU and score are the rule.
span = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(sorted).map(tuple)
row = st.builds(lambda s, p: (*s, p), span, st.sampled_from([0.0, 0.25, 0.5]))


@given(
    st.fixed_dictionaries({"u": st.lists(span, min_size=1, max_size=4), "v": st.lists(span)}),
    st.dictionaries(st.sampled_from("uvwx"), st.lists(row, max_size=9)),
    st.integers(1, 12),
)
@settings(deadline=None, max_examples=200)
def test_the_fast_evaluator_is_the_loop(truth: Truth, found: Found, most: int) -> None:
    check(truth, found, most)


def test_uneven_videos_at_the_size_of_a_benchmark_column() -> None:
    rng = np.random.default_rng(3)
    truth: Truth = {}
    found: Found = {}
    for number in range(15):
        start = rng.uniform(0, 50, rng.integers(1, 4))
        truth[f"v{number}"] = [(s, s + 10) for s in start]
        rows = rng.uniform(0, 50, (rng.integers(0, 250), 2))
        found[f"v{number}"] = [
            (s, s + 8 + d / 10, p)
            for (s, d), p in zip(rows, rng.uniform(size=len(rows)), strict=True)
        ]
    result = check(truth, found, 100)
    assert 0 < result.at[1] < result.at[100] < 1


def perfect(videos: int, each: int) -> tuple[Truth, Found]:
    names = [f"v{number}" for number in range(videos)]
    wrong = [(50.0, 51.0, -float(rank)) for rank in range(1, each)]
    return (
        {name: [(0.0, 10.0)] for name in names},
        {name: [(0.0, 10.0, 1.0), *wrong] for name in names},
    )


@pytest.mark.parametrize("videos", [1, 3, 7])
def test_a_perfect_first_proposal_scores_99(videos: int) -> None:
    truth, found = perfect(videos, 100)
    result = average_recall(annotations(truth), proposals(found))
    assert np.all(result.recall == 1.0)
    assert result.recall.shape == (10, 100)
    assert result.at == {1: 1.0, 5: 1.0, 10: 1.0, 100: 1.0}
    assert result.auc_percent == pytest.approx(99.0, abs=1e-12)


def test_columns_29_57_and_58_use_one_proposal_less() -> None:
    # Proposal number n covers instance n only, so recall × 100 is the number of proposals used.
    truth: Truth = {"v": [(10.0 * n, 10.0 * n + 5) for n in range(100)]}
    found: Found = {"v": [(*row, -float(n)) for n, row in enumerate(truth["v"])]}
    result = average_recall(annotations(truth), proposals(found))
    used = np.rint(result.recall[0] * 100).astype(int)
    expected = np.arange(1, 101)
    expected[[28, 56, 57]] -= 1
    np.testing.assert_array_equal(used, expected)


def test_one_proposal_may_cover_several_instances() -> None:
    truth: Truth = {"v": [(0.0, 10.0), (1.0, 10.0), (40.0, 50.0)]}
    result = average_recall(
        annotations(truth), proposals({"v": [(0.0, 10.0, 0.5)]}), tiou=(0.5,), max_proposals=2
    )
    assert result.recall.tolist() == [[2 / 3, 2 / 3]]


def test_proposals_of_videos_without_instances_use_up_the_ratio() -> None:
    truth: Truth = {"v": [(0.0, 10.0)], "empty": []}
    rows = [(50.0, 51.0, 0.9), (0.0, 10.0, 0.8)]
    # Two proposals in the file at M = 1: ratio 1/2, so only the better one enters.
    alone = average_recall(annotations(truth), proposals({"v": rows}), max_proposals=1)
    assert alone.recall.max() == 0
    elsewhere = {"v": [*rows, (1.0, 2.0, 0.1)], "empty": rows, "unknown": rows[:1]}
    both = average_recall(annotations(truth), proposals(elsewhere), max_proposals=4)
    # Six in the file: ⌊3 · 4/6⌋ = 2 enter; without the others' all three would.
    assert both.detections["retrieved"] == 2
    assert both.detections["total"] == 6
    assert both.detections["videos_outside_ground_truth"] == {"unknown": 1}
    assert both.ground_truth["videos_with_instances"] == 1


def test_on_a_tie_in_score_the_later_proposal_comes_first() -> None:
    truth: Truth = {"v": [(0.0, 10.0)]}
    hit, miss = (0.0, 10.0, 0.5), (50.0, 51.0, 0.5)
    for rows, expected in (([miss, hit], 1.0), ([hit, miss], 0.0)):
        result = average_recall(annotations(truth), proposals({"v": rows}), max_proposals=2)
        assert result.recall[0].tolist() == [expected, 1.0]


def test_thumos14_columns_and_thresholds() -> None:
    truth, found = perfect(3, 1200)
    result = average_recall(annotations(truth), proposals(found), protocol="thumos14")
    assert result.tiou == tuple(np.linspace(0.5, 1.0, 11).tolist())
    assert result.at == dict.fromkeys((50, 100, 200, 500, 1000), 1.0)
    assert result.recall.shape == (11, 1000)
    assert result.detections["retrieved"] == 3000
    assert PROPOSAL_PROTOCOLS["activitynet"].tiou[-1] == 0.95


def test_the_curve_is_flat_beyond_the_proposals_there_are() -> None:
    truth: Truth = {"v": [(0.0, 10.0)], "w": [(0.0, 10.0)]}
    found: Found = {"v": [(0.0, 5.0, 0.9), (0.0, 10.0, 0.1)], "w": [(0.0, 10.0, 0.3)] * 2}
    result = check(truth, found, 6)
    assert np.all(result.recall[:, 1:] == 1.0)
    assert np.all(result.recall[1:, 0] == 0.5)


def test_ambiguous_instances_are_left_out_and_counted() -> None:
    items = {
        "v": VideoAnnotation(as_segments([[0, 10], [20, 30]]), ("a", "Ambiguous")),
        "w": VideoAnnotation(as_segments([[0, 10]]), ("Ambiguous",)),
    }
    reference = Annotations(items, ("Ambiguous", "a"))
    found = proposals({"v": [(0.0, 10.0, 0.5)], "w": [(0.0, 10.0, 0.5)]})
    result = average_recall(reference, found, max_proposals=5)
    assert np.all(result.recall == 1.0)
    assert result.ground_truth["videos"] == 2
    assert result.ground_truth["videos_with_instances"] == 1
    assert result.ground_truth["instances"] == 1
    assert result.ground_truth["dropped"]["ambiguous"] == 2
    assert result.detections["videos_outside_ground_truth"] == {}


def test_repeated_segments_can_be_taken_once() -> None:
    truth: Truth = {"v": [(0.0, 10.0)], "w": [(0.0, 10.0)]}
    found: Found = {
        # The same segments for two classes each; the right one has its best score second.
        "v": [(0.0, 10.0, 0.1), (50.0, 51.0, 0.4), (0.0, 10.0, 0.6), (50.0, 51.0, 0.5)],
        "w": [(50.0, 51.0, 0.9), (50.0, 51.0, 0.8), (0.0, 10.0, 0.2), (0.0, 10.0, 0.1)],
        "unknown": [(0.0, 10.0, 0.5)],
        "other": [(0.0, 10.0, 0.5)],
    }
    merged: Found = {
        "v": [(0.0, 10.0, 0.6), (50.0, 51.0, 0.5)],
        "w": [(50.0, 51.0, 0.9), (0.0, 10.0, 0.2)],
        "unknown": [(0.0, 10.0, 0.5)],
        "other": [(0.0, 10.0, 0.5)],
    }
    plain = average_recall(annotations(truth), proposals(found), max_proposals=3)
    once = average_recall(annotations(truth), proposals(found), max_proposals=3, merge_classes=True)
    expected = average_recall(annotations(truth), proposals(merged), max_proposals=3)
    np.testing.assert_array_equal(once.recall, expected.recall)
    assert not np.array_equal(plain.recall, once.recall)
    assert once.detections["total"] == 10
    assert once.detections["evaluated"] == 6


def test_nothing_proposed() -> None:
    truth: Truth = {"v": [(0.0, 10.0)]}
    outside: Found = {"unknown": [(0.0, 1.0, 0.5)] * 9}
    for found in (Detections({}, ()), Detections({"v": no_detections()}, ()), proposals(outside)):
        result = average_recall(annotations(truth), found)
        assert result.auc_percent == 0.0
        assert np.all(result.recall == 0)
    # So many proposals elsewhere that none of this video's enters.
    crowd = {**outside, "v": [(0.0, 10.0, 0.5)]}
    result = average_recall(annotations(truth), proposals(crowd), max_proposals=1)
    assert np.all(result.recall == 0)
    assert result.proposals_per_video.tolist() == [1.0]
    assert result.auc_percent == 0.0


def test_blocked_videos_leave_both_sides() -> None:
    truth: Truth = {"v": [(0.0, 10.0)], "w": [(0.0, 10.0)]}
    found: Found = {"v": [(0.0, 10.0, 0.5)], "w": [(50.0, 51.0, 0.5)]}
    result = average_recall(annotations(truth), proposals(found), blocked=["w"])
    assert np.all(result.recall == 1.0)
    assert result.detections["blocked_videos"] == 1
    assert result.ground_truth["dropped"]["blocked_videos"] == 1


def test_result_as_plain_values() -> None:
    truth, found = perfect(2, 100)
    plain = average_recall(annotations(truth), proposals(found)).to_dict()
    assert list(plain) == [
        "protocol",
        "tiou",
        "AR",
        "AUC",
        "recall",
        "curve",
        "ground_truth",
        "detections",
    ]
    assert plain["AR"] == {"1": 1.0, "5": 1.0, "10": 1.0, "100": 1.0}
    assert plain["recall"]["0.55"]["5"] == 1.0
    assert len(plain["curve"]["average_recall"]) == 100
    assert json.loads(json.dumps(plain)) == plain


def test_what_cannot_be_evaluated() -> None:
    reference = annotations({"v": [(0.0, 10.0)]})
    found = proposals({"v": [(0.0, 10.0, 0.5)], "w": [(0.0, 1.0, 0.5)]})
    with pytest.raises(AttentadError, match=r"no proposal protocol 'x'; .* activitynet, thumos14"):
        average_recall(reference, found, protocol="x")
    with pytest.raises(AttentadError, match=r"given: 0, 0\.5\."):
        average_recall(reference, found, tiou=(0, 0.5))
    with pytest.raises(AttentadError, match="given: none"):
        average_recall(reference, found, tiou=())
    with pytest.raises(AttentadError, match="given twice"):
        average_recall(reference, found, tiou=(0.5, 0.5))
    with pytest.raises(AttentadError, match="at least 1, not 0"):
        average_recall(reference, found, max_proposals=0)
    with pytest.raises(AttentadError, match=r"lacks 1 of the detected videos, .* being w"):
        average_recall(reference, found, strict=True)
    with pytest.raises(AttentadError, match="no ground-truth set 'x'"):
        average_recall(reference, found, ground_truth_set="x")
    with pytest.raises(AttentadError, match="hold no instance to find"):
        average_recall(annotations({"v": [(0.0, 10.0)]}, "Ambiguous"), found)
    with pytest.raises(AttentadError, match="subset test; the subsets are"):
        average_recall(reference, found, subset="test")
    for broken in ((0.0, float("nan"), 0.5), (0.0, 1.0, float("inf"))):
        with pytest.raises(AttentadError, match="hold a score or time"):
            average_recall(reference, proposals({"v": [broken]}))
    with pytest.raises(AttentadError, match="start or end that is not finite"):
        average_recall(annotations({"v": [(0.0, float("inf"))]}), found)
