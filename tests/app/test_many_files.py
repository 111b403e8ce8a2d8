"""`detect` and `extract` over folders as users have them: what is read, and what is said."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.bench import Bench, draw

from attentad.app.check.data_set import check_files
from attentad.cli import main
from attentad.core import AttentadError, read_detections
from attentad.data.features import read_sidecar
from attentad.models.extract import extract_features
from attentad.models.file import load_backbone
from attentad.models.run import load

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process: exit code, output, errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["attentad", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return int(stop.value.code or 0), told.out, told.err

    return run


@pytest.fixture(scope="module")
def two_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a.mp4 and c.m2ts in a folder; do not change its files."""
    folder = tmp_path_factory.mktemp("two")
    draw(folder / "a.mp4", 3)
    draw(folder / "c.m2ts", 2, seed=1)
    return folder


@pytest.fixture
def videos(two_videos: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(two_videos, tmp_path / "videos"))


def test_one_bad_file_stops_nothing(
    detector: Path, videos: Path, tmp_path: Path, command: Command
) -> None:
    (videos / "b.mp4").write_text("this is no video")
    code, out, errors = command("detect", detector, videos, "--out", tmp_path / "found.json")
    assert code == 1
    assert "in 2 videos" in out
    assert errors.splitlines()[-1].startswith(f"error: {videos / 'b.mp4'} cannot be opened")
    assert list(read_detections(tmp_path / "found.json").videos) == ["a", "c"]
    assert not list(tmp_path.glob(".*"))

    code, _, errors = command("extract", detector, videos, "--out", tmp_path / "features")
    assert code == 1
    assert "b.mp4 cannot be opened" in errors
    names = sorted(path.name for path in (tmp_path / "features").iterdir())
    assert names == [".failed", "a.json", "a.npy", "c.json", "c.npy"]

    noted = tmp_path / "features" / ".failed" / "b.json"
    code, _, errors = command("extract", detector, videos, "--out", tmp_path / "features")
    assert code == 1
    assert "b.mp4 cannot be opened" in errors
    assert f"Not tried again; for that, delete {noted}" in errors
    shutil.copy(videos / "a.mp4", videos / "b.mp4")  # another file is tried
    code, _, errors = command("extract", detector, videos, "--out", tmp_path / "features")
    assert (code, errors) == (0, "")
    assert not noted.parent.exists()
    assert (tmp_path / "features" / "b.npy").exists()


