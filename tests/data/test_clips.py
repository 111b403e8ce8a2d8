"""Trimmed clips: lists, labels, views; decoding is replaced where a real file is not the point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from attentad.core import AttentadError, Sampling
from attentad.data import clips as clips_module
from attentad.data.augment import MULTI_SCALES, clip_starts, crop_box, looped_indices
from attentad.data.clips import ClipData, read_clip_files
from attentad.video import VideoInfo, write_video

SAMPLING = Sampling(fps=5.0, window_frames=4, stride_frames=2, size_px=8)
PLAIN: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every file `NAME-N.mp4` holds N pictures whose red value counts them; lists what is read."""
    read: list[str] = []

    def frames(path: Path, fps: float, *, size_px: int) -> Iterator[NDArray[np.uint8]]:
        read.append(path.name)
        for number in range(int(path.stem.split("-")[1])):
            yield np.full((size_px, size_px, 3), (number, size_px, 7), dtype=np.uint8)

    def probe(path: Path) -> VideoInfo:
        count = int(path.stem.split("-")[1])
        return VideoInfo(
            fps=5.0, duration_sec=count / 5, width_px=8, height_px=8, rotation_deg=0, codec="x",
            frames=count,
        )  # fmt: skip

    monkeypatch.setattr(clips_module, "frames", frames)
    monkeypatch.setattr(clips_module, "probe", probe)
    return read


