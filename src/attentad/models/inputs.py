"""What `detect` is given: which videos are there, and where each is read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attentad.core import AttentadError, VideoAnnotation
from attentad.core.names import look_up, readable_name, video_id
from attentad.data.features import (
    feature_files,
    is_feature_file,
    join_features,
    open_features,
    read_sidecar,
)
from attentad.data.tracks import FeatureSource
from attentad.data.video_files import VideoFolder, look_into, no_videos
from attentad.models.encode import VideoSource
from attentad.models.model import DetectorModel

AnySource = VideoSource | FeatureSource
# Name of a video → what is annotated, also under an id that only looks different.
_Find = Callable[[str], VideoAnnotation | None]


@dataclass
class Inputs:
    """The videos to look at.

    Args:
        sources: video → where it is read from, later.
        notes: a sentence on each folder of which something is left out.
        failures: file → a sentence on why nothing can be read from it.
    """

    sources: dict[str, AnySource] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, source: AnySource) -> None:
        """Take in the videos of a source.

        Raises:
            AttentadError: there is one of that name already.
        """
        for video in source.videos:
            if video in self.sources:
                raise AttentadError(f"two inputs are named {video}; rename one of them.")
            self.sources[video] = source


def open_inputs(
    model: DetectorModel, paths: Sequence[Path], annotated: Mapping[str, VideoAnnotation]
) -> Inputs:
    """The videos of files and folders, by what the model reads.

    A folder that holds videos is read as those where the model has an encoder; tables beside them
    are features only if they have a sidecar and there is no video of their name.

    Raises:
        AttentadError: a path does not exist or holds nothing that the model reads, two inputs have
            one name, or a model that joins streams is given another number of them.
    """
    for path in paths:
        if not (path.exists() or "*" in path.name):
            raise AttentadError(f"{path} does not exist; check the path.")
    inputs = Inputs()
    find = look_up(annotated)
    streams = model.recipe.data.streams
    if len(streams) > 1 and any(_holds_features(path) for path in paths):
        if len(paths) != len(streams):
            names = ", ".join(path.name for path in streams)
            raise AttentadError(
                f"this model joins {len(streams)} feature streams ({names}), but {len(paths)} are "
                "given; give one file or folder for each, in this order."
            )
        inputs.add(_features(model, paths, find))
        return inputs
    for path in paths:
        if path.is_dir():
            _add_folder(inputs, model, look_into(path), find)
        elif is_feature_file(path):
            for file in feature_files(path) or [path]:
                _add_features(inputs, model, file, find)
        else:
            inputs.add(_video(model, path))
    return inputs


def _add_folder(
    inputs: Inputs,
    model: DetectorModel,
    folder: VideoFolder,
    find: _Find,
) -> None:
    tables = folder.tables
    left_out: dict[str, str] = {}
    if folder.videos and (model.encoder is not None or not tables):
        for path in folder.videos:
            inputs.add(_video(model, path))
        videos = {video_id(path) for path in folder.videos}
        tables = [file for file in tables if video_id(file) not in videos and _has_sidecar(file)]
        for file in set(folder.tables).difference(tables):
            twin = video_id(file) in videos
            left_out[readable_name(file.name)] = "its video is read" if twin else "no sidecar"
    elif tables:
        left_out = {readable_name(path.name): "the model has no encoder" for path in folder.videos}
    else:
        raise no_videos(folder)
    for file in tables:
        _add_features(inputs, model, file, find)
    inputs.notes += folder.note(left_out)


def _add_features(inputs: Inputs, model: DetectorModel, file: Path, find: _Find) -> None:
    try:
        source = _features(model, [file], find)
    except AttentadError as error:
        inputs.failures[readable_name(file.name)] = str(error)
        return
    inputs.add(source)


def _features(model: DetectorModel, paths: Sequence[Path], find: _Find) -> FeatureSource:
    every = model.recipe.data.every
    store = join_features([open_features(path, every=every) for path in paths])
    annotated = {name: item for name in store.readers if (item := find(name)) is not None}
    return FeatureSource(store, annotated, model.clock)


def _video(model: DetectorModel, path: Path) -> VideoSource:
    if model.encoder is None:
        raise AttentadError(
            f"{path} is not a feature file and the model has no encoder for video; give feature "
            "files, or train on features that `attentad extract` made."
        )
    return VideoSource(model.encoder, {video_id(path): path})


def _holds_features(path: Path) -> bool:
    return any(is_feature_file(file) for file in feature_files(path))


def _has_sidecar(file: Path) -> bool:
    """Whether `NAME.json` tells of features; of annotations it may have the same name."""
    try:
        read_sidecar(file.with_suffix(".json"))
    except AttentadError:
        return False
    return True
