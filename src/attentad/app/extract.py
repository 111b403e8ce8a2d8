"""`attentad extract`: videos → feature files, by the default backbone or another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from attentad.backbones import BACKBONES, PRETRAINED, Backbone
from attentad.core import AttentadError
from attentad.core.progress import progress_bar
from attentad.data.features import Dtype
from attentad.models.build import build_backbone
from attentad.models.cluster import on_cluster
from attentad.models.extract import extract_features
from attentad.models.file import load_backbone
from attentad.models.work import Shard, Worked, in_turn
from attentad.recipes.load import parse_setting

DEFAULT = "image"
MODEL_SUFFIX = ".safetensors"


def run_extraction(
    inputs: Sequence[Path],
    out: Path,
    backbone: str | None = None,
    settings: Sequence[str] = (),
    *,
    dtype: Dtype = "float32",
    shard: str | None = None,
    cluster: str | None = None,
) -> Worked:
    """Extract features; see `extract_features`.

    Args:
        inputs: videos or folders of them; before them may stand the model file of a backbone.
        out: folder for the features.
        backbone: name of one that comes trained, or a model file; None is `image`.
        settings: its options, each `key=value`.
        dtype: that features are stored in.
        shard: which share of the videos, such as `2/8`; None is all.
        cluster: address of a Ray cluster, or `local`; None is this process alone.

    Raises:
        AttentadError: no video is named, two backbones are, or an option does not fit; then as
            `extract_features`.
    """
    if inputs[0].suffix == MODEL_SUFFIX:
        if backbone is not None:
            raise AttentadError(f"{inputs[0]} and --backbone {backbone} are both named; drop one.")
        backbone, inputs = str(inputs[0]), inputs[1:]
    if not inputs:
        raise AttentadError("no video is named; give video files or folders of them.")
    share = None if shard is None else Shard.read(shard)
    open_chosen = partial(open_backbone, backbone or DEFAULT, settings)
    run = in_turn if cluster is None else partial(on_cluster, cluster, open_chosen)
    with progress_bar("features") as progress:
        return extract_features(
            open_chosen(), inputs, out, progress, dtype=dtype, shard=share, run=run
        )


def open_backbone(choice: str, settings: Sequence[str] = ()) -> Backbone:
    """A backbone by its name and options, or out of a model file.

    Raises:
        AttentadError: there is none, or an option does not fit.
    """
    if choice in BACKBONES:
        return build_backbone(choice, dict(parse_setting(text, "--set") for text in settings))
    path = Path(choice)
    if not path.exists() and path.suffix != MODEL_SUFFIX:
        raise AttentadError(
            f"there is no backbone {choice!r}; choose from {', '.join(PRETRAINED)}, or give a "
            "model file."
        )
    if settings:
        raise AttentadError(f"{path} is trained, and has its options inside; leave --set out.")
    return load_backbone(path)
