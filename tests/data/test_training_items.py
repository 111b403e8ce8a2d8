"""Training items: views with their targets, checked before training, drawn alike in any worker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError, Timeline, as_segments
from attentad.core.found import Truth
from attentad.data.clocks import Clock
from attentad.data.features import FeatureStore, Sidecar, open_features
from attentad.data.random_snippets import SAMPLINGS, Sampling, sample_snippets
from attentad.data.tracks import FeatureSource
from attentad.data.training_items import Item, TrainingItems, collate, selection
from attentad.data.views import Rescaled, Snippets, Views, Whole, Windows
from attentad.training.items import EpochBatches, epoch_batches, make_loader

CLOCK = Sidecar(fps=1, stride_frames=1, window_frames=1)
LENGTHS = {"a": 30, "b": 12, "c": 1, "d": 55, "e": 7}
LABELS: dict[str, list[int]] = {"a": [0], "b": [0, 1, 2], "c": [2], "d": [], "e": [1]}


def starts_in_view(truth: Truth, timeline: Timeline) -> dict[str, np.ndarray]:
    return {"starts": timeline.grid(truth.segments[:1, 0]).astype(np.float32)}


def multi_hot(truth: Truth, _: Timeline) -> Mapping[str, np.ndarray]:
    labels = np.zeros(truth.classes, np.float32)
    labels[truth.labels] = 1
    return {"labels": labels}


def store_of(folder: Path, lengths: Mapping[str, int] = LENGTHS, width: int = 3) -> FeatureStore:
    rng = np.random.default_rng(0)
    for video, n in lengths.items():
        np.save(folder / f"{video}.npy", rng.normal(size=(n, width)).astype(np.float32))
    return open_features(folder)


def source_of(folder: Path, lengths: Mapping[str, int] = LENGTHS) -> FeatureSource:
    return FeatureSource(store_of(folder, lengths), {}, CLOCK)


def one_instance(lengths: Mapping[str, int]) -> dict[str, Truth]:
    return dict.fromkeys(lengths, Truth(np.array([[2.0, 4.0]]), np.zeros(1, np.int64), 1))


def strong(folder: Path, lengths: Mapping[str, int], views: Views, **options: Any) -> TrainingItems:
    truths = one_instance(lengths)
    return TrainingItems(
        source_of(folder, lengths), truths, views, starts_in_view, select=selection(**options)
    )


def weak(
    folder: Path, views: Views | None = None, *, clock: Clock | None = CLOCK, seed: int = 0
) -> TrainingItems:
    truths = {
        video: Truth(as_segments([]), np.array(ids, np.int64), 3) for video, ids in LABELS.items()
    }
    source = FeatureSource(store_of(folder), {}, clock)
    return TrainingItems(source, truths, views or Snippets(8), multi_hot, seed=seed)


def test_rescaled_items(tmp_path: Path) -> None:
    data = strong(tmp_path, {"x": 10, "y": 20}, Rescaled(5))
    assert len(data) == 2
    assert data.feature_dim == 3
    batch = collate([data[0], data[1]])
    assert batch["features"].shape == (2, 3, 5)
    assert batch["valid"].all()
    assert batch["video"] == ["x", "y"]
    torch.testing.assert_close(batch["targets"]["starts"], torch.tensor([[1.0], [0.5]]))


def test_windows_without_an_instance_are_left_out(tmp_path: Path) -> None:
    data = strong(tmp_path, {"x": 30}, Windows(8), min_coverage=0.9)
    assert data.index == [("x", 0)]
    assert float(data[0]["targets"]["starts"]) == 2.0


def test_the_tracks_can_be_read(tmp_path: Path) -> None:
    for data in (strong(tmp_path, {"x": 30}, Windows(8)), weak(tmp_path)):
        for video in data.truths:
            track = data.read(video)
            np.testing.assert_array_equal(track.array, np.load(tmp_path / f"{video}.npy"))
            assert track.timeline == CLOCK.timeline(len(track.array))


def test_items_beyond_the_cache_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = {"x": 40, "y": 20}
    options = {"min_coverage": 0.4, "drop_cut": True, "by_length": True}
    kept = strong(tmp_path, lengths, Windows(8, 3), **options)
    monkeypatch.setattr("attentad.data.training_items.CACHE_BYTES", 0)
    made = strong(tmp_path, lengths, Windows(8, 3), **options)
    assert kept.index == made.index
    assert len(kept) > 2
    for path in tmp_path.glob("*.npy"):
        np.save(path, np.load(path) + 1)
    for row in range(len(kept)):
        video_steps = kept[row]["valid"]
        assert torch.equal((kept[row]["features"] + 1) * video_steps, made[row]["features"])
        assert torch.equal(kept[row]["targets"]["starts"], made[row]["targets"]["starts"])


def test_no_useful_window_is_an_error(tmp_path: Path) -> None:
    for views in (Windows(1), Whole(1)):
        with pytest.raises(AttentadError, match="none of the 1 training videos"):
            strong(tmp_path, {"x": 30}, views, min_coverage=0.9)


def test_videos_by_the_length_of_their_actions(tmp_path: Path) -> None:
    lengths = {"all": 2, "half": 4, "short": 20}
    truths = dict.fromkeys(lengths, Truth(np.array([[0.0, 2.0]]), np.zeros(1, np.int64), 1))
    select = selection(by_length=True)
    for views in (Rescaled(5), Whole(5)):
        data = TrainingItems(
            source_of(tmp_path, lengths), truths, views, starts_in_view, select=select
        )
        assert [data[row]["video"] for row in range(len(data))] == ["half", "short", "short"]
    assert not torch.equal(data[1]["features"], data[2]["features"])  # each has its own crop


def test_items_of_labelled_videos(tmp_path: Path) -> None:
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
    data = weak(tmp_path, Snippets(8, sampling), seed=5)
    data.set_epoch(2)
    for row, video in enumerate(LENGTHS):
        rng = np.random.default_rng([5, 2, row])
        features, valid = sample_snippets(np.load(tmp_path / f"{video}.npy"), 8, sampling, rng)
        np.testing.assert_array_equal(data[row]["features"].numpy(), features.T)
        np.testing.assert_array_equal(data[row]["valid"].numpy(), valid)


@pytest.mark.parametrize("views", [Snippets(8), Whole(8)])
def test_epochs_seeds_and_videos_draw_differently(tmp_path: Path, views: Views) -> None:
    data, other = weak(tmp_path, views), weak(tmp_path, views, seed=1)
    first = data[3]["features"]
    data.set_epoch(1)
    assert not torch.equal(first, data[3]["features"])
    assert not torch.equal(first, other[3]["features"])
    data.set_epoch(0)
    assert torch.equal(first, data[3]["features"])


def batches_of(
    data: TrainingItems, workers: int, epochs: tuple[int, ...] = (0, 1, 2), first_step: int = 0
) -> dict[tuple[int, int], dict[str, Any]]:
    """(Epoch, step) → batch, as training takes them."""
    batches = EpochBatches(partial(epoch_batches, len(data), 2, seed=3))
    loader = make_loader(data, batches, seed=3, collate=collate, workers=workers)
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


@pytest.mark.parametrize("views", [Snippets(8), Whole(8)])
def test_workers_and_resumed_runs_see_what_one_process_sees(tmp_path: Path, views: Views) -> None:
    whole = batches_of(weak(tmp_path, views), workers=0)
    assert len(whole) == 9
    for key, batch in batches_of(weak(tmp_path, views), workers=2).items():
        assert_same(whole[key], batch)
    resumed = batches_of(weak(tmp_path, views), workers=2, epochs=(1, 2), first_step=1)
    assert sorted(resumed) == [(1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    for key, batch in resumed.items():
        assert_same(whole[key], batch)
    of_d = [
        batch["features"][batch["video"].index("d")].numpy().tobytes()
        for batch in whole.values()
        if "d" in batch["video"]
    ]
    assert len(set(of_d)) == 3


def test_features_beyond_the_memory_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = weak(tmp_path)
    monkeypatch.setattr("attentad.data.training_items.CACHE_BYTES", 4 * 3 * (30 + 12))
    part = weak(tmp_path)
    for row in range(5):
        assert torch.equal(kept[row]["features"], part[row]["features"])
    for path in tmp_path.glob("*.npy"):
        np.save(path, np.load(path) + 1)
    same = [torch.equal(kept[row]["features"], part[row]["features"]) for row in range(5)]
    assert same == [True, True, False, False, False]  # the first two fill it


@pytest.mark.parametrize("views", [Snippets(8, "all"), Whole(1)])
def test_an_item_drawn_anew_may_be_changed_without_harm(tmp_path: Path, views: Views) -> None:
    data = weak(tmp_path, views)
    before = data[2]["features"].clone()
    data[2]["features"].zero_()
    assert torch.equal(data[2]["features"], before)


@pytest.mark.parametrize("video", ["a", "e"])
@pytest.mark.parametrize("views", [Snippets(8), Rescaled(8)])
def test_broken_features_are_told_before_training(tmp_path: Path, video: str, views: Views) -> None:
    store_of(tmp_path)
    path = tmp_path / f"{video}.npy"

    def start() -> None:
        source = FeatureSource(open_features(tmp_path), {}, CLOCK)
        TrainingItems(source, one_instance(LENGTHS), views, starts_in_view)

    np.save(path, np.full((4, 3), np.nan, np.float32))
    with pytest.raises(AttentadError, match=f"features of video {video} hold NaN"):
        start()
    np.save(path, np.zeros((4, 5), np.float32))
    other = (
        "b has features of width 3, the others 5" if video == "a" else "e has .* 5, the others 3"
    )
    with pytest.raises(AttentadError, match=f"{tmp_path.name}: video {other}; extract all"):
        start()
    path.unlink()
    with pytest.raises(AttentadError, match=f"no features of video {video}"):
        start()


def test_options_of_snippets_are_checked_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="no way 'best' to draw snippets"):
        weak(tmp_path, Snippets(8, "best"))  # type: ignore[arg-type]
    with pytest.raises(AttentadError, match="0 of 30 snippets"):
        weak(tmp_path, Snippets(0))


def test_swapped_rows_and_columns_are_thought_of(tmp_path: Path) -> None:
    for video, width in {"a": 30, "b": 41}.items():
        np.save(tmp_path / f"{video}.npy", np.ones((4, width), np.float32))
    source = FeatureSource(open_features(tmp_path), {}, CLOCK)
    with pytest.raises(AttentadError, match="have 4 rows, so if rows and columns are swapped"):
        TrainingItems(source, one_instance({"a": 30, "b": 41}), Rescaled(8), starts_in_view)


def test_no_video_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="no video is labelled for training"):
        TrainingItems(source_of(tmp_path), {}, Snippets(8), multi_hot)


def rows_in_view(truth: Truth, timeline: Timeline) -> dict[str, np.ndarray]:
    """Which steps lie in an instance, and the labels of the instances."""
    centres = timeline.centres_sec()
    inside = (truth.segments[:, :1] <= centres) & (centres < truth.segments[:, 1:])
    return {"inside": inside.any(axis=0).astype(np.float32), "labels": truth.labels}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(2, 30),
    st.lists(st.tuples(st.integers(0, 39), st.integers(1, 20)), max_size=4),
    st.integers(0, 5),
)
def test_targets_of_a_crop_are_those_of_its_steps(
    n: int, length: int, instances: list[tuple[int, int]], epoch: int
) -> None:
    """The target says of each step what the whole video's says of it, wherever the crop lies."""
    segments = as_segments([[start, start + steps] for start, steps in instances])
    truth = Truth(segments, np.arange(len(segments)), 9)
    store = FeatureStore("memory", {"x": lambda: np.arange(n, dtype=np.float32)[:, None]}, {})
    source = FeatureSource(store, {}, CLOCK)
    data = TrainingItems(source, {"x": truth}, Whole(length), rows_in_view)
    data.set_epoch(epoch)
    item = data[0]
    steps = item["features"][0].numpy().astype(int)
    assert len(steps) == min(n, length)
    assert (np.diff(steps) == 1).all()
    assert item["valid"].all()
    whole = rows_in_view(truth, source.read("x").timeline)["inside"]
    np.testing.assert_array_equal(item["targets"]["inside"].numpy(), whole[steps])