def clip_list(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    for name, _, _ in rows:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    path = folder / "clips.csv"
    lines = ["path,label,subset", *(",".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


ROWS = [
    ("a/x-9.mp4", "jump", "training"),
    ("a/y-3.mp4", "run", "training"),
    ("b/z-13.mp4", "jump", "test"),
    ("b/w-1.mp4", "swim", "test"),
]


def test_a_list_with_subsets(tmp_path: Path) -> None:
    source = clip_list(tmp_path, ROWS)
    assert [file.name for file in read_clip_files(source)] == [row[0] for row in ROWS]
    files = read_clip_files(source, subset="test")
    assert [(file.label, file.path) for file in files] == [
        ("jump", tmp_path / "b/z-13.mp4"),
        ("swim", tmp_path / "b/w-1.mp4"),
    ]


def test_a_folder_of_classes(tmp_path: Path) -> None:
    clip_list(
        tmp_path, [("run/b-2.mp4", "", ""), ("jump/a-2.mp4", "", ""), ("run/note.txt", "", "")]
    )
    files = read_clip_files(tmp_path)
    assert [(file.name, file.label) for file in files] == [
        ("jump/a-2.mp4", "jump"),
        ("run/b-2.mp4", "run"),
    ]


def test_folders_of_classes_are_split_into_training_and_test(tmp_path: Path) -> None:
    names = [
        f"{label}/{i:02d}.mp4" for label, count in (("jump", 11), ("run", 1)) for i in range(count)
    ]
    clip_list(tmp_path, [(name, "", "") for name in (*names, "jump/._00.mp4", "jump/old/x.mp4")])
    (tmp_path / "clips.csv").unlink()
    with pytest.warns(UserWarning, match="the folders jump, run are taken as classes") as caught:
        files = read_clip_files(tmp_path / "clips.csv")  # as recipes name it
    assert [file.name for file in files] == names
    tested = [file.name for file in files if file.subset == "test"]
    assert tested == ["jump/00.mp4", "jump/05.mp4", "jump/10.mp4"]
    assert any("old (a folder)" in str(warning.message) for warning in caught)


def test_folders_of_subsets_with_folders_of_classes(tmp_path: Path) -> None:
    clip_list(tmp_path, [(f"{name}/a.mp4", "", "") for name in ("training/run", "test/jump")])
    files = read_clip_files(tmp_path)
    assert [(file.subset, file.label) for file in files] == [("test", "jump"), ("training", "run")]


def test_classes_come_from_the_whole_list(tmp_path: Path) -> None:
    source = clip_list(tmp_path, ROWS)
    data = ClipData(source, sampling=SAMPLING, subset="training", view="random")
    assert data.classes == ("jump", "run", "swim")
    assert data.labels == [0, 1]


def test_a_batch_of_items(tmp_path: Path, decoded: list[str]) -> None:
    source = clip_list(tmp_path, ROWS)
    data = ClipData(source, sampling=SAMPLING, subset="training", view="random", **PLAIN)
    batch = next(iter(torch.utils.data.DataLoader(data, batch_size=2)))
    assert batch["clip"].shape == (2, 3, 4, 8, 8)
    assert batch["clip"].dtype == torch.float32
    assert batch["label"].tolist() == [0, 1]
    assert batch["video"] == ["a/x-9.mp4", "a/y-3.mp4"]


def numbers(clip: torch.Tensor) -> list[int]:
    """The frames that a clip of `decoded` consists of."""
    return [round(value) for value in clip[0, :, 0, 0].tolist()]


def test_random_clips_start_anywhere_and_loop(tmp_path: Path, decoded: list[str]) -> None:
    data = ClipData(clip_list(tmp_path, ROWS), sampling=SAMPLING, view="random", **PLAIN)
    long, short = set(), set()
    for epoch in range(60):
        data.set_epoch(epoch)
        long.add(tuple(numbers(data[0]["clip"])))
        short.add(tuple(numbers(data[1]["clip"])))
        assert numbers(data[3]["clip"]) == [0, 0, 0, 0]
    assert long == {(s, s + 1, s + 2, s + 3) for s in range(5)}
    assert short == {(0, 1, 2, 0), (1, 2, 1, 2), (2, 2, 2, 2)}


def test_random_clips_depend_on_seed_epoch_and_index_alone(
    tmp_path: Path, decoded: list[str]
) -> None:
    source = clip_list(tmp_path, ROWS)
    options: dict[str, Any] = {
        "sampling": SAMPLING, "view": "random", "decode_px": 12, "scales": MULTI_SCALES,
        "flip": True,
    }  # fmt: skip
    first, second = ClipData(source, seed=3, **options), ClipData(source, seed=3, **options)
    other = ClipData(source, seed=4, **options)
    different = 0
    for epoch in range(5):
        for data in (first, second, other):
            data.set_epoch(epoch)
        _ = second[1], second[0]
        torch.testing.assert_close(first[0]["clip"], second[0]["clip"], rtol=0, atol=0)
        different += not torch.equal(first[0]["clip"], other[0]["clip"])
    assert different


def test_all_view_gives_non_overlapping_clips(tmp_path: Path, decoded: list[str]) -> None:
    data = ClipData(clip_list(tmp_path, ROWS), sampling=SAMPLING, **PLAIN)
    found: dict[str, list[list[int]]] = {}
    for i in range(len(data)):
        found.setdefault(data[i]["video"], []).append(numbers(data[i]["clip"]))
    assert found == {
        "a/x-9.mp4": [[0, 1, 2, 3], [4, 5, 6, 7]],
        "a/y-3.mp4": [[0, 1, 2, 0]],
        "b/z-13.mp4": [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]],
        "b/w-1.mp4": [[0, 0, 0, 0]],
    }


def test_centre_view(tmp_path: Path, decoded: list[str]) -> None:
    data = ClipData(clip_list(tmp_path, ROWS), sampling=SAMPLING, view="centre", **PLAIN)
    assert [numbers(data[i]["clip"]) for i in range(4)] == [
        [2, 3, 4, 5],
        [0, 1, 2, 0],
        [4, 5, 6, 7],
        [0, 0, 0, 0],
    ]


def test_pictures_are_decoded_once_while_they_fit(tmp_path: Path, decoded: list[str]) -> None:
    source = clip_list(tmp_path, ROWS)
    data = ClipData(source, sampling=SAMPLING, view="random")
    calls: list[tuple[int, int]] = []
    data.preload(lambda done, total: calls.append((done, total)))
    assert calls == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    _ = [data[i] for i in range(4)]
    assert sorted(decoded) == sorted(Path(row[0]).name for row in ROWS)

    decoded.clear()
    room = 9 * 8 * 8 * 3  # for the first file only
    small = ClipData(source, sampling=SAMPLING, view="random", memory_bytes=room)
    _ = [small[i] for i in (0, 1, 0, 1)]
    assert decoded == ["x-9.mp4", "y-3.mp4", "y-3.mp4"]


def test_flip_mirrors_half_of_the_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    picture[:, 0] = 200
    monkeypatch.setattr(clips_module, "frames", lambda *_, **__: [picture] * 5)
    source = clip_list(tmp_path, ROWS[:1])
    for flip, expected in ((True, {0, 7}), (False, {0})):
        data = ClipData(source, sampling=SAMPLING, view="random", flip=flip, **PLAIN)
        bright = set()
        for epoch in range(20):
            data.set_epoch(epoch)
            clip = data[0]["clip"]
            bright.add(int(clip[0, 0, 0].argmax()))
            assert (clip == clip[:, :1]).all()  # one choice for the whole clip
        assert bright == expected


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 60), width=st.integers(1, 60), seed=st.integers(0, 999))
def test_crops_stay_in_the_picture_at_one_of_five_places(
    height: int, width: int, seed: int
) -> None:
    top, left, side = crop_box(height, width, MULTI_SCALES, np.random.default_rng(seed))
    assert side in {max(1, round(min(height, width) * scale)) for scale in MULTI_SCALES}
    down, right = height - side, width - side
    places = {(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)}
    assert (top, left) in places


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 30), length=st.integers(1, 12), data=st.data())
def test_looping_and_test_clips(count: int, length: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, count - 1))
    frame, expected = start, []
    for _ in range(length):
        expected.append(frame)
        frame = frame + 1 if frame + 1 < count else start
    assert looped_indices(start, length, count).tolist() == expected

    starts = clip_starts(count, length).tolist()
    assert starts == [s for s in range(0, count, length) if s + length <= count] or (
        count < length and starts == [0]
    )


