"""EfficientNet-Lite0 (Tan & Le 2019; Liu 2020): an ImageNet network made for CPUs.

EfficientNet-B0 without squeeze-and-excitation and with ReLU6: a stem, 16 inverted bottlenecks
(MBConv), a head of 1280 channels. Layers are named as in the public checkpoint, without its
leading underscores. Convolutions pad as TensorFlow's `SAME` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from attentad.backbones.output import BackboneOutput

MEAN, STD = 127.0, 128.0  # of the input, per channel, on the scale 0..255
FEATURE_DIM = 1280
IMAGENET_CLASSES = 1000
BATCH_NORM_EPSILON = 1e-3


class Stage(NamedTuple):
    """Blocks of one width; the first has the stride and changes the width."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM_CHANNELS = 32
# Convolution → the batch norm behind it.
NORMS = {
    **{"conv_stem": "bn0", "conv_head": "bn1"},
    **{"expand_conv": "bn0", "depthwise_conv": "bn1", "project_conv": "bn2"},
}
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """The network on uint8 pictures.

    Args:
        classes: number of classes of the linear layer; None leaves it out.
        folded: without batch norms and without the input's normalisation, which `folded` has put
            into the convolutions.
    """

    def __init__(self, classes: int | None = IMAGENET_CLASSES, *, folded: bool = False) -> None:
        super().__init__()
        self.folded = folded
        self.conv_stem = _convolution(3, STEM_CHANNELS, 3, stride=2, bias=folded)
        self.bn0 = _batch_norm(STEM_CHANNELS, folded)
        channels = STEM_CHANNELS
        self.blocks = nn.ModuleList()
        for stage in STAGES:
            for block in range(stage.blocks):
                stride = stage.stride if block == 0 else 1
                self.blocks.append(Block(channels, stage, stride, folded=folded))
                channels = stage.channels
        self.conv_head = _convolution(channels, FEATURE_DIM, 1, bias=folded)
        self.bn1 = _batch_norm(FEATURE_DIM, folded)
        self.fc = None if classes is None else nn.Linear(FEATURE_DIM, classes)
        # Convolutions hand channels-last on from their weights: two thirds of the time on a CPU.
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> BackboneOutput:
        """Features (B, 1280) and class logits (B, K) of (B, H, W, 3) RGB pictures in 0..255."""
        feature = self.bn0(self.conv_stem(self._padded(pictures)))
        feature = functional.relu6(feature, inplace=True)
        for block in self.blocks:
            feature = block(feature)
        feature = functional.relu6(self.bn1(self.conv_head(feature)), inplace=True)
        pooled = feature.mean(dim=(2, 3))
        return BackboneOutput(pooled, None if self.fc is None else self.fc(pooled))

    def _padded(self, pictures: Tensor) -> Tensor:
        """(B, H, W, 3) of any dtype → what the stem convolves, (B, 3, H', W') in channels-last.

        The border is the mean, which is 0 once it is normalised. One pass over the pictures makes
        them floats, in the layout that they come in, and puts the border around them.
        """
        count, height, width, channels = pictures.shape
        top, bottom = _same_padding(height, 3, 2)
        left, right = _same_padding(width, 3, 2)
        size = (count, top + height + bottom, left + width + right, channels)
        padded = self.conv_stem.weight.new_full(size, MEAN)
        padded[:, top : top + height, left : left + width] = pictures
        if not self.folded:
            padded.sub_(MEAN).div_(STD)
        return padded.permute(0, 3, 1, 2)


class Block(nn.Module):
    """MBConv: 1×1 convolution to a multiple of the channels, depthwise convolution, 1×1 back.

    Without the first where the expansion is 1. What keeps its shape is added to its input.
    """

    def __init__(self, channels: int, stage: Stage, stride: int, *, folded: bool) -> None:
        super().__init__()
        inner = channels * stage.expansion
        self.expand_conv: nn.Module | None = None
        if stage.expansion != 1:
            self.expand_conv = _convolution(channels, inner, 1, bias=folded)
            self.bn0 = _batch_norm(inner, folded)
        self.depthwise_conv = _convolution(
            inner, inner, stage.kernel, stride=stride, groups=inner, bias=folded
        )
        self.bn1 = _batch_norm(inner, folded)
        self.project_conv = _convolution(inner, stage.channels, 1, bias=folded)
        self.bn2 = _batch_norm(stage.channels, folded)
        self.kernel, self.stride = stage.kernel, stride
        self.keeps_shape = stride == 1 and channels == stage.channels

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', ⌈H / stride⌉, ⌈W / stride⌉)."""
        inner = feature
        if self.expand_conv is not None:
            inner = functional.relu6(self.bn0(self.expand_conv(inner)), inplace=True)
        if self.stride != 1:
            down = _same_padding(inner.shape[2], self.kernel, self.stride)
            right = _same_padding(inner.shape[3], self.kernel, self.stride)
            inner = functional.pad(inner, (*right, *down))
        inner = functional.relu6(self.bn1(self.depthwise_conv(inner)), inplace=True)
        inner = self.bn2(self.project_conv(inner))
        return inner.add_(feature) if self.keeps_shape else inner


def from_public(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the public checkpoint under this network's names."""
    return {re.sub(r"(^|\.)_", r"\1", name): tensor for name, tensor in tensors.items()}


@torch.no_grad()
def folded(network: EfficientNetLite0) -> EfficientNetLite0:
    """The same function in evaluation mode, its batch norms and normalisation in the convolutions.

    A batch norm is linear there: γ (w·x − μ) / √(σ² + ε) + β has the weights w γ / √(σ² + ε). So is
    (x − 127) / 128 in front of the stem, whose border is 127.

    Args:
        network: not folded; it is left as it is.
    """
    classes = None if network.fc is None else network.fc.out_features
    with torch.device(network.conv_stem.weight.device):
        made = EfficientNetLite0(classes, folded=True)
    sources, targets = dict(network.named_modules()), dict(made.named_modules())
    for name, target in targets.items():
        if isinstance(target, nn.Conv2d):
            weight, bias = _with_norm(sources[name], sources[_norm_after(name)])
            if name == "conv_stem":
                bias -= weight.sum(dim=(1, 2, 3)) * (MEAN / STD)
                weight /= STD
            target.load_state_dict({"weight": weight, "bias": bias})
    if network.fc is not None and made.fc is not None:
        made.fc.load_state_dict(network.fc.state_dict())
    return made.eval()


def _norm_after(convolution: str) -> str:
    """The name of the batch norm that follows a convolution."""
    place, dot, name = convolution.rpartition(".")
    return f"{place}{dot}{NORMS[name]}"


def _with_norm(convolution: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias, float64, of a convolution without bias that a batch norm follows."""
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return convolution.weight.double() * scale[:, None, None, None], bias


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Before and after, for ⌈size / stride⌉ outputs; what is odd comes after (TensorFlow)."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _convolution(
    channels_in: int,
    channels_out: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool,
) -> nn.Conv2d:
    # With a stride the padding depends on the size, and is put around the input.
    padding = kernel // 2 if stride == 1 else 0
    return nn.Conv2d(channels_in, channels_out, kernel, stride, padding, groups=groups, bias=bias)


def _batch_norm(channels: int, folded: bool) -> nn.Module:
    return nn.Identity() if folded else nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON)
