"""Bad input of many kinds: one sentence that names what is wrong, exit code 2, no traceback."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.bench import Bench

from attentad.cli import main
from attentad.data.toy.files import make_toy


def run(
    arguments: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> str:
    """The error sentence of a command that must fail as a user's mistake does."""
    monkeypatch.setattr(sys, "argv", ["attentad", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    assert stop.value.code == 2, captured
    error = captured.err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert "Traceback" not in captured.err
    assert error.endswith(".")
    return error


def json_annotations(segment: object = (1.0, 2.0), label: str = "run") -> str:
    entry = {
        "subset": "test",
        "duration": 40,
        "annotations": [{"label": label, "segment": segment}],
    }
    return json.dumps({"database": {"v00": entry}})


def audio_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def train_with(*changes: str) -> Callable[[Bench], list[object]]:
    return lambda b: ["train", b.recipe, *changes, "training.epochs=1", "--out", b.folder / "o"]


def spoil_features(change: Callable[[dict[str, np.ndarray]], None]) -> Callable[[Bench], None]:
    def spoil(bench: Bench) -> None:
        arrays = dict(np.load(bench.features))
        change(arrays)
        np.savez(bench.features, **arrays)

    return spoil


def write(name: str, text: str) -> Callable[[Bench], None]:
    return lambda bench: (bench.folder / name).write_text(text) and None


def evaluate(bench: Bench) -> list[object]:
    write("d.json", json.dumps({"results": {"v00": []}}))(bench)
    return ["eval", bench.folder / "d.json", bench.annotations]


CASES: dict[str, tuple[Callable[[Bench], None], Callable[[Bench], list[object]], str]] = {
    "no such recipe": (lambda b: None, lambda b: ["train", "salads50/none"], "no recipe"),
    "unknown recipe key": (lambda b: None, train_with("view.size=3"), "unknown key view.size"),
    "override without =": (lambda b: None, train_with("view.length"), "key=value"),
    "unknown attention": (
        lambda b: None,
        train_with("attention.encoder.name=zap"),
        "zap",
    ),
    "unknown subset": (lambda b: None, train_with("data.test=[winter]"), "subset winter"),
    "unknown fold": (
        lambda b: None,
        lambda b: ["train", b.recipe, "--fold", "fold7"],
        "no fold 'fold7'",
    ),
    "no such features": (lambda b: b.features.unlink(), train_with(), "does not exist"),
    "NaN features": (
        spoil_features(lambda a: a["v03"].__setitem__((5, 2), np.nan)),
        train_with(),
        "video v03",
    ),
    "a video without features": (
        spoil_features(lambda a: a.pop("v05") is None),
        train_with(),
        "video v05",
    ),
    "features of another width": (
        spoil_features(lambda a: a.__setitem__("v02", np.zeros((80, 7), np.float32))),
        train_with(),
        "width 7",
    ),
    "too few score columns": (lambda b: None, train_with("data.scores.first=3"), "data.scores"),
    "no clock and no sidecar": (lambda b: None, train_with("data.clock=null"), "data.clock"),
    "empty annotations": (
        write("annotations.json", '{"database": {}}'),
        train_with(),
        "no annotated videos",
    ),
    "annotations that are not JSON": (
        write("annotations.json", "{"),
        train_with(),
        "not valid JSON",
    ),
    "end before start": (
        write("annotations.json", json_annotations((5.0, 2.0))),
        train_with(),
        "video v00",
    ),
    "a segment that is not two numbers": (
        write("annotations.json", json_annotations(("a", 2.0))),
        train_with(),
        "video v00",
    ),
    "unknown label": (
        write("annotations.json", json_annotations(label="dance")),
        train_with("data.classes=[jump, run]"),
        "'dance'",
    ),
    "unknown protocol": (
        lambda b: None,
        lambda b: [*evaluate(b), "--protocol", "moon"],
        "moon",
    ),
    "malformed tIoU": (lambda b: None, lambda b: [*evaluate(b), "--tiou", "high"], "high"),
    "no such detections": (
        lambda b: None,
        lambda b: ["eval", b.folder / "none.json", b.annotations],
        "none.json does not exist",
    ),
    "detections of another shape": (
        write("d.csv", "video,from,to\n"),
        lambda b: ["eval", b.folder / "d.csv", b.annotations],
        "column",
    ),
    "an interrupted run in the folder": (
        lambda b: (b.folder / "o").mkdir() or (b.folder / "o" / "last.ckpt").write_bytes(b"x"),  # type: ignore[func-returns-value]
        train_with(),
        "earlier training",
    ),
    "a damaged checkpoint": (
        lambda b: (b.folder / "o").mkdir() or (b.folder / "o" / "last.ckpt").write_bytes(b"x"),  # type: ignore[func-returns-value]
        lambda b: ["train", b.recipe, "--out", b.folder / "o", "--resume"],
        "last.ckpt",
    ),
    "no videos to make": (
        lambda b: None,
        lambda b: ["toy", b.folder / "toy", "--videos", "0"],
        "videos",
    ),
    "no range of classes": (
        lambda b: None,
        lambda b: ["toy", b.folder / "toy", "--classes-per-video", "3:1"],
        "classes per video are 3:1",
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_bad_input_gives_one_sentence(
    kind: str, bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    spoil, command, words = CASES[kind]
    spoil(bench)
    assert words in run(command(bench), monkeypatch, capsys)
    leftovers = [p for p in bench.folder.rglob(".*") if p.is_file()]
    assert not leftovers


MODEL_CASES: dict[str, tuple[Callable[[Bench], object], str]] = {
    "no such input": (lambda b: b.folder / "none.mp4", "none.mp4 does not exist"),
    "wrong feature width": (
        lambda b: np.save(b.folder / "w.npy", np.zeros((9, 5), np.float32)) or b.folder / "w.npy",  # type: ignore[func-returns-value]
        "5 wide, but the model takes 4",
    ),
    "features that are pickles": (
        lambda b: np.save(b.folder / "p.npy", np.array([{}])) or b.folder / "p.npy",  # type: ignore[func-returns-value]
        "video p",
    ),
    "a folder without input": (
        lambda b: (b.folder / "empty").mkdir() or b.folder / "empty",  # type: ignore[func-returns-value]
        "empty",
    ),
}


@pytest.mark.parametrize("kind", MODEL_CASES)
def test_bad_input_to_detect(
    kind: str,
    trained: Bench,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    make, words = MODEL_CASES[kind]
    out = bench.folder / "out.json"
    error = run(["detect", trained.model, make(bench), "--out", out], monkeypatch, capsys)
    assert words in error
    assert not out.exists()


def test_models_that_are_not_ours(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    model = bench.folder / "m.safetensors"
    for make in (
        lambda: model.write_bytes(b"\x80\x04junk"),
        lambda: save_file({"x": np.zeros(3, np.float32)}, model),
    ):
        make()
        error = run(["detect", model, bench.features], monkeypatch, capsys)
        assert "m.safetensors" in error


@pytest.mark.parametrize("kind", ["not a video", "zero frames", "empty"])
def test_files_that_are_no_videos(
    kind: str,
    encoder_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    video = tmp_path / "clip.mp4"
    if kind == "zero frames":
        audio_only(video)
    else:
        video.write_bytes(b"" if kind == "empty" else b"this is text")
    command = ["extract", encoder_model, video, "--out", tmp_path / "f"]
    assert "clip.mp4" in run(command, monkeypatch, capsys)
    assert not list(tmp_path.glob("f/[!.]*"))  # beside the note that it was given up


def test_a_full_disk_leaves_nothing_behind(trained: Bench, tmp_path: Path) -> None:
    """A limit on the file's size stands for the full disk: the write itself fails."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    out = tmp_path / "d.json"
    command = ["-m", "attentad", "detect", trained.model, trained.features, "--out", out]
    done = subprocess.run(
        [sys.executable, *map(str, command)], preexec_fn=limit, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert "could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    """An interrupted `toy` says how to go on, and going on completes it."""
    command = [sys.executable, "-m", "attentad", "toy", str(tmp_path / "toy"), "--videos", "6"]
    command += ["--clips", "2"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list((tmp_path / "toy").glob("videos/toy_*.mp4")) and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert error.startswith("interrupted; ")
    assert "Traceback" not in error
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "toy").rglob("toy_*.mp4")}
    assert finished
    assert not list((tmp_path / "toy").rglob(".*"))
    make_toy(tmp_path / "toy", videos=6, clips_per_class=2, seed=0)
    assert len(list((tmp_path / "toy" / "videos").glob("*.mp4"))) == 6
    assert all(path.stat().st_mtime_ns == then for path, then in finished.items())
