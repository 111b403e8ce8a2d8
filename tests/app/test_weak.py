"""From video-level labels to detections: the whole way on features, as one word in the recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.bench import CLASSES, Bench

from attentad.app.detect import write_run
from attentad.attention import ATTENTION
from attentad.core import AttentadError, read_annotations, read_detections, write_annotations
from attentad.data.clocks import video_timeline
from attentad.models.detect import detect_features
from attentad.models.file import load_detector
from attentad.models.run import load
from attentad.models.sets import read_sets
from attentad.models.train import train
from attentad.recipes.load import DetectionRecipe, load_recipe

HAMNET = [
    "view={name: snippets, length: 32}",
    "detector={name: hamnet, network: {hidden_dim: 16, attention_dim: 8, dropout: 0.1}}",
    "attention={}",
    "labels={}",
    "suppression={method: gauss, sigma: 0.3, plus_one: true, negative: keep}",
    "evaluation.tiou=0.1:0.7:0.1",
    "training.epochs=60",
    "training.optimizer={name: adamw, lr: 0.01, weight_decay: 0.0001}",
]

BRIEF = [*HAMNET, "training.epochs=4"]


@pytest.fixture(scope="module")
def brief(trained: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after a few epochs, to compare others with."""
    folder = tmp_path_factory.mktemp("brief") / "run"
    train(load_recipe(trained.recipe, BRIEF), folder)
    return folder


@pytest.fixture(scope="module")
def weak(trained: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A HAM-Net of the bench's videos."""
    folder = tmp_path_factory.mktemp("weak")
    run = train(load_recipe(trained.recipe, HAMNET), folder / "run")
    assert run is not None
    return folder / "run"


def listed(bench: Bench, folder: Path, **changes: list[str]) -> Path:
    """The label list of the bench's videos."""
    videos = read_annotations(bench.annotations).videos
    labels = {video: sorted(set(item.labels)) for video, item in videos.items()} | changes
    path = folder / "labels.json"
    path.write_text(json.dumps(labels))
    return path


def test_it_learns_and_says_how_well_it_knows_whole_videos(weak: Path) -> None:
    evaluation = json.loads((weak / "evaluation.json").read_text())
    assert list(evaluation["mAP"]) == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]
    assert evaluation["mAP"]["0.1"] > 0.4
    whole = evaluation["video_classification"]
    assert 0.5 <= whole["mAP"] <= 1
    assert whole["threshold"] == 0.2
    assert whole["videos"] == evaluation["ground_truth"]["videos"]


def test_it_never_sees_a_segment(trained: Bench, brief: Path, tmp_path: Path) -> None:
    """Other segments with the same classes: the same weights."""
    content = json.loads(trained.annotations.read_text())
    for item in content["database"].values():
        for instance in item["annotations"]:
            instance["segment"] = [0.0, 0.5]
    (tmp_path / "moved.json").write_text(json.dumps(content))
    changes = [*BRIEF, f"data.annotations={tmp_path / 'moved.json'}"]
    train(load_recipe(trained.recipe, changes), tmp_path / "run")
    moved, same = load_detector(tmp_path / "run" / "model.safetensors"), brief / "model.safetensors"
    for name, tensor in load_detector(same).network.state_dict().items():
        np.testing.assert_array_equal(tensor, moved.network.state_dict()[name], err_msg=name)


def test_detect_equals_the_test_run_and_shows_the_attentions(
    trained: Bench, weak: Path, tmp_path: Path
) -> None:
    found = load(weak / "model.safetensors").detect([trained.features])
    write_run(found, tmp_path / "d.json", tmp_path / "page.html")
    saved = read_detections(weak / "detections.json", CLASSES)
    for video, items in saved.videos.items():
        np.testing.assert_allclose(items.segments, found.detections.videos[video].segments)
        np.testing.assert_allclose(items.scores, found.detections.videos[video].scores)
    names = [curve.name for curve in found.results["v00"].curves]
    assert names == ["soft attention", "semi-soft attention", "hard attention"]


def test_a_video_of_one_snippet(weak: Path) -> None:
    model = load_detector(weak / "model.safetensors")
    features = np.ones((1, model.feature_dim), np.float32)
    timeline = video_timeline("v", 1, None, model.clock, 0.5)
    result = detect_features(model, features, timeline, video="v")
    assert result.class_probabilities is not None
    assert result.class_probabilities.shape == (len(CLASSES),)


