"""Streamed snippet features against the obvious way: all frames in memory, one window at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.backbones import Backbone, RecogniserOutput, ResNet3D
from attentad.backbones.backbone import prepare_clips, summarise_clips
from attentad.backbones.pictures import normalised
from attentad.core import AttentadError, Sampling
from attentad.models.encode import snippet_features

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)


def backbone_of(network: nn.Module, sampling: Sampling) -> Backbone:
    prepare = prepare_clips(MEAN, STD, sampling.size_px)
    classes = ("a", "b", "c")  # how many is for others to know
    return Backbone("test", {}, network, sampling, 3, prepare, summarise_clips, classes)


class Fingerprint(nn.Module):
    """Not a good recogniser, but its features tell every frame and its place in the window."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, clips: Tensor) -> RecogniserOutput:
        feature = clips.mean(dim=(3, 4)).flatten(1) * self.weight
        return RecogniserOutput(feature, feature[:, :3])


def video(count: int, size_px: int = 4, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size_px, size_px, 3)).astype(np.uint8)


def reference(
    network: nn.Module, pictures: NDArray[np.uint8], sampling: Sampling
) -> NDArray[np.float64]:
    length = sampling.timeline(len(pictures), 1.0).length
    rows = []
    for indices in sampling.frame_indices(length, len(pictures)):
        clip = (pictures[indices] / 255.0 - np.array(MEAN)) / np.array(STD)
        with torch.inference_mode():
            output = network(torch.tensor(clip, dtype=torch.float32).permute(3, 0, 1, 2)[None])
        rows.append(np.concatenate([output.feature[0], output.logits[0].softmax(dim=0)]))
    return np.stack(rows)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 40),
    window=st.integers(1, 9),
    stride=st.integers(1, 7),
    batch_size=st.integers(1, 6),
)
def test_equals_the_reference(count: int, window: int, stride: int, batch_size: int) -> None:
    sampling = Sampling(fps=5.0, window_frames=window, stride_frames=stride, size_px=4)
    pictures, network = video(count), Fingerprint()
    features, timeline = snippet_features(
        backbone_of(network, sampling), iter(pictures), count / 5.0, batch_size=batch_size
    )
    expected = reference(network, pictures, sampling)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert timeline == sampling.timeline(count, count / 5.0)
    assert timeline.length == len(features)


def test_a_real_network_and_any_batch_size() -> None:
    torch.manual_seed(0)
    sampling = Sampling(fps=8.0, window_frames=8, stride_frames=3, size_px=16)
    network = ResNet3D(
        5, depth=10, width=4, frames=8, size_px=16, attention={"layer4": ("sta", {})}
    )
    network.eval()
    pictures = video(25, 16)
    expected = reference(network, pictures, sampling)
    for batch_size in (1, 4, 64):
        features, _ = snippet_features(
            backbone_of(network, sampling), pictures, 3.1, batch_size=batch_size
        )
        assert features.shape == (9, network.feature_dim + 5)
        np.testing.assert_allclose(features, expected, atol=1e-5)
    np.testing.assert_allclose(features[:, -5:].sum(axis=1), 1, atol=1e-5)


def test_holds_no_more_frames_than_a_batch_needs() -> None:
    read: list[int] = []
    seen: list[int] = []

    class Watching(Fingerprint):
        def forward(self, clips: Tensor) -> RecogniserOutput:
            seen.append(len(read))
            return super().forward(clips)

    def stream() -> Iterator[NDArray[np.uint8]]:
        for number, picture in enumerate(video(100)):
            read.append(number)
            yield picture

    sampling = Sampling(fps=5.0, window_frames=8, stride_frames=4, size_px=4)
    snippet_features(backbone_of(Watching(), sampling), stream(), 20.0, batch_size=3)
    # Window i ends with frame 4·i + 5: batches of 3 run as soon as their last frame is there.
    assert seen[:3] == [4 * 2 + 6, 4 * 5 + 6, 4 * 8 + 6]


def test_training_mode_is_left_as_it_was() -> None:
    sampling = Sampling(fps=5.0, window_frames=4, stride_frames=2, size_px=8)
    network = ResNet3D(2, depth=10, width=4, frames=4, size_px=8, stem_pool=False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, _ = snippet_features(backbone_of(network, sampling), video(9, 8), 1.8)
    assert network.training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name])
    second, _ = snippet_features(backbone_of(network.eval(), sampling), video(9, 8), 1.8)
    np.testing.assert_array_equal(first, second)
    assert not network.training


def test_pictures_of_another_size_are_rescaled() -> None:
    sampling = Sampling(fps=5.0, window_frames=4, stride_frames=2, size_px=8)
    network = Fingerprint()
    flat = np.full((5, 16, 16, 3), 90, dtype=np.uint8)
    large, _ = snippet_features(backbone_of(network, sampling), flat, 1.0)
    small, _ = snippet_features(backbone_of(network, sampling), flat[:, :8, :8], 1.0)
    np.testing.assert_allclose(large, small, atol=1e-5)


def test_progress_ends_with_everything_done() -> None:
    calls: list[tuple[int, int]] = []
    sampling = Sampling(fps=5.0, window_frames=4, stride_frames=2, size_px=4)
    snippet_features(
        backbone_of(Fingerprint(), sampling),
        video(9),
        1.8,
        batch_size=2,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(2, 5), (4, 5), (5, 5)]


def test_no_frames_is_an_error() -> None:
    sampling = Sampling(fps=5.0, window_frames=4, stride_frames=2, size_px=4)
    with pytest.raises(AttentadError, match="no frames"):
        snippet_features(backbone_of(Fingerprint(), sampling), iter([]), 1.0)


def test_normalised_is_its_formula() -> None:
    pictures = video(3, 5)
    expected = (pictures / 255.0 - np.array(MEAN)) / np.array(STD)
    found = normalised(torch.from_numpy(pictures), MEAN, STD)
    assert found.shape == (3, 3, 5, 5)
    np.testing.assert_allclose(found.numpy(), expected.transpose(3, 0, 1, 2), atol=1e-5)
