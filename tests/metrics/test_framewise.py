"""Frame-wise scores: by hand, against the loops, and against what the public scripts print."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.metrics.framewise_reference import slow_counts, slow_edit, slow_segments

from attentad.core import (
    AttentadError,
    Timeline,
    VideoAnnotation,
    VideoDetections,
    read_annotations,
)
from attentad.metrics import (
    annotated_labels,
    detected_labels,
    edit_score,
    framewise_scores,
    overlap_counts,
)
from attentad.metrics.segmental import label_runs

SALADS = Path(__file__).parents[2] / ".." / "shared" / "data" / "salads50"
CLASSES = ("background", "cut", "mix", "peel", "serve")
OVERLAPS = (0.1, 0.25, 0.5)

Run = tuple[int, int]  # label, frames


def sequence(*runs: Run) -> np.ndarray:
    return np.concatenate([np.full(frames, label) for label, frames in runs])


# Three videos: runs of the truth, runs of a prediction. Drawn at random, with shifted edges and
# bursts.
PUBLISHED = {
    "a": (
        sequence((4, 20), (2, 27), (3, 24), (4, 9), (0, 11), (2, 26), (4, 4)),
        sequence(
            *((4, 14), (2, 22), (1, 3), (2, 8), (3, 6), (2, 5), (3, 13)),
            *((4, 9), (0, 7), (1, 8), (2, 4), (0, 7), (2, 11), (4, 4)),
        ),
    ),
    "b": (
        sequence((2, 18), (3, 29), (4, 24), (2, 20), (1, 29), (2, 9), (4, 8), (3, 19), (0, 5)),
        sequence(
            *((2, 5), (0, 5), (2, 7), (3, 29), (4, 24), (2, 9), (1, 2), (2, 9)),
            *((1, 29), (2, 9), (4, 8), (3, 11), (4, 6), (3, 2), (0, 1), (2, 5)),
        ),
    ),
    "c": (
        sequence((4, 4), (0, 9), (4, 21), (3, 9), (2, 13), (1, 4)),
        sequence(
            *((1, 2), (4, 4), (0, 9), (4, 17), (1, 6), (0, 6)),
            *((3, 1), (2, 4), (3, 2), (2, 1), (0, 4), (4, 4)),
        ),
    ),
}


@pytest.mark.parametrize(
    ("protocol", "background", "accuracy", "edit", "f1"),
    [
        # Printed by eval.py of MS-TCN, background as there, and with none.
        *(
            ("ms-tcn", marks, 75.43859649122807, edit, f1)
            for marks, edit, f1 in (
                (
                    (0,),
                    50.529100529100525,
                    (62.96296296296296, 62.96296296296296, 40.74074074074075),
                ),
                ((), 49.30555555555555, (59.375, 59.375, 40.62500000000001)),
            )
        ),
        # Printed by metrics.py of Temporal Convolutional Networks, likewise.
        *(
            ("ed-tcn", marks, 70.51688539830833, edit, f1)
            for marks, edit, f1 in (
                (
                    (0,),
                    50.529100529100525,
                    (60.75036075036075, 60.75036075036075, 37.758537758537756),
                ),
                ((), 49.30555555555555, (58.37037037037036, 58.37037037037036, 39.280423280423285)),
            )
        ),
    ],
)
def test_what_the_public_scripts_print(
    protocol: str,
    background: tuple[int, ...],
    accuracy: float,
    edit: float,
    f1: tuple[float, ...],
) -> None:
    truth = {video: pair[0] for video, pair in PUBLISHED.items()}
    predicted = {video: pair[1] for video, pair in PUBLISHED.items()}
    result = framewise_scores(
        truth, predicted, classes=CLASSES, background=background, protocol=protocol
    )
    assert 100 * result.accuracy == pytest.approx(accuracy, abs=1e-10)
    assert 100 * result.edit == pytest.approx(edit, abs=1e-10)
    assert (100 * result.f1).tolist() == pytest.approx(list(f1), abs=1e-10)
    assert result.tiou == OVERLAPS
    if protocol == "ms-tcn" and background:
        assert result.true_positives.sum(axis=0).tolist() == [17, 17, 11]
        assert result.false_positives.sum(axis=0).tolist() == [18, 18, 24]
        assert result.false_negatives.sum(axis=0).tolist() == [2, 2, 8]
        # 244 of the 317 frames in which something happens.
        assert result.foreground_accuracy == pytest.approx(244 / 317)


def test_by_hand() -> None:
    # cut 4, background 2, mix 4 against cut 3, mix 1, cut 1, background 1, mix 4.
    truth = sequence((1, 4), (0, 2), (2, 4))
    found = sequence((1, 3), (2, 1), (1, 1), (0, 1), (2, 4))
    result = framewise_scores({"v": truth}, {"v": found}, classes=CLASSES, background=[0])
    assert result.accuracy == 8 / 10  # frames 3 and 4 are wrong
    assert result.foreground_accuracy == 7 / 8  # of cut's and mix's frames only frame 3 is
    # cut mix cut mix from cut mix: two insertions, of four segments.
    assert result.edit == 1 - 2 / 4
    # cut: 3 of 4 frames; mix 1: none; cut 1: none; mix: 4 of 4. FP 2, FN 0: 2·2 / (2·2 + 2).
    assert result.f1.tolist() == pytest.approx([4 / 6] * 3)
    # With the background: it covers 1 of 2 frames, which is enough for 50 %: 2·3 / (2·3 + 2).
    result = framewise_scores({"v": truth}, {"v": found}, classes=CLASSES)
    assert result.edit == 1 - 2 / 5
    assert result.f1.tolist() == pytest.approx([6 / 8] * 3)
    assert result.accuracy == result.foreground_accuracy == 8 / 10


def test_a_second_prediction_of_a_segment_does_not_go_on_to_the_next() -> None:
    truth = sequence((1, 10), (0, 1), (1, 3))
    found = sequence((1, 5), (0, 1), (1, 4), (0, 4))
    # Both predictions overlap the first segment most: 5/10 and 4/10.
    assert overlap_counts(truth, found, (0.1, 0.45), [0]).tolist() == [[1, 1, 1], [1, 1, 1]]


labels = st.lists(st.integers(0, 3), min_size=1, max_size=30)


@given(labels, labels, st.sampled_from([(), (0,), (0, 3)]))
@settings(deadline=None, max_examples=150)
def test_the_fast_scores_are_the_loops(one: list, other: list, background: tuple) -> None:
    frames = min(len(one), len(other))
    truth, found = np.array(one[:frames]), np.array(other[:frames])
    runs = label_runs(truth, background)
    segments = list(zip(runs.label.tolist(), runs.start.tolist(), runs.end.tolist(), strict=True))
    assert segments == slow_segments(truth.tolist(), background)
    edit = edit_score(truth, found, background)
    assert edit == pytest.approx(slow_edit(truth.tolist(), found.tolist(), background))
    assert edit == pytest.approx(edit_score(found, truth, background))
    counts = overlap_counts(truth, found, OVERLAPS, background)
    for row, threshold in enumerate(OVERLAPS):
        assert tuple(counts[row]) == slow_counts(
            truth.tolist(), found.tolist(), threshold, background
        )


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=4))
@settings(deadline=None, max_examples=50)
def test_videos_together_are_the_videos_one_by_one(pairs: list) -> None:
    cut = [(a[: min(len(a), len(b))], b[: min(len(a), len(b))]) for a, b in pairs]
    truth = {str(row): a for row, (a, _) in enumerate(cut)}
    found = {str(row): b for row, (_, b) in enumerate(cut)}
    whole = framewise_scores(truth, found, classes=CLASSES, background=[0])
    alone = [
        framewise_scores({v: truth[v]}, {v: found[v]}, classes=CLASSES, background=[0])
        for v in truth
    ]
    assert whole.edit == pytest.approx(np.mean([item.edit for item in alone]))
    assert whole.correct.tolist() == [int(item.correct[0]) for item in alone]
    for name in ("true_positives", "false_positives", "false_negatives"):
        np.testing.assert_array_equal(
            getattr(whole, name), np.concatenate([getattr(item, name) for item in alone])
        )
    means = framewise_scores(truth, found, classes=CLASSES, background=[0], protocol="ed-tcn")
    np.testing.assert_allclose(means.f1, np.mean([item.f1 for item in alone], axis=0))
    assert means.accuracy == pytest.approx(np.mean([item.accuracy for item in alone]))


def test_perfect_nothing_and_only_background() -> None:
    truth = {"v": sequence((1, 4), (2, 4)), "w": sequence((0, 5))}
    result = framewise_scores(truth, truth, classes=CLASSES, background=[0])
    assert (result.accuracy, result.edit, result.f1.tolist()) == (1, 1, [1, 1, 1])
    assert result.foreground.tolist() == [8, 0]
    quiet = {video: np.zeros_like(values) for video, values in truth.items()}
    result = framewise_scores(truth, quiet, classes=CLASSES, background=[0])
    assert (result.foreground_accuracy, result.f1.tolist()) == (0, [0, 0, 0])
    assert result.edit_scores.tolist() == [0, 1]
    assert (
        framewise_scores(
            {"w": truth["w"]}, {"w": truth["w"]}, classes=CLASSES, background=[0]
        ).to_dict()["accuracy_without_background"]
        is None
    )


def test_videos_of_one_side_and_labels_that_are_never_true_are_named() -> None:
    truth = {"v": sequence((1, 4)), "w": sequence((2, 3))}
    found = {"v": sequence((1, 3), (3, 1)), "x": sequence((1, 1))}
    result = framewise_scores(truth, found, classes=CLASSES)
    assert result.videos == ("v",)
    assert result.detections["undetected_videos"] == ["w"]
    assert result.detections["videos_outside_ground_truth"] == ["x"]
    assert result.detections["unknown_labels"] == {"peel": 1}
    with pytest.raises(AttentadError, match="1 video of the truth lack a prediction"):
        framewise_scores(truth, found, classes=CLASSES, strict=True)
    with pytest.raises(AttentadError, match="never has the predicted label 'peel'"):
        framewise_scores({"v": truth["v"]}, {"v": found["v"]}, classes=CLASSES, strict=True)
    with pytest.raises(AttentadError, match="none of the predicted videos"):
        framewise_scores({"v": [1]}, {"w": [1]}, classes=CLASSES)


def test_frames_beyond_the_end_belong_to_segments_only() -> None:
    # The script of MS-TCN looks up each frame of the truth, and runs over all predicted frames.
    truth, found = sequence((1, 4), (2, 4)), sequence((1, 4), (2, 4), (3, 2))
    result = framewise_scores({"v": truth}, {"v": found}, classes=CLASSES)
    assert result.accuracy == 1
    assert result.edit == pytest.approx(2 / 3)
    assert result.detections["surplus_frames"] == {"v": 2}
    for frames in (7, 25):
        with pytest.raises(AttentadError, match=f"video v has 8 frames in truth and {frames} in"):
            framewise_scores({"v": truth}, {"v": np.ones(frames, int)}, classes=CLASSES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predicted": {"v": [5]}}, "index from 5 to 5"),
        ({"predicted": {"v": [-1]}}, "index from -1 to -1"),
        ({"predicted": {"v": [0.5]}}, "must be a class index a frame"),
        ({"predicted": {"v": []}}, "must be a class index a frame"),
        ({"background": [9]}, "background"),
        ({"protocol": "mof"}, "'mof'"),
        ({"tiou": "2"}, "must lie above 0"),
    ],
)
def test_wrong_values_are_one_sentence(changes: dict, message: str) -> None:
    options = {"truth": {"v": [1]}, "predicted": {"v": [1]}, "classes": CLASSES} | changes
    with pytest.raises(AttentadError, match=message):
        framewise_scores(options.pop("truth"), options.pop("predicted"), **options)


CLOCK = Timeline(length=10, fps=1.0, stride_frames=1, window_frames=1, duration_sec=10.0)


def test_annotations_and_detections_as_labels_of_frames() -> None:
    video = VideoAnnotation(np.array([[1.0, 4.0], [6.6, 9.4]]), ("cut", "mix"))
    labels = annotated_labels(video, CLASSES, CLOCK, 0)
    # Middles at .5, 1.5, …: 6.5 is outside of the second, 8.5 inside.
    assert labels.tolist() == [0, 1, 1, 1, 0, 0, 0, 2, 2, 0]
    both = VideoAnnotation(np.array([[1.0, 4.0], [3.0, 5.0]]), ("cut", "mix"))
    with pytest.raises(AttentadError, match="an instance of mix overlaps one of another class"):
        annotated_labels(both, CLASSES, CLOCK, 0)
    detections = VideoDetections(
        np.array([[0.0, 5.0], [3.0, 8.0], [9.0, 7.0], [3.0, 4.0]]),
        np.array([0.5, 0.9, 0.1, 0.9]),
        np.array([1, 2, 3, 4]),
    )
    assert detected_labels(detections, CLOCK, 0).tolist() == [1, 1, 1, 2, 2, 2, 2, 2, 3, 0]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.floats(0, 1)), max_size=6))
@settings(deadline=None, max_examples=60)
def test_the_surest_detection_labels_a_frame(rows: list) -> None:
    segments = np.array([[min(a, b) / 2, max(a, b) / 2] for a, b, _ in rows]).reshape(-1, 2)
    scores = np.array([round(score, 1) for *_, score in rows])
    found = VideoDetections(segments, scores, np.arange(1, len(rows) + 1))
    expected = []
    for middle in CLOCK.centres_sec():
        over = [row for row, (a, b) in enumerate(segments) if a <= middle < b]
        expected.append(1 + max(over, key=lambda row: (scores[row], -row)) if over else 0)
    assert detected_labels(found, CLOCK, 0).tolist() == expected


@pytest.mark.skipif(not SALADS.is_dir(), reason="needs shared/data/salads50")
def test_the_accuracy_of_the_spatial_cnn_on_50_salads() -> None:
    # Counted once with numpy alone; no table that prints it was at hand.
    annotations = read_annotations(SALADS / "annotations.json")
    classes = ["background", *sorted(annotations.classes)]
    truth, predicted = {}, {}
    with np.load(SALADS / "features.npz") as scores:
        for video, item in annotations.videos.items():
            predicted[video] = scores[video].argmax(axis=1)
            steps = len(predicted[video])
            seconds = Timeline(steps, 1.0, 1, 1, float(steps))
            truth[video] = annotated_labels(item, classes, seconds, 0)
    result = framewise_scores(truth, predicted, classes=classes, protocol="ed-tcn")
    assert len(result.videos) == 50
    assert round(100 * result.accuracy, 1) == 54.9
