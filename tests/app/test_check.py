"""`attentad check`: planted faults, one at a time, in a data set that is clean otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from attentad.app.check.data_set import check, check_data, check_files
from attentad.app.check.findings import Finding, print_findings
from attentad.cli import app
from attentad.core import AttentadError, read_annotations
from attentad.data.clocks import FrameClock, RescaledClock
from attentad.data.features import FeatureStore, Sidecar, write_features
from attentad.recipes.load import load_recipe

SHARED = Path(__file__).parents[3] / "shared/data"
SIDECAR = {"fps": 10.0, "stride_frames": 5, "window_frames": 8, "encoder": {"name": "x"}}


class DataSet:
    """Twelve videos of 40 s, features every half second; `save` writes what was spoiled."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        self.folder = folder
        self.features = {f"v{i:02d}": rng.normal(size=(80, 6)) for i in range(12)}
        self.sidecars = {
            video: {**SIDECAR, "duration_sec": 40.0, "score_columns": [0, 2]}
            | {"score_classes": ["jump", "run"]}
            for video in self.features
        }
        self.database: dict[str, Any] = {
            video: {
                "subset": "test" if i % 4 == 0 else "train",
                "duration": 40.0,
                "annotations": [
                    {"label": label, "segment": [start, start + 4.0]}
                    for label, start in (("jump", 2.0), ("run", 10.0), ("jump", 20.0 + i))
                ],
            }
            for i, video in enumerate(self.features)
        }
        self.recipe: dict[str, Any] = {
            "task": "detection",
            "data": {
                "root": str(folder),
                "features": "features",
                "annotations": "annotations.json",
                "train": ["train"],
                "test": ["test"],
            },
            "view": {"length": 80, "mode": "linear"},
            "detector": {"name": "bmn", "network": {"max_duration": 20}},
            "training": {"epochs": 1},
        }

    def save(self) -> Path:
        for video, array in self.features.items():
            path = self.folder / "features" / f"{video}.npy"
            told = self.sidecars[video]
            write_features(path, array.astype(np.float32), Sidecar(**told))
        content = json.dumps({"database": self.database})
        (self.folder / "annotations.json").write_text(content)
        path = self.folder / "recipe.yaml"
        path.write_text(yaml.safe_dump(self.recipe))
        return path


def lose_features(data: DataSet) -> None:
    del data.features["v05"]


def add_features(data: DataSet) -> None:
    data.features["other"] = data.features["v01"]
    data.sidecars["other"] = data.sidecars["v01"]


def widen(data: DataSet) -> None:
    data.features["v03"] = np.ones((80, 7))


def spoil(data: DataSet) -> None:
    data.features["v03"][7, 2] = np.nan


def slow_clock(data: DataSet) -> None:
    for told in data.sidecars.values():
        told["fps"] = 20.0


def cut_short(data: DataSet) -> None:
    data.features["v06"] = data.features["v06"][:50]


def write_frames(data: DataSet) -> None:
    for instance in data.database["v02"]["annotations"]:
        instance["segment"] = [30 * at for at in instance["segment"]]


def reach_beyond(data: DataSet) -> None:
    data.database["v02"]["annotations"][2]["segment"] = [35.0, 42.0]


def shrink(data: DataSet) -> None:
    data.database["v02"]["annotations"][1]["segment"] = [10.0, 10.3]


def no_length(data: DataSet) -> None:
    data.database["v02"]["annotations"][1]["segment"] = [10.0, 10.0]


def train_without_run(data: DataSet) -> None:
    for entry in data.database.values():
        if entry["subset"] == "train":
            entry["annotations"] = [i for i in entry["annotations"] if i["label"] != "run"]


def leave_run_untested(data: DataSet) -> None:
    for entry in data.database.values():
        if entry["subset"] == "test":
            entry["annotations"] = [i for i in entry["annotations"] if i["label"] != "run"]


def empty_a_video(data: DataSet) -> None:
    data.database["v07"]["annotations"] = []


def write_twice(data: DataSet) -> None:
    data.database["v07"]["annotations"].append(dict(data.database["v07"]["annotations"][0]))


def forget_subset(data: DataSet) -> None:
    del data.database["v07"]["subset"]


def sidecar_disagrees(data: DataSet) -> None:
    data.sidecars["v09"]["duration_sec"] = 55.0


def misspell(data: DataSet) -> None:
    data.database["v07"]["annotations"][0]["label"] = "Jump"
    data.recipe["data"]["classes"] = ["jump", "run"]


def other_encoder(data: DataSet) -> None:
    data.sidecars["v09"]["encoder"] = {"name": "y"}


def other_step(data: DataSet) -> None:
    data.sidecars["v09"]["stride_frames"] = 4
    data.features["v09"] = np.ones((100, 6))