def test_where_nothing_can_be_read_nothing_is_written(
    detector: Path, tmp_path: Path, command: Command
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "bad" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bad" / name).touch()
    for arguments in (
        ("detect", detector, tmp_path / "bad", "--out", tmp_path / "found.json"),
        ("extract", detector, tmp_path / "bad", "--out", tmp_path / "features"),
    ):
        code, _, errors = command(*arguments)
        assert code == 2
        assert "a.mp4" in errors
        assert "b.mp4" in errors
    assert not (tmp_path / "found.json").exists()
    assert [path.name for path in (tmp_path / "features").iterdir()] == [".failed"]


def test_a_damaged_feature_file_stops_no_other(bench: Bench, command: Command) -> None:
    folder = bench.folder / "features"
    folder.mkdir()
    rows = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    np.save(folder / "good.npy", rows)
    np.save(folder / "wide.npy", np.zeros((9, 5), np.float32))
    (folder / "cut.npz").write_bytes(b"PK\x03\x04")
    (folder / ".good-abcdefgh.npy").write_bytes(b"half")
    code, out, errors = command("detect", bench.model, folder, "--out", bench.folder / "f.json")
    assert code == 1
    assert "in 1 video" in out
    assert len([line for line in errors.splitlines() if line.startswith("error: ")]) == 2
    assert "cut.npz" in errors
    assert "wide" in errors
    assert list(read_detections(bench.folder / "f.json").videos) == ["good"]


def test_tables_beside_videos_are_no_features(
    detector: Path, videos: Path, tmp_path: Path, command: Command
) -> None:
    (videos / "aDLC_resnet50.csv").write_text("scorer,DLC\nbodyparts,nose\n0,1.5\n")
    (videos / "annotations.csv").write_text("video,start,end,label\na,0,1,run\n")
    (videos / "annotations.json").write_text("{}")
    (videos / "._a.mp4").write_bytes(b"\0\5\x16\7")
    extract_features(load_backbone(detector), [videos / "a.mp4"], tmp_path / "features")
    for suffix in (".npy", ".json"):  # of the video beside them, and of one that is not here
        shutil.copy(tmp_path / f"features/a{suffix}", videos / f"a{suffix}")
        shutil.copy(tmp_path / f"features/a{suffix}", videos / f"other{suffix}")
    code, _, errors = command("detect", detector, videos, "--out", tmp_path / "found.json")
    assert code == 0
    assert errors == (
        f"warning: {videos}: not read are a.npy (its video is read), aDLC_resnet50.csv (no "
        "sidecar), annotations.csv (no sidecar).\n"
    )
    found = read_detections(tmp_path / "found.json").videos
    assert list(found) == ["a", "c", "other"]


def test_a_model_without_encoder_reads_the_features_beside_videos(bench: Bench) -> None:
    folder = bench.folder / "mixed"
    folder.mkdir()
    (folder / "a.mp4").touch()
    np.save(folder / "a.npy", np.zeros((60, 4), np.float32))
    run = load(bench.model).detect([folder])
    assert list(run.results) == ["a"]
    assert run.notes == [f"{folder}: not read are a.mp4 (the model has no encoder)."]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_utf8(detector: Path, videos: Path, tmp_path: Path) -> None:
    odd = os.fsdecode("Käfig.mp4".encode("latin-1"))
    (videos / "a.mp4").rename(videos / odd)
    extracted = extract_features(load_backbone(detector), [videos], tmp_path / "features")
    assert not extracted.failures
    assert read_sidecar(tmp_path / "features" / "K\ufffdfig.json").source == "K\ufffdfig.mp4"
    before = (tmp_path / "features" / "K\ufffdfig.npy").stat().st_mtime_ns
    extract_features(load_backbone(detector), [videos], tmp_path / "features")
    assert (tmp_path / "features" / "K\ufffdfig.npy").stat().st_mtime_ns == before
    (tmp_path / "features" / "c.npy").rename(tmp_path / "features" / odd.replace("mp4", "npy"))
    with pytest.raises(AttentadError, match="two inputs are named K\ufffdfig"):
        load(detector).detect([tmp_path / "features"])


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("found.xml", "tells no detection format"),
        ("file/found.json", "cannot be written"),
        ("folder.json", "is a folder"),
        ("videos/a.csv", "would replace what is read"),
        ("page.csv", "for the detections and for the page"),
    ],
)
def test_outputs_are_tried_before_anything_is_read(
    detector: Path, videos: Path, tmp_path: Path, command: Command, out: str, told: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.json").mkdir()
    (videos / "a.csv").write_text("1,2\n")
    given = [videos / "a.mp4", videos / "a.csv"]
    code, _, errors = command(
        *("detect", tmp_path / "no model is read", *given, "--out", tmp_path / out),
        *("--report", tmp_path / "page.csv"),
    )
    assert code == 2
    assert told in errors


def test_captions_of_videos_of_one_name(bench: Bench, command: Command) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(bench.folder / "f.h5", "w") as file:
        for camera in ("cam1", "cam2"):
            file[f"{camera}/mouse"] = np.zeros((60, 4), np.float32)
    code, out, _ = command(
        "detect", bench.model, bench.folder / "f.h5", "--out", bench.folder / "f.vtt"
    )
    assert code == 0
    assert out.startswith(f"{bench.folder / 'f.cam1_mouse.vtt'} and 1 more: ")
    assert sorted(path.name for path in bench.folder.glob("f.*.vtt")) == [
        "f.cam1_mouse.vtt",
        "f.cam2_mouse.vtt",
    ]


def test_features_of_another_video_of_that_name_are_kept(
    encoder_model: Path, tmp_path: Path
) -> None:
    draw(tmp_path / "monday" / "t.mp4", 4)
    draw(tmp_path / "tuesday" / "t.mp4", 2)
    draw(tmp_path / "tuesday" / "u.mp4", 2)
    out = tmp_path / "features"
    extract_features(load_backbone(encoder_model), [tmp_path / "monday"], out)
    before = (out / "t.npy").read_bytes()
    extracted = extract_features(load_backbone(encoder_model), [tmp_path / "tuesday"], out)
    assert list(extracted.failures) == ["t"]
    for folder in ("monday", "tuesday"):
        assert str(tmp_path / folder / "t.mp4") in extracted.failures["t"]
    assert (out / "t.npy").read_bytes() == before
    assert (out / "u.npy").exists()


def test_a_file_that_changed_is_read_again_and_a_moved_one_is_not(
    encoder_model: Path, tmp_path: Path
) -> None:
    video, out = tmp_path / "videos" / "t.mp4", tmp_path / "features"
    draw(video, 4)
    extract_features(load_backbone(encoder_model), [video], out)
    first = (out / "t.npy").stat().st_mtime_ns
    (tmp_path / "moved").mkdir()
    moved = video.rename(tmp_path / "moved" / "t.mp4")
    extract_features(load_backbone(encoder_model), [moved], out)
    assert (out / "t.npy").stat().st_mtime_ns == first
    moved.rename(video)
    draw(video, 2, seed=1)
    extract_features(load_backbone(encoder_model), [video], out)
    assert read_sidecar(out / "t.json").duration_sec == pytest.approx(2)
    assert (out / "t.npy").stat().st_mtime_ns != first


def test_a_sidecar_of_an_earlier_version_stays_valid(encoder_model: Path, tmp_path: Path) -> None:
    draw(tmp_path / "t.mp4", 2)
    out = tmp_path / "features"
    extract_features(load_backbone(encoder_model), [tmp_path / "t.mp4"], out)
    told = json.loads((out / "t.json").read_text())
    for key in ("source_path", "source_size_bytes", "source_modified_ns", "notes"):
        del told[key]
    (out / "t.json").write_text(json.dumps(told))
    before = (out / "t.npy").stat().st_mtime_ns
    (note,) = extract_features(load_backbone(encoder_model), [tmp_path / "t.mp4"], out).notes
    assert "by the name alone" in note
    assert (out / "t.npy").stat().st_mtime_ns == before
    (out / "t.json").write_text("{")  # damaged: read again
    extract_features(load_backbone(encoder_model), [tmp_path / "t.mp4"], out)
    assert read_sidecar(out / "t.json").source == "t.mp4"


def test_each_use_of_a_cut_video_repeats_that_it_is_cut(
    detector: Path, tmp_path: Path, command: Command
) -> None:
    path, out = tmp_path / "cut.mkv", tmp_path / "features"
    draw(path, 20)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    (note,) = extract_features(load_backbone(detector), [path], out).notes
    assert "cut.mkv" in note
    assert extract_features(load_backbone(detector), [path], out).notes == [note]
    assert read_sidecar(out / "cut.json").notes == (note,)
    assert load(detector).detect([out]).notes == [note]
    annotations = tmp_path / "a.csv"
    annotations.write_text("video,start,end,label,subset\ncut,1,2,run,training\n")
    assert any(note in item.what for item in check_files([out], annotations))
    overrides = [f"data.features={out}", f"data.annotations={annotations}", "data.test=[]"]
    overrides += ["training.epochs=1", "detector.network.map_dim=8", "labels.source=classifier"]
    code, _, errors = command("train", "demo/detector", *overrides, "--out", tmp_path / "run")
    assert code == 0, errors
    assert f"warning: {note}" in errors.splitlines()


def test_progress_is_told_within_a_video(detector: Path, tmp_path: Path) -> None:
    draw(tmp_path / "a.mp4", 40)
    told: list[tuple[float, int, str]] = []
    load(detector).detect([tmp_path / "a.mp4"], lambda *now: told.append(now))
    done = [now[0] for now in told]
    assert done == sorted(done)
    assert any(0 < share < 1 for share in done)
    assert told[-1] == (1, 1, "")
    assert {now[2] for now in told[:-1]} == {"a"}
