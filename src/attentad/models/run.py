"""A model over video or feature files → a run, and the page of one run or of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import attentad
from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    Timeline,
    VideoAnnotation,
    no_detections,
)
from attentad.core.found import Found
from attentad.core.names import (
    align_classes,
    annotated_ids,
    look_up,
    readable_name,
    told_matches,
    with_ids,
)
from attentad.core.progress import NamedProgress, each_named
from attentad.core.wording import first_few
from attentad.models.encode import VideoSource
from attentad.models.file import file_sha256, load_detector
from attentad.models.inputs import AnySource, Inputs, open_inputs
from attentad.models.journal import Entry, Journal
from attentad.models.look import JournalLooking, Looking
from attentad.models.model import DetectorModel
from attentad.models.video_scores import video_scores
from attentad.models.work import Runner
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
        run: Runner | None = None,
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
            run: looks at the videos elsewhere, into the journal, which it needs; None is here.

        Raises:
            AttentadError: an input is missing, no input can be read or fits the model.
        """
        paths = [Path(path) for path in inputs]
        annotated = {} if annotations is None else annotations.videos
        looking, opened = _looking(self, paths, annotated)
        videos = [*opened.sources]
        if before is not None:
            before(videos)
        entries: dict[str, Entry] = {}
        notes = [*opened.notes, *_told_annotated(videos, annotated)]
        failures = dict(opened.failures)
        entry_of = looking.entry
        if journal is not None:
            work = JournalLooking(looking, journal)
            entry_of = work.entry
            if run is not None:
                with_model = partial(
                    _into_journal, paths=paths, annotated=annotated, journal=journal
                )
                outcomes = run(with_model, work, videos, progress)
                failures |= {v: o.failure for v, o in outcomes.items() if o.failure is not None}
        for video, within in each_named([v for v in videos if v not in failures], progress):
            try:
                entries[video] = entry_of(video, within)
            except AttentadError as error:
                failures[video] = str(error)
                continue
            notes += entries[video].notes
        if failures and not entries:
            raise AttentadError(" ".join(dict.fromkeys(failures.values())))
        return DetectRun(
            {video: entry.found for video, entry in entries.items()},
            self.classes,
            looking.meta,
            {video: _video_file(opened.sources[video], video) for video in entries},
            {video: entry.timeline for video, entry in entries.items()},
            notes,
            failures,
        )

    @property
    def meta(self) -> dict[str, Any]:
        """What tells it from another, and goes with what it finds."""
        recipe = self.model.recipe
        return {
            "model": readable_name(self.file.name),
            "model_sha256": file_sha256(self.file),
            "detector": recipe.detector.name,
            "attention": {site: part.name for site, part in recipe.attention.items()},
            "attentad": attentad.__version__,
        }


def _looking(
    detector: LoadedDetector, paths: Sequence[Path], annotated: Mapping[str, VideoAnnotation]
) -> tuple[Looking, Inputs]:
    model = detector.model
    opened = open_inputs(model, paths, annotated)
    class_scores = video_scores(model.recipe, model.classes)
    return Looking(model, detector.meta, opened.sources, class_scores), opened


def _into_journal(
    detector: LoadedDetector,
    paths: Sequence[Path],
    annotated: Mapping[str, VideoAnnotation],
    journal: Journal,
) -> JournalLooking:
    return JournalLooking(_looking(detector, paths, annotated)[0], journal)


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
