"""The shipped recipes of the benchmarks, the whole way on tiny files of the same layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from attentad.app.check.data_set import check
from attentad.core import AttentadError, read_annotations
from attentad.models.file import load_detector
from attentad.models.run import load
from attentad.models.sets import open_store, read_sets
from attentad.models.train import train
from attentad.models.video_scores import THUMOS14_NUMBERS
from attentad.recipes.load import DetectionRecipe, load_recipe

TRAINING = ["training.epochs=1", "training.batch_size=4", "training.accelerator=cpu"]
WIDTHS = {
    "bmn": {"hidden_dim": 8, "sampled_dim": 8, "map_dim": 8},
    "gtad": {"hidden_dim": 8, "aligned_dim": 8, "map_dim": 8, "graph_groups": 2},
    "dbg": {"hidden_dim": 8, "sampled_dim": 8, "map_dim": 8},
}


def small(detector: str) -> list[str]:
    """Changes that make a recipe of the detector quick to run."""
    return TRAINING + [f"detector.network.{key}={size}" for key, size in WIDTHS[detector].items()]


SMALL = small("bmn")
THUMOS14_SMALL = [*SMALL, "view.length=32", "detector.network.max_duration=24"]
VARIANTS = ("bmn", "bmn_csa", "bmn_upstream", "bmn_csa_upstream", "gtad", "gtad_upstream", "dbg")
MATCHED = ("Diving", "GolfSwing")


def make_thumos14(folder: Path) -> Path:
    """HDF5 of every frame's features, flow and RGB apart, one frame rate per video."""
    rng = np.random.default_rng(0)
    database, streams = {}, {"flow_val": {}, "rgb_val": {}, "flow_test": {}, "rgb_test": {}}
    for i in range(8):
        subset, part = ("validation", "val") if i < 5 else ("test", "test")
        video, fps, frames = f"video_{subset}_{i + 1:07d}", (30.0, 25.0)[i % 2], 240 + 20 * i
        annotations = [
            {"label": name, "segment": [4 * k + 0.2 * i, 4 * k + 0.2 * i + 2]}
            for k, name in enumerate(MATCHED)
        ]
        annotations.append({"label": "Ambiguous", "segment": [0.1, 0.8]})
        database[video] = {
            "subset": subset,
            "duration": frames / fps,
            "fps": fps,
            "frames": frames,
            "annotations": annotations,
        }
        streams[f"flow_{part}"][video] = rng.normal(size=(frames - 1, 8))
        streams[f"rgb_{part}"][video] = rng.normal(size=(frames, 8))
    for name, videos in streams.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            for video, array in videos.items():
                file[video] = array.astype(np.float32)
    (folder / "annotations.json").write_text(json.dumps({"database": database}))
    table = rng.uniform(0.001, 0.01, (10, 101)).astype(np.float32)
    table[:, [25, 32]] = [1.2, 0.7]  # Diving and GolfSwing
    np.save(folder / "untrimmednet.npy", table)
    return folder


def make_activitynet13(folder: Path) -> Path:
    """CSV of 100 rows per video under a header line, class scores as CUHK's."""
    rng = np.random.default_rng(0)
    (folder / "features").mkdir()
    classes, database = ["Archery", "Ballet", "Cricket"], {}
    for i in range(8):
        frames = 1000 + 7 * i
        database[f"id{i}"] = {
            "subset": "training" if i < 5 else "validation",
            "duration": frames / 25,
            "frames": frames,
            "feature_frames": frames // 16 * 16 + 16 * (i % 2),
            "annotations": [{"label": classes[i % 3], "segment": [5.0, 20.0 + i]}],
        }
        np.savetxt(
            folder / "features" / f"v_id{i}.csv",
            rng.uniform(size=(100, 12)),
            fmt="%.5f",
            delimiter=",",
            header=",".join(f"f{column}" for column in range(12)),
            comments="",
        )
    (folder / "annotations.json").write_text(json.dumps({"database": database}))
    results = {video: [[0.1, 0.7, 0.2]] for video in database}
    scores = {"results": results, "class": ["Cricket", "Archery", "Ballet"]}
    (folder / "cuhk_val.json").write_text(json.dumps(scores))
    return folder