def all_zero(data: DataSet) -> None:
    data.features["v09"][:] = 0


def wrong_subset(data: DataSet) -> None:
    data.recipe["data"]["train"] = ["Train", "train"]


def overlap(data: DataSet) -> None:
    data.recipe["data"]["train"] = ["train", "test"]


def long_action(data: DataSet) -> None:
    data.database["v07"]["annotations"][1]["segment"] = [10.0, 25.0]


def rows_as_is(data: DataSet) -> None:
    data.recipe["view"] = {"length": 100, "mode": "as_is"}


def no_such_scores(data: DataSet) -> None:
    data.recipe["data"]["scores"] = {"first": 5}


def score_file(data: DataSet) -> None:
    np.savez(data.folder / "s.npz", v00=[1.0, 0.0])
    data.recipe["labels"] = {"source": "file", "file": "s.npz"}


def no_counts(data: DataSet) -> None:
    data.recipe["data"]["duration_ref"] = "floor16"


def two_clocks(data: DataSet) -> None:
    data.recipe["data"]["clock"] = {"fps": 10, "stride_frames": 4, "window_frames": 4}


FAULTS: list[tuple[Callable[[DataSet], None], str, str, str]] = [
    (lose_features, "error", "missing_features", "1 of 12 videos: v05"),
    (add_features, "info", "extra_features", "1 video that no annotation names: other"),
    (widen, "error", "widths", "6 wide, but not those of v03 (7)"),
    (spoil, "error", "broken_features", "v03 hold NaN or infinity (first in row 7)"),
    (slow_clock, "error", "clock", "12 of 12 videos, which are 2 times as long"),
    (cut_short, "error", "feature_length", "v06 has 50 rows of 0.5 s and lasts 40 s"),
    (write_frames, "error", "outside", "jump 60 to 180 s in v02 and 2 more"),
    (reach_beyond, "warning", "beyond_end", "jump 35 to 42 s in v02"),
    (shrink, "warning", "short_instances", "run 10 to 10.3 s in v02"),
    (no_length, "warning", "empty_instances", "run 10 to 10 s in v02"),
    (train_without_run, "warning", "absent_training", "training has no instance of run"),
    (leave_run_untested, "warning", "absent_test", "test has no instance of run"),
    (empty_a_video, "warning", "empty_videos", "1 video without any instance: v07"),
    (write_twice, "warning", "duplicates", "jump 2 to 6 s in v07"),
    (forget_subset, "warning", "no_subset", "1 video in no subset: v07"),
    (sidecar_disagrees, "error", "sidecar_duration", "v09 says 55 s, its annotation 40 s"),
    (misspell, "error", "unknown_label", "'Jump' (1 times) is not in the class list"),
    (other_encoder, "error", "encoders", "v09 tell of another encoder"),
    (other_step, "warning", "sidecar_steps", "v09 tell of another step"),
    (all_zero, "warning", "zero_features", "v09 are all 0"),
    (wrong_subset, "error", "unknown_subset", "no video is in subset 'Train'"),
    (overlap, "error", "overlap", "'test' both trains and tests"),
    (long_action, "info", "unreachable", "1 of 36 instances (2.8 %) are longer"),
    (rows_as_is, "error", "rows", "12 of 12 videos do not have 100 rows"),
    (no_such_scores, "error", "scores", "needs 7 columns, but the features have 6"),
    (score_file, "error", "score_file", "none for v04, v08"),
    (no_counts, "error", "frame_counts", "how many frames it has"),
    (two_clocks, "warning", "clock_and_sidecar", "v00, v01, v02 and 9 more, which are used"),
]


def serious(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(item.severity, item.kind) for item in findings if item.severity != "info"}


def test_the_clean_data_set_is_clean(tmp_path: Path) -> None:
    findings = check(DataSet(tmp_path).save())
    assert [item.kind for item in findings] == ["class_counts"]
    assert "2 classes; 27 instances in training, from 9 of run to 18 of jump" in findings[0].what


@pytest.mark.parametrize(
    ("plant", "severity", "kind", "words"), FAULTS, ids=[fault[2] for fault in FAULTS]
)
def test_each_planted_fault_is_found_alone(
    tmp_path: Path, plant: Callable[[DataSet], None], severity: str, kind: str, words: str
) -> None:
    data = DataSet(tmp_path)
    plant(data)
    findings = check(data.save())
    found = [item for item in findings if item.kind == kind]
    assert [item.severity for item in found] == [severity]
    assert words in found[0].what
    assert found[0].do.endswith(".")
    assert "\n" not in found[0].what + found[0].do
    assert serious(findings) == ({(severity, kind)} if severity != "info" else set())


