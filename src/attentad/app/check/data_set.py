"""`attentad check`: look a data set over before training, and say in a line each what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from attentad.app.check.annotations import (
    check_classes,
    check_instances,
    check_labels,
    check_reach,
    check_subsets,
)
from attentad.app.check.features import (
    Measured,
    check_arrays,
    check_durations,
    check_presence,
    measure,
    timelines,
)
from attentad.app.check.findings import Finding, Severity, attempt
from attentad.app.check.label_lists import (
    check_list,
    labelled,
    learns_from_labels,
    listed_videos,
    read_list,
)
from attentad.core import Annotations, AttentadError, read_annotations
from attentad.core.formats.video_labels import VideoLabels
from attentad.core.wording import first_few, number_of
from attentad.data.clocks import Clock, FrameClock, RescaledClock
from attentad.data.features import FeatureStore, Sidecar, open_features
from attentad.models.sets import make_clock, read_sets, training_subsets, with_listed
from attentad.models.video_scores import video_scores
from attentad.recipes.load import DetectionRecipe, load_recipe

SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "info")
_COLOURS: Final = {"error": "red", "warning": "yellow", "info": "cyan"}

Progress = Callable[[int, int], None]


def check(
    recipe: str | Path | DetectionRecipe,
    overrides: Sequence[str] = (),
    *,
    progress: Progress | None = None,
) -> list[Finding]:
    """Look over the data of a recipe, with the recipe's clock, view, subsets and labels.

    Args:
        recipe: name, file, or a loaded one.
        overrides: key=value changes to a named one.
        progress: called with (done, total) videos.

    Returns:
        The findings, errors first.

    Raises:
        AttentadError: the recipe itself is wrong or trains no detector.
    """
    loaded = recipe if isinstance(recipe, DetectionRecipe) else load_recipe(recipe, overrides)
    if not isinstance(loaded, DetectionRecipe):
        raise AttentadError(f"recipe {recipe} trains on clips; only detection data can be checked.")
    data, view = loaded.data, loaded.view
    if data.annotations is None:
        annotations, found = listed_videos(loaded)
    else:
        annotations, found = _read(data.root / data.annotations)
    if annotations is None:
        return found
    labels, unread = read_list(loaded, annotations)
    streams, unopened = _open(data.streams, data.every, data.name_pattern)
    data_findings, measured = check_data(
        streams,
        annotations,
        clock=make_clock(data),
        train=data.train,
        test=data.test,
        classes=data.classes,
        named=(*data.folds, *(data.validate_on or ())),
        view_length=view.length if view.name == "rescaled" else None,
        max_duration=loaded.detector.network.get("max_duration"),
        labels=labels,
        progress=progress,
    )
    found = unread + unopened + data_findings + _check_view(loaded, measured)
    if not learns_from_labels(loaded):
        found += _check_scores(loaded, annotations, measured)
    if not any(item.severity == "error" for item in found):
        do = "Correct data.duration_ref, data.frame_counts or the file."
        found += attempt("frame_counts", do, lambda: read_sets(data))[1]
    return _sorted(found)


def check_files(
    features: Sequence[Path],
    annotations: Path,
    *,
    test: Sequence[str] = (),
    fps: float | None = None,
    stride_frames: float | None = None,
    rescaled: bool = False,
    progress: Progress | None = None,
) -> list[Finding]:
    """Look over features and annotations without a recipe.

    Args:
        features: a folder or archive, or several streams of the same videos.
        annotations: ActivityNet JSON, THUMOS14 text folder or CSV.
        test: subsets to test on.
        fps: frames per second; None = each video's, as annotated. Only with `stride_frames`.
        stride_frames: from one row to the next, for features without sidecars.
        rescaled: features without sidecars span their video's duration.
        progress: called with (done, total) videos.

    Returns:
        The findings, errors first.
    """
    clock: Clock | None = RescaledClock() if rescaled else None
    if stride_frames is not None:
        clock = FrameClock(stride_frames, stride_frames)
        clock = clock if fps is None else Sidecar(fps, stride_frames, stride_frames)
    read, found = _read(annotations)
    if read is None:
        return found
    streams, unopened = _open(features)
    data_findings, _ = check_data(streams, read, clock=clock, test=test, progress=progress)
    return _sorted(unopened + data_findings)


def run_check(
    recipe: str | Path | None = None,
    overrides: Sequence[str] = (),
    *,
    features: Sequence[Path] = (),
    annotations: Path | None = None,
    test: Sequence[str] = (),
    fps: float | None = None,
    stride_frames: float | None = None,
    rescaled: bool = False,
) -> int:
    """What the command does: check a recipe, or features and annotations; print the findings.

    Returns:
        The number of errors.

    Raises:
        AttentadError: neither or both are given, or as `check`.
    """
    from attentad.core.progress import progress_bar

    if (recipe is None) == (annotations is None or not features):
        raise AttentadError(
            "check needs a recipe, or both --features and --annotations; give one of the two."
        )
    with progress_bar("checking") as progress:
        if recipe is not None:
            found = check(recipe, overrides, progress=progress)
        else:
            assert annotations is not None
            found = check_files(
                features,
                annotations,
                test=test,
                fps=fps,
                stride_frames=stride_frames,
                rescaled=rescaled,
                progress=progress,
            )
    print_findings(found)
    return sum(item.severity == "error" for item in found)


def print_findings(findings: Sequence[Finding]) -> None:
    """Print each finding in two lines, what and what to do, and how many there are of each kind."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for item in findings:
        console.print(f"{item.severity:8}", style=_COLOURS[item.severity], end="")
        console.print(item.what, markup=False)
        console.print(f"{'':8}{item.do}", markup=False, style="dim")
    told = []
    for name in ("error", "warning"):
        items = [item for item in findings if item.severity == name]
        told += [number_of(items, name)] if items else []
    console.print(", ".join(told) or "nothing wrong was found", markup=False)


