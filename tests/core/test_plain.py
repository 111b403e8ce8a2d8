"""Annotations and detections from what programs hold in memory."""

from typing import Any

import numpy as np
import pytest
import torch

from attentad.core import Annotations, AttentadError, Detections, VideoDetections
from attentad.core.formats.plain import annotations_from, detections_from

SEGMENTS = [[0.0, 2.0], [3.0, 4.5]]
SCORES = [0.9, 0.25]
LABELS = ["run", "jump"]


def layouts_of_annotations() -> list[Any]:
    instances = [{"segment": s, "label": name} for s, name in zip(SEGMENTS, LABELS, strict=True)]
    flat = {"start": [0.0, 3.0], "end": [2.0, 4.5], "label": LABELS}
    return [
        {"database": {"v": {"annotations": instances, "duration": 9.5, "subset": "test"}}},
        {"v": instances},
        {"v": {"segments": np.array(SEGMENTS), "labels": np.array(LABELS)}},
        {"v": {"segments": torch.tensor(SEGMENTS), "labels": LABELS}},
        {"video": ["v", "v"], **flat},
        {"video-id": ["v", "v"], "t-start": flat["start"], "t-end": flat["end"], "label": LABELS},
    ]


def layouts_of_detections() -> list[Any]:
    instances = [
        {"segment": s, "label": name, "score": score}
        for s, name, score in zip(SEGMENTS, LABELS, SCORES, strict=True)
    ]
    flat = {"start": [0.0, 3.0], "end": [2.0, 4.5], "label": LABELS, "score": SCORES}
    return [
        {"results": {"v": instances}},
        {"v": instances},
        {"v": {"segments": SEGMENTS, "labels": LABELS, "scores": SCORES}},
        {"v": (torch.tensor(SEGMENTS), torch.tensor(SCORES), LABELS)},
        {"video": ["v", "v"], **flat},
    ]


@pytest.mark.parametrize("values", layouts_of_annotations())
def test_every_layout_gives_the_same_annotations(values: Any) -> None:
    read = annotations_from(values)
    assert read.classes == ("jump", "run")
    assert list(read.videos) == ["v"]
    np.testing.assert_array_equal(read.videos["v"].segments, SEGMENTS)
    assert read.videos["v"].labels == ("run", "jump")


def test_activitynet_facts_are_kept() -> None:
    item = annotations_from(layouts_of_annotations()[0]).videos["v"]
    assert (item.duration_sec, item.subset) == (9.5, "test")


@pytest.mark.parametrize("values", layouts_of_detections())
def test_every_layout_gives_the_same_detections(values: Any) -> None:
    read = detections_from(values)
    item = read.videos["v"]
    np.testing.assert_array_equal(item.segments, SEGMENTS)
    np.testing.assert_allclose(item.scores, SCORES, rtol=1e-6)
    assert [read.classes[label] for label in item.labels] == LABELS


def test_numbers_count_the_classes_from_zero() -> None:
    values = {"v": {"segments": SEGMENTS, "labels": [1, 0], "scores": SCORES}}
    read = detections_from(values, classes=["jump", "run"])
    assert read.classes == ("jump", "run")
    assert read.videos["v"].labels.tolist() == [1, 0]
    truth = annotations_from({"v": {"segments": SEGMENTS, "labels": torch.tensor([1, 0])}})
    assert truth.videos["v"].labels == ("1", "0")


def test_without_labels_they_are_proposals() -> None:
    read = detections_from({"v": (np.array(SEGMENTS), np.array(SCORES)), "empty": []})
    assert read.videos["v"].labels.tolist() == [-1, -1]
    assert read.classes == ()
    assert len(read.videos["empty"]) == 0


def test_our_own_types_pass_through() -> None:
    truth, found = Annotations({}, ("a",)), Detections({}, ("a",))
    assert annotations_from(truth) is truth
    assert detections_from(found) is found
    item = VideoDetections(np.array(SEGMENTS), np.array(SCORES), np.array([1, -1]))
    read = detections_from({"v": item}, classes=("a", "b"))
    assert [read.classes[label] for label in read.videos["v"].labels] == ["b", "action"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (7, "must be a dict of video id"),
        ({"v": [{"segment": [1, 2], "label": "a"}]}, "detected video v lacks 'score'"),
        ({"v": [{"label": "a", "score": 1.0}]}, "detected video v lacks 'segment'"),
        ({"v": [3, 4]}, "detected video v: its segments"),
        ({"v": (np.zeros((2, 3)), [1, 2])}, "detected video v: its segments"),
        ({"v": ([[2.0, 1.0]], [0.5])}, "ends at 1 s, before it starts at 2 s"),
        ({"v": ([[0.0, np.nan]], [0.5])}, "must be finite"),
        ({"v": ([[0.0, 1.0]], [np.inf])}, "score that is not finite"),
        ({"v": ([[0.0, 1.0]], [0.5], [0, 1])}, "its labels do not fit"),
        ({"video": ["v"], "start": [0.0, 1.0], "end": [2.0]}, "columns differ in length"),
        ({"v": VideoDetections(np.zeros((1, 2)), np.ones(1), np.array([3]))}, "name the classes"),
    ],
)
def test_what_does_not_fit_is_named(values: Any, words: str) -> None:
    with pytest.raises(AttentadError, match=words):
        detections_from(values)


def test_a_number_beyond_the_classes_is_refused() -> None:
    with pytest.raises(AttentadError, match="label 2 is not among the 2 classes"):
        annotations_from({"v": {"segments": [[0, 1]], "labels": [2]}}, classes=["a", "b"])
    with pytest.raises(AttentadError, match="annotated video v: its labels"):
        annotations_from({"v": {"segments": [[0, 1]], "labels": []}})
