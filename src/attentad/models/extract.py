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
from attentad.core.progress import NamedProgress, Progress
from attentad.data.features import Dtype, Sidecar, read_sidecar, write_features
from attentad.data.tracks import Track, noting
from attentad.data.video_files import find_videos
from attentad.models.encode import VideoSource
from attentad.models.journal import key_of
from attentad.models.work import GivenUp, Runner, Shard, Worked, in_turn


def extract_features(
    backbone: Backbone,
    inputs: Sequence[Path],
    out: Path,
    progress: NamedProgress | None = None,
    *,
    dtype: Dtype = "float32",
    shard: Shard | None = None,
    run: Runner = in_turn,
) -> Worked:
    """Write `OUT/VIDEO.npy` and `OUT/VIDEO.json` for each video; finished ones are skipped.

    A video that cannot be read does not keep the others from being read. That it cannot is noted in
    `OUT/.failed`, and it is not tried again as long as file and backbone are the same.

    Args:
        backbone: whose facts name it, as those of one that comes trained or from a file do.
        inputs: video files or folders of them.
        out: folder for the features.
        progress: called with (videos done, videos in all, the one that is read).
        dtype: that the features are stored in.
        shard: which of the videos; None is all.
        run: does the work: in this process, or on a cluster.

    Raises:
        AttentadError: an input does not exist, two videos share a name, or nothing can be written
            to `out`; or no video could be read.
    """
    found, notes = find_videos(inputs)
    files = _by_name(found)
    videos = [*files]
    if shard is not None:
        videos = shard.of(videos)
        files = {video: files[video] for video in videos}
        if not videos:
            notes.append(f"share {shard.number} of {shard.count} has none of the videos.")
    check_place(out / "features.npy")
    with_backbone = partial(Extraction, files=files, out=out, dtype=dtype)
    work = with_backbone(backbone)
    targets = [path for video in videos for path in work.targets(video)]
    remove_leftovers(targets)
    outcomes = run(with_backbone, work, videos, progress)
    remove_leftovers(targets)  # of worker processes that were killed
    return Worked.of(notes, outcomes)


@dataclass(frozen=True)
class Extraction:
    """The features of videos in files; `Work`.

    Args:
        backbone: makes them.
        files: video → its file.
        out: folder for the features.
        dtype: that they are stored in.
    """

    backbone: Backbone
    files: Mapping[str, Path]
    out: Path
    dtype: Dtype

    def __call__(self, video: str, within: Progress) -> Sequence[str]:
        """Write the features of a video, unless they are there; its notes.

        Raises:
            AttentadError: it cannot be read, also by what is noted of an earlier time; or what
                there is is of another video.
        """
        written = self.written(video)
        if written is None:
            read = partial(self.read, video, within)
            written = self.keep(video, *self._given_up.trying(video, self._key(video), read))
        return written.notes

    def is_done(self, video: str) -> bool:
        """Whether its features are there."""
        return self.written(video) is not None

    def give_up(self, video: str, why: str) -> None:
        """Note that the video is not to be tried again."""
        self._given_up.keep(video, self._key(video), why)

    @property
    def _given_up(self) -> GivenUp:
        return GivenUp(self.out / ".failed")

    def _key(self, video: str) -> str:
        path = self.files[video]
        return key_of(str(path.resolve()), *file_stamp(path), dict(self.backbone.facts))

    def targets(self, video: str) -> tuple[Path, Path]:
        """The files of its features and of their sidecar."""
        return self.out / f"{video}.npy", self.out / f"{video}.json"

    def written(self, video: str) -> Sidecar | None:
        """The sidecar of features that an earlier run made of this very file by this backbone.

        Raises:
            AttentadError: the features there are of another video of the same name.
        """
        path, (target, beside) = self.files[video], self.targets(video)
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
        is_same_kind = is_same(told.encoder, self.backbone.facts) and told.dtype == self.dtype
        return told if is_same_file and is_same_kind else None

    def read(self, video: str, within: Progress) -> tuple[Track, Sidecar]:
        """Features and what is to be known of them."""
        path = self.files[video]
        stamp = file_stamp(path)
        track, notes = noting(partial(VideoSource(self.backbone, self.files).read, video, within))
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
            dtype=self.dtype,
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
