"""Feature files: one array (T, C) per video, with a sidecar that says how they were made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from attentad.core import AttentadError, Timeline
from attentad.core.files import atomic_path, json_bytes, read_json
from attentad.core.validation import Index, Number, PositiveNumber, validated
from attentad.data.feature_files import KINDS, ArrayReader, array_readers

SUFFIXES = tuple(KINDS)
Dtype = Literal["float32", "float16"]


@dataclass(frozen=True)
class Sidecar:
    """What a feature file's neighbour `NAME.json` tells about it.

    Args:
        fps, stride_frames, window_frames, offset_frames: when the features were taken, see
            `Timeline`.
        duration_sec: length of the video; None in a sidecar that serves several videos.
        encoder: what made the features: name, sha256 of its model file, and so on.
        score_columns: [start, stop) of the columns that hold class scores, or None.
        score_classes: class names of those columns, in order.
        source: file name of the video.
        source_path: where that file was; "" where it is not known.
        source_size_bytes, source_modified_ns: its size, and its time in nanoseconds.
        notes: a sentence on each thing that was wrong with the video, such as a lost end.
        dtype: that the numbers are stored in; they are read as float32 in any case.
    """

    fps: PositiveNumber
    stride_frames: PositiveNumber
    window_frames: PositiveNumber
    offset_frames: Number = 0.0
    duration_sec: PositiveNumber | None = None
    encoder: dict[str, Any] = field(default_factory=dict)
    score_columns: tuple[Index, Index] | None = None
    score_classes: tuple[str, ...] = ()
    source: str = ""
    source_path: str = ""
    source_size_bytes: int | None = None
    source_modified_ns: int | None = None
    notes: tuple[str, ...] = ()
    dtype: Dtype = "float32"

    def timeline(self, length: int, duration_sec: float | None = None) -> Timeline:
        """The timeline of `length` features; the video's duration defaults to what they cover."""
        covered_sec = length * self.stride_frames / self.fps
        known_sec = self.duration_sec or duration_sec or covered_sec
        return Timeline(length=length, duration_sec=known_sec, **self.to_clock())

    def to_clock(self) -> dict[str, float]:
        """The part of the sidecar that holds for every video: when features are taken."""
        keys = ("fps", "stride_frames", "window_frames", "offset_frames")
        return {key: getattr(self, key) for key in keys}


_SIDECAR: Final = TypeAdapter(Sidecar)


@dataclass(frozen=True)
class FeatureStore:
    """The feature arrays of a folder or an archive, read one video at a time.

    Args:
        source: what was opened, for error sentences.
        readers: video id → reads its rows.
        sidecars: video id → reads its sidecar, where there is one.
    """

    source: Path | str
    readers: Mapping[str, ArrayReader]
    sidecars: Mapping[str, Callable[[], Sidecar]]

    def load(self, video: str) -> NDArray[np.float32]:
        """The features of one video, (T, C) float32, checked.

        Raises:
            AttentadError: the video has no features, or they are not a (T, C) array of finite
                numbers with T and C at least 1.
        """
        if video not in self.readers:
            raise AttentadError(
                f"{self.source} holds no features of video {video}; extract them or remove the "
                "video from the annotations."
            )
        features = self.numbers(video)
        where = f"{self.source}: the features of video {video}"
        if features.ndim != 2 or 0 in features.shape:
            raise AttentadError(
                f"{where} have shape {features.shape}; one row per step and one column per "
                "channel is needed."
            )
        if not np.isfinite(features).all():
            row = int(np.argmin(np.isfinite(features).all(axis=1)))
            raise AttentadError(
                f"{where} hold NaN or infinity (first in row {row}); extract them again."
            )
        return features

    def numbers(self, video: str) -> NDArray[np.float32]:
        """The numbers that are stored of one of `readers`, of whatever shape.

        Raises:
            AttentadError: they cannot be read, or are no real numbers; names file and video.
        """
        try:
            array = np.asarray(self.readers[video]())
        except AttentadError as error:
            raise AttentadError(f"video {video}: {error}") from None
        if array.dtype.kind not in "biuf":
            raise AttentadError(
                f"{self.source}: what is stored of video {video} could not be read as numbers (it "
                f"is {array.dtype}); write real numbers."
            )
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which is told of
            return array.astype(np.float32, copy=False)

    def sidecar(self, video: str) -> Sidecar | None:
        """The sidecar of one video, or None where there is none."""
        return self.sidecars[video]() if video in self.sidecars else None


def open_features(
    path: str | Path, *, every: int = 1, name_pattern: str = "{video}"
) -> FeatureStore:
    """Open a folder with one file per video, an archive of several, or a single file.

    `.npy`, `.csv` (a header line is allowed) and single-array `.npz` hold one video, named like
    the file. `.npz`, `.pt` (a dict of tensors) and `.h5` with several arrays hold one video per
    key. The sidecar of `X.npy` is `X.json`; that of an archive serves all its videos.

    Args:
        path: folder or file; a file name with `*` stands for all files that it fits, such as
            `flow_*.h5` for one archive per subset.
        every: keep every so many rows, beginning with the first.
        name_pattern: how a file or key is named for a video, such as `v_{video}`; what does not
            fit keeps its own name.

    Raises:
        AttentadError: the path is missing, holds no features, or is of an unknown kind; nothing
            fits the pattern; `every` is below 1.
    """
    path = Path(path)
    if every < 1:
        raise AttentadError(f"every must be 1 or more rows, not {every}.")
    files = feature_files(path)
    if not all(file.exists() for file in files):
        raise AttentadError(f"{path} does not exist; give a feature file or a folder of them.")
    readers: dict[str, ArrayReader] = {}
    sidecars: dict[str, Path] = {}
    for file in files:
        sidecar = file.with_suffix(".json")
        for video, reader in array_readers(file).items():
            if video in readers:
                raise AttentadError(f"{path} holds the features of video {video} twice.")
            readers[video] = reader
            if sidecar.exists():
                sidecars[video] = sidecar
    if not readers:
        raise AttentadError(f"{path} holds no feature files ({', '.join(SUFFIXES)}).")
    names = _video_names(readers, name_pattern, path)
    return FeatureStore(
        path,
        {names[name]: partial(_every, reader, every) for name, reader in readers.items()},
        {names[name]: partial(_read_every, file, every) for name, file in sidecars.items()},
    )


