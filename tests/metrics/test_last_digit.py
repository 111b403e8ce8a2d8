"""What hangs on the last digit of a threshold, and on the order of a detection's two times."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import attentad
from attentad.core import Annotations, Detections, VideoAnnotation, VideoDetections
from attentad.core.notes import Note
from attentad.metrics import (
    PROPOSAL_PROTOCOLS,
    PROTOCOL_RULES,
    average_recall,
    detection_map,
    diagnose,
)
from attentad.metrics.diagnosis import DIAGNOSIS_TIOU
from attentad.metrics.evaluate import evaluate_files
from attentad.report.result_tables import detection_notes

RANGES = {
    "activitynet": "0.5:0.95:0.05",
    "thumos14": "0.3:0.7:0.1",
    "thumos14-official": "0.1:0.5:0.1",
    "wtalc": "0.1:0.7:0.1",
}


def one(segment: list[float], detected: list[float]) -> tuple[Annotations, Detections]:
    """One instance and one detection of it."""
    truth = VideoAnnotation(np.array([segment]), ("a",), duration_sec=10.0)
    found = VideoDetections(np.array([detected]), np.ones(1), np.zeros(1, dtype=np.int64))
    return Annotations({"v": truth}, ("a",), marker=None), Detections({"v": found}, ("a",))


def test_a_tiou_of_exactly_nine_tenths_counts_at_the_ninth_threshold() -> None:
    # 1.8 / 2.0 = 0.9, and the ninth of linspace(.5, .95, 10) is 0.8999999999999999.
    found = {"v": {"segments": [[0.1, 1.9]], "scores": [1.0], "labels": ["a"]}}
    truth = {"v": [{"segment": [0.1, 2.1], "label": "a"}]}
    expected = [1.0] * 9 + [0.0]
    for tiou in (None, "0.5:0.95:0.05"):
        result = attentad.evaluate(found, truth, tiou=tiou)
        assert result.mean_ap.tolist() == expected
        assert list(result.to_dict()["mAP"])[8] == "0.9"
    assert attentad.evaluate(found, truth, tiou="0.9").mean_ap.tolist() == [0.0]
    annotations, detections = one([0.1, 2.1], [0.1, 1.9])
    recall = average_recall(annotations, detections)
    assert recall.recall[:, 0].tolist() == expected
    assert recall.auc_percent == pytest.approx(99 * 0.9)
    assert list(recall.to_dict()["recall"])[8] == "0.9"
    profile = diagnose(annotations, detections, buckets="activitynet")
    assert profile.map_n == pytest.approx(0.9)
    assert profile.shares[0, 0] == pytest.approx(0.9)


def test_four_tenths_is_reached_in_the_range_of_thumos14() -> None:
    # 0.8 / 2.0 = 0.4 falls one digit short of it in floats; linspace(.3, .7, 5) has that digit.
    annotations, detections = one([0.1, 2.1], [0.1, 0.9])
    for protocol, tiou, hits in (
        ("thumos14", None, 2),
        ("activitynet", "0.3:0.7:0.1", 2),
        ("activitynet", "0.3,0.4,0.5", 1 if 0.8 / 2.0 < 0.4 else 2),
    ):
        result = detection_map(
            annotations, detections, tiou=tiou, protocol=protocol, ground_truth_set="all"
        )
        assert result.mean_ap.sum() == hits


@pytest.mark.parametrize("protocol", RANGES)
def test_a_users_range_is_the_protocols_own_to_the_last_bit(protocol: str) -> None:
    annotations, detections = one([0.0, 10.0], [0.0, 10.0])
    results = [
        detection_map(annotations, detections, tiou=tiou, protocol=protocol, ground_truth_set="all")
        for tiou in (None, RANGES[protocol])
    ]
    assert results[0].tiou == results[1].tiou == PROTOCOL_RULES[protocol].tiou
    decimal = protocol in ("thumos14-official", "wtalc")
    assert (results[0].tiou == tuple(round(value, 2) for value in results[0].tiou)) == decimal


@pytest.mark.parametrize(
    ("protocol", "text"), [("activitynet", "0.5:0.95:0.05"), ("thumos14", "0.5:1.0:0.05")]
)
def test_the_same_of_proposals_and_diagnosis(protocol: str, text: str) -> None:
    annotations, detections = one([0.0, 10.0], [0.0, 10.0])
    own = average_recall(annotations, detections, protocol=protocol)
    typed = average_recall(annotations, detections, protocol=protocol, tiou=text)
    assert own.tiou == typed.tiou == PROPOSAL_PROTOCOLS[protocol].tiou
    start, stop, _ = map(float, text.split(":"))
    assert own.tiou == tuple(np.linspace(start, stop, len(own.tiou)).tolist())
    profile = diagnose(annotations, detections, buckets="activitynet", tiou="0.5:0.95:0.05")
    assert profile.tiou == DIAGNOSIS_TIOU["activitynet"]


# Two instances of one class in video_test_0000001; the surer of three detections ends before it
# starts, and lies on the first instance if its times are put in order.
TRUTH = {"BaseballPitch": [[10.0, 20.0], [40.0, 50.0]]}
ROWS = [(20.0, 10.0, 0.9), (40.0, 50.0, 0.8), (70.0, 80.0, 0.7)]
VIDEO = "video_test_0000001"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "gt").mkdir()
    for name, segments in TRUTH.items():
        lines = "".join(f"{VIDEO} {start} {end}\n" for start, end in segments)
        (tmp_path / "gt" / f"{name}_test.txt").write_text(lines)
    (tmp_path / "gt" / "Ambiguous_test.txt").write_text(f"{VIDEO} 70.0 75.0\n")
    (tmp_path / "gt" / "detclasslist.txt").write_text("7 BaseballPitch\n")
    text, submission = tmp_path / "found.txt", tmp_path / "found.json"
    text.write_text("".join(f"{VIDEO} {a} {b} 7 {score}\n" for a, b, score in ROWS))
    results = [
        {"segment": [a, b], "score": score, "label": "BaseballPitch"} for a, b, score in ROWS
    ]
    submission.write_text(json.dumps({"results": {VIDEO: results}}))
    return {"txt": text, "json": submission, "gt": tmp_path / "gt"}


@pytest.mark.parametrize("kind", ["txt", "json"])
@pytest.mark.parametrize(
    ("protocol", "expected", "said"),
    [
        # Both instances found at ranks 1 and 2, the rest is discarded: (1/1 + 2/2) / 2.
        ("thumos14-official", 1.0, "segments from the earlier to the later time"),
        # The first is a false positive: one of two instances, found at rank 2. Interpolated 1/2.
        ("activitynet", 0.25, "false positives"),
        ("thumos14", 0.25, "false positives"),
        # The same, and not interpolated: (1/2) / 2.
        ("wtalc", 0.25, "false positives"),
    ],
)
def test_detections_backwards_count_as_the_protocols_tool_counts_them(
    files: dict[str, Path], kind: str, protocol: str, expected: float, said: str
) -> None:
    place = "line 1" if kind == "txt" else f"video {VIDEO}"
    with pytest.warns(Note, match=f"1 of 3 detections end before they start, .* in {place}"):
        result = evaluate_files(files[kind], files["gt"], tiou="0.5", protocol=protocol)
    assert result.average_map == pytest.approx(expected)
    assert result.detections["reversed"] == 1
    (note,) = [line for line in detection_notes(result) if "before they start" in line]
    assert note.startswith("1 of the detections end before they start;")
    assert note.endswith(f"count as {said}.")


def test_values_of_a_program_backwards_count_as_those_of_a_file() -> None:
    found = {
        VIDEO: {
            "segments": [row[:2] for row in ROWS],
            "scores": [row[2] for row in ROWS],
            "labels": ["BaseballPitch"] * 3,
        }
    }
    truth = {
        VIDEO: [{"segment": pair, "label": "BaseballPitch"} for pair in TRUTH["BaseballPitch"]]
    }
    for protocol, expected in (("activitynet", 0.25), ("thumos14-official", 1.0)):
        with pytest.warns(Note, match="1 of 3 detections end before they start"):
            result = attentad.evaluate(found, truth, tiou="0.5", protocol=protocol)
        assert result.average_map == pytest.approx(expected)


def test_proposals_backwards_cover_nothing_and_are_background_errors() -> None:
    annotations, detections = one([10.0, 20.0], [20.0, 10.0])
    recall = average_recall(annotations, detections)
    assert recall.recall.max() == 0
    assert recall.detections["reversed"] == 1
    assert "those evaluated count as proposals that cover nothing" in " ".join(
        detection_notes(recall)
    )
    long = Annotations(
        {"v": VideoAnnotation(np.array([[10.0, 20.0]]), ("a",), duration_sec=99.0)}, ("a",)
    )
    profile = diagnose(long, detections)
    assert profile.to_dict()["false_positives"]["slots"][0]["background"] == 1