def test_a_crop_is_drawn_again_until_something_of_it_trains(tmp_path: Path) -> None:
    lengths = {"without": 90, "x": 90}
    truths = {
        "without": Truth(as_segments([]), np.zeros(0, np.int64), 3),
        "x": Truth(np.array([[2.0, 6.0], [70.0, 74.0]]), np.array([0, 2]), 3),
    }
    select = selection(min_coverage=0.5, drop_cut=True)
    data = TrainingItems(
        source_of(tmp_path, lengths), truths, Whole(10), rows_in_view, select=select
    )
    assert data.index == [("x", 0)]
    seen = set()
    for epoch in range(40):
        data.set_epoch(epoch)
        targets = data[0]["targets"]
        (label,) = targets["labels"].tolist()
        assert 2 <= int(targets["inside"].sum()) <= 4
        seen.add(label)
    assert seen == {0, 2}


def test_lengths_that_differ_are_padded(tmp_path: Path) -> None:
    data = weak(tmp_path, Snippets(8, "all"))
    items = [data[row] for row in (1, 4, 2)]
    batch = collate(items)
    assert batch["features"].shape == (3, 3, 12)
    assert batch["valid"].sum(dim=1).tolist() == [12, 7, 1]
    assert batch["targets"]["labels"].shape == (3, 3)