def test_advice_names_what_was_meant(tmp_path: Path) -> None:
    data = DataSet(tmp_path)
    misspell(data)
    advice = {item.kind: item.do for item in check(data.save())}
    assert advice["unknown_label"].startswith("Write 'jump'")
    data = DataSet(tmp_path / "slow")
    slow_clock(data)
    advice = {item.kind: item.do for item in check(data.save())}
    assert "0.5 s from one row" in advice["clock"]


def test_labels_without_a_class_list(tmp_path: Path) -> None:
    data = DataSet(tmp_path)

    def typos() -> list[str]:
        found = check(data.save())
        return [item.do.split(" if")[0] for item in found if item.kind == "label_typo"]

    data.database["v07"]["annotations"][0]["label"] = "jumb"
    assert typos() == ["Write 'jump'"]
    for entry in data.database.values():
        entry["annotations"][0]["label"] = "jumps"
    assert typos() == [], "classes of like size may well have like names"
    data.database["v07"]["annotations"][1]["label"] = "Run "
    data.database["v08"]["annotations"][1]["label"] = "Run "
    assert typos() == ["Write 'run'"]


def test_files_without_a_recipe(tmp_path: Path) -> None:
    data = DataSet(tmp_path)
    data.save()
    folder, annotations = tmp_path / "features", tmp_path / "annotations.json"
    assert not serious(check_files([folder], annotations))
    for file in folder.glob("*.json"):
        file.unlink()
    (found,) = [i for i in check_files([folder], annotations) if i.severity == "error"]
    assert found.kind == "no_clock"
    assert "Rows are 0.5 s apart if they span the durations" in found.do
    for clock in ({"rescaled": True}, {"fps": 10, "stride_frames": 5}):
        assert not serious(check_files([folder], annotations, **clock))
    files = ["--features", str(folder), "--annotations", str(annotations)]
    wrong = CliRunner().invoke(app, ["check", *files, "--fps", "10", "--stride-frames", "6"])
    assert wrong.exit_code == 2
    assert "error   the clock does not fit 12 of 12 videos" in wrong.stdout
    assert "0.5 s from one row to the next would fit" in wrong.stdout
    assert wrong.stdout.endswith("1 error\n")


@pytest.mark.parametrize(("rows", "offset"), [(91, 0), (100, -18)])
def test_wide_windows_may_end_with_the_video_or_be_centred(
    tmp_path: Path, rows: int, offset: int
) -> None:
    """Windows of 40 frames every 4 of 400: whole ones, or one per stride with edges repeated."""
    data = DataSet(tmp_path)
    for video, told in data.sidecars.items():
        told |= {"stride_frames": 4, "window_frames": 40, "offset_frames": offset}
        data.features[video] = np.ones((rows, 6))
    assert not serious(check(data.save()))
    for video in data.features:
        data.features[video] = np.ones((rows - 4, 6))
    assert serious(check(data.save())) == {("warning", "clock")}


def test_names_that_need_a_pattern(tmp_path: Path) -> None:
    data = DataSet(tmp_path)
    data.save()
    for file in (tmp_path / "features").iterdir():
        file.rename(file.with_name(f"clip_{file.name}"))
    recipe = tmp_path / "recipe.yaml"
    (found,) = [item for item in check(recipe) if item.severity == "error"]
    assert "12 of 12 videos" in found.what
    assert found.do == "Set name_pattern to 'clip_{video}' if clip_v00 is v00."
    assert not serious(check(recipe, ["data.name_pattern=clip_{video}"]))


@pytest.mark.parametrize("written", ["{}.mp4", "v_{}", "cam 1/{}.AVI"])
def test_ids_that_only_look_different_are_matched_as_in_evaluation(
    tmp_path: Path, written: str
) -> None:
    data = DataSet(tmp_path)
    data.database = {written.format(video): entry for video, entry in data.database.items()}
    findings = check(data.save())
    assert not serious(findings)
    (told,) = [item for item in findings if item.kind == "matched_ids"]
    assert told.what.startswith("12 video ids were matched to annotated ones")
    assert f"v00 is {written.format('v00')} and 11 more" in told.what
    assert "extra_features" not in {item.kind for item in findings}


def test_features_of_two_names_for_one_video(tmp_path: Path) -> None:
    data = DataSet(tmp_path)
    data.database["v03.mp4"] = data.database.pop("v03")
    data.features["v_v03"], data.sidecars["v_v03"] = data.features["v03"], data.sidecars["v03"]
    (found,) = [item for item in check(data.save()) if item.kind == "matched_ids"]
    assert found.severity == "error"
    assert "'v03' and of 'v_v03' both belong to the annotated video 'v03.mp4'" in found.what
    data.database["v03"] = data.database.pop("v03.mp4")
    assert not serious(check(data.save())), "features under the very id are the video's"


