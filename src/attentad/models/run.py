"""A model over video or feature files → a run, and the page of one run or of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import attentad
from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    Timeline,
    VideoAnnotation,
    no_detections,
)
from attentad.core.files import file_stamp
from attentad.core.found import Found
from attentad.core.names import (
    align_classes,
    annotated_ids,
    look_up,
    readable_name,
    told_matches,
    with_ids,
)
from attentad.core.progress import NamedProgress, Progress, each_named
from attentad.core.wording import first_few
from attentad.data.tracks import Track, noting
from attentad.models.detect import detect_features
from attentad.models.encode import VideoSource
from attentad.models.file import file_sha256, load_detector
from attentad.models.inputs import AnySource, open_inputs
from attentad.models.journal import Entry, Journal, key_of
from attentad.models.model import DetectorModel
from attentad.models.video_scores import video_scores
from attentad.report import Report, VideoPage, plain_facts


@dataclass(frozen=True)
class DetectRun:
    """What a detector found in videos.

    Args:
        results: by video.
        classes: label index i is classes[i].
        meta: where it is from: model, detector, attention, version.
        sources: video → its file, or None where there are features only.
        timelines: video → when its features were taken.
        notes: a sentence on each thing that was left out or read in part.
        failures: video or file → a sentence on why nothing is known of it.
    """

    results: Mapping[str, Found]
    classes: tuple[str, ...]
    meta: Mapping[str, Any]
    sources: Mapping[str, Path | None]
    timelines: Mapping[str, Timeline]
    notes: Sequence[str] = ()
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def detections(self) -> Detections:
        """Of all videos."""
        videos = {video: found.detections for video, found in self.results.items()}
        return Detections(videos, self.classes, self.meta)


@dataclass(frozen=True)
class LoadedDetector:
    """A trained detector, at hand: see `load`.

    Args:
        file: that it was loaded from.
        model: network and contract.
    """

    file: Path
    model: DetectorModel

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names; label index i of what is detected is classes[i]."""
        return self.model.classes

    def detect(
        self,
        inputs: Sequence[str | Path],
        progress: NamedProgress | None = None,
        annotations: Annotations | None = None,
        *,
        journal: Journal | None = None,
        before: Callable[[Sequence[str]], None] | None = None,
    ) -> DetectRun:
        """Detect actions in videos or feature files; the model knows how to read them.

        A video that cannot be read is one of `failures`, and the others are looked at.

        Args:
            inputs: video files, feature files, or folders of either. Where the model's recipe joins
                several feature streams: one file or folder per stream, in that order.
            progress: called with (videos done, videos in all, the one that is looked at); done
                grows in fractions while a video is read.
            annotations: tell durations and frame rates of videos, for features whose own files do
                not.
            journal: where finished videos are kept, and looked up.
            before: called with all videos before the first is read; may raise.

        Raises:
            AttentadError: an input is missing, no input can be read or fits the model.
        """
        model, meta = self.model, self._meta()
        annotated = {} if annotations is None else annotations.videos
        opened = open_inputs(model, [Path(path) for path in inputs], annotated)
        if before is not None:
            before([*opened.sources])
        class_scores = video_scores(model.recipe, model.classes)
        entries: dict[str, Entry] = {}
        notes = [*opened.notes, *_told_annotated([*opened.sources], annotated)]
        failures = dict(opened.failures)
        for video, within in each_named([*opened.sources], progress):
            try:
                look = _Look.at(
                    model, video, opened.sources[video], class_scores(video), meta, within
                )
                kept = None if journal is None else journal.read(look.key)
                entry = look.entry() if kept is None else kept
            except AttentadError as error:
                failures[video] = str(error)
                continue
            if journal is not None and kept is None:
                journal.keep(look.key, entry)
            entries[video] = entry
            notes += entry.notes
        if failures and not entries:
            raise AttentadError(" ".join(failures.values()))
        return DetectRun(
            {video: entry.found for video, entry in entries.items()},
            model.classes,
            meta,
            {video: _video_file(opened.sources[video], video) for video in entries},
            {video: entry.timeline for video, entry in entries.items()},
            notes,
            failures,
        )

    def _meta(self) -> dict[str, Any]:
        recipe = self.model.recipe
        return {
            "model": readable_name(self.file.name),
            "model_sha256": file_sha256(self.file),
            "detector": recipe.detector.name,
            "attention": {site: part.name for site, part in recipe.attention.items()},
            "attentad": attentad.__version__,
        }


