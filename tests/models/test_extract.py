"""Features in files: shares of the videos, number formats, crops."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.bench import draw
from tests.models.test_snippets import Fingerprint, backbone_of
from torch import Tensor, nn

from attentad.backbones.output import RecogniserOutput
from attentad.core import AttentadError, Sampling
from attentad.data.features import Sidecar, open_features, write_features
from attentad.models.encode import snippet_features
from attentad.models.extract import extract_features
from attentad.models.file import load_backbone
from attentad.models.work import Shard
from attentad.video import frames


@given(st.lists(st.text(), unique=True), st.integers(1, 12))
def test_each_video_is_in_one_share(videos: list[str], count: int) -> None:
    shares = [Shard(number, count).of(videos) for number in range(1, count + 1)]
    assert sorted(video for share in shares for video in share) == sorted(videos)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert shares == [Shard(number, count).of(videos[::-1]) for number in range(1, count + 1)]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", "1/4/2", ""])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(AttentadError, match="is no share of the videos"):
        Shard.read(text)


def test_shares_together_are_the_whole(encoder_model: Path, tmp_path: Path) -> None:
    for i in range(3):
        draw(tmp_path / "videos" / f"v{i}.mp4", 1.5, seed=i)
    backbone, whole, shared = load_backbone(encoder_model), tmp_path / "whole", tmp_path / "shared"
    extract_features(backbone, [tmp_path / "videos"], whole)
    for number in range(1, 5):
        done = extract_features(
            backbone, [tmp_path / "videos"], shared, shard=Shard.read(f"{number}/4")
        )
        assert len(done.notes) == (number == 4)
    assert done.notes == ["share 4 of 4 has none of the videos."]
    assert {p.name: p.read_bytes() for p in whole.iterdir()} == {
        p.name: p.read_bytes() for p in shared.iterdir()
    }


def test_half_the_bytes(encoder_model: Path, tmp_path: Path) -> None:
    draw(tmp_path / "v.mp4", 3)
    backbone, out = load_backbone(encoder_model), tmp_path / "features"
    extract_features(backbone, [tmp_path / "v.mp4"], out)
    whole = open_features(out).load("v")
    extract_features(backbone, [tmp_path / "v.mp4"], out, dtype="float16")
    assert np.load(out / "v.npy").dtype == np.float16
    assert json.loads((out / "v.json").read_text())["dtype"] == "float16"
    half = open_features(out).load("v")
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, whole, rtol=2**-11, atol=1e-7)


def test_what_half_precision_cannot_hold(tmp_path: Path) -> None:
    sidecar = Sidecar(fps=1, stride_frames=1, window_frames=1, dtype="float16")
    with pytest.raises(AttentadError, match="reach 1e\\+05, but float16 ends at 65504"):
        write_features(tmp_path / "v.npy", np.array([[1e5]], np.float32), sidecar)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(4, 10), (11, 4), (4, 4)])
def test_three_crops_are_the_mean_of_their_features(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (13, *shape, 3)).astype(np.uint8)
    one = Sampling(fps=5.0, window_frames=4, stride_frames=3, size_px=4)
    three = Sampling(fps=5.0, window_frames=4, stride_frames=3, size_px=4, crops=3)
    spare = [side - 4 for side in shape]
    crops = [
        (top // 2, left // 2) for top, left in zip(*([0, s, 2 * s] for s in spare), strict=True)
    ]
    by_crop = [
        snippet_features(
            backbone_of(Fingerprint(), one), pictures[:, top : top + 4, left : left + 4], 2.6
        )[0]
        for top, left in crops
    ]
    together, timeline = snippet_features(
        backbone_of(Fingerprint(), three), pictures, 2.6, batch_size=2
    )
    np.testing.assert_allclose(together, np.mean(by_crop, axis=0), atol=1e-5)
    assert timeline.length == len(together)


def test_crops_of_a_file(tmp_path: Path) -> None:
    draw(tmp_path / "v.mp4", 1)
    square = list(frames(tmp_path / "v.mp4", 5, size_px=24))
    whole = list(frames(tmp_path / "v.mp4", 5, size_px=24, whole=True))
    assert {picture.shape for picture in whole} == {(24, 32, 3)}
    for small, large in zip(square, whole, strict=True):
        np.testing.assert_array_equal(small, large[:, 4:28])


def test_other_crops_are_refused() -> None:
    with pytest.raises(AttentadError, match="1 or 3 crops, not 2"):
        Sampling(5.0, 1, 1, 4, crops=2)


def test_each_picture_is_looked_at_once() -> None:
    """Whatever the overlap of windows and the batch."""
    seen: list[int] = []

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, clips: Tensor) -> RecogniserOutput:
            feature = clips.mean(dim=(3, 4)).flatten(1)
            return RecogniserOutput(feature, feature[:, :3])

    sampling = Sampling(fps=5.0, window_frames=6, stride_frames=2, size_px=4)
    backbone = backbone_of(Counting(), sampling)
    prepare = backbone.prepare

    def counting(network: nn.Module, pictures: Tensor) -> Tensor:
        seen.extend(int(picture.flatten()[0]) for picture in pictures)
        return prepare(network, pictures)

    object.__setattr__(backbone, "prepare", counting)
    numbered = (np.full((4, 4, 3), number, np.uint8) for number in range(50))
    snippet_features(backbone, numbered, 10.0, batch_size=4)
    assert seen == list(range(50))
