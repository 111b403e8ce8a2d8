"""What a recipe's `data` section names, opened: features, their clock, annotations by use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attentad.core import (
    Annotations,
    AttentadError,
    VideoAnnotation,
    as_segments,
    read_annotations,
)
from attentad.core.formats.video_labels import VideoLabels, read_video_labels
from attentad.core.names import annotated_ids, told_matches, with_ids
from attentad.core.notes import note
from attentad.core.wording import first_few
from attentad.data.clocks import Clock, FrameClock, RescaledClock
from attentad.data.features import FeatureStore, Sidecar, join_features, open_features
from attentad.data.releases.activitynet13 import (
    FrameCounts,
    read_frame_counts,
    with_reference_durations,
)
from attentad.recipes.load import DetectionData, Few
from attentad.recipes.schema import DurationRef

OTHER_SUBSETS = "Give some videos another subset, or name fewer subsets to test on."


@dataclass(frozen=True)
class AnnotatedSets:
    """The annotated videos of a recipe, by use; a video's duration is what its features cover.

    Args:
        classes: the class names in their order.
        train: videos to train on.
        test: videos to score the trained model on, or None.
        validation: videos scored during training, or None.
        video_labels: classes of whole videos by a label list, or None.
    """

    classes: tuple[str, ...]
    train: Annotations
    test: Annotations | None
    validation: Annotations | None
    video_labels: VideoLabels | None = None

    @property
    def videos(self) -> frozenset[str]:
        """Ids of all of them."""
        parts = (self.train, self.test, self.validation)
        return frozenset(video for part in parts if part is not None for video in part.videos)

    def video_classes(self, video: str) -> NDArray[np.int64]:
        """Class indices of a whole video, ascending: by the label list, else of its instances.

        Raises:
            AttentadError: a label list is given and lacks this training video.
        """
        listed = self.video_labels
        if listed is not None and (video in listed.videos or video in self.train.videos):
            return listed.label_ids([video])[video]
        for part in (self.train, self.test, self.validation):
            if part is not None and video in part.videos:
                return np.unique(part.label_ids(video))
        raise KeyError(video)


def open_store(data: DetectionData, videos: Collection[str]) -> tuple[FeatureStore, dict[str, str]]:
    """The recipe's features under the ids of the annotated videos, streams joined.

    Returns:
        The features, and own name → annotated id of those that were renamed.

    Raises:
        AttentadError: as `open_features` and `match_features`.
    """
    opened = [
        open_features(path, every=data.every, name_pattern=data.name_pattern)
        for path in data.streams
    ]
    stores, renamed = zip(*(match_features(store, videos) for store in opened), strict=True)
    return join_features(stores), {old: new for names in renamed for old, new in names.items()}


def match_features(
    store: FeatureStore, videos: Collection[str]
) -> tuple[FeatureStore, dict[str, str]]:
    """Features under the annotated ids that their names only look different from.

    A name whose video has features under its very id is another video.

    Args:
        store: as opened.
        videos: the annotated ids.

    Returns:
        The features, and own name → annotated id of those that were renamed.

    Raises:
        AttentadError: the features of two names belong to one video.
    """
    renamed = {
        name: video
        for name, video in annotated_ids(store.readers, videos).items()
        if video not in store.readers
    }
    if not renamed:
        return store, {}
    readers = with_ids(store.readers, renamed, f"features in {store.source}")
    sidecars = {renamed.get(name, name): read for name, read in store.sidecars.items()}
    return replace(store, readers=readers, sidecars=sidecars), renamed


def make_clock(data: DetectionData) -> Clock | None:
    """The recipe's clock for features without a sidecar, or None where they must have one.

    The clock counts the rows that are kept: with `every` 5, `stride_frames` is that of every fifth.
    """
    clock = data.clock
    if clock is None:
        return None
    if clock == "rescaled":
        return RescaledClock()
    if clock.fps is None:
        return FrameClock(clock.stride_frames, clock.window_frames, clock.offset_frames)
    return Sidecar(**clock.model_dump())


def read_sets(data: DetectionData) -> AnnotatedSets:
    """Read the annotations of the recipe's subsets.

    Videos that only the label list names train as well, where their subset does.

    Raises:
        AttentadError: they are missing or malformed, a subset is not there, no video is left to
            train on, or the frame counts that the recipe's `duration_ref` needs are missing.
    """
    annotations = read_videos(data)
    training = annotations
    if data.keep_ambiguous and data.annotations is not None:
        # Detectors that name classes learn those of `annotations`; proposals need none.
        training = read_annotations(data.root / data.annotations, keep_ambiguous=True)
    labels = read_labels(data, annotations.classes, annotations.videos)
    if labels is not None:
        training = with_listed(training, labels)
    wanted = data.train or training_subsets(training, data.test)
    if not wanted:
        raise AttentadError(f"{nothing_to_train_on(training, data.test)} {OTHER_SUBSETS}")
    detect_ref = data.detect_duration_ref or data.duration_ref

    counts_file = data.frame_counts or data.annotations

    def subset(whole: Annotations, names: tuple[str, ...], rule: DurationRef) -> Annotations:
        part = whole.subset(names)
        counts: dict[str, FrameCounts] = {}
        if rule != "annotated" and counts_file is not None:
            counts = read_frame_counts(data.root / counts_file)
        return with_reference_durations(part, counts, rule)

    train = subset(training, wanted, data.duration_ref)
    return AnnotatedSets(
        annotations.classes,
        train if data.few is None else drawn(train, data.few),
        subset(annotations, data.test, detect_ref) if data.test else None,
        subset(annotations, data.validate_on, detect_ref) if data.validate_on else None,
        labels,
    )


def drawn(annotations: Annotations, few: Few) -> Annotations:
    """A few of the videos, whose ids a note says.

    Raises:
        AttentadError: there are not so many.
    """
    ids = sorted(annotations.videos)
    if few.videos > len(ids):
        raise AttentadError(
            f"data.few.videos is {few.videos}, but there are {len(ids)} training videos; lower it."
        )
    order = np.random.default_rng(few.draw).permutation(len(ids))
    kept = [ids[i] for i in order[: few.videos]]
    note(f"draw {few.draw} of {few.videos} of {len(ids)} training videos: {', '.join(kept)}.")
    return replace(annotations, videos={video: annotations.videos[video] for video in kept})


def read_videos(data: DetectionData) -> Annotations:
    """The recipe's annotations, or the videos of its label list where it has none.

    Raises:
        AttentadError: the file is missing or malformed.
    """
    if data.annotations is not None:
        return read_annotations(data.root / data.annotations, classes=data.classes)
    labels = read_labels(data, data.classes)
    assert labels is not None  # the recipe has the one or the other
    return with_listed(Annotations({}, labels.classes), labels)


def with_listed(annotations: Annotations, labels: VideoLabels) -> Annotations:
    """The annotations and, without instances, the videos that only the label list names."""
    nothing = as_segments([])
    listed = {
        video: VideoAnnotation(nothing, (), subset=labels.subsets.get(video, ""))
        for video in labels.videos
        if video not in annotations.videos
    }
    return replace(annotations, videos={**annotations.videos, **listed})


def read_labels(
    data: DetectionData, classes: tuple[str, ...] | None, videos: Collection[str] = ()
) -> VideoLabels | None:
    """The recipe's label list, if it has one, under the annotated ids; see `annotated_ids`.

    Args:
        data: of the recipe.
        classes: names in their order; None for all that the list has.
        videos: ids of the annotated videos.

    Raises:
        AttentadError: the file is missing or malformed, has a class that is not of `classes`, or
            two of its videos are one annotated video.
    """
    if data.video_labels is None:
        return None
    labels = read_video_labels(data.root / data.video_labels, classes=classes)
    renamed = annotated_ids(labels.videos, videos)
    if not renamed:
        return labels
    note(f"{labels.source}: {told_matches(len(renamed))}.")
    return replace(
        labels,
        videos=with_ids(labels.videos, renamed, f"labels in {labels.source}"),
        subsets={renamed.get(video, video): name for video, name in labels.subsets.items()},
    )


def training_subsets(annotations: Annotations, test: Collection[str]) -> tuple[str, ...]:
    """All subsets that do not test."""
    return tuple(sorted({item.subset for item in annotations.videos.values()} - set(test)))


def nothing_to_train_on(annotations: Annotations, test: Collection[str]) -> str:
    """What to say where all videos test."""
    count = len(annotations.videos)
    return (
        f"no video is left to train on: all {count} are in subsets that test ({first_few(test)})."
    )
