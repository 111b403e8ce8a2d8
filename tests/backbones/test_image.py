"""The backbone `image` and the sums over windows that it shares with others."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.backbones.weights import needs_weights
from torch import nn

from attentad.backbones.backbone import Change, PictureWindows
from attentad.backbones.image import image, restored_image
from attentad.core import AttentadError
from attentad.models.encode import snippet_features


def obvious(rows: NDArray[np.float32], window: int, side: int, change: Change) -> list[float]:
    """What a step says of the features (L, C) of its pictures."""
    told: list[float] = []
    spans = [rows[side : side + window]]
    if side:
        spans += [rows[:side], rows[side + window :]]
    for span in spans:
        told += [float(np.mean([row[c] for row in span])) for c in range(rows.shape[1])]
    if change != "none":
        steps = [after - before for before, after in pairwise(rows)]
        steps = [np.abs(step) for step in steps] if change == "absolute" else steps
        told += [float(np.mean([step[c] for step in steps])) for c in range(rows.shape[1])]
    return told


@settings(max_examples=60, deadline=None)
@given(
    window=st.integers(1, 4),
    side=st.integers(0, 3),
    change=st.sampled_from(["none", "signed", "absolute"]),
)
def test_windows_are_what_they_say(window: int, side: int, change: Change) -> None:
    windows = PictureWindows(window, side, change)
    if windows.seen_frames == 1 and change != "none":
        return
    rows = np.random.default_rng(0).normal(size=(2, windows.seen_frames, 3)).astype(np.float32)
    output = windows(nn.Identity(), torch.from_numpy(rows))
    assert output.logits is None
    assert output.feature.shape == (2, windows.width(3))
    for found, snippet in zip(output.feature.numpy(), rows, strict=True):
        np.testing.assert_allclose(found, obvious(snippet, window, side, change), atol=1e-5)


@needs_weights
def test_steps_of_a_video_and_its_ends() -> None:
    """A step a picture, with its neighbours around; beyond the ends the last ones are repeated."""
    backbone = image(context_sec=0.4, change="absolute", size_px=32)
    assert backbone.feature_dim == backbone.width == 4 * 1280
    pictures = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    found, timeline = snippet_features(backbone, iter(pictures), 1.2, batch_size=4)
    assert (timeline.length, timeline.step_sec) == (6, pytest.approx(0.2))
    np.testing.assert_allclose(timeline.centres_sec(), 0.1 + 0.2 * np.arange(6))
    with torch.inference_mode():
        single, _ = snippet_features(image(size_px=32), pictures, 1.2)
        clip = torch.from_numpy(pictures[None, :5])
        np.testing.assert_allclose(backbone(clip).feature[0], found[2], atol=1e-5)
    for step in range(6):
        seen = single[np.clip(np.arange(step - 2, step + 3), 0, 5)]
        np.testing.assert_allclose(found[step], obvious(seen, 1, 2, "absolute"), atol=1e-5)


@needs_weights
def test_each_picture_is_looked_at_once_and_only_if_a_step_sees_it() -> None:
    backbone = image(stride_frames=4, window_frames=2, size_px=32)
    looked_at: list[int] = []

    def count(module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        looked_at.append(len(inputs[0]))

    backbone.network.register_forward_pre_hook(count)
    pictures = np.zeros((40, 32, 32, 3), np.uint8)
    snippet_features(backbone, pictures, 8.0, batch_size=3)
    assert sum(looked_at) == 20
    looked_at.clear()
    overlapping = image(context_sec=1.0, size_px=32)
    overlapping.network.register_forward_pre_hook(count)
    snippet_features(overlapping, pictures, 8.0, batch_size=3)
    assert sum(looked_at) == 40
    assert max(looked_at) <= 32


@needs_weights
def test_pictures_of_another_size_are_rescaled() -> None:
    backbone = image(size_px=32)
    flat = torch.full((1, 1, 64, 64, 3), 90, dtype=torch.uint8)
    with torch.inference_mode():
        large, small = backbone(flat).feature, backbone(flat[:, :, :32, :32]).feature
    torch.testing.assert_close(large, small, atol=1e-4, rtol=0)


def test_options_that_do_not_go_together() -> None:
    for options, words in (
        ({"change": "signed"}, "a step sees one picture, which has no change"),
        ({"context_sec": 0.05}, "0.05 s is less than half a picture at 5 a second"),
        ({"fps": 0}, "its backbone.fps cannot be 0; use a number above 0"),
        ({"context_sec": float("inf")}, "use a number of at least 0"),
        ({"sharp": 1}, "its backbone has no option 'sharp'"),
    ):
        with pytest.raises(AttentadError, match=words), torch.device("meta"):
            restored_image(options, {}, Path())
