"""What a user asks of `train own`, and whether a folder holds an earlier run of just that."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from attentad.core import AttentadError
from attentad.core.files import read_bytes, read_json, write_json
from attentad.core.wording import quoted
from attentad.models.train import MODEL_NAME

RECORD: Final = "own.json"
BACKBONE: Final = "backbone"
_SETTING = re.compile(r"[A-Za-z_][\w.]*=")
# What trainings leave in their folders.
_TRAINED: Final = (
    *(MODEL_NAME, "last.ckpt", "best.ckpt", "log.jsonl", "log.csv"),
    *("detections.json", "evaluation.json", "scores.json", "recipe.yaml", "report.html"),
)


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Args:
        inputs: video files, or folders of them.
        annotations: the file or folder of what is annotated of them.
        out: folder for everything.
        backbone: by name or model file; None for the default.
        backbone_settings: its options, `key=value` each.
        overrides: of the recipe that is made, `key=value` each.
        test: subsets to test on, or None.
        group: what names the group of a video, or None; see `split.video_groups`.
    """

    inputs: tuple[Path, ...]
    annotations: Path
    out: Path
    backbone: str | None = None
    backbone_settings: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    test: str | None = None
    group: str | None = None

    @property
    def features(self) -> Path:
        """Folder of the videos' features."""
        return self.out / "features"

    def override(self, key: str) -> str | None:
        """What the user says of a key of the recipe, the last word; None where nothing."""
        told = [text.partition("=")[2] for text in self.overrides if text.startswith(f"{key}=")]
        return told[-1] if told else None


def read_order(
    words: Sequence[str], out: Path, *, test: str | None = None, group: str | None = None
) -> Order:
    """The order of a command line: videos, annotations, then `key=value` in any place.

    `backbone=NAME` and `backbone.OPTION=VALUE` are of the backbone, all others of the recipe.

    Raises:
        AttentadError: videos or annotations are missing.
    """
    settings = [word for word in words if _SETTING.match(word) and not Path(word).exists()]
    paths = [Path(word) for word in words if word not in settings]
    if len(paths) < 2:
        raise AttentadError(
            "`train own` needs video files or folders of them, and after them the file of "
            "annotations."
        )
    *inputs, annotations = paths
    if not annotations.exists():
        raise AttentadError(f"{annotations} does not exist; give the file of annotations last.")
    backbone, options, overrides = None, [], []
    for setting in settings:
        key, _, value = setting.partition("=")
        if key == BACKBONE:
            backbone = value
        elif key.startswith(f"{BACKBONE}."):
            options.append(setting.removeprefix(f"{BACKBONE}."))
        elif key.startswith("data."):
            raise AttentadError(
                f"{quoted(setting)}: `train own` makes that part of the recipe from the videos and "
                "annotations; change it in the recipe.yaml that it writes, and train that."
            )
        else:
            overrides.append(setting)
    return Order(
        tuple(inputs), annotations, out, backbone, tuple(options), tuple(overrides), test, group
    )


def begin(order: Order, videos: Sequence[str], *, overwrite: bool) -> int:
    """Note in the folder what is asked for, so that the same command goes on there.

    Args:
        order: what is asked for.
        videos: that are annotated.
        overwrite: give up what an earlier run of another order trained; features stay.

    Returns:
        The cores that the plan is made for: of the machine that the run began on.

    Raises:
        AttentadError: the folder holds a run of another order.
    """
    path = order.out / RECORD
    record = {
        "videos": sorted(videos),
        "annotations": _digest(order.annotations),
        "backbone": [order.backbone, *order.backbone_settings],
        "overrides": list(order.overrides),
        "test": order.test,
        "group": order.group,
    }
    earlier: Mapping[str, Any] | None = None
    if path.exists():
        found = read_json(path)
        earlier = found if isinstance(found, dict) else {}
    if earlier is not None:
        other = [key for key in record if earlier.get(key) != record[key]]
        if not other and isinstance(earlier.get("cores"), int):
            return int(earlier["cores"])
        if not overwrite:
            raise AttentadError(
                f"{order.out} holds a run with other {' and '.join(other) or 'settings'}; choose "
                "another --out, or say --overwrite to train anew (features are kept)."
            )
        for folder in (order.out, *order.out.glob("*tcn*"), *order.out.glob("framewise")):
            _remove_trained(folder)
            for part in folder.glob("part*"):
                _remove_trained(part)
    cores = available_cores()
    write_json(path, record | {"cores": cores})
    return cores


def available_cores() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _remove_trained(folder: Path) -> None:
    for name in _TRAINED:
        with suppress(OSError):
            (folder / name).unlink()


def _digest(path: Path) -> str:
    """Of the bytes of a file, or of all files of a folder under their names."""
    if not path.is_dir():
        return sha256(read_bytes(path)).hexdigest()
    digest = sha256()
    for file in sorted(path.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            digest.update(os.fsencode(file.name) + b"\0" + sha256(read_bytes(file)).digest())
    return digest.hexdigest()