def test_rows_and_columns_swapped(tmp_path: Path) -> None:
    data = DataSet(tmp_path)
    data.features = {video: array.T for video, array in data.features.items()}
    findings = check(data.save())
    assert serious(findings) == {("error", "transposed")}, "told by durations where widths agree"
    assert "v00 has 6 rows and 80 columns" in findings[0].what
    for i, (video, array) in enumerate(data.features.items()):
        data.features[video] = array[:, : 80 - i]
    findings = check(data.save())
    assert serious(findings) == {("error", "transposed")}
    assert "all 12 videos have 6 rows, but between 69 and 80 columns" in findings[0].what
    assert "transpose the arrays" in findings[0].do


def test_nothing_to_train_on(tmp_path: Path) -> None:
    data = DataSet(tmp_path)
    del data.recipe["data"]["train"]
    for entry in data.database.values():
        entry["subset"] = "test"
    (found,) = [item for item in check(data.save()) if item.severity == "error"]
    assert found.kind == "no_training"
    assert found.what == "no video is left to train on: all 12 are in subsets that test (test)."
    files = ([tmp_path / "features"], tmp_path / "annotations.json")
    assert serious(check_files(*files, test=["test"])) == {("error", "no_training")}
    assert not serious(check_files(*files)), "without --test all of them train"
    for i, entry in enumerate(data.database.values()):
        entry["subset"] = "train" if i % 2 else "test"
        entry["annotations"] = [] if i % 2 else entry["annotations"]
    (found,) = [item for item in check(data.save()) if item.severity == "error"]
    assert found.what == "none of 6 training videos has an instance."


def test_what_cannot_be_read(tmp_path: Path) -> None:
    data = DataSet(tmp_path)
    recipe = data.save()
    (tmp_path / "features" / "v03.npy").write_bytes(b"")
    kinds = serious(check(recipe))
    assert kinds == {("error", "broken_features")}
    assert serious(check(recipe, ["data.features=nowhere"])) == {("error", "features")}
    (tmp_path / "annotations.json").write_text("{")
    assert serious(check(recipe)) == {("error", "annotations")}
    with pytest.raises(AttentadError, match="only detection data"):
        check("demo/recogniser")
    features, annotations = ["--features", str(tmp_path)], ["--annotations", str(recipe)]
    for arguments in ([], features, [str(recipe), *features, *annotations]):
        refused = CliRunner().invoke(app, ["check", *arguments])
        assert refused.exit_code == 2
        assert "give one of the two" in refused.stderr


def test_streams_of_different_lengths() -> None:
    path = SHARED / "thumos14/annotations.json"
    if not path.exists():
        pytest.skip("../shared/data/thumos14 is not there")
    annotations = read_annotations(path)

    def stream(shorter: int) -> FeatureStore:
        return FeatureStore(
            f"stream {shorter}",
            {
                video: lambda n=-(-int(item.frames) // 5): np.ones((max(n - shorter, 1), 1))
                for video, item in annotations.videos.items()
            },
            {},
        )

    sides = {"clock": FrameClock(5, 5), "train": ["validation"], "test": ["test"]}
    # What the public data set is known for: 270 is annotated beyond its end, 1292 has only
    # Ambiguous segments.
    clean, _ = check_data([stream(0), stream(1)], annotations, **sides)
    assert serious(clean) == {("warning", "outside"), ("warning", "empty_videos")}
    short, _ = check_data([stream(0), stream(60)], annotations, **sides)
    assert ("warning", "stream_lengths") in serious(short)
    assert ("error", "feature_length") in serious(short)


def test_the_real_data_sets(capsys: pytest.CaptureFixture[str]) -> None:
    if not SHARED.exists():
        pytest.skip("../shared/data is not there")
    findings = check("salads50/bmn", [f"data.root={SHARED / 'salads50'}"])
    assert serious(findings) == {("warning", "short_instances")}
    annotations = read_annotations(SHARED / "activitynet13/annotations.json.gz")
    row = np.ones((100, 1))
    store = FeatureStore("csv", dict.fromkeys(annotations.videos, lambda: row), {})
    sides = {"train": ["training"], "test": ["validation"], "view_length": 100}
    findings, _ = check_data([store], annotations, clock=RescaledClock(), **sides)
    assert not [item for item in findings if item.severity == "error"]
    print_findings(findings)
    assert "50 of 22152 instances are there twice" in capsys.readouterr().out


def test_a_loaded_recipe_is_taken(tmp_path: Path) -> None:
    assert check(load_recipe(DataSet(tmp_path).save())) == check(tmp_path / "recipe.yaml")


def test_checking_never_loads_torch(tmp_path: Path) -> None:
    recipe = DataSet(tmp_path).save()
    code = f"""
import sys
from typer.testing import CliRunner
from attentad.cli import app
assert CliRunner().invoke(app, ["check", {str(recipe)!r}]).exit_code == 0
assert "torch" not in sys.modules
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
