"""The mAP table's rows."""

from __future__ import annotations

import math

import numpy as np

from attentad.core import Annotations, Detections, VideoAnnotation, VideoDetections, as_segments
from attentad.metrics import detection_map
from attentad.report.evaluation import evaluation_table


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
