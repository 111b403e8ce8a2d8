"""From a recipe to a model to detections: the whole way on features."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.bench import CLASSES, Bench

from attentad.app.detect import write_run
from attentad.core import AttentadError, read_annotations, read_detections
from attentad.data.clocks import video_timeline
from attentad.metrics.evaluate import evaluate_files
from attentad.models.detect import detect_features
from attentad.models.file import load_backbone, load_detector
from attentad.models.labels import SnippetScores
from attentad.models.run import load, runs_report
from attentad.models.train import train
from attentad.recipes.load import fold_recipe, load_recipe
from attentad.training.logs import read_log


def test_training_learns_and_leaves_everything_behind(trained: Bench) -> None:
    run = trained.folder / "run"
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["average_mAP"] > 0.6
    assert evaluation["protocol"] == "activitynet"
    losses = read_log(run / "log.jsonl")["total"]
    assert len(losses) == 12
    assert losses[-1] < 0.7 * losses[0]


def test_the_saved_detections_score_what_training_said(trained: Bench) -> None:
    run = trained.folder / "run"
    said = json.loads((run / "evaluation.json").read_text())
    again = evaluate_files(
        run / "detections.json", trained.annotations, tiou="0.3:0.7:0.1", subset="test"
    )
    assert again.average_map == pytest.approx(said["average_mAP"], abs=1e-12)


def test_detect_on_features_equals_the_test_run(trained: Bench, tmp_path: Path) -> None:
    found = load(trained.model).detect([trained.features])
    assert found.detections.classes == CLASSES
    assert len(found.results) == 12
    write_run(found, tmp_path / "d.json", tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 10_000
    saved = read_detections(trained.folder / "run" / "detections.json", CLASSES)
    for video, items in saved.videos.items():
        np.testing.assert_allclose(items.segments, found.detections.videos[video].segments)
        np.testing.assert_allclose(items.scores, found.detections.videos[video].scores)
    result = found.results["v00"]
    names = [curve.name for curve in result.curves]
    assert names == ["start", "end", "encoder gate over time", *CLASSES]
    (profile,) = result.profiles
    assert profile.name == "encoder gate over channels"
    assert profile.value.shape == (16,)
    assert ((profile.value >= 0) & (profile.value <= 1)).all()
    for curve in result.curves:
        assert 0 <= curve.time_sec[0] < curve.time_sec[-1] <= 40
        assert ((curve.value >= 0) & (curve.value <= 1)).all()


def test_training_again_gives_the_same_bytes(trained: Bench, tmp_path: Path) -> None:
    train(load_recipe(trained.recipe), tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == trained.model.read_bytes()


def test_a_windows_model_sees_the_whole_video(bench: Bench) -> None:
    changes = ["view={name: windows, length: 32}", "training.epochs=6", "attention={}"]
    run = train(load_recipe(bench.recipe, changes), bench.folder / "windows")
    assert run is not None
    assert run.score is not None
    assert run.score > 0.4
    model = load_detector(run.model)
    features = np.load(bench.features)["v00"]
    timeline = video_timeline("v00", len(features), None, model.clock, 40.0)
    result = detect_features(model, features, timeline, video="v00")
    assert result.detections.segments.max() > 30
    start = result.curves[0]
    np.testing.assert_allclose(start.time_sec, timeline.centres_sec())


def test_windows_suppressed_twice_decay_further(bench: Bench) -> None:
    model = load_detector(bench.model)
    features = np.load(bench.features)["v00"]
    timeline = video_timeline("v00", len(features), None, model.clock, 40.0)

    def scores(**changes: object) -> np.ndarray:
        suppression = model.recipe.suppression.model_copy(update=changes)
        recipe = model.recipe.model_copy(update={"suppression": suppression})
        changed = replace(model, recipe=recipe)
        return detect_features(changed, features, timeline, video="v00").detections.scores

    once, twice = scores(), scores(how="per_window")
    assert once[0] == twice[0]
    assert twice.sum() < once.sum()
    assert len(scores(max_length_sec=1.0)) < len(once)
    # Every key of the recipe's section reaches the suppression.
    assert scores(plus_one=True).sum() < once.sum()
    assert len(scores(method="linear", tiou_threshold=0.1)) == len(once)
    hard = scores(method="hard", tiou_threshold=0.1)
    assert len(hard) < len(scores(method="hard", tiou_threshold=0.9))
    assert len(scores(method="hard", tiou_threshold=0.1, ties="last")) == len(hard)
    assert len(scores(voting_tiou=0.9)) == len(once)


def test_validation_chooses_the_best_epoch(bench: Bench) -> None:
    changes = ["data.validate_on=[test]", "training.select_by=mAP", "training.epochs=3"]
    train(load_recipe(bench.recipe, changes), bench.folder / "best")
    rows = read_log(bench.folder / "best" / "log.jsonl")
    assert len(rows["val_mAP"]) == 3
    said = json.loads((bench.folder / "best" / "evaluation.json").read_text())
    assert said["average_mAP"] == pytest.approx(max(rows["val_mAP"]), abs=1e-6)


def test_labels_from_a_file_of_video_scores(bench: Bench) -> None:
    videos = np.load(bench.features).files
    np.savez(bench.folder / "scores.npz", **{v: np.array([0.9, 0.2]) for v in videos})
    changes = [f"labels={{source: file, file: {bench.folder / 'scores.npz'}, topk: 1}}"]
    run = train(load_recipe(bench.recipe, [*changes, "training.epochs=1"]), bench.folder / "file")
    assert run is not None
    with pytest.raises(AttentadError, match=r"file/scores.npz does not exist"):
        load(run.model).detect([bench.features])
    # A model opens no file but in its own folder.
    (bench.folder / "scores.npz").rename(bench.folder / "file" / "scores.npz")
    found = load(run.model).detect([bench.features])
    assert set(np.concatenate([d.labels for d in found.detections.videos.values()])) == {0}
    # A classifier's archive names the files of the videos.
    scores = {f"{video}.mp4": np.array([0.9, 0.2]) for video in videos}
    np.savez(bench.folder / "file" / "scores.npz", **scores)
    again = load(run.model).detect([bench.features])
    assert set(np.concatenate([d.labels for d in again.detections.videos.values()])) == {0}
    np.savez(bench.folder / "file" / "scores.npz", v00=np.array([0.9, 0.2, 0.1]))
    with pytest.raises(AttentadError, match="video v00 needs 2 finite class scores"):
        load(run.model).detect([bench.features])


def test_folds(bench: Bench) -> None:
    recipe = load_recipe(bench.recipe)
    assert fold_recipe(recipe, "test").data.test == ("test",)
    with pytest.raises(AttentadError, match="no fold 'fold9'; its folds are: test"):
        fold_recipe(recipe, "fold9")


def test_a_detector_without_encoder_says_so_for_video(trained: Bench, tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"")
    with pytest.raises(AttentadError, match="no encoder for video"):
        load(trained.model).detect([tmp_path / "v.mp4"])
    with pytest.raises(AttentadError, match="holds no recogniser"):
        load_backbone(trained.model)


def test_snippet_scores_activations() -> None:
    features = np.array([[3.0, 1.0, 2.0]], np.float32)
    np.testing.assert_allclose(SnippetScores((1, 2)).read(features), [[1, 2]])
    sigmoid = SnippetScores((1,), "sigmoid", temperature=0.5).read(features)
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp([[-2.0]])), rtol=1e-6)
    softmax = SnippetScores((1, 2), "softmax", background=0).read(features)
    expected = np.exp([1.0, 2.0]) / np.exp([1.0, 2.0, 3.0]).sum()
    np.testing.assert_allclose(softmax[0], expected, rtol=1e-6)
    huge = SnippetScores((1, 2), "softmax").read(features * 1e4)
    assert np.isfinite(huge).all()


def test_one_feature_step_and_no_instances(bench: Bench) -> None:
    np.save(bench.folder / "short.npy", np.zeros((1, 4), np.float32))
    found = load(bench.model).detect([bench.folder / "short.npy"])
    segments = found.detections.videos["short"].segments
    assert ((segments >= 0) & (segments <= 0.5)).all()


def test_a_run_resumes_with_more_epochs_but_not_with_another_network(bench: Bench) -> None:
    out, constant = bench.folder / "more", ["training.schedule={name: constant}"]
    train(load_recipe(bench.recipe, [*constant, "training.epochs=1"]), out)
    changed = load_recipe(bench.recipe, [*constant, "detector.network.map_dim=8"])
    with pytest.raises(AttentadError, match="recipe"):
        train(changed, out, resume=True)
    train(load_recipe(bench.recipe, [*constant, "training.epochs=2"]), out, resume=True)
    straight = bench.folder / "straight"
    train(load_recipe(bench.recipe, [*constant, "training.epochs=2"]), straight)
    name = "model.safetensors"
    assert (out / name).read_bytes() == (straight / name).read_bytes()


def test_annotated_ids_that_only_look_different(trained: Bench, tmp_path: Path) -> None:
    """Durations, frame rates and the page's ground truth are those of the same video."""
    known = read_annotations(trained.annotations)
    named = {f"{video}.mp4": item for video, item in known.videos.items()}
    detector = load(trained.model)
    run = detector.detect([trained.features], annotations=replace(known, videos=named))
    plain = detector.detect([trained.features], annotations=known)
    assert run.timelines == plain.timelines
    assert run.notes == [
        "12 video ids were matched to annotated ones that differ in a `v_` prefix, a folder or a "
        "file suffix only."
    ]
    assert not plain.notes
    page = runs_report({"": run}, annotations=replace(known, videos=named))
    assert [video.ground_truth for video in page.videos] == [*known.videos.values()]
    others = {f"other {video}": item for video, item in known.videos.items()}
    run = detector.detect([trained.features], annotations=replace(known, videos=others))
    assert run.notes == [
        "the annotations name none of the videos looked at: v00, v01, v02 and 9 more."
    ]


def test_two_inputs_of_one_annotated_video_are_refused(trained: Bench, tmp_path: Path) -> None:
    with np.load(trained.features) as archive:
        np.save(tmp_path / "v00.npy", archive["v00"])
        np.save(tmp_path / "v_v00.npy", archive["v00"])
    known = read_annotations(trained.annotations)
    detector = load(trained.model)
    assert set(detector.detect([tmp_path]).results) == {"v00", "v_v00"}
    with pytest.raises(AttentadError, match="of 'v00' and of 'v_v00' both belong to the annotated"):
        detector.detect([tmp_path], annotations=known)
