"""Feature files in every layout, their sidecars, and what is said of broken ones."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from attentad.core import AttentadError
from attentad.data.features import Sidecar, open_features, read_sidecar, write_features

FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)


def told(more: str) -> str:
    return f'{{"fps": 25, "stride_frames": 8, "window_frames": 8, {more}}}'


def save(folder: Path, kind: str) -> Path:
    path = folder / f"a{kind}"
    if kind == ".npy":
        np.save(path, FEATURES)
    elif kind == ".npz":
        np.savez(path, a=FEATURES)
    elif kind == ".pt":
        torch.save({"a": torch.from_numpy(FEATURES)}, path)
    elif kind == ".h5":
        with h5py.File(path, "w") as file:
            file["a"] = FEATURES
    else:
        header = "x,y,z\n"
        rows = "\n".join(",".join(map(str, row)) for row in FEATURES)
        path.write_text(header + rows)
    return path


@pytest.mark.parametrize("kind", [".npy", ".npz", ".pt", ".h5", ".csv"])
@pytest.mark.parametrize("through_folder", [False, True])
def test_every_layout_gives_the_same_array(tmp_path: Path, kind: str, through_folder: bool) -> None:
    path = save(tmp_path, kind)
    store = open_features(tmp_path if through_folder else path)
    assert list(store.readers) == ["a"]
    loaded = store.load("a")
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, FEATURES)


def test_a_single_array_is_named_like_its_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "video_7.npz", features=FEATURES)
    torch.save(torch.from_numpy(FEATURES), tmp_path / "video_8.pt")
    assert sorted(open_features(tmp_path).readers) == ["video_7", "video_8"]
    np.testing.assert_array_equal(open_features(tmp_path).load("video_8"), FEATURES)


def test_sidecar_round_trip_and_timeline(tmp_path: Path) -> None:
    sidecar = Sidecar(
        fps=10.0,
        stride_frames=5,
        window_frames=5,
        duration_sec=1.9,
        encoder={"sha256": "x"},
        score_columns=(1, 3),
        score_classes=("run", "jump"),
        source="a.mp4",
    )
    write_features(tmp_path / "a.npy", FEATURES, sidecar)
    store = open_features(tmp_path)
    assert store.sidecar("a") == sidecar
    timeline = sidecar.timeline(4)
    assert timeline.duration_sec == 1.9
    np.testing.assert_allclose(timeline.centres_sec(), [0.25, 0.75, 1.25, 1.75])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[1.0, np.nan]]), "NaN"),
        (np.zeros((0, 3)), "shape"),
        (np.zeros(3), "shape"),
        (np.array([["a"]]), "could not be read"),
    ],
)
def test_broken_arrays_name_the_video(tmp_path: Path, array: np.ndarray, expected: str) -> None:
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(AttentadError, match=expected) as error:
        open_features(tmp_path).load("v")
    assert "video v" in str(error.value)


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(AttentadError, match="could not be read"):
        open_features(tmp_path).load("v")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{}", "key fps is missing"),
        ('{"fps": 0, "stride_frames": 1, "window_frames": 1}', "fps: Input should be greater"),
        ('{"fps": 1, "stride_frames": "x", "window_frames": 1}', "stride_frames: Input should"),
        ('{"fps": true, "stride_frames": 1, "window_frames": 1}', "fps: Input should be a valid"),
        (told('"encoder": "i3d"'), r"encoder: .* \(got 'i3d'\)"),
        (told('"offset_frames": null'), "offset_frames: "),
        (told('"duration_sec": -3'), "duration_sec: "),
        (told('"score_columns": 3'), "score_columns: "),
        (told('"score_columns": [0, 1, 2]'), "score_columns"),
        (told('"score_columns": [3, 1]'), "score_columns"),
        (told('"score_columns": [0, 3], "score_classes": ["run"]'), "which are 1"),
        (told('"score_classes": [1]'), r"score_classes.0: .*in quotes"),
        (told('"source": {}'), "source: "),
        ("[" * 100_000, "not valid JSON"),
        (told('"duration_sec": 1' + "0" * 400), "not valid JSON"),
        ("[]", "not a feature sidecar"),
        ("{", "not valid JSON"),
    ],
)
def test_broken_sidecars(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(AttentadError, match=expected):
        read_sidecar(path)


def test_missing_things(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match="does not exist"):
        open_features(tmp_path / "nowhere")
    with pytest.raises(AttentadError, match="no feature files"):
        open_features(tmp_path)
    np.save(tmp_path / "a.npy", FEATURES)
    with pytest.raises(AttentadError, match="no features of video b"):
        open_features(tmp_path).load("b")
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(AttentadError, match="twice"):
        open_features(tmp_path)


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    for name in ("x.npz", "x.pt", "x.h5"):
        (tmp_path / name).write_bytes(b"not an archive")
        with pytest.raises(AttentadError, match=name):
            open_features(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "0,1,2\n5,6,7\n8,9,10\n",
        "\ufefff0,f1,f2\n5,6,7\n8,9,10\n",
        ",0,1,2\n0,5,6,7\n1,8,9,10\n",
        "5,6,7\n8,9,10\n",
    ],
    ids=["numbers as names", "names", "an index", "no header"],
)
def test_a_header_of_pandas_is_no_step(tmp_path: Path, text: str) -> None:
    (tmp_path / "v.csv").write_text(text)
    features = open_features(tmp_path).load("v")
    np.testing.assert_array_equal(features, [[5, 6, 7], [8, 9, 10]])


def test_a_column_that_counts_the_rows_is_no_feature(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("frame,a,b\n0,5,6\n1,7,8\n")
    with pytest.raises(AttentadError, match=r"v\.csv: the first column counts the rows"):
        open_features(tmp_path).load("v")
