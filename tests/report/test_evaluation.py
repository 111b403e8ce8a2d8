"""The rows of the table of average precision."""

from __future__ import annotations

import math

import numpy as np

from attentad.core import Annotations, Detections, VideoAnnotation, VideoDetections, as_segments
from attentad.metrics import detection_map
from attentad.report.evaluation import PrecisionTable, precision_table


def lines(table: PrecisionTable) -> list[tuple[str, ...]]:
    return [
        (
            group.name,
            row.detector,
            row.average.text,
            *(cell.text for cell in row.cells),
            group.instances,
        )
        for group in table.groups
        for row in group.rows
    ]


def test_a_real_result_is_laid_out_best_class_first():
    truth = VideoAnnotation(as_segments([[0, 4], [6, 8]]), ("a", "b"))
    found = VideoDetections(as_segments([[6, 8]]), np.array([0.9]), np.array([1]))
    result = detection_map(
        Annotations({"v": truth}, ("a", "b")), Detections({"v": found}, ("a", "b")), tiou=(0.3, 0.5)
    )
    table = precision_table({"": result.to_dict()})
    assert table is not None
    assert table.protocol == "activitynet"
    assert table.thresholds == ("0.3", "0.5")
    assert lines(table) == [
        ("Mean", "", "50.0", "50.0", "50.0", "2"),
        ("b", "", "100.0", "100.0", "100.0", "1"),
        ("a", "", "0.0", "0.0", "0.0", "1"),
    ]
    assert [group.rows[0].average.shade for group in table.groups] == [5, 10, 0]
    assert table.averages == [("", "50.0")]


def test_what_is_missing_shows_as_a_dash():
    table = precision_table(
        {
            "x": {
                "mAP": {"0.5": math.nan},
                "average_mAP": 0.5,
                "per_class": {"a": None, "b": {"AP": {}}},
            }
        }
    )
    assert table is not None
    assert lines(table) == [
        ("Mean", "x", "50.0", "–", "–"),
        ("a", "x", "–", "–", "–"),
        ("b", "x", "–", "–", "–"),
    ]


def evaluation(values: dict[str, float], classes: dict[str, float], instances: int) -> dict:
    return {
        "protocol": "wtalc",
        "mAP": values,
        "average_mAP": sum(values.values()) / len(values),
        "per_class": {
            name: {"AP": {"0.5": value}, "average_AP": value, "ground_truth": 2}
            for name, value in classes.items()
        },
        "ground_truth": {"instances": instances},
    }


def test_several_detectors_have_a_row_each():
    table = precision_table(
        {
            "full": evaluation({"0.1": 0.75, "0.5": 0.25}, {"run": 0.5, "jump": 0.125}, 4),
            "nothing": None,
            "weak": evaluation({"0.5": 0.125}, {"jump": 0.625, "walk": 0.0}, 6),
        }
    )
    assert table is not None
    assert table.protocol == "wtalc"
    assert table.thresholds == ("0.1", "0.5")
    assert table.averages == [("full", "50.0"), ("weak", "12.5")]
    assert lines(table) == [
        ("Mean", "full", "50.0", "75.0", "25.0", "6"),
        ("Mean", "weak", "12.5", "–", "12.5", "6"),
        ("jump", "full", "12.5", "–", "12.5", "2"),
        ("jump", "weak", "62.5", "–", "62.5", "2"),
        ("run", "full", "50.0", "–", "50.0", "2"),
        ("run", "weak", "–", "–", "–", "2"),
        ("walk", "full", "–", "–", "–", "2"),
        ("walk", "weak", "0.0", "–", "0.0", "2"),
    ]


def test_without_an_evaluation_there_is_no_table():
    assert precision_table({}) is None
    assert precision_table({"full": None, "weak": {"protocol": "x"}, "third": {}}) is None
