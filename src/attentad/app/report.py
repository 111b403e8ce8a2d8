"""`attentad report`: a detection file → an HTML page. Never loads torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    VideoAnnotation,
    read_annotations,
    read_detections,
)
from attentad.metrics import detection_map
from attentad.report import Report, VideoPage, write_page
from attentad.training.logs import read_log
from attentad.video import VIDEO_SUFFIXES, probe

TIOU = (0.3, 0.4, 0.5, 0.6, 0.7)
NO_LOSS = frozenset({"epoch", "lr", "seconds"})


def report_files(
    detections: str | Path,
    *,
    out: str | Path,
    annotations: str | Path | None = None,
    videos: str | Path | None = None,
    log: str | Path | None = None,
    title: str | None = None,
    tiou: Sequence[float] = TIOU,
    **embedding: int,
) -> Report:
    """Write a page that shows the detections of a file.

    Args:
        detections: ActivityNet submission JSON or CSV.
        out: the page to write.
        annotations: ground truth for its timelines and, where it covers videos of the
            detections, for a table of mAP over those videos.
        videos: folder whose video files are named as the videos (see `match_videos`).
        log: log of the training run, for its loss curves.
        title: heading; by default the detection file's name.
        tiou: thresholds of the table of mAP.
        embedding: `embed_limit_bytes` and `embed_total_bytes` of `report.write_page`.

    Returns:
        What the page shows.

    Raises:
        AttentadError: a file is missing or malformed, the folder holds none of the videos, or
            the page cannot be written.
    """
    known = read_annotations(annotations) if annotations is not None else None
    found = read_detections(detections, known.classes if known is not None else None)
    files = match_videos(videos, found, str(detections)) if videos is not None else {}
    truths = known.videos if known is not None else {}
    pages = [
        VideoPage(
            video=video,
            duration_sec=_duration_sec(files.get(video), truths.get(video)),
            source=files.get(video),
            detections=items,
            ground_truth=truths.get(video),
        )
        for video, items in found.videos.items()
    ]
    evaluation = _evaluation(known, found, tiou) if known is not None else None
    report = Report(
        title=title or f"Detections in {Path(detections).name}",
        classes=found.classes,
        videos=pages,
        evaluation=evaluation,
        losses=loss_curves(log) if log is not None else {},
        facts=_facts(Path(detections), annotations, log, found.meta, evaluation),
    )
    write_page(out, report, **embedding)
    return report


def match_videos(folder: str | Path, detections: Detections, source: str) -> dict[str, Path]:
    """Video id → file: by name with or without suffix, or by path below the folder.

    ActivityNet's habit of naming the file of video `id` `v_id.mp4` is known.

    Args:
        folder: where the files are, at any depth.
        detections: whose videos are wanted.
        source: name of the detection file, for the error.

    Raises:
        AttentadError: there is no such folder, or no file in it belongs to any of the videos.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AttentadError(f"{folder} is not a folder; give the one that holds the video files.")
    index: dict[str, Path] = {}
    # Of two files with one name the nearer to the folder wins, then the better suffix.
    files = sorted(
        (p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file()),
        key=lambda p: (len(p.parts), VIDEO_SUFFIXES.index(p.suffix.lower()), str(p)),
    )
    for path in files:
        inside = path.relative_to(folder)
        for name in (inside.as_posix(), inside.with_suffix("").as_posix(), path.name, path.stem):
            index.setdefault(name, path)
    matched = {}
    for video in detections.videos:
        file = next((index[name] for name in (video, f"v_{video}") if name in index), None)
        if file is not None:
            matched[video] = file
    if detections.videos and not matched:
        first = next(iter(detections.videos))
        raise AttentadError(
            f"{folder} holds no file of the videos in {source}; the one of {first} must be named "
            f"{first}.mp4 or the like."
        )
    return matched


def loss_curves(log: str | Path) -> dict[str, list[float]]:
    """Loss terms and validation values of a training log, by epoch."""
    return {name: values for name, values in read_log(log).items() if name not in NO_LOSS}


def _duration_sec(file: Path | None, truth: VideoAnnotation | None) -> float:
    """Length of the video as its file or else its annotation has it; 0 where nobody knows."""
    if file is not None:
        try:
            return probe(file).duration_sec
        except AttentadError:  # the page says that the file is broken
            pass
    return truth.duration_sec or 0.0 if truth is not None else 0.0


def _evaluation(
    known: Annotations, found: Detections, tiou: Sequence[float]
) -> dict[str, Any] | None:
    """mAP over the videos that both files hold; None where no action is annotated in them."""
    both = {video: item for video, item in known.videos.items() if video in found.videos}
    if not any(item.labels for item in both.values()):
        return None
    shared = Detections({video: found.videos[video] for video in both}, found.classes, found.meta)
    return detection_map(Annotations(both, known.classes), shared, tiou=tiou).to_dict()


def _facts(
    detections: Path,
    annotations: str | Path | None,
    log: str | Path | None,
    meta: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None,
) -> dict[str, str]:
    facts = {"detections": detections.name}
    if annotations is not None:
        facts["annotations"] = Path(annotations).name
    if log is not None:
        facts["training log"] = str(log)
    if evaluation is not None:
        videos = evaluation["ground_truth"]["videos"]
        facts["evaluated on"] = f"the {videos} annotated videos among them"
    for name, value in meta.items():
        if name != "classes" and value not in (None, "", [], {}):
            facts[name.replace("_", " ")] = _fact(value)
    return facts


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_fact(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_fact(item) for item in value)
    return str(value)
