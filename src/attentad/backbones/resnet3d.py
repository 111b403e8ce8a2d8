"""3D residual networks for recognising actions in clips (Hara et al.), with sites for attention.

Parameter names are those of the public checkpoints (`conv1`, `layer2.0.bn1`, `fc`, …); attention
modules add keys named `sites`, or `layer3_out` and the like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from attentad.attention.sites import AttentionChoice, Sites, SiteShape, check_sites
from attentad.backbones.output import RecogniserOutput
from attentad.core.options import Count, OddCount

# depth → (bottleneck blocks, number of blocks of each stage)
DEPTHS: dict[int, tuple[bool, tuple[int, int, int, int]]] = {
    10: (False, (1, 1, 1, 1)),
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
    152: (True, (3, 8, 36, 3)),
    200: (True, (3, 24, 36, 3)),
}
STAGES = ("layer1", "layer2", "layer3", "layer4")
# A stage's name puts one module in each of its blocks, `…_out` a single one on its output.
SITES = (*STAGES, *(f"{stage}_out" for stage in STAGES))
Depth = Literal[10, 18, 34, 50, 101, 152, 200]
Position = Literal["residual_end", "post_add", "block_input"]


class ResNet3D(nn.Module):
    """A residual network of 3×3×3 convolutions on clips.

    Args:
        classes: number of classes K.
        depth: 10, 18, 34 (two-layer blocks), 50, 101, 152 or 200 (bottlenecks).
        width: channels of the stem; the stages have 1, 2, 4 and 8 times as many (bottlenecks
            give out four times that).
        shortcut: where a block changes the shape, `A` takes every second point and fills up
            with zero channels, `B` learns a 1×1×1 convolution.
        shortcut_a_detach: true lets no gradient through those `A` shortcuts, as in the code that
            trained the published weights.
        in_channels: channels of a clip, 3 for RGB.
        frames, size_px: clip length and side, which give the attention modules their
            sizes; other clips are accepted wherever those modules accept them.
        stem_kernel, stem_stride: frames, height, width.
        stem_pool: max-pool 3, stride 2, after the stem; leave it out for short, small clips.
        attention: site → (name, options) of a module of `attention.ATTENTION`. A site is one of
            `SITES`: `layer4` puts a module into each block of the last stage, `layer3_out` a
            single one on the output of the third.
        position: where the modules of a stage sit in a block: `residual_end` after the branch's
            last batch norm, before the sum; `post_add` after the sum and ReLU; `block_input`
            before branch and shortcut.

    Raises:
        AttentadError: an unknown site or attention module.
    """

    def __init__(
        self,
        classes: int,
        *,
        depth: Depth = 18,
        width: Count = 64,
        shortcut: Literal["A", "B"] = "B",
        shortcut_a_detach: bool = False,
        in_channels: Count = 3,
        frames: int = 16,
        size_px: int = 112,
        stem_kernel: tuple[OddCount, OddCount, OddCount] = (7, 7, 7),
        stem_stride: tuple[Count, Count, Count] = (1, 2, 2),
        stem_pool: bool = True,
        attention: Mapping[str, AttentionChoice] | None = None,
        position: Position = "residual_end",
    ) -> None:
        super().__init__()
        attention = attention or {}
        check_sites(attention, SITES)
        padding = (stem_kernel[0] // 2, stem_kernel[1] // 2, stem_kernel[2] // 2)
        self.conv1 = _convolution(in_channels, width, stem_kernel, stem_stride, padding)
        self.bn1 = nn.BatchNorm3d(width)
        self.stem_pool = stem_pool

        size = _strided((frames, size_px, size_px), stem_stride)
        shape = SiteShape(width, None, *(_strided(size, (2, 2, 2)) if stem_pool else size))
        bottleneck, counts = DEPTHS[depth]
        for index, (stage, blocks) in enumerate(zip(STAGES, counts, strict=True)):
            modules = []
            for block in range(blocks):
                made = Block(
                    shape,
                    width * 2**index,
                    bottleneck=bottleneck,
                    stride=2 if index > 0 and block == 0 else 1,
                    shortcut=shortcut,
                    detach_shortcut=shortcut_a_detach,
                    attention=attention.get(stage),
                    position=position,
                )
                modules.append(made)
                shape = made.out_shape
            self.add_module(stage, nn.Sequential(*modules))
            self.add_module(f"{stage}_out", _site("output", attention.get(f"{stage}_out"), shape))
        self.feature_dim = shape.feature_dim
        self.fc = nn.Linear(self.feature_dim, classes)

    def forward(self, clips: Tensor) -> RecogniserOutput:
        """Features and class logits of (B, in_channels, L, H, W) normalised clips."""
        feature = torch.relu(self.bn1(self.conv1(clips)))
        if self.stem_pool:
            feature = functional.max_pool3d(feature, 3, stride=2, padding=1)
        for stage in STAGES:
            feature = self.get_submodule(stage)(feature)
            feature = self.get_submodule(f"{stage}_out")("output", feature, feature)
        pooled = feature.mean(dim=(2, 3, 4))
        return RecogniserOutput(pooled, self.fc(pooled))


class Block(nn.Module):
    """A residual block: two 3×3×3 convolutions, or 1×1×1, 3×3×3, 1×1×1 as a bottleneck.

    `shape` is the input's, `out_shape` the output's; the stride is in the (first) 3×3×3
    convolution. See `ResNet3D` for the other arguments.
    """

    def __init__(
        self,
        shape: SiteShape,
        planes: int,
        *,
        bottleneck: bool,
        stride: int,
        shortcut: str,
        detach_shortcut: bool,
        attention: AttentionChoice | None,
        position: Position,
    ) -> None:
        super().__init__()
        channels = planes * 4 if bottleneck else planes
        assert shape.length is not None
        size = _strided((shape.length, shape.height, shape.width), (stride, stride, stride))
        self.out_shape = SiteShape(channels, None, *size)
        self.stride = stride
        self.detach_shortcut = detach_shortcut

        widths = (shape.feature_dim, planes, planes, channels)[: 4 if bottleneck else 3]
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        strides = (1, stride, 1) if bottleneck else (stride, 1)
        self.convolutions = len(kernels)
        for i, (kernel, step) in enumerate(zip(kernels, strides, strict=True)):
            convolution = _convolution(widths[i], widths[i + 1], kernel, step, kernel // 2)
            self.add_module(f"conv{i + 1}", convolution)
            self.add_module(f"bn{i + 1}", nn.BatchNorm3d(widths[i + 1]))

        self.changes_shape = stride != 1 or shape.feature_dim != channels
        self.downsample: nn.Sequential | None = None
        if self.changes_shape and shortcut == "B":
            self.downsample = nn.Sequential(
                _convolution(shape.feature_dim, channels, 1, stride), nn.BatchNorm3d(channels)
            )
        place = shape if position == "block_input" else self.out_shape
        self.sites = _site(position, attention, place)

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C, L, H, W) → (B, C_out, L', H', W')."""
        feature = self.sites("block_input", feature, feature)
        branch = feature
        for i in range(1, self.convolutions + 1):
            branch = self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(branch))
            if i < self.convolutions:
                branch = torch.relu_(branch)
        branch = self.sites("residual_end", branch, branch)
        output = torch.relu(branch + self._shortcut(feature))
        attended: Tensor = self.sites("post_add", output, output)
        return attended

    def _shortcut(self, feature: Tensor) -> Tensor:
        if not self.changes_shape:
            return feature
        if self.downsample is not None:
            return self.downsample(feature)
        step = self.stride
        kept = feature[:, :, ::step, ::step, ::step]
        if self.detach_shortcut:
            kept = kept.detach()
        missing = self.out_shape.feature_dim - kept.shape[1]
        return functional.pad(kept, (0, 0, 0, 0, 0, 0, 0, missing))


def _site(name: str, choice: AttentionChoice | None, shape: SiteShape) -> Sites:
    """A single site, with or without a module."""
    return Sites({} if choice is None else {name: choice}, {name: shape})


def _convolution(
    channels_in: int,
    channels_out: int,
    kernel: int | tuple[int, int, int],
    stride: int | tuple[int, int, int] = 1,
    padding: int | tuple[int, int, int] = 0,
) -> nn.Conv3d:
    """A convolution without bias, Kaiming-normal by its fan out."""
    convolution = nn.Conv3d(channels_in, channels_out, kernel, stride, padding, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    # Channels last in memory: inference takes two thirds of the time on CPUs. Convolutions hand
    # this order on from their weights to the features.
    ordered = convolution.weight.data.contiguous(memory_format=torch.channels_last_3d)
    convolution.weight.data = ordered
    return convolution


def _strided(size: Sequence[int], stride: Sequence[int]) -> tuple[int, int, int]:
    """Length, height and width after an odd kernel k with padding k // 2 and this stride."""
    length, height, width = ((n - 1) // step + 1 for n, step in zip(size, stride, strict=True))
    return length, height, width