def test_real_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (20, 16, 16, 3)).astype(np.uint8)
    (tmp_path / "noise").mkdir()
    write_video(tmp_path / "noise" / "a.mp4", pictures, 10.0)
    data = ClipData(tmp_path, sampling=SAMPLING, decode_px=16)
    assert len(data) == 2  # 20 frames at 10 fps are 10 at 5 fps
    assert data.pictures(0).shape == (10, 16, 16, 3)
    assert data[1]["clip"].shape == (3, 4, 8, 8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\n", "clips.csv lists no clips; add"),
        ("path,kind\nx.mp4,run\n", "lacks the column 'label'"),
        ("path,label\nx.mp4,\n", "line 2: a clip needs a path and a label"),
        ("path,label\ngone.mp4,run\n", "gone.mp4 does not exist"),
    ],
)
def test_bad_lists_are_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "clips.csv").write_text(text)
    with pytest.raises(AttentadError, match=words):
        read_clip_files(tmp_path / "clips.csv")


def test_other_bad_input_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = clip_list(tmp_path, ROWS)
    with pytest.raises(AttentadError, match="subset val; the subsets are: test, training"):
        read_clip_files(source, subset="val")
    with pytest.raises(AttentadError, match=r"w-1.mp4 has the label 'swim'.*\(jump, run\)"):
        ClipData(source, sampling=SAMPLING, classes=["jump", "run"], view="random")
    with pytest.raises(AttentadError, match="view must be"):
        ClipData(source, sampling=SAMPLING, view="middle")  # type: ignore[arg-type]
    with pytest.raises(AttentadError, match="scales must be"):
        ClipData(source, sampling=SAMPLING, scales=[2.0])
    with pytest.raises(AttentadError, match="does not exist"):
        read_clip_files(tmp_path / "none.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AttentadError, match="lists no clips"):
        read_clip_files(tmp_path / "empty")
    monkeypatch.setattr(clips_module, "frames", lambda *_, **__: [])
    with pytest.raises(AttentadError, match=r"x-9.mp4 holds no pictures"):
        _ = ClipData(source, sampling=SAMPLING, view="random")[0]
