"""A network of Hugging Face: VideoMAE, V-JEPA 2, DINO, ViT and kin, from a folder or the hub."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from attentad.backbones.backbone import (
    Backbone,
    Change,
    Crops,
    Prepare,
    described,
    picture_windows,
    prepare_clips,
)
from attentad.backbones.hf_network import HuggingFaceNetwork, Pool
from attentad.backbones.hf_release import fetch, released_in, released_on_hub
from attentad.backbones.output import BackboneOutput
from attentad.core import AttentadError, Sampling
from attentad.core.options import Count, NotNegative, Positive, check_options, fits, part_options

# VideoMAE and its kin take 16 pictures, every fourth of 30 a second; of pictures see `image`.
CLIP_FPS, PICTURE_FPS = 7.5, 5.0


def hf(
    *,
    model: str,
    revision: str | None = None,
    sha256: str | None = None,
    fps: Positive | None = None,
    window_frames: Count | None = None,
    stride_frames: Count | None = None,
    size_px: Count | None = None,
    pool: Pool = "mean",
    context_sec: NotNegative = 0.0,
    change: Change = "none",
    mean: tuple[float, float, float] | None = None,
    std: tuple[Positive, Positive, Positive] | None = None,
    crops: Crops = 1,
) -> Backbone:
    """A network of `transformers`, by `AutoModel`; weights in safetensors only, no foreign code.

    Args:
        model: folder with config.json and safetensors, or a name on the hub such as
            `facebook/dinov2-small`, which is downloaded once.
        revision: commit, tag or branch on the hub; null is its main branch. What is kept with
            features and models is the commit.
        sha256: that config.json and the weights, one after the other, must have; null takes what is
            there.
        fps: pictures a second that are looked at; null is 7.5 for networks of clips and 5 for
            networks of pictures.
        window_frames: pictures that a step of the features sees; null is what the network was
            made for, and 1 for networks of pictures.
        stride_frames: pictures from one step to the next; null is a quarter of the window.
        size_px: side of the square that the network sees; null is what it was made for.
        pool: mean is of all tokens, cls the first token, pooled the output that the network itself
            calls so.
        context_sec, change: of networks of pictures, see the backbone `image`.
        mean, std: of RGB in 0..1, subtracted and dividing; null is what its preprocessor says.
        crops: see the backbone `image`.

    Raises:
        AttentadError: transformers is not installed; nothing is found, or no safetensors, or
            another hash; the network is none of pictures or clips, or an option does not go with
            it.
    """
    release = fetch(model, revision)
    if sha256 is not None and sha256 != release.sha256:
        raise other_hash(model)
    is_clips = release.clip_frames is not None
    window = window_frames or release.clip_frames or 1
    options = {
        "model": release.name,
        "revision": release.commit,
        "sha256": release.sha256,
        "fps": fps or (CLIP_FPS if is_clips else PICTURE_FPS),
        "window_frames": window,
        "stride_frames": stride_frames or max(1, window // 4),
        "size_px": size_px or release.square(),
        "pool": pool,
        "context_sec": context_sec,
        "change": change,
        "mean": list(mean or release.rgb("mean")),
        "std": list(std or release.rgb("std")),
        "crops": crops,
    }
    network = HuggingFaceNetwork(lambda: release.folder, pool)
    network.open()
    return _around(network, options, release.sizes)


def restored_hf(options: Mapping[str, Any], sizes: Mapping[str, int], beside: Path) -> Backbone:
    """What a model file says of it; the network is found and opened when a video is read.

    Args:
        options: with all defaults filled in, as `hf` leaves them.
        sizes: as `hf` leaves them.
        beside: folder of the model file; a network that was a folder is looked for there alone.

    Raises:
        AttentadError: an option that `hf` does not take, or one that is missing.
    """
    check_options(hf, options, where="its backbone")
    if not fits(sizes, Mapping[str, Count]):
        raise AttentadError("its backbone's sizes are no numbers of at least 1.")
    said = (
        {key for key, value in options.items() if value is not None} | {"revision"} | sizes.keys()
    )
    needed = {option.name for option in part_options(hf)} | {"feature_dim"}
    if missing := sorted(needed - said):
        raise AttentadError(f"its backbone lacks {', '.join(missing)}.")

    name = Path(options["model"]).name
    if name in ("", ".."):
        raise AttentadError(f"its backbone's model {options['model']!r} is no name of a network.")

    def find() -> Path:
        model, commit = options["model"], options.get("revision")
        release = released_on_hub(model, commit) if commit else released_in(beside / name)
        if release.sha256 != options["sha256"]:
            raise other_hash(str(release.folder))
        return release.folder

    return _around(HuggingFaceNetwork(find, options["pool"]), options, sizes)


def told_hf(facts: Mapping[str, Any]) -> Backbone:
    """The backbone that a sidecar tells of; its files are not looked at.

    Raises:
        AttentadError: an option that `hf` does not take, or one that is missing.
    """
    return restored_hf(facts["options"], facts.get("sizes", {}), Path())


def other_hash(model: str) -> AttentadError:
    """The error where a network has other files than it should."""
    return AttentadError(
        f"{model} has other files than those that are asked for (their SHA-256 differs); fetch "
        "the same ones, or extract the features again."
    )


def _around(
    network: HuggingFaceNetwork, options: Mapping[str, Any], sizes: Mapping[str, int]
) -> Backbone:
    fps, window, size_px = options["fps"], options["window_frames"], options["size_px"]
    prepare, summarise = prepare_clips(options["mean"], options["std"], size_px), _clip_features
    width, seen = sizes["feature_dim"], window
    if "clip_frames" not in sizes:
        windows = picture_windows(fps, window, options["context_sec"], options["change"], "hf")
        prepare, summarise = partial(_picture_features, normalise=prepare), windows
        width, seen = windows.width(width), windows.seen_frames
    elif options["context_sec"] or options["change"] != "none":
        raise AttentadError(
            f"hf: {options['model']} is a network of clips, which has no options context_sec and "
            "change; leave them out."
        )
    return Backbone(
        name="hf",
        options=options,
        network=network,
        sampling=Sampling(fps, seen, options["stride_frames"], size_px, options["crops"]),
        feature_dim=width,
        prepare=prepare,
        summarise=summarise,
        sizes=sizes,
        facts=described("hf", options, options["sha256"]) | {"sizes": dict(sizes)},
    )


def _clip_features(network: nn.Module, snippets: Tensor) -> BackboneOutput:
    return BackboneOutput(network(snippets), None)


def _picture_features(network: nn.Module, pictures: Tensor, *, normalise: Prepare) -> Tensor:
    return network(normalise(network, pictures))