def check_data(
    streams: Sequence[FeatureStore],
    annotations: Annotations,
    *,
    clock: Clock | None = None,
    train: Sequence[str] | None = None,
    test: Sequence[str] = (),
    classes: Sequence[str] | None = None,
    named: Sequence[str] = (),
    view_length: int | None = None,
    max_duration: int | None = None,
    labels: VideoLabels | None = None,
    progress: Progress | None = None,
) -> tuple[list[Finding], dict[str, Measured]]:
    """All checks that need no recipe, and the features as measured.

    Args:
        streams: features of the same videos, in the order in which they will be joined.
        annotations: all of them.
        clock: when features without a sidecar were taken.
        train: subsets to train on; None for all that do not test.
        test: subsets to test on; without any, classes are not compared between the sides.
        classes: class names, if they are known.
        named: subsets that are named elsewhere, such as folds.
        view_length: T, where videos are rescaled to T steps.
        max_duration: the detector's longest proposal in steps of its view.
        labels: the list of whole videos' labels, where these train.
        progress: called with (done, total) videos.
    """
    found = check_labels(annotations, classes)
    told = annotations.videos  # what is not among them has neither times nor a duration
    if labels is not None:
        annotations = with_listed(annotations, labels)
    found += check_subsets(annotations, train, test, named)
    sides = tuple(train or training_subsets(annotations, tuple(test)))
    videos = {
        video: item for video, item in annotations.videos.items() if item.subset in (*sides, *test)
    }
    used = replace(annotations, videos=videos)
    counted = annotations
    if labels is not None:
        found += check_list(annotations, labels, sides)
        counted = labelled(annotations, labels, sides)
    found += check_classes(counted, sides, test, classes)
    measured: dict[str, Measured] = {}
    if streams:
        found += check_presence(streams, list(videos), list(annotations.videos))
        measured, broken = measure(streams, list(videos), progress)
        found += broken + check_arrays(measured)
    known = {video: item for video, item in measured.items() if video in told}
    lines, without = timelines(known, used, clock)
    found += without + check_durations(lines, measured, used, clock)
    # A training video needs no times where its labels are listed.
    timed = {
        video: item
        for video, item in videos.items()
        if labels is None or item.labels or item.subset in test
    }
    found += check_instances(replace(used, videos=timed), lines, view_length)
    if max_duration is not None:
        found += check_reach(used, lines, max_duration, view_length)
    return found, measured


def _check_view(recipe: DetectionRecipe, measured: dict[str, Measured]) -> list[Finding]:
    """Features that must have T rows and do not."""
    length = recipe.view.length
    if recipe.view.name != "rescaled" or recipe.view.mode != "as_is":
        return []
    other = {video: item.length for video, item in measured.items() if item.length != length}
    if not other:
        return []
    video, rows = next(iter(other.items()))
    what = f"{len(other)} of {len(measured)} videos do not have {length} rows: {video} has {rows}."
    do = "Take another view.mode to rescale them here, or correct view.length."
    return [Finding("error", "rows", what, do)]


def _check_scores(
    recipe: DetectionRecipe, annotations: Annotations, measured: dict[str, Measured]
) -> list[Finding]:
    """Class scores that labels will need, in R or in a file."""
    classes = recipe.data.classes or annotations.classes
    if recipe.labels.source == "classifier":
        return []
    if recipe.labels.source != "snippets":
        return _check_score_file(recipe, classes, annotations)
    told = recipe.data.scores
    if not measured:
        return []
    item = next(iter(measured.values()))
    if told is not None:
        last = max(told.first + len(classes) - 1, told.background or 0)
        if last < item.width:
            return []
        what = f"data.scores needs {last + 1} columns, but the features have {item.width}."
        return [Finding("error", "scores", what, "Correct data.scores, or label by a file.")]
    if item.sidecar is None or item.sidecar.score_columns is None:
        what = "nothing says which columns of the features are class scores."
        do = "Set data.scores.first, or labels.source to classifier or file."
        return [Finding("error", "scores", what, do)]
    missing = [name for name in classes if name not in item.sidecar.score_classes]
    if not missing:
        return []
    what = f"the features' class scores lack {first_few(missing)}."
    return [Finding("error", "scores", what, "Take a recogniser that knows all classes.")]


def _check_score_file(
    recipe: DetectionRecipe, classes: tuple[str, ...], annotations: Annotations
) -> list[Finding]:
    do = "Correct labels.file and labels.source, or add the videos to the file."
    scores, broken = attempt("score_file", do, lambda: video_scores(recipe, classes))
    if scores is None:
        return broken
    without = [
        video
        for video, item in annotations.videos.items()
        if item.subset in recipe.data.test
        and attempt("score_file", do, partial(scores, video))[0] is None
    ]
    if not without:
        return []
    what = f"the file of class scores has none for {first_few(without)}."
    return [Finding("error", "score_file", what, do)]


def _read(path: Path) -> tuple[Annotations | None, list[Finding]]:
    do = "Correct the file; nothing else can be looked at before."
    return attempt("annotations", do, lambda: read_annotations(path))


def _open(
    paths: Sequence[Path], every: int = 1, name_pattern: str = "{video}"
) -> tuple[list[FeatureStore], list[Finding]]:
    """The streams that can be opened; none if one cannot."""
    stores, unopened = attempt(
        "features",
        "Correct the path or the file; only the annotations were looked at.",
        lambda: [open_features(path, every=every, name_pattern=name_pattern) for path in paths],
    )
    return stores or [], unopened


def _sorted(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda item: SEVERITIES.index(item.severity))