def item_of(length: int, instances: int, seed: int) -> Item:
    """An item with targets of every shape that a detector may make."""
    rng = np.random.default_rng(seed)

    def values(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape).astype(np.float32))

    return {
        "features": values(2, length),
        "valid": torch.from_numpy(rng.random(length) < 0.8),
        "targets": {
            "steps": values(length),
            "map": values(length, length),
            "durations": values(4, length),
            "half": values(-(-length // 2)),
            "segments": values(instances, 2),
            "classes": values(5),
            "number": values(),
            "nothing": values(0),
        },
        "video": f"v{length}",
    }


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=5))
def test_padding_adds_zeros_that_are_not_valid_and_nothing_else(
    sizes: list[tuple[int, int]],
) -> None:
    items = [item_of(length, instances, seed) for seed, (length, instances) in enumerate(sizes)]
    batch = collate(items)
    longest = max(length for length, _ in sizes)
    assert batch["features"].shape == (len(items), 2, longest)
    assert batch["valid"].shape == (len(items), longest)
    assert batch["video"] == [item["video"] for item in items]
    assert batch["targets"]["map"].shape == (len(items), longest, longest)
    # Also where a video has as many steps as there are classes:
    assert batch["targets"]["classes"].shape == (len(items), 5)
    assert batch["targets"]["number"].shape == (len(items),)
    for b, item in enumerate(items):
        pairs = [(batch[key][b], item[key]) for key in ("features", "valid")]
        pairs += [(batch["targets"][key][b], value) for key, value in item["targets"].items()]
        for padded, value in pairs:
            assert padded.dtype == value.dtype
            assert torch.equal(padded[tuple(slice(size) for size in value.shape)], value)
            assert padded.count_nonzero() == value.count_nonzero()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_padding_changes_no_masked_loss(lengths: list[int]) -> None:
    items = [item_of(length, 0, seed) for seed, length in enumerate(lengths)]

    def losses(batch: dict[str, Any]) -> torch.Tensor:
        away = (batch["features"].sum(dim=1) - batch["targets"]["steps"]) ** 2
        return (away * batch["valid"]).double().sum(dim=1)

    alone = torch.cat([losses(collate([item])) for item in items])
    torch.testing.assert_close(losses(collate(items)), alone)