@pytest.fixture(scope="module")
def thumos14(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_thumos14(tmp_path_factory.mktemp("thumos14"))


@pytest.fixture(scope="module")
def activitynet13(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_activitynet13(tmp_path_factory.mktemp("activitynet13"))


def recipe_of(name: str, folder: Path, changes: list[str]) -> DetectionRecipe:
    recipe = load_recipe(name, [f"data.root={folder}", *changes])
    assert isinstance(recipe, DetectionRecipe)
    return recipe


@pytest.mark.parametrize("variant", VARIANTS)
def test_thumos14_the_whole_way(thumos14: Path, tmp_path: Path, variant: str) -> None:
    detector = variant.split("_")[0]
    changes = [*small(detector), "view.length=32"]
    if detector != "dbg":
        changes.append("detector.network.max_duration=24")
    recipe = recipe_of(f"thumos14/{variant}", thumos14, changes)
    assert not [item for item in check(recipe) if item.severity != "info"]
    run = train(recipe, tmp_path)
    assert run is not None
    assert run.result is not None
    assert run.result.protocol == "thumos14"
    assert load_detector(run.model).feature_dim == 16
    found = json.loads((tmp_path / "detections.json").read_text())["results"]
    assert set(found) == {f"video_test_{i:07d}" for i in (6, 7, 8)}
    # The two classes that UntrimmedNet scores best, in that order, each as often.
    labels = [row["label"] for rows in found.values() for row in rows]
    assert labels.count("Diving") == labels.count("GolfSwing") > 0
    assert all(rows[0]["label"] == "Diving" for rows in found.values())
    ends = {video: max(row["segment"][1] for row in rows) for video, rows in found.items()}
    annotations = read_annotations(thumos14 / "annotations.json").subset("test")
    for video, item in annotations.videos.items():
        assert ends[video] <= item.duration_sec


def test_thumos14_times_are_those_of_the_frames(thumos14: Path) -> None:
    recipe = recipe_of("thumos14/bmn", thumos14, THUMOS14_SMALL)
    store, _ = open_store(recipe.data, ())
    with h5py.File(thumos14 / "flow_test.h5") as flow, h5py.File(thumos14 / "rgb_test.h5") as rgb:
        rows = flow["video_test_0000006"][()], rgb["video_test_0000006"][()]
    features = store.load("video_test_0000006")
    for i in (0, 1, 40):
        np.testing.assert_array_equal(features[i], [*rows[0][5 * i], *rows[1][5 * i]])
    assert len(features) == -(-len(rows[0]) // 5)


def test_thumos14_ambiguous_segments_are_for_training_only(thumos14: Path) -> None:
    def counts(*changes: str) -> tuple[int, int, tuple[str, ...]]:
        sets = read_sets(recipe_of("thumos14/bmn", thumos14, list(changes)).data)
        assert sets.test is not None
        train, test = (
            sum(len(item.segments) for item in part.videos.values())
            for part in (sets.train, sets.test)
        )
        return train, test, sets.classes

    without, with_them = counts(), counts("data.keep_ambiguous=true")
    assert with_them == (without[0] + 5, without[1], without[2])
    assert without[2] == MATCHED


@pytest.mark.parametrize("option", ["drop_cut", "gtad_half_shift"])
def test_thumos14_window_options_reach_the_data(
    thumos14: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    class Seen(Exception):
        pass

    def record(**options: object) -> None:
        raise Seen(options[option])

    monkeypatch.setattr("attentad.models.training_data.selection", record)
    for value in ("true", "false"):
        recipe = recipe_of("thumos14/bmn", thumos14, [*THUMOS14_SMALL, f"view.{option}={value}"])
        with pytest.raises(Seen, match=value.title()):
            train(recipe, tmp_path)


def test_thumos14_detection_on_files(thumos14: Path, tmp_path: Path) -> None:
    changes = [*THUMOS14_SMALL, "suppression.max_length_frames=60"]
    recipe = recipe_of("thumos14/bmn", thumos14, changes)
    run = train(recipe, tmp_path)
    assert run is not None
    shutil.copy(thumos14 / "untrimmednet.npy", tmp_path)  # a loaded model looks beside itself
    annotations = read_annotations(thumos14 / "annotations.json")
    streams = [thumos14 / "flow_test.h5", thumos14 / "rgb_test.h5"]
    shutil.copy(thumos14 / "untrimmednet.npy", run.model.parent)
    found = load(run.model).detect(streams, annotations=annotations)
    again = json.loads((tmp_path / "detections.json").read_text())["results"]
    for video, rows in again.items():
        segments = found.detections.videos[video].segments
        np.testing.assert_allclose(segments, [row["segment"] for row in rows], atol=1e-6)
        longest = (segments[:, 1] - segments[:, 0]).max()
        assert longest < 60 / annotations.videos[video].fps
    with pytest.raises(AttentadError, match="joins 2 feature streams"):
        load(run.model).detect(streams[:1], annotations=annotations)
    with pytest.raises(AttentadError, match="how many a second it has"):
        load(run.model).detect(streams)


@pytest.mark.parametrize("variant", [*VARIANTS, "bmn_jjboy", "dbg_upstream"])
def test_activitynet13_the_whole_way(activitynet13: Path, tmp_path: Path, variant: str) -> None:
    recipe = recipe_of(f"activitynet13/{variant}", activitynet13, small(variant.split("_")[0]))
    assert not [item for item in check(recipe) if item.severity != "info"]
    run = train(recipe, tmp_path)
    assert run is not None
    assert run.result is not None
    assert load_detector(run.model).feature_dim == 12
    found = json.loads((tmp_path / "detections.json").read_text())["results"]
    assert set(found) == {"id5", "id6", "id7"}
    labels = [row["label"] for rows in found.values() for row in rows]
    assert labels.count("Archery") > 0
    assert labels.count("Ballet") == labels.count("Archery") * (recipe.labels.topk - 1)
    assert "Cricket" not in labels


@pytest.mark.parametrize("variant", ["bmn_upstream", "bmn_jjboy"])
def test_activitynet13_reference_durations(activitynet13: Path, variant: str) -> None:
    sets = read_sets(recipe_of(f"activitynet13/{variant}", activitynet13, []).data)
    assert sets.test is not None
    assert sets.train.videos["id1"].duration_sec == pytest.approx(1008 / 25)
    assert sets.test.videos["id5"].duration_sec == pytest.approx(1024 / 25)
    # G-TAD's code divides by the part with features and multiplies by the whole video.
    both = read_sets(recipe_of("activitynet13/gtad_upstream", activitynet13, []).data)
    assert both.test is not None
    assert both.train.videos["id1"].duration_sec == pytest.approx(1008 / 25)
    assert both.test.videos["id5"].duration_sec == pytest.approx(1035 / 25)
    whole = read_sets(recipe_of("activitynet13/bmn", activitynet13, []).data)
    assert whole.train.videos["id1"].duration_sec == pytest.approx(1007 / 25)


def test_activitynet13_other_features(activitynet13: Path, tmp_path: Path) -> None:
    """TSP features and snippets of 16 frames, rescaled here."""
    rng = np.random.default_rng(0)
    (activitynet13 / "tsp").mkdir()
    for i in range(8):
        array = rng.normal(size=((1000 + 7 * i) // 16, 8)).astype(np.float32)
        np.save(activitynet13 / "tsp" / f"v_id{i}.npy", array)
    for number, changes in enumerate(
        (
            ["view.mode=linear"],
            ["view.mode=bsn", "data.clock={stride_frames: 16, window_frames: 16}"],
        )
    ):
        recipe = recipe_of(
            "activitynet13/bmn_csa", activitynet13, [*SMALL, *changes, "data.features=tsp"]
        )
        assert not [item for item in check(recipe) if item.severity != "info"]
        assert train(recipe, tmp_path / str(number)) is not None
    with pytest.raises(AttentadError, match=r"view\.mode is as_is, but a video has 62 rows"):
        train(
            recipe_of("activitynet13/bmn", activitynet13, [*SMALL, "data.features=tsp"]),
            tmp_path / "as_is",
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["labels.file=null"], "labels.file is not set"),
        (["labels.file=nothing.npy"], "does not exist"),
        (["labels.source=cuhk"], "is no text in UTF-8"),
        (["data.test=[training]", "data.train=[validation]"], "no video is in subset"),
    ],
)
def test_what_scoring_needs_is_asked_for_before_training(
    thumos14: Path, tmp_path: Path, changes: list[str], words: str
) -> None:
    with pytest.raises(AttentadError, match=words):
        train(recipe_of("thumos14/bmn", thumos14, [*THUMOS14_SMALL, *changes]), tmp_path)
    assert not (tmp_path / "log.jsonl").exists()


def test_test_videos_need_features_before_training(thumos14: Path, tmp_path: Path) -> None:
    changes = [*THUMOS14_SMALL, "data.features=[flow_val.h5, rgb_val.h5]"]
    with pytest.raises(AttentadError, match="holds no features of video video_test_0000006"):
        train(recipe_of("thumos14/bmn", thumos14, changes), tmp_path)


def test_untrimmednet_knows_thumos14s_classes_only(activitynet13: Path, tmp_path: Path) -> None:
    assert set(MATCHED) < set(THUMOS14_NUMBERS)
    recipe = recipe_of("activitynet13/bmn", activitynet13, [*SMALL, "labels.source=untrimmednet"])
    with pytest.raises(AttentadError, match="'Archery' is none of them"):
        train(recipe, tmp_path)


def test_two_limits_of_length_are_an_error(thumos14: Path) -> None:
    with pytest.raises(AttentadError, match="not both"):
        recipe_of("thumos14/bmn", thumos14, ["suppression.max_length_sec=10"])
