"""Training items with labels of whole videos: drawn alike in every worker and after a stop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attentad.core import AttentadError
from attentad.data.features import FeatureStore, open_features
from attentad.data.random_snippets import SAMPLINGS, Sampling, sample_snippets
from attentad.data.weak_data import WeakData, weak_collate
from attentad.training.items import EpochBatches, make_loader

LENGTHS = {"a": 30, "b": 12, "c": 1, "d": 55, "e": 7}
LABELS = {"a": [0], "b": [0, 1, 2], "c": [2], "d": [], "e": [1]}


def multi_hot(ids: np.ndarray, classes: int) -> Mapping[str, np.ndarray]:
    labels = np.zeros(classes, np.float32)
    labels[ids] = 1
    return {"labels": labels}


def store_of(folder: Path, lengths: Mapping[str, int] = LENGTHS) -> FeatureStore:
    rng = np.random.default_rng(0)
    for video, n in lengths.items():
        np.save(folder / f"{video}.npy", rng.normal(size=(n, 3)).astype(np.float32))
    return open_features(folder)


def weak(folder: Path, **options: Any) -> WeakData:
    labels = {video: np.array(ids, np.int64) for video, ids in LABELS.items()}
    arguments = {"classes": 3, "length": 8, "targets": multi_hot} | options
    return WeakData(store_of(folder), labels, **arguments)


def test_items(tmp_path: Path) -> None:
    data = weak(tmp_path)
    assert len(data) == 5
    assert data.feature_dim == 3
    item = data[1]
    assert item["video"] == "b"
    assert item["features"].shape == (3, 8)
    assert item["features"].dtype == torch.float32
    assert item["valid"].tolist() == [True] * 8
    assert item["targets"]["labels"].tolist() == [1, 1, 1]
    assert data[3]["targets"]["labels"].tolist() == [0, 0, 0]
    only = np.load(tmp_path / "c.npy")[0]
    np.testing.assert_array_equal(data[2]["features"].numpy(), np.repeat(only[:, None], 8, axis=1))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_an_item_is_a_draw_of_seed_epoch_and_index(tmp_path: Path, sampling: Sampling) -> None:
    data = weak(tmp_path, sampling=sampling, seed=5)
    data.set_epoch(2)
    for row, video in enumerate(LENGTHS):
        rng = np.random.default_rng([5, 2, row])
        features, valid = sample_snippets(np.load(tmp_path / f"{video}.npy"), 8, sampling, rng)
        np.testing.assert_array_equal(data[row]["features"].numpy(), features.T)
        np.testing.assert_array_equal(data[row]["valid"].numpy(), valid)


def test_epochs_seeds_and_videos_draw_differently(tmp_path: Path) -> None:
    data, other = weak(tmp_path), weak(tmp_path, seed=1)
    first = data[0]["features"]
    data.set_epoch(1)
    assert not torch.equal(first, data[0]["features"])
    assert not torch.equal(first, other[0]["features"])
    data.set_epoch(0)
    assert torch.equal(first, data[0]["features"])


def batches_of(
    data: WeakData, workers: int, epochs: tuple[int, ...] = (0, 1, 2), first_step: int = 0
) -> dict[tuple[int, int], dict[str, Any]]:
    """(Epoch, step) → batch, as training takes them."""
    batches = EpochBatches(len(data), 2, seed=3)
    loader = make_loader(data, batches, seed=3, collate=weak_collate, workers=workers)
    found = {}
    for epoch in epochs:
        batches.epoch, batches.first_step = epoch, first_step if epoch == epochs[0] else 0
        for step, batch in enumerate(loader, start=batches.first_step):
            found[epoch, step] = batch
    return found


def assert_same(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    assert mine["video"] == theirs["video"]
    assert torch.equal(mine["features"], theirs["features"])
    assert torch.equal(mine["valid"], theirs["valid"])
    assert torch.equal(mine["targets"]["labels"], theirs["targets"]["labels"])


def test_workers_and_resumed_runs_see_what_one_process_sees(tmp_path: Path) -> None:
    whole = batches_of(weak(tmp_path), workers=0)
    assert len(whole) == 9
    for key, batch in batches_of(weak(tmp_path), workers=2).items():
        assert_same(whole[key], batch)
    resumed = batches_of(weak(tmp_path), workers=2, epochs=(1, 2), first_step=1)
    assert sorted(resumed) == [(1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    for key, batch in resumed.items():
        assert_same(whole[key], batch)
    of_d = [
        batch["features"][batch["video"].index("d")].numpy().tobytes()
        for batch in whole.values()
        if "d" in batch["video"]
    ]
    assert len(set(of_d)) == 3


def test_lengths_that_differ_are_padded(tmp_path: Path) -> None:
    data = weak(tmp_path, sampling="all")
    items = [data[row] for row in (1, 4, 2)]
    batch = weak_collate(items)
    assert batch["features"].shape == (3, 3, 12)
    assert batch["valid"].sum(dim=1).tolist() == [12, 7, 1]
    for row, item in enumerate(items):
        n = len(item["valid"])
        assert torch.equal(batch["features"][row, :, :n], item["features"])
        assert not batch["features"][row, :, n:].any()
        assert not batch["valid"][row, n:].any()
    assert batch["targets"]["labels"].shape == (3, 3)


def test_features_beyond_the_memory_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = weak(tmp_path)
    assert len(kept._memory) == 5
    size = 4 * 3 * (30 + 12)
    monkeypatch.setattr("attentad.data.weak_data.CACHE_BYTES", size)
    part = weak(tmp_path)
    assert len(part._memory) == 2  # the first two fill it
    for row in range(5):
        assert torch.equal(kept[row]["features"], part[row]["features"])


def test_an_item_may_be_changed_without_harm(tmp_path: Path) -> None:
    data = weak(tmp_path, sampling="all")
    before = data[2]["features"].clone()
    data[2]["features"].zero_()
    assert torch.equal(data[2]["features"], before)


@pytest.mark.parametrize("video", ["a", "e"])
def test_broken_features_are_told_before_training(tmp_path: Path, video: str) -> None:
    store_of(tmp_path)
    path = tmp_path / f"{video}.npy"
    labels = {name: np.zeros(0, np.int64) for name in LENGTHS}
    arguments: dict[str, Any] = {"classes": 3, "length": 8, "targets": multi_hot}
    np.save(path, np.full((4, 3), np.nan, np.float32))
    with pytest.raises(AttentadError, match=f"features of video {video} hold NaN"):
        WeakData(open_features(tmp_path), labels, **arguments)
    np.save(path, np.zeros((4, 5), np.float32))
    with pytest.raises(AttentadError, match="features of width"):
        WeakData(open_features(tmp_path), labels, **arguments)
    path.unlink()
    with pytest.raises(AttentadError, match=f"no features of video {video}"):
        WeakData(open_features(tmp_path), labels, **arguments)


def test_options_are_checked_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="no way 'best' to draw snippets"):
        weak(tmp_path, sampling="best")
    with pytest.raises(AttentadError, match="0 of 1 snippets"):
        weak(tmp_path, length=0)
    with pytest.raises(AttentadError, match="no video is labelled for training"):
        WeakData(store_of(tmp_path), {}, classes=3, length=8, targets=multi_hot)
