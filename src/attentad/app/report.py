"""`attentad report`: detection files → an HTML page. Never loads torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    VideoAnnotation,
    no_detections,
    read_annotations,
    read_detections,
)
from attentad.core.found import Found
from attentad.core.names import align_classes, align_videos
from attentad.core.wording import number_of
from attentad.data.video_files import is_video_file
from attentad.metrics import detection_map
from attentad.report import Report, VideoPage, plain_facts, write_page
from attentad.training.logs import loss_curves
from attentad.video import VIDEO_SUFFIXES, probe

TIOU = "0.3:0.7:0.1"


def report_files(
    detections: Sequence[Path],
    *,
    out: str | Path,
    names: Sequence[str] = (),
    annotations: str | Path | None = None,
    videos: str | Path | None = None,
    logs: Sequence[Path] = (),
    title: str | None = None,
    **embedding: int,
) -> Report:
    """Write a page that shows the detections of a file, or compares those of several files.

    Each file is of another detector; their classes may differ or be in different orders. Ground
    truth that covers videos of the detections gives a table of mAP over those videos. `embedding`
    is `embed_limit_bytes` and `embed_total_bytes` of `report.write_page`.

    Returns:
        What the page shows.

    Raises:
        AttentadError: a file is missing or malformed, names or logs are not as many as files,
            the folder holds none of the videos, or the page cannot be written.
    """
    if not detections:
        raise AttentadError("a report needs a detection file; give one or more.")
    if logs and len(logs) != len(detections):
        raise AttentadError(
            f"{number_of(logs, 'training log')} for {number_of(detections, 'detection file')}; "
            "give --log once for each file, in their order, or never."
        )
    files = dict(zip(detector_names(detections, names), detections, strict=True))
    truth = None if annotations is None else read_annotations(annotations)
    class_names = None if truth is None else truth.classes
    annotated = () if truth is None else truth.videos
    named = {
        name: align_videos(read_detections(path, class_names), annotated)
        for name, path in files.items()
    }
    classes, aligned = align_classes({name: item for name, (item, _) in named.items()})
    seen = list(dict.fromkeys(video for item in aligned.values() for video in item.videos))
    source = " and ".join(map(str, detections))
    clips = {}
    if videos is not None:
        # The files are looked for by the ids that the detections came with.
        own = {video: old for _, renamed in named.values() for old, video in renamed.items()}
        matched = match_videos(videos, [own.get(video, video) for video in seen], source)
        clips = {video: matched.get(own.get(video, video)) for video in seen}
    evaluations = _evaluations(truth, aligned, set(seen))
    usual = f"of {' and '.join(files)}" if len(files) > 1 or names else f"in {detections[0].name}"
    report = Report(
        title=title or f"Detections {usual}",
        classes=classes,
        videos=[_video_page(video, clips.get(video), truth, aligned) for video in seen],
        evaluations=evaluations,
        losses={name: loss_curves(path) for name, path in zip(files, logs, strict=False)},
        facts=_facts(files, annotations, logs, aligned, evaluations),
    )
    write_page(out, report, **embedding)
    return report


def detector_names(paths: Sequence[Path], names: Sequence[str] = ()) -> list[str]:
    """A name for each file of detections: those given, or else the files' own.

    Where two files have the same name, their folders tell them apart.

    Raises:
        AttentadError: not as many names as files, one of them is empty, or two are the same.
    """
    if names and len(names) != len(paths):
        raise AttentadError(
            f"{number_of(names, 'name')} for {number_of(paths, 'detection file')}; give --name "
            "once for each file, or never."
        )
    chosen = list(names) or [path.stem for path in paths]
    if not names and len(set(chosen)) < len(chosen):
        chosen = [path.with_suffix("").as_posix() for path in paths]
    for i, name in enumerate(chosen):
        if not name.strip():
            raise AttentadError(f"the name of {paths[i]} is empty; give it one with --name.")
        if name in chosen[:i]:
            raise AttentadError(
                f"two detection files are named {name!r}; tell them apart with --name."
            )
    return chosen


def match_videos(folder: str | Path, videos: Sequence[str], source: str) -> dict[str, Path]:
    """Video id → file: by name with or without suffix, or by path below the folder.

    ActivityNet's habit of naming the file of video `id` `v_id.mp4` is known. `source` is what to
    call the file of detections in the error.

    Raises:
        AttentadError: there is no such folder, or no file in it belongs to any of the videos.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AttentadError(f"{folder} is not a folder; give the one that holds the video files.")
    index: dict[str, Path] = {}
    # Of two files with one name the nearer to the folder wins, then the better suffix.
    files = sorted(
        filter(is_video_file, folder.rglob("*")),
        key=lambda p: (len(p.parts), VIDEO_SUFFIXES.index(p.suffix.lower()), str(p)),
    )
    for path in files:
        inside = path.relative_to(folder)
        for name in (inside.as_posix(), inside.with_suffix("").as_posix(), path.name, path.stem):
            index.setdefault(name, path)
    named = {video: index.get(video, index.get(f"v_{video}")) for video in videos}
    matched = {video: file for video, file in named.items() if file is not None}
    if videos and not matched:
        raise AttentadError(
            f"{folder} holds no file of the videos in {source}; the one of {videos[0]} must be "
            f"named {videos[0]}.mp4 or the like."
        )
    return matched


def _duration_sec(file: Path | None, truth: VideoAnnotation | None) -> float:
    """Length of the video as its file or else its annotation has it; 0 where nobody knows."""
    if file is not None:
        with suppress(AttentadError):  # the page says that the file is broken
            return probe(file).duration_sec
    return truth.duration_sec or 0.0 if truth is not None else 0.0


def _video_page(
    video: str, file: Path | None, truth: Annotations | None, detections: Mapping[str, Detections]
) -> VideoPage:
    """A video with what each detector found in it."""
    annotation = None if truth is None else truth.videos.get(video)
    found = {
        name: Found(item.videos.get(video, no_detections())) for name, item in detections.items()
    }
    return VideoPage(video, _duration_sec(file, annotation), file, found, annotation)


def _evaluations(
    truth: Annotations | None, detections: Mapping[str, Detections], seen: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Each detector's mAP over the annotated videos in `seen`; {} without an action in them.

    A video that another detector's file holds counts, so that all are scored on the same ones.
    """
    if truth is None:
        return {}
    both = replace(truth, videos={v: truth.videos[v] for v in truth.videos if v in seen})
    if not any(item.labels for item in both.videos.values()):
        return {}
    evaluations = {}
    for name, item in detections.items():
        shared = {video: item.videos.get(video, no_detections()) for video in both.videos}
        scored = detection_map(both, Detections(shared, item.classes, item.meta), tiou=TIOU)
        evaluations[name] = scored.to_dict()
    return evaluations


def _facts(
    files: Mapping[str, Path],
    annotations: str | Path | None,
    logs: Sequence[Path],
    detections: Mapping[str, Detections],
    evaluations: Mapping[str, Mapping[str, Any]],
) -> dict[str, str]:
    """Where everything is from; what is of one of several detectors bears its name."""
    before = {name: f"{name}: " if len(files) > 1 else "" for name in files}
    facts = {f"{before[name]}detections": path.name for name, path in files.items()}
    if annotations is not None:
        facts["annotations"] = Path(annotations).name
    for name, log in zip(files, logs, strict=False):
        facts[f"{before[name]}training log"] = str(log)
    for evaluation in evaluations.values():
        videos = evaluation["ground_truth"]["videos"]
        facts["evaluated on"] = f"the {videos} annotated videos among them"
    return facts | plain_facts({name: item.meta for name, item in detections.items()})
