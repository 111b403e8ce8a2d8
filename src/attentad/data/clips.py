"""Trimmed clips for a recogniser: which files, which label, and the views it trains on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from attentad.backbones.pictures import normalised, resized
from attentad.core import AttentadError, Sampling
from attentad.core.formats.csv_rows import read_table
from attentad.core.progress import Progress, counted
from attentad.core.wording import first_few
from attentad.data.augment import (
    KINETICS_MEAN,
    KINETICS_STD,
    clip_starts,
    crop_box,
    looped_indices,
    random_start,
)
from attentad.data.video_files import VideoFolder, look_into
from attentad.video import frame_count, frames, probe


@dataclass(frozen=True)
class ClipFile:
    """One trimmed video."""

    name: str  # the file as its list names it; the video's id
    path: Path
    label: str
    subset: str = ""  # such as `training`; empty where the list does not say
    group: str = ""  # clips of one belong together, as cut from one video; empty: not said


def read_clip_files(source: str | Path, *, subset: str | None = None) -> list[ClipFile]:
    """Read a list of trimmed videos.

    Args:
        source: CSV with the columns path (or file; relative to the CSV), label and, if they are
            there, subset (or split) and group (or source_video); or a folder with a folder of
            videos for each class, or with one of those for each subset. A CSV that is not there
            stands for the folder that it would be in, if that holds class folders and no other
            CSV.
        subset: keep the files of this subset; None keeps all. `training` may be called `train`
            in the list.

    Raises:
        AttentadError: the list or a file is missing, a row is incomplete, or nothing is left.
    """
    source = Path(source)
    if not source.exists() and source.parent.is_dir():
        files = [] if [*source.parent.glob("*.csv")] else _read_folders(source.parent)
        labels = sorted({file.label for file in files})
        if len(labels) < 2:  # a folder of videos beside the list that is missed is no class
            raise AttentadError(f"{source} does not exist; check the path.")
        warnings.warn(
            f"{source} is not there: the folders {first_few(labels)} are taken as classes.",
            UserWarning,
            stacklevel=2,
        )
    else:
        files = _read_folders(source) if source.is_dir() else _read_csv(source)
    told = {file.subset for file in files}
    if subset == "training" and subset not in told and "train" in told:
        subset = "train"
    kept = [file for file in files if subset is None or file.subset == subset]
    if not kept:
        subsets = ", ".join(sorted({file.subset for file in files if file.subset})) or "none"
        reason = "" if subset is None else f" in subset {subset}; the subsets are: {subsets}"
        raise AttentadError(f"{source} lists no clips{reason or '; add at least one'}.")
    for file in kept:
        if not file.path.is_file():
            raise AttentadError(f"{source}: the clip {file.path} does not exist; check the path.")
    return kept


class ClipData(Dataset[dict[str, Any]]):
    """Clips of trimmed videos, each an item {"clip", "label", "video"}.

    `clip` is (3, L, H, W) float32, normalised; `label` an index into `classes`; `video` the
    file's name. Decoded pictures are kept in memory as far as `memory_bytes` allows.

    Args:
        source: see `read_clip_files`.
        sampling: frames per second, clip length L and side.
        subset: part of the list to take; None = all.
        classes: class names in their order; None = the sorted labels of the whole list.
        view: `random` gives one clip per video with a random start, anew in every epoch (a short
            video is looped); `centre` the middle clip; `all` every non-overlapping clip.
        mean, std: of RGB in 0..1.
        seed: `random`: the same seed, epoch and index give the same clip.
        decode_px: short side at which videos are decoded and kept, of which crops are cut;
            None = `sampling.size_px`.
        scales: `random`: sides of the square crops as fractions of the short side.
        flip: `random`: mirror half of the clips; leave it off where left and right matter.
        memory_bytes: most memory for decoded pictures.

    Raises:
        AttentadError: see `read_clip_files`; or a label is not among `classes`.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        sampling: Sampling,
        subset: str | None = None,
        classes: Sequence[str] | None = None,
        view: Literal["random", "centre", "all"] = "all",
        mean: Sequence[float] = KINETICS_MEAN,
        std: Sequence[float] = KINETICS_STD,
        seed: int = 0,
        decode_px: int | None = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        memory_bytes: int = 2**30,
    ) -> None:
        if view not in ("random", "centre", "all"):
            raise AttentadError(f"clips: view must be random, centre or all, not {view!r}.")
        if not scales or not all(0 < scale <= 1 for scale in scales):
            raise AttentadError(f"clips: scales must be one or more numbers in 0..1, not {scales}.")
        self.sampling = sampling
        self.files = read_clip_files(source, subset=subset)
        if classes is None:
            classes = sorted({file.label for file in read_clip_files(source)})
        self.classes = tuple(classes)
        index = {name: i for i, name in enumerate(self.classes)}
        for file in self.files:
            if file.label not in index:
                raise AttentadError(
                    f"{source}: the clip {file.name} has the label {file.label!r}, which is not "
                    f"in the class list ({', '.join(self.classes)})."
                )
        self.labels = [index[file.label] for file in self.files]
        self.view = view
        self.mean, self.std = tuple(mean), tuple(std)
        self.seed, self.epoch = seed, 0
        self.decode_px = decode_px or sampling.size_px
        self.scales, self.flip = tuple(scales), flip
        self.memory_bytes = memory_bytes
        self._kept: dict[int, Tensor] = {}
        self._clips = self._list_clips()

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, item: int) -> dict[str, Any]:
        file, start = self._clips[item]
        pictures = self.pictures(file)
        if self.view == "random":
            chosen = self._random_view(pictures, item)
        else:
            chosen = self._test_view(pictures, start)
        clip = resized(normalised(chosen, self.mean, self.std), self.sampling.size_px)
        return {"clip": clip, "label": self.labels[file], "video": self.files[file].name}

    def set_epoch(self, epoch: int) -> None:
        """Choose the random clips of this epoch."""
        self.epoch = epoch

    def preload(self, progress: Progress | None = None) -> None:
        """Decode up to the memory limit now, so that forked data workers share the pictures."""
        for file in counted(range(len(self.files)), progress):
            self.pictures(file)

    def pictures(self, file: int) -> Tensor:
        """The pictures of file number `file`, (N, decode_px, decode_px, 3) uint8.

        Raises:
            AttentadError: it is not a video or holds no pictures.
        """
        if file in self._kept:
            return self._kept[file]
        path = self.files[file].path
        decoded = list(frames(path, self.sampling.fps, size_px=self.decode_px))
        if not decoded:
            raise AttentadError(f"{path} holds no pictures; replace it or take it off the list.")
        pictures = torch.from_numpy(np.stack(decoded))
        if sum(kept.nbytes for kept in self._kept.values()) + pictures.nbytes <= self.memory_bytes:
            self._kept[file] = pictures
        return pictures

    def _list_clips(self) -> list[tuple[int, int]]:
        """(file, first frame of the clip in it; −1 for the middle one)."""
        if self.view != "all":
            return [(file, -1) for file in range(len(self.files))]
        clips = []
        for file, entry in enumerate(self.files):
            count = frame_count(probe(entry.path).duration_sec, self.sampling.fps)
            starts = clip_starts(count, self.sampling.window_frames)
            clips += [(file, int(start)) for start in starts]
        return clips

    def _random_view(self, pictures: Tensor, item: int) -> Tensor:
        rng = np.random.default_rng([self.seed, self.epoch, item])
        length, count = self.sampling.window_frames, len(pictures)
        chosen = _looped(pictures, random_start(count, length, rng), length)
        top, left, side = crop_box(pictures.shape[1], pictures.shape[2], self.scales, rng)
        chosen = chosen[:, top : top + side, left : left + side]
        return chosen.flip(2) if self.flip and rng.random() < 0.5 else chosen

    def _test_view(self, pictures: Tensor, start: int) -> Tensor:
        length = self.sampling.window_frames
        spare = max(0, len(pictures) - length)
        # A file that breaks off has fewer frames than its header says.
        return _looped(pictures, spare // 2 if start < 0 else min(start, spare), length)


def _looped(pictures: Tensor, start: int, length: int) -> Tensor:
    return pictures[torch.from_numpy(looped_indices(start, length, len(pictures)))]


# What a list of clips may call its columns, the first that it has.
_COLUMNS = {
    "path": ("path", "file"),
    "subset": ("subset", "split"),
    "group": ("group", "source_video"),
}


def _read_csv(source: Path) -> list[ClipFile]:
    table = read_table(source)
    column = {
        key: next((name for name in names if name in table.header), names[0])
        for key, names in _COLUMNS.items()
    }
    table.require((column["path"], "label"))
    files = []
    for where, row in table.records():
        cells = {key: row.get(name, "").strip() for key, name in column.items()}
        name, label = cells["path"], row["label"].strip()
        if not name or not label:
            raise AttentadError(f"{where}: a clip needs a path and a label.")
        files.append(ClipFile(name, source.parent / name, label, cells["subset"], cells["group"]))
    return files


def _read_folders(source: Path) -> list[ClipFile]:
    """Clips of FOLDER/CLASS/, or of FOLDER/SUBSET/CLASS/ where no class folder holds a video.

    Without folders of subsets every fifth clip of a class, counted from its last, is to test.
    """
    by_class = {folder.name: look_into(folder) for folder in _folders_in(source)}
    if any(inside.videos for inside in by_class.values()):
        return [
            ClipFile(path.relative_to(source).as_posix(), path, label, _subset(i, len(paths)))
            for label, paths in (
                (label, _noted_videos(inside)) for label, inside in by_class.items()
            )
            for i, path in enumerate(paths)
        ]
    return [
        ClipFile(path.relative_to(source).as_posix(), path, folder.name, subset.name)
        for subset in _folders_in(source)
        for folder in _folders_in(subset)
        for path in _noted_videos(look_into(folder))
    ]


def _subset(i: int, clips: int) -> str:
    return "test" if clips > 1 and (clips - 1 - i) % 5 == 0 else "training"


def _folders_in(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def _noted_videos(inside: VideoFolder) -> list[Path]:
    """The videos of a folder; what else is there is warned of."""
    for note in inside.note({table.name: "no video" for table in inside.tables}):
        warnings.warn(note, UserWarning, stacklevel=2)
    return list(inside.videos)
