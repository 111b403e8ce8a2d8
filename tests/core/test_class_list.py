"""Class numbers become class names, or stay for the evaluation to report; never the wrong name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentad.core import AttentadError, read_annotations, read_classes, read_detections
from attentad.core.formats.class_list import named_labels

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def test_numbers_and_names(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("\ufeff7 BaseballPitch\r\n\n 9\tLong jump \r\n12  Billiards\r\n")
    assert read_classes(path) == {7: "BaseballPitch", 9: "Long jump", 12: "Billiards"}
    assert list(read_classes(path).values()) == ["BaseballPitch", "Long jump", "Billiards"]


def test_names_alone_count_from_zero(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("run\n\nlong jump\n2\n")
    assert read_classes(path) == {0: "run", 1: "long jump", 2: "2"}


@pytest.mark.skipif(not (DATA / "thumos14").is_dir(), reason="no THUMOS14 class list here")
def test_the_official_list_names_every_annotated_class() -> None:
    ids = read_classes(DATA / "thumos14" / "classes.txt")
    assert ids[7] == "CricketShot"
    folder = read_annotations(DATA / "thumos14" / "official" / "annotation_test")
    assert folder.class_ids == ids
    assert set(ids.values()) == set(folder.classes)


BAD = {
    "empty": ("\n \n", "is empty"),
    "mixed": ("1 run\njump\n", "line 2 has no number"),
    "number twice": ("1 run\n1 jump\n", "line 2: the number 1 is 'run' already"),
    "name twice": ("1 run\n\n2 run\n", "line 3: 'run' is listed twice"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_lists_are_one_sentence(tmp_path: Path, kind: str) -> None:
    content, message = BAD[kind]
    path = tmp_path / "classes.txt"
    path.write_text(content)
    with pytest.raises(AttentadError) as caught:
        read_classes(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def label_by_label(labels: list[str], known: set[str], ids: dict[int, str]) -> list[str]:
    """The rule, one label at a time."""
    result = []
    for label in labels:
        name = label
        if label not in known:
            for number, listed in ids.items():
                if label in (str(number), f"{number}.0", f"0{number}"):
                    name = listed
        result.append(name)
    return result


def test_numbers_without_end_are_no_class_numbers(tmp_path: Path) -> None:
    digits = "1" * 5000  # more than Python turns into a number
    assert named_labels([digits], (), {1: "run"}, "f") == [digits]
    path = tmp_path / "classes.txt"
    path.write_text(f"{digits} run\n")
    assert read_classes(path) == {0: f"{digits} run"}


texts = st.sampled_from(["0", "1", "2", "2.0", "02", "3", "-1", "1.5", "run", "7", "²", ""])


@given(
    st.lists(texts),
    st.sets(texts),
    st.dictionaries(st.integers(0, 3), st.sampled_from(["a", "b", "c"])),
)
def test_agrees_with_one_label_at_a_time(
    labels: list[str], known: set[str], ids: dict[int, str]
) -> None:
    ids = {0: "zero", **ids}  # a list from 0 can be no list shifted by one
    assert named_labels(labels, known, ids, "f") == label_by_label(labels, known, ids)


def test_without_a_list_labels_stay() -> None:
    assert named_labels(["0", "x"], (), {}, "f") == ["0", "x"]


def test_lists_that_are_shifted_are_refused() -> None:
    with pytest.raises(AttentadError, match=r"^f is THUMOS14 .* start at 0 \(run\)"):
        named_labels(["1"], (), {0: "run", 1: "jump"}, "f", from_one=True)
    assert named_labels(["1"], (), {1: "run"}, "f", from_one=True) == ["run"]
    assert named_labels(["0", "1"], (), {1: "run"}, "f", from_one=True) == ["0", "run"]
    with pytest.raises(AttentadError, match=r"^f numbers its classes from 0, .* 1 \(run\)"):
        named_labels(["0", "1"], (), {1: "run", 2: "jump"}, "f")
    # A class without instances, 0, is missing from annotations; the others are not shifted.
    assert named_labels(["0", "2"], (), {1: "run", 2: "jump"}, "f") == ["0", "jump"]


def test_label_ids_of_annotations(tmp_path: Path) -> None:
    """What ActionFormer and its heirs add to ActivityNet's JSON."""
    rows = [("run", 0), ("jump", 1), ("run", 0), ("hop", 2), ("skip", 2), ("sit", "3"), ("lie", 4)]
    annotations = [
        {"label": name, "label_id": number, "segment": [1, 2], "segment(frames)": [30, 60]}
        for name, number in rows
    ] + [{"label": "stand", "segment": [1, 2]}, {"label": "go", "segment": [1, 2], "label_id": [1]}]
    entry = {"subset": "Test", "fps": 30, "duration": 9.5, "annotations": annotations}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"version": "x", "database": {"v": entry}}))
    found = read_annotations(path)
    assert found.class_ids == {0: "run", 1: "jump", 4: "lie"}  # 2 means two things
    assert found.subset("Test").class_ids == found.class_ids
    assert len(found.videos["v"].labels) == len(annotations)
    detections = tmp_path / "d.json"
    items = [{"segment": [0, 1], "score": 1, "label": label} for label in (1, 0, "jump", 2)]
    detections.write_text(json.dumps({"results": {"v": items}}))
    named = read_detections(detections, found.classes, label_ids=found.class_ids)
    assert [named.classes[i] for i in named.videos["v"].labels] == ["jump", "run", "jump", "2"]
    assert read_detections(detections).classes == ("0", "1", "2", "jump")


def test_annotations_without_numbers_have_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video,start,end,label\nv,0,1,run\n")
    assert read_annotations(tmp_path / "a.csv").class_ids == {}
    (tmp_path / "Run_test.txt").write_text("v1  1.0 2.5\n")
    assert read_annotations(tmp_path).class_ids == {}
    (tmp_path / "detclasslist.txt").write_text("7 Run\n9 Jump\n")
    assert read_annotations(tmp_path).class_ids == {7: "Run", 9: "Jump"}
