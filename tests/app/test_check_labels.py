"""`attentad check` where labels of whole videos train: faults of label lists, each found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.app.test_check import DataSet, serious

from attentad.app.check.data_set import check
from attentad.core.notes import Note
from attentad.models.sets import read_sets
from attentad.recipes.load import DetectionRecipe, load_recipe


class WeakSet(DataSet):
    """The same videos for a detector that learns from a label list; one is in the list only."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.recipe["data"] |= {"video_labels": "labels.csv", "classes": ["jump", "run"]}
        self.recipe |= {"view": {"name": "snippets"}, "detector": {"name": "hamnet"}}
        for told in self.sidecars.values():
            del told["score_columns"], told["score_classes"]
        del self.database["v07"]
        self.rows = [
            (video, label, "test" if i % 4 == 0 else "train")
            for i, video in enumerate(self.features)
            for label in ("jump", "run")
        ]

    def save(self) -> Path:
        lines = ["video,label,subset", *(",".join(row) for row in self.rows)]
        (self.folder / "labels.csv").write_text("\n".join(lines))
        return super().save()

    def forget(self, video: str) -> None:
        """Leave out its features."""
        del self.features[video]

    def relabel(self, video: str, label: str | None) -> None:
        """One row of that video with another label, or none of its rows."""
        self.rows = [row for row in self.rows if row[0] != video]
        if label is not None:
            self.rows.append((video, label, "train"))


def no_list(data: WeakSet) -> None:
    data.recipe["data"]["video_labels"] = "other.csv"


def no_label_at_all(data: WeakSet) -> None:
    data.rows = [(video, "", subset) for video, _, subset in data.rows]


def list_for_segments(data: WeakSet) -> None:
    data.recipe |= {"view": {"name": "windows"}, "detector": {"name": "bmn"}}
    data.recipe["data"]["scores"] = {"first": 0}


WEAK_FAULTS: list[tuple[Callable[[WeakSet], None], str, str, str]] = [
    (lambda data: data.relabel("v05", None), "error", "unlabelled", "lacks 1 training video: v05"),
    (lambda data: data.relabel("v05", ""), "warning", "empty_labels", "without any label: v05"),
    (lambda data: data.relabel("v05", "Run"), "error", "video_labels", "'Run', which is not in"),
    (no_list, "error", "video_labels", "other.csv does not exist"),
    (no_label_at_all, "error", "no_labels", "has no label for any of 9 training videos"),
    (list_for_segments, "error", "video_labels", "but bmn learns from segments"),
    (lambda data: data.forget("v07"), "error", "missing_features", "12 videos: v07"),
]


@pytest.mark.parametrize(("plant", "severity", "kind", "words"), WEAK_FAULTS)
def test_faults_of_a_label_list(
    tmp_path: Path, plant: Callable[[WeakSet], None], severity: str, kind: str, words: str
) -> None:
    data = WeakSet(tmp_path)
    plant(data)
    findings = check(data.save())
    found = [item for item in findings if item.kind == kind]
    assert [item.severity for item in found] == [severity]
    assert words in found[0].what
    assert found[0].do.endswith(".")


def test_a_label_list_is_counted_where_it_trains(tmp_path: Path) -> None:
    """Times of what the list names are not asked for, and R needs no class scores."""
    data = WeakSet(tmp_path)
    findings = check(data.save())
    assert [item.kind for item in findings] == ["class_counts"]
    assert "18 instances in training, from 9 of run to 9 of jump; 9 instances in test" in (
        findings[0].what
    )
    for item in data.database.values():
        if item["subset"] == "train":
            item["annotations"] = []
    assert [item.kind for item in check(data.save())] == ["class_counts"]
    data.database["v04"]["annotations"] = []
    assert serious(check(data.save())) == {("warning", "empty_videos")}


def test_a_label_list_without_annotations(tmp_path: Path) -> None:
    data = WeakSet(tmp_path)
    data.recipe["data"] |= {"annotations": None, "test": []}
    data.recipe["data"]["train"] = ["train"]
    assert serious(check(data.save())) == set()
    data.recipe["data"]["video_labels"] = "other.csv"
    assert serious(check(data.save())) == {("error", "video_labels")}
    data.relabel("v05", "")
    data.recipe["data"] |= {"video_labels": "labels.csv", "train": ["training"]}
    assert ("error", "unknown_subset") in serious(check(data.save()))


def test_a_list_that_names_files(tmp_path: Path) -> None:
    """Labels of `v01.mp4` are those of the annotated v01, in check and in training."""
    data = WeakSet(tmp_path)
    data.rows = [(f"{video}.mp4", label, subset) for video, label, subset in data.rows]
    with pytest.warns(Note, match=r"labels\.csv: \d+ video ids were matched to annotated ones"):
        assert not serious(check(data.save()))
    recipe = load_recipe(data.save())
    assert isinstance(recipe, DetectionRecipe)
    with pytest.warns(Note):
        sets = read_sets(recipe.data)
    assert sets.video_labels is not None
    assert sets.video_labels.videos["v01"] == ("jump", "run")
    assert "v01.mp4" not in sets.train.videos
    data.rows += [("v_v01", "run", "train")]
    assert ("error", "video_labels") in serious(check(data.save()))