def test_negative_scores_are_kept_or_dropped(trained: Bench, weak: Path) -> None:
    """ψ is a difference of logits: the recipe says what becomes of those below 0."""
    changes = [*HAMNET, "training.epochs=1", "detector.decode={class_threshold: 0}"]
    folder = weak.parent
    counts = {}
    for negative in ("keep", "drop"):
        for method in ("gauss", "hard"):
            more = [f"suppression={{method: {method}, negative: {negative}, keep_total: null}}"]
            name = f"{negative}-{method}"
            train(load_recipe(trained.recipe, changes + more), folder / name)
            found = read_detections(folder / name / "detections.json", CLASSES)
            scores = np.concatenate([items.scores for items in found.videos.values()])
            counts[name] = int((scores < 0).sum())
    assert counts["keep-gauss"] > 0
    assert counts["keep-hard"] > 0
    assert counts["drop-gauss"] == counts["drop-hard"] == 0


def test_a_label_list_is_what_it_learns_from(trained: Bench, brief: Path, tmp_path: Path) -> None:
    """The list of the annotated classes gives the same model, another list another."""
    weights = load_detector(brief / "model.safetensors").network.state_dict()["classifier.weight"]
    for changes, same in (({}, True), ({"v01": []}, False)):
        path = listed(trained, tmp_path, **changes)
        run = train(
            load_recipe(trained.recipe, [*BRIEF, f"data.video_labels={path}"]),
            tmp_path / "run",
            overwrite=True,
        )
        assert run is not None
        again = load_detector(run.model).network.state_dict()["classifier.weight"]
        assert bool((weights == again).all()) == same


def test_labels_alone_suffice(trained: Bench, tmp_path: Path) -> None:
    path = listed(trained, tmp_path)
    changes = [
        *HAMNET,
        f"data.video_labels={path}",
        "data.annotations=null",
        "data.train=null",
        "data.test=[]",
        "training.epochs=1",
    ]
    run = train(load_recipe(trained.recipe, changes), tmp_path / "run")
    assert run is not None
    assert run.score is None
    assert load_detector(run.model).classes == CLASSES
    assert load(run.model).detect([trained.features]).detections.classes == CLASSES


@pytest.mark.parametrize("name", ATTENTION)
def test_any_attention_at_the_input(trained: Bench, tmp_path: Path, name: str) -> None:
    options = ", heads: 2" if name == "transformer" else ""
    changes = [*HAMNET, f"attention={{input: {{name: {name}{options}}}}}", "training.epochs=1"]
    run = train(load_recipe(trained.recipe, changes), tmp_path / "run")
    assert run is not None
    found = load(run.model).detect([trained.features])
    names = [curve.name for curve in found.results["v00"].curves]
    # SE's one gate is of the channels; a Transformer has none.
    gated = name in ("csa", "cbam", "sta", "hybrid")
    assert ("input gate over time" in names) == gated


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("view={name: rescaled, length: 32}", "hamnet learns from video-level labels; set view"),
        ("detector={name: bmn}", "bmn learns from segments; set view.name to rescaled or windows"),
        ("detector.network={classes: 3}", "detector.network has no option 'classes'"),
        ("detector.decode={class_threshold: x}", "decode.class_threshold cannot be 'x'; use a num"),
        ("detector.decode={attention_thresholds: 0.5}", "code or paper or a list, each a number"),
        ("detector.decode={scale: 1.5}", "detector.decode.scale cannot be 1.5; use a whole num"),
        ("detector.loss={gamma: low}", "detector.loss.gamma cannot be 'low'; use a number"),
        ("detector.network={dropout: [1]}", "detector.network.dropout cannot be"),
        ("detector.decode={tau: 3}", "detector.decode has no option 'tau'; it takes: class_thr"),
        (
            "data.annotations=null",
            "annotations are missing; without them set video_labels and test to \\[\\]\\.$",
        ),
        ("view={name: snippets, sampling: some}", "view.sampling"),
        (
            "attention={encoder: {name: se}}",
            "attention.encoder: there is no such site; .* input",
        ),
    ],
)
def test_settings_that_do_not_fit(
    trained: Bench, tmp_path: Path, change: str, message: str
) -> None:
    with pytest.raises(AttentadError, match=message):
        train(load_recipe(trained.recipe, [*HAMNET, change]), tmp_path / "run")


