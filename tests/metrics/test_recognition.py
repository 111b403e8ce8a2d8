"""Recognition accuracies and video-level mAP against loops, golden values, and their errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError
from attentad.metrics.recognition import recognition_scores, video_map, wilson_interval

Rows = list[list[float]]


def slow_place(row: list[float], label: int) -> int:
    """How many classes come before the true one: better, or as good and of smaller index."""
    order = sorted(range(len(row)), key=lambda k: (-row[k], k))
    return order.index(label)


def slow_ap(column: list[float], truth: list[bool]) -> float | None:
    order = sorted(range(len(column)), key=lambda v: (-column[v], v))
    hits, total = 0, 0.0
    for place, video in enumerate(order):
        if truth[video]:
            hits += 1
            total += hits / (place + 1)
    return total / hits if hits else None


@st.composite
def tables(draw: st.DrawFn) -> tuple[Rows, list[int], list[str]]:
    """Scores with many ties, labels, splits."""
    rows, classes = draw(st.integers(1, 12)), draw(st.integers(1, 8))
    score = st.sampled_from([-1.0, 0.0, 0.5, 2.0])
    row = st.lists(score, min_size=classes, max_size=classes)
    label = st.integers(0, classes - 1)
    split = st.sampled_from(["one", "two", "three"])
    size = {"min_size": rows, "max_size": rows}
    return (
        draw(st.lists(row, **size)),
        draw(st.lists(label, **size)),
        draw(st.lists(split, **size)),
    )


@given(tables())
@settings(deadline=None, max_examples=200)
def test_accuracies_are_those_of_the_loop(table: tuple[Rows, list[int], list[str]]) -> None:
    scores, labels, splits = table
    result = recognition_scores(scores, labels, splits=splits)
    assert result.splits == tuple(sorted(set(splits)))
    tops = {1: [], 5: [], "class": []}
    for split in result.splits:
        own = [i for i in range(len(labels)) if splits[i] == split]
        places = [slow_place(scores[i], labels[i]) for i in own]
        for k in (1, 5):
            tops[k].append(sum(place < k for place in places) / len(own))
        of_class = []
        for label in sorted({labels[i] for i in own}):
            right = [p == 0 for i, p in zip(own, places, strict=True) if labels[i] == label]
            of_class.append(sum(right) / len(right))
        tops["class"].append(sum(of_class) / len(of_class))
    np.testing.assert_allclose(result.split_top1, tops[1])
    np.testing.assert_allclose(result.split_top5, tops[5])
    np.testing.assert_allclose(result.split_mean_class, tops["class"])
    assert result.top1 == pytest.approx(np.mean(tops[1]))
    assert result.top5 == pytest.approx(np.mean(tops[5]))
    assert result.mean_class_accuracy == pytest.approx(np.mean(tops["class"]))
    for true in range(len(scores[0])):
        for taken in range(len(scores[0])):
            count = sum(
                labels[i] == true and slow_place(scores[i], taken) == 0 for i in range(len(labels))
            )
            assert result.confusion[true, taken] == count


@given(tables(), st.data())
@settings(deadline=None, max_examples=200)
def test_video_map_is_that_of_the_loop(
    table: tuple[Rows, list[int], list[str]], data: st.DataObject
) -> None:
    scores = table[0]
    shape = (len(scores), len(scores[0]))
    flat = data.draw(
        st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).filter(
            any
        )
    )
    labels = np.array(flat).reshape(shape)
    result = video_map(scores, labels, threshold=0.5)
    expected = [slow_ap([row[c] for row in scores], labels[:, c].tolist()) for c in range(shape[1])]
    for value, reference in zip(result.average_precision, expected, strict=True):
        assert np.isnan(value) if reference is None else value == pytest.approx(reference)
    assert result.mean_ap == pytest.approx(np.mean([x for x in expected if x is not None]))
    exact = [
        {c for c in range(shape[1]) if row[c] >= 0.5} == set(np.flatnonzero(truth).tolist())
        for row, truth in zip(scores, labels, strict=True)
    ]
    assert result.exact_set_accuracy == pytest.approx(np.mean(exact))
    assert result.truth_count.tolist() == labels.sum(axis=0).tolist()


def test_three_splits_count_alike_whatever_their_size() -> None:
    # 75.0, 73.3 and 74.1 are STA-ResNeXt-101 on HMDB-51; Table I prints their mean as 74.1.
    right = {1: 750, 2: 733, 3: 741}
    labels, splits = [], []
    for split, count in right.items():
        # Split 3 is three times the size of split 1.
        labels += ([0] * count + [1] * (1000 - count)) * split
        splits += [split] * 1000 * split
    scores = np.tile([1.0, 0.0], (len(labels), 1))
    result = recognition_scores(scores, labels, splits=splits)
    np.testing.assert_allclose(result.split_top1, [0.750, 0.733, 0.741])
    assert result.top1 == pytest.approx(0.7413333)
    assert result.clips.tolist() == [1000, 2000, 3000]
    assert result.to_dict()["std"]["top1"] == pytest.approx(np.std([0.750, 0.733, 0.741]))
    assert result.mean_class_accuracy == 0.5


def test_top_5_of_fewer_classes_is_all_of_them() -> None:
    result = recognition_scores([[0, 1, 2]], [0])
    assert (result.top1, result.top5) == (0.0, 1.0)
    six = recognition_scores([[0, 1, 2, 3, 4, 5]], [0])
    assert six.top5 == 0.0


def test_among_equal_scores_the_smaller_index_is_better() -> None:
    assert recognition_scores([[1, 1]], [0]).top1 == 1.0
    assert recognition_scores([[1, 1]], [1]).top1 == 0.0
    assert recognition_scores([[1.0] * 6], [5]).top5 == 0.0
    # In a ranking of videos it is the earlier row.
    assert video_map([[1], [1]], [[1], [0]]).mean_ap == 1.0
    assert video_map([[1], [1]], [[0], [1]]).mean_ap == 0.5


def test_average_precision_is_not_interpolated() -> None:
    # Precisions at the true videos 1/2 and 2/3; interpolated, the first would be 2/3 as well.
    result = video_map([[0.9], [0.8], [0.7]], [[0], [1], [1]])
    assert result.mean_ap == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_a_score_at_the_threshold_predicts_its_class() -> None:
    assert video_map([[0.2, 0.1]], [[1, 0]], threshold=0.2).exact_set_accuracy == 1.0
    assert video_map([[0.2, 0.1]], [[1, 0]], threshold=0.3).exact_set_accuracy == 0.0
    assert video_map([[0.2, 0.2]], [[1, 0]], threshold=0.2).exact_set_accuracy == 0.0


def test_results_as_plain_values() -> None:
    plain = recognition_scores(
        [[2, 1, 0], [0, 1, 2]], [0, 0], classes=["a", "b", "c"], splits=[2, 10]
    ).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["top1"] == 0.5
    assert plain["std"] == {"top1": 0.5, "top5": 0.0, "mean_class_accuracy": 0.5}
    assert list(plain["splits"]) == ["2", "10"]
    assert plain["splits"]["2"] == {
        "clips": 1,
        "top1": 1.0,
        "top5": 1.0,
        "mean_class_accuracy": 1.0,
    }
    assert plain["per_class"]["a"] == {"accuracy": 0.5, "clips": 2}
    assert plain["per_class"]["b"] == {"accuracy": None, "clips": 0}
    assert plain["confusion"] == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]
    plain = video_map([[2, 1], [0, 1]], [[1, 0], [0, 0]], classes=["a", "b"]).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["per_class"] == {"a": {"AP": 1.0, "videos": 1}, "b": {"AP": None, "videos": 0}}
    assert plain["mAP"] == 1.0


def test_infinite_logits_are_scores() -> None:
    assert recognition_scores([[-np.inf, 0.0]], [1]).top1 == 1.0


GOOD = [[0.5, 0.1], [0.2, 0.3]]


@pytest.mark.parametrize(
    ("scores", "labels", "options", "message"),
    [
        ([0.5, 0.1], [0, 1], {}, r"row per clip .* shape is \(2,\)"),
        (np.zeros((0, 2)), [], {}, r"shape is \(0, 2\)"),
        (np.zeros((2, 0)), [0, 0], {}, r"shape is \(2, 0\)"),
        ([[0.5, 0.1], [0.2]], [0, 1], {}, "rows of scores differ in length"),
        ([["a", "b"]], [0], {}, "scores must be numbers"),
        ([[0.5, 0.1], [0.2, np.nan]], [0, 1], {}, "row 1 of the scores holds NaN"),
        (GOOD, [0], {}, r"2 rows of scores need as many labels; their shape is \(1,\)"),
        (GOOD, [[1, 0], [0, 1]], {}, r"their shape is \(2, 2\)"),
        (GOOD, [[0], [0, 1]], {}, "rows of labels differ in length"),
        (GOOD, [0, 2], {}, "label of row 1 is 2, but there are 2 classes, 0 to 1"),
        (GOOD, [-1, 0], {}, "label of row 0 is -1"),
        (GOOD, [0.0, 1.0], {}, "must be class indices, not of type float64"),
        (GOOD, [0, 1], {"splits": [1]}, "need as many splits"),
        (GOOD, [0, 1], {"classes": ["a"]}, "2 columns, but 1 classes are named"),
    ],
)
def test_what_cannot_be_scored(scores: object, labels: object, options: dict, message: str) -> None:
    with pytest.raises(AttentadError, match=message):
        recognition_scores(scores, labels, **options)


@pytest.mark.parametrize(
    ("scores", "labels", "options", "message"),
    [
        (GOOD, [0, 1], {}, r"shape of the scores, \(2, 2\), not \(2,\)"),
        (GOOD, [[1, 2], [0, 0]], {}, "must be 0 or 1"),
        (GOOD, [[0, 0], [0, 0]], {}, "no video has a class"),
        ([[np.nan, 0]], [[1, 0]], {}, "row 0 of the scores holds NaN"),
        (GOOD, [[1, 0], [0, 0]], {"threshold": np.nan}, "threshold .* is NaN"),
        (GOOD, [[1, 0], [0, 0]], {"classes": "abc"}, "2 columns, but 3 classes"),
    ],
)
def test_what_has_no_video_map(scores: object, labels: object, options: dict, message: str) -> None:
    with pytest.raises(AttentadError, match=message):
        video_map(scores, labels, **options)


def test_wilson_interval_is_that_of_the_textbook() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    cases = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (1, 29): (0.0061, 0.1718)}
    for (right, clips), expected in cases.items():
        assert wilson_interval(right, clips) == pytest.approx(expected, abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson_interval(20, 20) == pytest.approx((0.8389, 1), abs=1e-4)
