"""`attentad report`: detection files → an HTML page. Never loads torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from attentad.app.comparison import align_classes, detector_names
from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    VideoAnnotation,
    no_detections,
    read_annotations,
    read_detections,
)
from attentad.core.wording import number_of
from attentad.metrics import detection_map
from attentad.report import Report, VideoPage, write_page
from attentad.training.logs import read_log
from attentad.video import VIDEO_SUFFIXES, probe

TIOU = (0.3, 0.4, 0.5, 0.6, 0.7)
NO_LOSS = frozenset({"epoch", "lr", "seconds"})


def report_files(
    detections: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    names: Sequence[str] = (),
    annotations: str | Path | None = None,
    videos: str | Path | None = None,
    log: str | Path | Sequence[str | Path] | None = None,
    title: str | None = None,
    tiou: Sequence[float] = TIOU,
    **embedding: int,
) -> Report:
    """Write a page that shows the detections of a file, or compares those of several files.

    Args:
        detections: one file or several, each of another detector: ActivityNet submission JSON
            or CSV. Their classes may differ or be in different orders.
        out: the page to write.
        names: of the detectors, one for each file; by default the files' own.
        annotations: ground truth for its timelines and, where it covers videos of the
            detections, for a table of mAP over those videos.
        videos: folder whose video files are named as the videos (see `match_videos`).
        log: log of the training run, for its loss curves; of several, one for each file.
        title: heading; by default it names the detection files or the detectors.
        tiou: thresholds of the table of mAP.
        embedding: `embed_limit_bytes` and `embed_total_bytes` of `report.write_page`.

    Returns:
        What the page shows.

    Raises:
        AttentadError: a file is missing or malformed, names or logs are not as many as files,
            the folder holds none of the videos, or the page cannot be written.
    """
    paths = _paths(detections)
    if not paths:
        raise AttentadError("a report needs a detection file; give one or more.")
    logs = [] if log is None else _paths(log)
    if logs and len(logs) != len(paths):
        raise AttentadError(
            f"{number_of(logs, 'training log')} for {number_of(paths, 'detection file')}; give "
            "--log once for each file, in their order, or never."
        )
    chosen = detector_names(paths, names)
    known = read_annotations(annotations) if annotations is not None else None
    first = known.classes if known is not None else None
    read = {name: read_detections(path, first) for name, path in zip(chosen, paths, strict=True)}
    classes, found = align_classes(read)
    source = " and ".join(map(str, paths))
    seen = {video: no_detections() for item in found.values() for video in item.videos}
    files = match_videos(videos, Detections(seen, ()), source) if videos is not None else {}
    truths = known.videos if known is not None else {}
    pages = [_video_page(video, files.get(video), truths.get(video), found) for video in seen]
    evaluations = {name: _evaluation(known, item, seen, tiou) for name, item in found.items()}
    losses = {name: loss_curves(path) for name, path in zip(chosen, logs, strict=False)}
    several = len(paths) > 1
    usual = f"of {' and '.join(chosen)}" if several or names else f"in {paths[0].name}"
    report = Report(
        title=title or f"Detections {usual}",
        classes=classes,
        videos=pages,
        evaluation=None if several else evaluations[chosen[0]],
        losses={} if several else losses.get(chosen[0], {}),
        facts=_facts(dict(zip(chosen, paths, strict=True)), annotations, logs, found, evaluations),
        evaluations={k: v for k, v in evaluations.items() if v is not None} if several else {},
        detector_losses=losses if several else {},
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


def _video_page(
    video: str, file: Path | None, truth: VideoAnnotation | None, found: Mapping[str, Detections]
) -> VideoPage:
    """A video with what each detector found in it."""
    items = {name: item.videos.get(video, no_detections()) for name, item in found.items()}
    (detector, own), *others = items.items()
    return VideoPage(
        video=video,
        duration_sec=_duration_sec(file, truth),
        source=file,
        detections=own,
        ground_truth=truth,
        detector=detector,
        compared=dict(others),
    )


def _evaluation(
    known: Annotations | None, found: Detections, seen: Collection[str], tiou: Sequence[float]
) -> dict[str, Any] | None:
    """mAP over the annotated videos in `seen`; None where no action is annotated in them.

    A video that another detector's file holds counts, so that all are scored on the same ones.
    """
    both = {v: item for v, item in known.videos.items() if v in seen} if known is not None else {}
    if known is None or not any(item.labels for item in both.values()):
        return None
    shared = {video: found.videos.get(video, no_detections()) for video in both}
    detections = Detections(shared, found.classes, found.meta)
    return detection_map(Annotations(both, known.classes), detections, tiou=tiou).to_dict()


def _facts(
    paths: Mapping[str, Path],
    annotations: str | Path | None,
    logs: Sequence[Path],
    found: Mapping[str, Detections],
    evaluations: Mapping[str, Mapping[str, Any] | None],
) -> dict[str, str]:
    """Where everything is from; what is of one of several detectors bears its name."""
    before = {name: f"{name}: " if len(paths) > 1 else "" for name in paths}
    facts = {f"{before[name]}detections": path.name for name, path in paths.items()}
    if annotations is not None:
        facts["annotations"] = Path(annotations).name
    for name, log in zip(paths, logs, strict=False):
        facts[f"{before[name]}training log"] = str(log)
    evaluation = next((item for item in evaluations.values() if item is not None), None)
    if evaluation is not None:
        videos = evaluation["ground_truth"]["videos"]
        facts["evaluated on"] = f"the {videos} annotated videos among them"
    for name, item in found.items():
        for key, value in item.meta.items():
            if key != "classes" and value not in (None, "", [], {}):
                facts[before[name] + key.replace("_", " ")] = _fact(value)
    return facts


def _paths(given: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(given)] if isinstance(given, str | Path) else [Path(path) for path in given]


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_fact(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_fact(item) for item in value)
    return str(value)