def join_features(stores: Sequence[FeatureStore]) -> FeatureStore:
    """Several streams of the same videos as one: columns side by side, in the order given.

    A video has as many rows as its shortest stream (spec csa §5.2). Its sidecar is the one that
    the first stream has; columns of class scores must lie in that stream.

    Raises:
        AttentadError: no stream is given.
    """
    if not stores:
        raise AttentadError("no feature streams are given to join; name at least one.")
    if len(stores) == 1:
        return stores[0]
    videos = dict.fromkeys(video for store in stores for video in store.readers)
    return FeatureStore(
        " + ".join(str(store.source) for store in stores),
        {video: partial(_joined, tuple(stores), video) for video in videos},
        stores[0].sidecars,
    )


def is_feature_file(path: str | Path) -> bool:
    """Whether the file name says features rather than video."""
    return Path(path).suffix.lower() in SUFFIXES


def feature_files(path: str | Path) -> list[Path]:
    """The files of a folder, or those that fit a name with `*`, that are named as features are.

    Hidden ones are none: temporary files of a run that was killed have such names. Any other path
    is a file by itself.
    """
    path = Path(path)
    if "*" in path.name:
        inside = sorted(path.parent.glob(path.name))
    elif path.is_dir():
        inside = sorted(file for file in path.iterdir() if is_feature_file(file))
    else:
        return [path]
    return [file for file in inside if not file.name.startswith(".")]


def write_features(path: str | Path, features: NDArray[np.floating], sidecar: Sidecar) -> None:
    """Write `NAME.npy` and its sidecar `NAME.json`; the sidecar last, as the sign of completeness.

    Older ones are removed before. Of several that write at once the first one's stay.

    Args:
        path: of the array.
        features: (T, C), stored as `sidecar.dtype`.
        sidecar: what is to be known of them.

    Raises:
        AttentadError: the files cannot be written, or a number is too large for the dtype.
    """
    path, beside = Path(path), Path(path).with_suffix(".json")
    stored = _as_dtype(features, sidecar.dtype, path)
    with atomic_path(path, only_new=True) as temporary:
        # An older sidecar would tell of these features if the run were killed before the end.
        beside.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        np.save(temporary, stored, allow_pickle=False)
    with atomic_path(beside, only_new=True) as temporary:
        temporary.write_bytes(json_bytes(asdict(sidecar)))


def _as_dtype(features: NDArray[np.floating], dtype: Dtype, path: Path) -> NDArray[np.floating]:
    most = float(np.finfo(dtype).max)
    reached = float(np.abs(features).max(initial=0))
    if most < reached < np.inf:
        raise AttentadError(
            f"{path}: the features reach {reached:.3g}, but {dtype} ends at {most:.0f}; store them "
            "as float32."
        )
    return features.astype(dtype, copy=False)


def read_sidecar(path: str | Path) -> Sidecar:
    """Read a sidecar.

    Raises:
        AttentadError: the file is malformed, lacks fps, stride_frames or window_frames, or has a
            value that cannot be; names the key.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise AttentadError(f"{path} is not a feature sidecar: it must be a JSON object.")
    sidecar = validated(_SIDECAR, content, str(path))
    start, stop = sidecar.score_columns or (0, 0)
    if stop < start or stop - start != len(sidecar.score_classes or range(start, stop)):
        raise AttentadError(
            f"{path}: score_columns [{start}, {stop}) must be as many as score_classes, which are "
            f"{len(sidecar.score_classes)}."
        )
    return sidecar


def _joined(stores: tuple[FeatureStore, ...], video: str) -> NDArray[np.float32]:
    streams = [store.load(video) for store in stores]
    n = min(len(stream) for stream in streams)
    return np.concatenate([stream[:n] for stream in streams], axis=1)


def _every(read: ArrayReader, every: int) -> NDArray[Any]:
    rows = np.asarray(read())
    return rows[::every] if rows.ndim else rows


def _read_every(path: Path, every: int) -> Sidecar:
    """The sidecar of the rows that are kept, which lie `every` times as far apart."""
    told = read_sidecar(path)
    return replace(told, stride_frames=told.stride_frames * every)


def _video_names(names: Iterable[str], pattern: str, path: Path) -> dict[str, str]:
    """Name of a file or key → video id."""
    before, sign, after = pattern.partition("{video}")
    if not sign or "{" in before + after:
        raise AttentadError(
            f"name_pattern {pattern!r} must have {{video}} once, such as v_{{video}}."
        )
    form = re.compile(f"{re.escape(before)}(.+){re.escape(after)}", re.DOTALL)
    fits = {name: form.fullmatch(name) for name in names}
    if not any(fits.values()):
        example = next(iter(fits))
        raise AttentadError(
            f"{path}: no name fits the name_pattern {pattern!r}; the first is {example!r}."
        )
    videos = {name: fit[1] if fit else name for name, fit in fits.items()}
    if len(set(videos.values())) < len(videos):
        raise AttentadError(
            f"{path}: two names give one video under the name_pattern {pattern!r}; rename one."
        )
    return videos
