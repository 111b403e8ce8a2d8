"""The files of a network of Hugging Face: which they are, their hash, and what they say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from attentad.core import AttentadError
from attentad.core.files import read_json
from attentad.core.options import fits
from attentad.core.wording import reason_of

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
# What its maker fed it with; older networks of clips have the first name too.
PREPROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json")


@dataclass(frozen=True)
class Release:
    """A network as it was published.

    Args:
        name: on the hub, or of its folder.
        folder: where its files lie.
        commit: of the hub; None of a folder.
        sha256: of config.json and the files of weights, one after the other.
        sizes: `feature_dim` of its tokens, and `clip_frames` of a network of clips.
        size_px: side of the square that it was made for; None where nothing says so.
        preprocessor: what is said of its input; empty where nothing is.
    """

    name: str
    folder: Path
    commit: str | None
    sha256: str
    sizes: Mapping[str, int]
    size_px: int | None
    preprocessor: Mapping[str, Any]

    @property
    def clip_frames(self) -> int | None:
        """Pictures of a clip that it was made for; None of a network of pictures."""
        return self.sizes.get("clip_frames")

    def square(self) -> int:
        """Side of the square that it sees.

        Raises:
            AttentadError: nothing says so.
        """
        if self.size_px is None:
            raise AttentadError(f"{self.name} does not say its size_px; set it.")
        return self.size_px

    def rgb(self, key: str) -> Sequence[float]:
        """`mean` or `std` of its input, of RGB in 0..1.

        Raises:
            AttentadError: the preprocessor does not say so.
        """
        values = self.preprocessor.get(f"image_{key}")
        if not fits(values, tuple[float, float, float]):
            raise AttentadError(
                f"{self.name} does not say how its input is normalised (image_{key} in "
                f"{PREPROCESSORS[1]}); set mean and std."
            )
        return cast(Sequence[float], values)


def fetch(model: str, revision: str | None) -> Release:
    """The files in a folder, or those of a name on the hub.

    Raises:
        AttentadError: transformers is not installed, or it is not there.
    """
    _require()
    if Path(model).is_dir():
        return released_in(Path(model).resolve())
    return released_on_hub(model, revision)


def released_on_hub(model: str, revision: str | None) -> Release:
    """The files of a name on the hub, downloaded once.

    Raises:
        AttentadError: transformers is not installed, or it is not there.
    """
    _require()
    from huggingface_hub import snapshot_download

    wanted = [CONFIG, *PREPROCESSORS, "model*.safetensors", INDEX]
    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=wanted))
    except Exception as error:  # of the name, the network, the hub, the disk
        raise AttentadError(
            f"{model} is no folder, and could not be had from the hub ({reason_of(error)}); check "
            "the name and the connection."
        ) from error
    return _read(folder, model, commit=folder.name)


def released_in(folder: Path) -> Release:
    """The files in a folder.

    Raises:
        AttentadError: transformers is not installed, or they are not there.
    """
    _require()
    if not folder.is_dir():
        raise AttentadError(
            f"{folder} is not there; put the folder of the network, or a link to it, in that place."
        )
    return _read(folder, folder.name, commit=None)


def _read(folder: Path, name: str, commit: str | None) -> Release:
    from transformers import AutoConfig

    weights = _weight_files(folder)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever a stranger's file makes of it
        raise AttentadError(
            f"{folder / CONFIG}: transformers cannot read it ({reason_of(error)})."
        ) from error
    digest = hashlib.sha256()
    for file in (folder / CONFIG, *weights):
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    preprocessor: Any = {}
    if told := [folder / name for name in PREPROCESSORS if (folder / name).is_file()]:
        preprocessor = read_json(told[0])
        if not isinstance(preprocessor, dict):
            raise AttentadError(f"{told[0]} says nothing of a network's input; mend or remove it.")
    frames = _number(config, "num_frames", "frames_per_clip")
    feature_dim = _number(config, "hidden_size", "hidden_sizes")
    if feature_dim is None:
        raise AttentadError(f"{folder / CONFIG} states no hidden_size; use another network.")
    sizes = {"feature_dim": feature_dim} | ({} if frames is None else {"clip_frames": frames})
    size_px = _number(config, "image_size", "crop_size")
    return Release(name, folder, commit, digest.hexdigest(), sizes, size_px, preprocessor)


def _weight_files(folder: Path) -> list[Path]:
    names = [WEIGHTS]
    if (folder / INDEX).is_file():
        content = read_json(folder / INDEX)
        shards = content.get("weight_map") if isinstance(content, dict) else None
        names = sorted(set(map(str, shards.values()))) if isinstance(shards, dict) else names
    files = [folder / CONFIG, *(folder / name for name in names)]
    for file in files:
        if file.parent != folder or not file.is_file():
            raise AttentadError(
                f"{file} is not there; a network needs {CONFIG} and its weights as safetensors "
                "(others, which can run code, are not opened)."
            )
    return files[1:]


def _number(config: Any, *keys: str) -> int | None:
    """The first of the keys that the configuration has; the last number of several."""
    for key in keys:
        value = getattr(config, key, None)
        value = value[-1] if isinstance(value, list | tuple) and value else value
        if isinstance(value, int) and value >= 1:
            return value
    return None


def _require() -> None:
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise AttentadError(
            "the backbone `hf` needs transformers, which is not installed; get it with: "
            "pip install 'attentad[hf]'"
        ) from None
