"""The mAP table's rows."""

from __future__ import annotations

import math

import numpy as np

from attentad.core import Annotations, Detections, VideoAnnotation, VideoDetections, as_segments
from attentad.metrics import detection_map
from attentad.report.evaluation import comparison_table, evaluation_table


def test_a_real_result_is_laid_out_best_class_first():
    truth = VideoAnnotation(as_segments([[0, 4], [6, 8]]), ("a", "b"))
    found = VideoDetections(as_segments([[6, 8]]), np.array([0.9]), np.array([1]))
    result = detection_map(
        Annotations({"v": truth}, ("a", "b")), Detections({"v": found}, ("a", "b")), tiou=(0.3, 0.5)
    )
    table = evaluation_table(result.to_dict())
    assert table is not None
    assert table.protocol == "activitynet"
    assert table.thresholds == ("0.3", "0.5")
    assert [cell.text for cell in table.mean.cells] == ["50.0", "50.0"]
    assert (table.mean.average.text, table.mean.instances) == ("50.0", "2")
    assert [(row.name, row.average.text, row.instances) for row in table.classes] == [
        ("b", "100.0", "1"),
        ("a", "0.0", "1"),
    ]
    assert [row.average.shade for row in table.classes] == [10, 0]


def test_what_is_missing_shows_as_a_dash():
    assert evaluation_table(None) is None
    assert evaluation_table({}) is None
    assert evaluation_table({"protocol": "x"}) is None
    table = evaluation_table(
        {"mAP": {"0.5": math.nan}, "average_mAP": 0.5, "per_class": {"a": None, "b": {"AP": {}}}}
    )
    assert table is not None
    assert [cell.text for cell in table.mean.cells] == ["–"]
    assert table.mean.average.text == "50.0"
    assert {row.average.text for row in table.classes} == {"–"}
    assert table.mean.instances == "–"


def evaluation(values: dict[str, float], classes: dict[str, float], instances: int) -> dict:
    return {
        "protocol": "wtalc",
        "mAP": values,
        "average_mAP": sum(values.values()) / len(values),
        "per_class": {
            name: {"average_AP": value, "ground_truth": 2} for name, value in classes.items()
        },
        "ground_truth": {"instances": instances},
    }


def test_several_detectors_have_a_column_each():
    table = comparison_table(
        {
            "full": evaluation({"0.1": 0.75, "0.5": 0.25}, {"run": 0.5, "jump": 0.125}, 4),
            "nothing": None,
            "weak": evaluation({"0.5": 0.125}, {"jump": 0.625, "walk": 0.0}, 6),
        }
    )
    assert table is not None
    assert table.detectors == ("full", "weak")
    assert table.protocol == "wtalc"
    assert [(name, cell.text) for name, cell in table.averages] == [
        ("full", "50.0"),
        ("weak", "12.5"),
    ]
    rows = [
        (row.name, *(cell.text for cell in row.cells), row.instances, row.is_mean)
        for row in table.rows
    ]
    assert rows == [
        ("average", "50.0", "12.5", "6", True),
        ("0.1", "75.0", "–", "4", True),
        ("0.5", "25.0", "12.5", "6", True),
        ("jump", "12.5", "62.5", "2", False),
        ("run", "50.0", "–", "2", False),
        ("walk", "–", "0.0", "2", False),
    ]
    assert [cell.shade for cell in table.rows[0].cells] == [5, 1]


def test_no_evaluation_no_comparison():
    assert comparison_table({}) is None
    assert comparison_table({"full": None, "weak": {"protocol": "x"}}) is None
