"""Feature streams side by side, every k-th row, several archives as one, names by pattern."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError
from attentad.data.features import (
    FeatureStore,
    Sidecar,
    join_features,
    open_features,
    write_features,
)


def rows(n: int, width: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def test_every_fifth_row_and_its_sidecar(tmp_path: Path) -> None:
    sidecar = Sidecar(fps=30, stride_frames=1, window_frames=5)
    write_features(tmp_path / "a.npy", rows(13), sidecar)
    store = open_features(tmp_path, every=5)
    np.testing.assert_array_equal(store.load("a"), rows(13)[[0, 5, 10]])
    kept = store.sidecar("a")
    assert kept is not None
    assert kept.stride_frames == 5
    assert kept.window_frames == 5
    with pytest.raises(AttentadError, match="every must be 1"):
        open_features(tmp_path, every=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 7))
def test_joined_streams_equal_the_plain_way(n_flow: int, n_rgb: int, every: int) -> None:
    """Spec csa §5.2: flow first, every fifth row, as many as the shorter stream has."""
    flow, rgb = rows(n_flow, 2, seed=1), rows(n_rgb, 3, seed=2)
    stores = [
        FeatureStore("x", {"v": lambda array=array: array[::every]}, {}) for array in (flow, rgb)
    ]
    expected = [[*flow[i], *rgb[i]] for i in range(0, 30, every) if i < len(flow) and i < len(rgb)]
    np.testing.assert_array_equal(join_features(stores).load("v"), expected)


def test_two_hdf5_archives_per_stream(tmp_path: Path) -> None:
    arrays = {
        name: {video: rows(n, 2, seed) for seed, (video, n) in enumerate(lengths.items())}
        for name, lengths in {
            "flow_val": {"a": 11},
            "flow_test": {"b": 21},
            "rgb_val": {"a": 12},
            "rgb_test": {"b": 20},
        }.items()
    }
    for name, videos in arrays.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            for video, array in videos.items():
                file[video] = array
    streams = [open_features(tmp_path / f"{kind}_*.h5", every=5) for kind in ("flow", "rgb")]
    store = join_features(streams)
    assert sorted(store.readers) == ["a", "b"]
    assert store.load("b").shape == (4, 4)
    np.testing.assert_array_equal(store.load("b")[:, :2], arrays["flow_test"]["b"][::5][:4])
    np.testing.assert_array_equal(store.load("b")[:, 2:], arrays["rgb_test"]["b"][::5])
    assert store.sidecar("b") is None
    assert join_features(streams[:1]) is streams[0]


def test_a_stream_without_the_video_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "flow.npz", a=rows(3), b=rows(3))
    np.savez(tmp_path / "rgb.npz", a=rows(3), c=rows(3))
    store = join_features([open_features(tmp_path / f"{kind}.npz") for kind in ("flow", "rgb")])
    assert store.load("a").shape == (3, 6)
    with pytest.raises(AttentadError, match=r"rgb.npz holds no features of video b"):
        store.load("b")
    with pytest.raises(AttentadError, match="at least one"):
        join_features([])


def test_names_by_pattern(tmp_path: Path) -> None:
    for name in ("v_a", "v_v_b", "other"):
        np.save(tmp_path / f"{name}.npy", rows(2))
    readers = open_features(tmp_path, name_pattern="v_{video}").readers
    assert sorted(readers) == ["a", "other", "v_b"]
    with pytest.raises(AttentadError, match="no name fits the name_pattern"):
        open_features(tmp_path, name_pattern="{video}_flow")
    for pattern in ("v_", "{video}{video}", "{id}"):
        with pytest.raises(AttentadError, match=r"must have \{video\} once"):
            open_features(tmp_path, name_pattern=pattern)
    np.save(tmp_path / "a.npy", rows(2))
    with pytest.raises(AttentadError, match="two names give one video"):
        open_features(tmp_path, name_pattern="v_{video}")


def test_a_pattern_of_files_that_fits_none(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="no feature files"):
        open_features(tmp_path / "flow_*.h5")
