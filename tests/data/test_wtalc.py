"""The W-TALC release: what is read of it, in each form, and what is said of broken ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.wtalc_files import Release, objects, save

from attentad.core import AttentadError
from attentad.data.releases.wtalc import read_wtalc
from attentad.metrics.ground_truth import GROUND_TRUTH_SETS, collect_ground_truth

VIDEOS = ("video_val_1", "video_val_2", "video_test_3", "video_test_4")


def test_all_of_it(tmp_path: Path) -> None:
    release = Release()
    found = read_wtalc(release.write(tmp_path))
    assert found.name == "Thumos14reduced"
    videos = found.annotations.videos
    assert tuple(videos) == VIDEOS
    assert found.annotations.classes == ("dive", "run")
    assert [item.subset for item in videos.values()] == ["validation"] * 2 + ["test"] * 2
    assert [item.duration_sec for item in videos.values()] == [6.5, 16.2, 25.6, 1.95]
    assert videos["video_val_2"].segments.tolist() == [[1, 3], [2, 4]]
    assert videos["video_val_2"].labels == ("run", "dive")
    assert videos["video_test_3"].labels == ("run", "Ambiguous", "Ambiguous")
    assert videos["video_test_3"].segments.tolist() == [[20, 25.6], [1, 2.5], [4, 5]]
    assert videos["video_test_4"].segments.shape == (0, 2)
    assert found.shapes == dict(zip(VIDEOS, [(10, 6), (25, 6), (40, 6), (3, 6)], strict=True))
    for video, features in zip(VIDEOS, release.features, strict=True):
        assert found.features(video).dtype == np.float32
        np.testing.assert_array_equal(found.features(video), features)
    assert found.notes == (
        "1 video named in Ambiguous_test.txt only: video_test_9.",
        "1 video without a label in labels_all: video_test_4.",
    )


def test_both_kinds_of_video_labels(tmp_path: Path) -> None:
    found = read_wtalc(Release().write(tmp_path))
    assert found.labels_all.classes == found.from_segments.classes == ("dive", "run")
    assert list(found.labels_all.videos.values()) == [("run",), ("dive", "run"), ("dive",), ()]
    assert list(found.from_segments.videos.values()) == [("run",), ("dive", "run"), ("run",), ()]
    assert found.disagreeing() == {"test": ["video_test_3"]}


def test_classes_come_in_alphabetical_order(tmp_path: Path) -> None:
    arrays = {
        "classlist": np.array([b"run", b"dive"]),
        "labels_all": np.array([[1, 0], [1, 1], [0, 1], [0, 0]]),
    }
    found = read_wtalc(Release(arrays=arrays).write(tmp_path))
    assert found.annotations.classes == ("dive", "run")
    assert list(found.labels_all.videos.values()) == [("run",), ("dive", "run"), ("dive",), ()]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["Thumos14reduced", "ActivityNet1.2"])
def test_every_way_to_write_it(tmp_path: Path, protocol: int, name: str) -> None:
    training = "validation" if name == "Thumos14reduced" else "training"
    wide = [np.arange(n * 64, dtype=np.float64).reshape(n, 64) for n in (20, 1, 300, 7)]
    release = Release(name=name, training=training, protocol=protocol, features=wide)
    found = read_wtalc(release.write(tmp_path))
    assert found.name == name
    assert found.annotations.videos["video_val_1"].subset == training
    for video, features in zip(VIDEOS, wide, strict=True):
        np.testing.assert_array_equal(found.features(video), features)


OTHER_FORMS: dict[str, Any] = {
    "text instead of bytes": {
        "videoname": np.array(VIDEOS),
        "classlist": objects(["dive", "run"]),
        "subset": objects([b"validation", b"validation", "test", "test"]),
    },
    "durations in a row": {"duration": np.array([6.5, 16.2, 25.6, 1.95])},
    "durations as objects": {"duration": objects([[6.5], [np.float64(16.2)], 25.6, [[1.95]]])},
    "labels as arrays": {
        "labels": objects([np.array(["run"]), np.array(["run", "dive"]), (b"run",), np.array([])]),
        "labels_all": objects([np.array([b"run"]), ["run", "dive"], "dive", []]),
    },
    "labels as rows of 0 and 1": {
        "labels_all": np.array([[0.0, 1], [1, 1], [1, 0], [0, 0]]),
    },
    "segments as arrays": {
        "segments": objects(
            [np.array([[0.5, 2.0]]), np.array([[1, 3], [2, 4]]), [(20.0, 25.6)], np.zeros((0, 2))]
        )
    },
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_other_forms_of_the_same(tmp_path: Path, form: str) -> None:
    plain = read_wtalc(Release().write(tmp_path / "plain"))
    other = read_wtalc(Release(arrays=OTHER_FORMS[form]).write(tmp_path / "other"))
    assert other.labels_all.videos == plain.labels_all.videos
    assert other.from_segments.videos == plain.from_segments.videos
    for video, item in plain.annotations.videos.items():
        np.testing.assert_array_equal(other.annotations.videos[video].segments, item.segments)
        assert other.annotations.videos[video].duration_sec == item.duration_sec
        assert other.annotations.videos[video].labels == item.labels


def test_features_of_one_length_are_a_plain_array(tmp_path: Path) -> None:
    folder = Release().write(tmp_path)
    values = np.arange(4 * 5 * 3, dtype=np.float32).reshape(4, 5, 3)
    np.save(folder / "Thumos14reduced-I3D-JOINTFeatures.npy", values)
    found = read_wtalc(folder)
    assert found.shapes["video_val_1"] == (5, 3)
    np.testing.assert_array_equal(found.features("video_test_3"), values[2])


def test_folders_within_the_folder(tmp_path: Path) -> None:
    inner = Release().write(tmp_path / "data" / "Thumos14reduced")
    assert read_wtalc(inner.parent).name == "Thumos14reduced"
    (inner / "Thumos14reduced-Annotations").rename(inner.parent / "Thumos14reduced-Annotations")
    assert read_wtalc(inner.parent).name == "Thumos14reduced"


def test_optional_files(tmp_path: Path) -> None:
    release = Release(ambiguous=None)
    del release.arrays["extracted_fps"]
    found = read_wtalc(release.write(tmp_path))
    assert found.annotations.videos["video_test_3"].labels == ("run",)
    assert found.notes == ("1 video without a label in labels_all: video_test_4.",)


def test_what_is_odd_is_noted(tmp_path: Path) -> None:
    release = Release(ambiguous=None)
    release.features[3] = np.zeros((0, 6), np.float32)
    release.arrays["segments"][1] = [[1.0, 3.0], [4.0, 2.0]]
    release.arrays["segments"][0] = [[0.5, 7.0]]
    release.arrays["duration"] = np.array([[6.5], [16.2], [60.0], [1.95]])
    release.arrays["extracted_fps"] = np.array([[10.0]] * 3 + [[30.0]])
    found = read_wtalc(release.write(tmp_path))
    assert list(found.annotations.videos) == list(VIDEOS[:3])
    assert list(found.labels_all.videos) == list(VIDEOS[:3])
    assert found.annotations.videos["video_val_2"].labels == ("run",)
    assert found.notes == (
        "1 video without a single snippet and left out: video_test_4.",
        "1 video with segments that end before they start, which are left out: video_val_2.",
        "1 video whose features last over 2 s more or less than the video at 16 frames of 25 per "
        "second: video_test_3.",
        "1 video with segments beyond their duration: video_val_1.",
        "extracted_fps.npy tells of 10 to 30 frames per second; the I3D features are taken to be "
        "made at 25, as the published code does.",
    )


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/never",)


# What is wrong → (changed arrays or features, what is said).
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no class list": ({"classlist": None}, r"classlist\.npy does not exist"),
    "a video missing from a column": (
        {"subset": np.array([b"test"] * 3)},
        r"subset\.npy has 3 entries for the 4 videos of videoname\.npy",
    ),
    "a label missing": (
        {"labels": objects([["run"], ["run"], ["run"], []])},
        "video video_val_2 has 2 segments but 1 labels",
    ),
    "a label that is no class": (
        {"labels": objects([["Run"], ["run", "dive"], ["run"], []])},
        r"labels\.npy: video video_val_1 has the label 'Run', .*did you mean 'run'",
    ),
    "a video label that is no class": (
        {"labels_all": objects([["run"], ["diving"], ["run"], []])},
        r"labels_all\.npy: video video_val_2 has the label 'diving'",
    ),
    "a row of labels that is too short": (
        {"labels_all": np.ones((4, 1))},
        r"labels_all\.npy: the entry of video video_val_1 must be class names, or 2 numbers",
    ),
    "a row of labels that are no 0 and 1": ({"labels_all": np.full((4, 2), 2)}, "2 numbers 0 or 1"),
    "numbers for names": ({"videoname": np.arange(4)}, r"videoname\.npy: entry 0 must be the name"),
    "an empty name": (
        {"videoname": np.array([b"a", b"b", b" ", b"d"])},
        r"videoname\.npy: entry 2 must be the name of a video",
    ),
    "a name twice": ({"videoname": np.array([b"a", b"b", b"a", b"d"])}, "names 'a' twice"),
    "a class twice": ({"classlist": np.array([b"run", b"run"])}, r"classlist\.npy names 'run' twi"),
    "a name with a folder": (
        {"videoname": np.array([b"a", b"../../b", b"c", b"d"])},
        "'../../b' cannot be the name of a file",
    ),
    "a duration of nothing": (
        {"duration": np.array([[1.0], [0.0], [1.0], [1.0]])},
        r"duration\.npy: the entry of video video_val_2 must be seconds above 0",
    ),
    "a duration that is no number": ({"duration": np.full(4, np.nan)}, "must be seconds above 0"),
    "segments of three": (
        {"segments": objects([[[1, 2, 3]], [], [], []])},
        r"segments\.npy: the entry of video video_val_1 must be a list of \[start, end\]",
    ),
    "a segment that is not finite": ({"segments": objects([[[0, np.inf]], [], [], []])}, "start"),
    "text for labels in depth": (
        {"labels": objects([[[[[[["run"]]]]]], [], [], []])},
        "must be a list of class names",
    ),
    "a program among the labels": (
        {"labels": objects([[Evil()], [], [], []])},
        "holds more than p",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_annotations(tmp_path: Path, kind: str) -> None:
    arrays, expected = BROKEN[kind]
    release = Release(arrays={name: a for name, a in arrays.items() if a is not None})
    folder = release.write(tmp_path)
    for name in (name for name, array in arrays.items() if array is None):
        (folder / "Thumos14reduced-Annotations" / f"{name}.npy").unlink()
    with pytest.raises(AttentadError, match=expected) as caught:
        read_wtalc(folder)
    assert "\n" not in str(caught.value)


FEATURES = [np.zeros((n, 6), np.float32) for n in (10, 25, 40, 3)]
BROKEN_FEATURES: dict[str, tuple[list[Any], str]] = {
    "a video missing": (FEATURES[:3], r"JOINTFeatures\.npy has 3 entries for the 4 videos"),
    "other widths": ([*FEATURES[:3], np.zeros((3, 5))], "has features of widths 5, 6; one"),
    "one axis": ([*FEATURES[:3], np.zeros(6)], r"video_test_4 have shape \(6,\); \(snippets, chan"),
    "text": ([*FEATURES[:3], np.array([["a"]])], "video_test_4 are no array of numbers"),
    "a list": ([*FEATURES[:3], [[1.0, 2.0]]], "video_test_4 are no array of numbers"),
    "a program": ([*FEATURES[:3], Evil()], r"JOINTFeatures\.npy holds more than plain data"),
    "no snippets at all": ([np.zeros((0, 6))] * 4, "has features of no snippet"),
}


@pytest.mark.parametrize("kind", BROKEN_FEATURES)
def test_broken_features(tmp_path: Path, kind: str) -> None:
    features, expected = BROKEN_FEATURES[kind]
    with pytest.raises(AttentadError, match=expected) as caught:
        read_wtalc(Release(features=features).write(tmp_path))
    assert "\n" not in str(caught.value)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    release = Release()
    release.features[2][5, 1] = np.nan
    found = read_wtalc(release.write(tmp_path))
    found.features("video_val_1")
    with pytest.raises(AttentadError, match="features of video video_test_3 hold NaN"):
        found.features("video_test_3")


def test_values_that_are_too_few(tmp_path: Path) -> None:
    """Protocol 2 hides until they are read how many bytes there are."""
    release = Release(protocol=2, features=[np.zeros((2000, 4)), *[np.zeros((2, 4))] * 3])
    folder = release.write(tmp_path)
    path = folder / "Thumos14reduced-I3D-JOINTFeatures.npy"
    path.write_bytes(path.read_bytes().replace(b"M\xd0\x07", b"M\xd1\x07", 1))
    with pytest.raises(AttentadError, match="features of video video_val_1 are damaged"):
        read_wtalc(folder).features("video_val_1")


@pytest.mark.parametrize("line", ["video_test_3 1", "v 2 1", "v a b", "v 1 2 3", "v nan 2"])
def test_ambiguous_lines(tmp_path: Path, line: str) -> None:
    folder = Release(ambiguous=f"video_test_3 1 2\n{line}\n").write(tmp_path)
    with pytest.raises(AttentadError, match=r"Ambiguous_test\.txt, line 2 must read `video start"):
        read_wtalc(folder)


def test_folders_that_hold_something_else(tmp_path: Path) -> None:
    with pytest.raises(
        AttentadError, match="nowhere is no folder; give the one that holds NAME-I3"
    ):
        read_wtalc(tmp_path / "nowhere")
    with pytest.raises(AttentadError, match="holds none; what is read is NAME-I3D-JOINTFeatures"):
        read_wtalc(tmp_path)
    Release().write(tmp_path / "one")
    save(tmp_path / "Other-I3D-JOINTFeatures.npy", np.zeros((1, 2, 3)))
    with pytest.raises(AttentadError, match=r"of one data set, and holds Other-I3D.*, one/Thumos"):
        read_wtalc(tmp_path)
    (tmp_path / "one" / "Thumos14reduced-I3D-JOINTFeatures.npy").unlink()
    with pytest.raises(AttentadError, match="no folder Other-Annotations beside Other-I3D"):
        read_wtalc(tmp_path)


def test_ground_truth_without_the_videos_that_later_work_leaves_out(tmp_path: Path) -> None:
    """Spec §1.6: 270, whose segments pass its end, and 1496, whose label contradicts them."""
    names = [f"video_test_{number:07}" for number in (4, 270, 1292, 1496)]
    arrays = {
        "videoname": np.array([name.encode() for name in names]),
        "subset": np.array([b"test"] * 4),
        "labels": objects([["run"]] * 4),
        "segments": objects([[[0.0, 1.0]]] * 4),
    }
    found = read_wtalc(Release(arrays=arrays, ambiguous=None).write(tmp_path))
    kept = {}
    for name in GROUND_TRUTH_SETS:
        truth = collect_ground_truth(found.annotations, ground_truth_set=name)
        kept[name] = [int(video[-4:]) for video in truth.videos]
    assert kept == {
        "all": [4, 270, 1292, 1496],
        "full": [4, 270, 1496],
        "opentad211": [4, 1496],
        "gtad210": [4],
    }
