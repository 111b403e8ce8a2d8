"""Videos → feature files with sidecars, by a backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from attentad.backbones import Backbone
from attentad.backbones.backbone import is_same
from attentad.core import AttentadError
from attentad.core.files import check_place, file_stamp, held_folder, remove_leftovers
from attentad.core.names import readable_name, video_id
from attentad.core.progress import NamedProgress, Progress, each_named
from attentad.data.features import Sidecar, read_sidecar, write_features
from attentad.data.tracks import Track, noting
from attentad.data.video_files import find_videos
from attentad.models.encode import VideoSource


@dataclass(frozen=True)
class Extracted:
    """What became of the videos.

    Args:
        notes: a sentence on each thing that was left out or read in part.
        failures: video → a sentence on why it has no features.
    """

    notes: Sequence[str]
    failures: Mapping[str, str]


def extract_features(
    backbone: Backbone, inputs: Sequence[Path], out: Path, progress: NamedProgress | None = None
) -> Extracted:
    """Write `OUT/VIDEO.npy` and `OUT/VIDEO.json` for each video; finished ones are skipped.

    A video that cannot be read does not keep the others from being read.

    Args:
        backbone: whose facts name it, as those of one that comes trained or from a file do.
        inputs: video files or folders of them.
        out: folder for the features.
        progress: called with (videos done, videos in all, the one that is read).

    Raises:
        AttentadError: an input does not exist, two videos share a name, or nothing can be written
            to `out`; or no video could be read.
    """
    found, notes = find_videos(inputs)
    files = _by_name(found)
    check_place(out / "features.npy")
    work = _Extraction(VideoSource(backbone, files), out)
    remove_leftovers([path for video in files for path in work.targets(video)])
    failures: dict[str, str] = {}
    for video, within in each_named([*files], progress):
        try:
            written = work.written(video)
            read = work.read(video, within) if written is None else None
        except AttentadError as error:
            failures[video] = str(error)
            continue
        if read is not None:
            written = work.keep(video, *read)
        notes += () if written is None else written.notes
    if failures and len(failures) == len(files):
        raise AttentadError(" ".join(failures.values()))
    return Extracted(notes, failures)


@dataclass(frozen=True)
class _Extraction:
    source: VideoSource
    out: Path

    @property
    def backbone(self) -> Backbone:
        """What makes the features."""
        return self.source.backbone

    def targets(self, video: str) -> tuple[Path, Path]:
        """The files of its features and of their sidecar."""
        return self.out / f"{video}.npy", self.out / f"{video}.json"

    def written(self, video: str) -> Sidecar | None:
        """The sidecar of features that an earlier run made of this very file by this backbone.

        Raises:
            AttentadError: the features there are of another video of the same name.
        """
        path, (target, beside) = self.source.files[video], self.targets(video)
        if not (target.exists() and beside.exists()):
            return None
        try:
            told = read_sidecar(beside)
        except AttentadError:
            return None  # damaged, or just being replaced by another run
        is_same_file = told.source == readable_name(path.name)
        if told.source_size_bytes is None:
            by_name = (
                f"{target} is of a version that did not note the size and time of a video; it is "
                f"taken for the features of {path} by the name alone. Delete it to read that again."
            )
            told = replace(told, notes=(*told.notes, by_name))
        else:
            is_same_file = (told.source_size_bytes, told.source_modified_ns) == file_stamp(path)
            if not is_same_file and told.source_path != readable_name(path.resolve()):
                raise AttentadError(
                    f"{target} holds the features of {told.source_path}, not of {path}; choose "
                    f"another --out, rename the video, or delete {target.name} to read this one."
                )
        return told if is_same_file and is_same(told.encoder, self.backbone.facts) else None

    def read(self, video: str, within: Progress) -> tuple[Track, Sidecar]:
        """Features and what is to be known of them."""
        path = self.source.files[video]
        stamp = file_stamp(path)
        track, notes = noting(partial(self.source.read, video, within))
        when, width = asdict(track.timeline), track.array.shape[1]
        del when["length"]
        classes = self.backbone.classes
        return track, Sidecar(
            **when,
            encoder=dict(self.backbone.facts),
            score_columns=(width - len(classes), width) if classes else None,
            score_classes=classes,
            source=readable_name(path.name),
            source_path=readable_name(path.resolve()),
            source_size_bytes=stamp.size_bytes,
            source_modified_ns=stamp.modified_ns,
            notes=tuple(notes),
        )

    def keep(self, video: str, track: Track, sidecar: Sidecar) -> Sidecar:
        """Write both files, unless another run into this folder was faster."""
        with held_folder(self.out):
            written = self.written(video)
            if written is None:
                write_features(self.targets(video)[0], track.array, sidecar)
            return written or sidecar


def _by_name(paths: Sequence[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in paths:
        video = video_id(path)
        if video in files:
            raise AttentadError(f"{files[video]} and {path} share a name; rename one.")
        files[video] = path
    return files
