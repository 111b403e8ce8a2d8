"""Work on a Ray cluster: what is lost, killed or unreadable, and that all else is there once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.bench import draw
from tests.poison import mortal
from typer.testing import CliRunner

from attentad.cli import app
from attentad.core import AttentadError
from attentad.models.cluster import on_cluster
from attentad.models.extract import extract_features
from attentad.models.file import load_backbone
from attentad.video import write_video

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Ray makes its workers nice, and on a busy machine they would hardly run.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
utils = pytest.importorskip(
    "ray.cluster_utils", reason="Ray is not installed: pip install 'attentad[cluster]'"
)
GOOD = 40
REMOVED_AT = 12


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without cores, and one worker node."""
    made = utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def command(*words: object, code: int = 1) -> str:
    """What a command says."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code or isinstance(done.exception, AttentadError), done.exception
    return f"{done.output}{done.exception}"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for i in range(GOOD):
        draw(folder / f"v{i:02d}.mp4", 1.2, seed=i)
    white = np.full((48, 64, 3), 255, np.uint8)
    write_video(folder / "poison.mp4", (white for _ in range(12)), 10)
    (folder / "text.mp4").write_bytes(b"no video at all")
    return folder


def test_a_node_is_lost_a_video_kills_and_one_cannot_be_read(
    cluster: Any, videos: Path, encoder_model: Path, tmp_path: Path
) -> None:
    removed = cluster.add_node(num_cpus=1)
    out = tmp_path / "features"
    done_at: list[float] = []

    def progress(done: float, total: int, name: str) -> None:
        assert total == GOOD + 2
        done_at.append(done)
        if done >= REMOVED_AT and removed in cluster.list_all_nodes():
            cluster.remove_node(removed, allow_graceful=False)

    on_two = partial(on_cluster, cluster.address, partial(mortal, encoder_model))
    out.mkdir()
    (out / ".v03-abcdefgh.npy").write_bytes(b"half of it")
    extracted = extract_features(mortal(encoder_model), [videos], out, progress, run=on_two)

    assert removed not in cluster.list_all_nodes()
    assert done_at == sorted(done_at)
    assert done_at[-1] == GOOD + 2
    assert sorted(extracted.failures) == ["poison", "text"]
    assert "killed its worker process 2 times" in extracted.failures["poison"]
    assert "text.mp4 cannot be opened as a video" in extracted.failures["text"]
    names = {f"v{i:02d}{suffix}" for i in range(GOOD) for suffix in (".npy", ".json")}
    assert {path.name for path in out.iterdir()} == {*names, ".failed"}
    assert {path.name for path in (out / ".failed").iterdir()} == {"poison.json", "text.json"}
    assert all((out / name).stat().st_nlink == 1 for name in names)

    # The same command has nothing left to do; the poison is not taken again, not even here.
    before = {name: (out / name).stat().st_mtime_ns for name in names}
    again = extract_features(mortal(encoder_model), [videos], out)
    assert {name: (out / name).stat().st_mtime_ns for name in names} == before
    assert all("Not tried again" in why for why in again.failures.values())

    alone = tmp_path / "alone"
    (videos / "poison.mp4").unlink()
    extract_features(load_backbone(encoder_model), [videos], alone)
    for name in names:
        assert (alone / name).read_bytes() == (out / name).read_bytes()


def test_detect_on_a_cluster_is_detect(
    cluster: Any, videos: Path, detector: Path, tmp_path: Path
) -> None:
    given = [*(videos / f"v0{i}.mp4" for i in range(4)), videos / "text.mp4"]
    outs = [tmp_path / name / "found.json" for name in ("cluster", "alone")]
    for out, more in zip(outs, (["--cluster", cluster.address], []), strict=True):
        page = out.with_suffix(".html")
        told = command("detect", detector, *given, "--out", out, "--report", page, *more)
        assert "text.mp4 cannot be opened as a video" in told
    for suffix in (".json", ".html"):
        one, other = (out.with_suffix(suffix).read_bytes() for out in outs)
        assert one == other
    assert sorted(path.name for path in outs[0].parent.iterdir()) == ["found.html", "found.json"]


def test_a_cluster_of_this_machine(videos: Path, encoder_model: Path, tmp_path: Path) -> None:
    given = [encoder_model, videos / "v00.mp4", videos / "v01.mp4", videos / "text.mp4"]
    shared = ("--dtype", "float16")
    command("extract", *given, "--out", tmp_path / "cluster", "--cluster", "local", *shared)
    command("extract", *given, "--out", tmp_path / "alone", *shared)
    for name in ("v00.npy", "v00.json", "v01.npy", "v01.json"):
        assert (tmp_path / "cluster" / name).read_bytes() == (
            tmp_path / "alone" / name
        ).read_bytes()


def test_no_cluster_is_one_sentence(videos: Path, encoder_model: Path, tmp_path: Path) -> None:
    given = [encoder_model, videos / "v00.mp4", "--out", tmp_path / "out"]
    told = command("extract", *given, "--cluster", "127.0.0.1:1", code=2)
    assert "there is no cluster at 127.0.0.1:1" in told