@dataclass(frozen=True)
class _Look:
    """A video about to be looked at: its features if they cost little, else how to read them."""

    model: DetectorModel
    video: str
    class_scores: NDArray[np.floating] | None
    key: str  # of all that the outcome depends on
    read: Callable[[], tuple[Track, list[str]]]

    @classmethod
    def at(
        cls,
        model: DetectorModel,
        video: str,
        source: AnySource,
        class_scores: NDArray[np.floating] | None,
        meta: Mapping[str, Any],
        within: Progress,
    ) -> _Look:
        scores = None if class_scores is None else class_scores.tolist()
        if isinstance(source, VideoSource):
            path = source.files[video]
            facts = [str(path.resolve()), *file_stamp(path)]
            read = partial(noting, partial(source.read, video, within))
            return cls(model, video, class_scores, key_of(meta, video, scores, facts), read)
        track, notes = noting(partial(source.read, video))
        key = key_of(meta, video, scores, track.timeline.to_dict(), track.array.tobytes())
        return cls(model, video, class_scores, key, lambda: (track, notes))

    def entry(self) -> Entry:
        """What the model says of the video."""
        track, notes = self.read()
        found, more = noting(
            partial(
                detect_features,
                self.model,
                track.array,
                track.timeline,
                video=self.video,
                class_scores=self.class_scores,
            )
        )
        return Entry(found, track.timeline, (*notes, *more))


def load(path: str | Path) -> LoadedDetector:
    """A trained detector from its model file, on the best device; runs no code of the file's.

    Raises:
        AttentadError: it is no model file of ours, damaged, or a recogniser.
    """
    return LoadedDetector(Path(path), load_detector(path))


def runs_report(
    runs: Mapping[str, DetectRun],
    title: str = "Detections",
    *,
    annotations: Annotations | None = None,
    evaluations: Mapping[str, Mapping[str, Any]] | None = None,
    losses: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
) -> Report:
    """What a page shows of the runs of one or several detectors.

    Args:
        runs: by the name that the page gives the detector. Their videos and classes may differ;
            of a video that several know, the first tells its duration.
        title, evaluations, losses: see `Report`.
        annotations: ground truth.
    """
    classes, detections = align_classes({name: run.detections for name, run in runs.items()})
    truth_of = look_up(annotations.videos if annotations is not None else {})
    pages = []
    for video in dict.fromkeys(video for run in runs.values() for video in run.results):
        found = {
            name: replace(
                run.results.get(video, Found(no_detections())),
                detections=detections[name].videos.get(video, no_detections()),
            )
            for name, run in runs.items()
        }
        looked = [run for run in runs.values() if video in run.results]
        source = next((run.sources[video] for run in looked if run.sources[video]), None)
        duration_sec = looked[0].timelines[video].duration_sec
        pages.append(VideoPage(video, duration_sec, source, found, truth_of(video)))
    facts = plain_facts({name: run.meta for name, run in runs.items()})
    return Report(title, classes, pages, evaluations or {}, losses or {}, facts)


def _told_annotated(videos: Sequence[str], annotated: Mapping[str, VideoAnnotation]) -> list[str]:
    """How the videos are annotated, if that is not as plain as it looks.

    Raises:
        AttentadError: two of them belong to one annotated video.
    """
    renamed = annotated_ids(videos, annotated)
    with_ids(dict.fromkeys(videos), renamed, "input")
    if renamed:
        return [f"{told_matches(len(renamed))}."]
    if annotated and videos and not any(video in annotated for video in videos):
        return [f"the annotations name none of the videos looked at: {first_few(videos)}."]
    return []


def _video_file(source: AnySource, video: str) -> Path | None:
    return source.files[video] if isinstance(source, VideoSource) else None
