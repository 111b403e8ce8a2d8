"""Video-level scores by other people's classifiers: the right row, the right columns, bad files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from attentad.core import AttentadError, VideoDetections, as_segments, read_annotations
from attentad.models.video_scores import (
    THUMOS14_NUMBERS,
    read_cuhk_scores,
    read_untrimmednet,
    scores_of,
    untrimmednet_scores,
)
from attentad.suppression import label_by_video

THUMOS14 = Path(__file__).parents[2] / "../shared/data/thumos14"


def test_columns_and_rows_of_untrimmednet() -> None:
    # Each number says where it is: row 4 (video 5), column of class 21 → 4.21.
    table = np.arange(6)[:, None] + (np.arange(101) + 1) / 1000
    row = untrimmednet_scores(table, "video_test_0000005")
    np.testing.assert_allclose(row, 4 + np.array([*THUMOS14_NUMBERS.values()]) / 1000)
    assert sorted(set(THUMOS14_NUMBERS.values())) == list(THUMOS14_NUMBERS.values())
    for video in ("video_test_0000000", "video_test_0000007"):
        with pytest.raises(AttentadError, match=f"no row for video {video}"):
            untrimmednet_scores(table, video)
    for video in ("cooking", "x12", "v_-012", "x²³⁴⁵", ""):
        with pytest.raises(AttentadError, match="four digits"):
            untrimmednet_scores(table, video)
    with pytest.raises(AttentadError, match=r"shape \(videos, 101\)"):
        untrimmednet_scores(table[:, :20], "video_test_0000005")


@pytest.mark.skipif(not THUMOS14.is_dir(), reason="../shared/data/thumos14 is not here")
def test_untrimmednet_names_the_action_of_most_real_videos() -> None:
    table = read_untrimmednet(THUMOS14 / "untrimmednet_test_scores.npz")
    assert table.shape == (1574, 101)
    np.testing.assert_allclose(table.sum(axis=1), 2.0, atol=1e-3)
    annotations = read_annotations(THUMOS14 / "annotations.json")
    names = [line.split()[1] for line in (THUMOS14 / "classes.txt").read_text().splitlines()]
    right = []
    for video, truth in annotations.videos.items():
        if truth.subset != "test" or not len(truth.labels):
            continue
        best = int(np.argmax(untrimmednet_scores(table, video)))
        right.append(names[best] in truth.labels)
    assert len(right) > 200
    assert np.mean(right) > 0.85


def test_tables_from_files(tmp_path: Path) -> None:
    table = np.random.default_rng(0).uniform(size=(3, 101)).astype(np.float32)
    np.save(tmp_path / "a.npy", table)
    np.savez_compressed(tmp_path / "b.npz", anything=table)
    for name in ("a.npy", "b.npz"):
        np.testing.assert_array_equal(read_untrimmednet(tmp_path / name), table)
    np.savez(tmp_path / "two.npz", a=table, b=table)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "small.npy", table[:, :7])
    np.save(tmp_path / "text.npy", np.full((2, 101), "x"))
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "torn.npz").write_bytes((tmp_path / "b.npz").read_bytes()[:400])
    (tmp_path / "words.npz").write_text("no archive")
    wrong = {
        "none.npy": "does not exist",
        "two.npz": "holds 2 arrays",
        "objects.npy": "could not be read",
        "small.npy": r"not float32 of shape \(3, 7\)",
        "text.npy": "must be numbers",
        "empty.npy": "could not be read",
        "torn.npz": "could not be read",
        "words.npz": "could not be read",
    }
    for name, sentence in wrong.items():
        with pytest.raises(AttentadError, match=sentence) as caught:
            read_untrimmednet(tmp_path / name)
        assert name in str(caught.value)


def write(path: Path, content: Any) -> Path:
    path.write_bytes(orjson.dumps(content))
    return path


def test_cuhk_columns_in_our_order(tmp_path: Path) -> None:
    content = {"class": ["run", "jump", "swim"], "results": {"abc": [0.1, 0.7, 0.2]}}
    path = write(tmp_path / "cuhk.json", content)
    scores = read_cuhk_scores(path, ["swim", "jump"])
    assert scores["abc"].tolist() == [0.2, 0.7]
    assert scores_of(scores, "v_abc").tolist() == scores_of(scores, "abc").tolist()
    with pytest.raises(AttentadError, match="none for video v_xyz"):
        scores_of(scores, "v_xyz")
    proposals = VideoDetections(as_segments([[0, 1]]), np.array([0.5]), np.array([-1]))
    top = label_by_video(proposals, scores_of(scores, "v_abc"), topk=1, fuse="prod")
    assert (top.labels.tolist(), top.scores.tolist()) == ([1], [0.35])
    # Nested rows, ids with v_, no class names: as others write it.
    other = write(tmp_path / "o.json", {"results": {"v_abc": [[0.1, 0.9]]}})
    assert read_cuhk_scores(other, ["a", "b"])["abc"].tolist() == [0.1, 0.9]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], 'needs a "results" object'),
        ({"results": []}, 'needs a "results" object'),
        ({"results": {"abc": [0.1]}}, "video abc needs 2 finite scores"),
        ({"results": {"abc": ["x", "y"]}}, "video abc needs 2 finite scores"),
        ({"results": {"abc": None}}, "video abc needs 2 finite scores"),
        ({"results": {"abc": [0.1, None]}}, "video abc needs 2 finite scores"),
        ({"results": {"abc": [[0.1], [0.2, 0.3]]}}, "video abc needs 2 finite scores"),
        ({"results": {}, "class": "run"}, '"class" must be a list of names'),
        ({"results": {}, "class": ["run", "jum"]}, "no scores for class 'jump'"),
    ],
)
def test_malformed_cuhk_files(tmp_path: Path, content: Any, sentence: str) -> None:
    path = write(tmp_path / "bad.json", content)
    with pytest.raises(AttentadError, match=sentence) as caught:
        read_cuhk_scores(path, ["run", "jump"])
    assert "bad.json" in str(caught.value)