def test_a_training_video_without_known_labels(trained: Bench, tmp_path: Path) -> None:
    path = listed(trained, tmp_path)
    labels = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in labels.items() if key != "v01"}))
    changes = [*HAMNET, f"data.video_labels={path}"]
    with pytest.raises(AttentadError, match="has no entry for video v01, which is to train"):
        train(load_recipe(trained.recipe, changes), tmp_path / "run")
    path.write_text(json.dumps(labels | {"v01": ["somersault"]}))
    with pytest.raises(AttentadError, match="video v01 has the label 'somersault'"):
        train(load_recipe(trained.recipe, changes), tmp_path / "run")


@pytest.mark.parametrize("name", ["thumos14/hamnet", "thumos14/hamnet_paper"])
def test_presets_of_code_and_paper(name: str) -> None:
    recipe = load_recipe(name)
    assert isinstance(recipe, DetectionRecipe)
    paper = name.endswith("paper")
    assert recipe.detector.loss.get("threshold", "relative") == (
        "absolute" if paper else "relative"
    )
    assert recipe.suppression.method == ("hard" if paper else "gauss")
    assert recipe.evaluation.ground_truth_set == "full"


def test_test_videos_alone_need_annotations(trained: Bench, brief: Path, tmp_path: Path) -> None:
    """Where the list names the training videos, annotations of the test videos suffice."""
    listed(trained, tmp_path)
    labels = json.loads((tmp_path / "labels.json").read_text())
    known = read_annotations(trained.annotations)
    write_annotations(tmp_path / "test.json", known.subset("test"))
    rows = [
        f"{video},{label},train"
        for video, names in labels.items()
        if known.videos[video].subset == "train"
        for label in names
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["video,label,subset", *rows]))
    changes = [
        *BRIEF,
        f"data.video_labels={tmp_path / 'labels.csv'}",
        f"data.annotations={tmp_path / 'test.json'}",
    ]
    for train_on in ("null", "[train]"):
        recipe = load_recipe(trained.recipe, [*changes, f"data.train={train_on}"])
        run = train(recipe, tmp_path / "run", overwrite=True)
        assert run is not None
        assert run.score == json.loads((brief / "evaluation.json").read_text())["average_mAP"]
        again = load_detector(run.model).network.state_dict()["classifier.weight"]
        weights = load_detector(brief / "model.safetensors").network.state_dict()
        np.testing.assert_array_equal(again, weights["classifier.weight"])


def test_listed_videos_never_test(trained: Bench, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("video,label,subset\nother,run,test\nv01,run,\n")
    recipe = load_recipe(trained.recipe, [*HAMNET, f"data.video_labels={path}"])
    assert isinstance(recipe, DetectionRecipe)
    sets = read_sets(recipe.data)
    assert sets.test is not None
    assert "other" not in sets.test.videos
    assert "other" not in sets.train.videos
    path.write_text("video,label,subset\nother,run,\nv01,run,\n")
    recipe = load_recipe(
        trained.recipe, [*HAMNET, f"data.video_labels={path}", "data.train=[training]"]
    )
    assert isinstance(recipe, DetectionRecipe)
    with pytest.raises(AttentadError, match=r"is in subset training; the subsets are: test, train"):
        read_sets(recipe.data)


def test_labels_without_a_single_class(trained: Bench, tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    path.write_text(
        json.dumps({video: [] for video in read_annotations(trained.annotations).videos})
    )
    changes = [*HAMNET, f"data.video_labels={path}"]
    with pytest.raises(
        AttentadError, match=r"none\.json: none of the 9 training videos has a label"
    ):
        train(load_recipe(trained.recipe, changes), tmp_path / "run")


def test_a_label_list_is_not_for_segments(trained: Bench, tmp_path: Path) -> None:
    changes = [f"data.video_labels={listed(trained, tmp_path)}"]
    with pytest.raises(AttentadError, match=r"video_labels is for .* but bmn learns from segm"):
        train(load_recipe(trained.recipe, changes), tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.clock=null", "nothing says when the features of video v00 were taken"),
        (
            "detector.decode={attention_thresholds: [], class_threshold: 2, scale: 0}",
            "scale cannot be 0",
        ),
        ("evaluation.tiou=much", "tIoU thresholds .much. are not understood"),
        ("evaluation.protocol=mine", "protocol"),
        ("labels={source: file}", "labels.file is not set"),
        ("suppression={method: gauss}", "suppression.negative: scores of hamnet may lie below 0"),
    ],
)
def test_what_scoring_cannot_do_stops_before_training(
    trained: Bench, tmp_path: Path, change: str, message: str
) -> None:
    with pytest.raises(AttentadError, match=message):
        train(load_recipe(trained.recipe, [*HAMNET, change]), tmp_path / "run")
    assert not (tmp_path / "run" / "log.jsonl").exists()
