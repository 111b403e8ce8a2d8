"""`attentad check`: look a data set over before training, and say in a line each what to do."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from attentad.app.check.annotations import (
    check_classes,
    check_instances,
    check_labels,
    check_reach,
    check_subsets,
    check_training,
)
from attentad.app.check.features import (
    Measured,
    check_arrays,
    check_durations,
    check_presence,
    check_transposed,
    measure,
    timelines,
)
from attentad.app.check.findings import Finding, attempt, errors, worst_first
from attentad.app.check.label_lists import (
    check_list,
    labelled,
    learns_from_labels,
    listed_videos,
    read_list,
)
from attentad.core import Annotations, AttentadError, Timeline, read_annotations
from attentad.core.formats.video_labels import VideoLabels
from attentad.core.names import told_matches
from attentad.core.progress import Progress
from attentad.core.wording import and_more, first_few
from attentad.data.clocks import Clock, FrameClock, RescaledClock
from attentad.data.features import FeatureStore, Sidecar, open_features
from attentad.models.sets import (
    make_clock,
    match_features,
    read_sets,
    training_subsets,
    with_listed,
)
from attentad.models.video_scores import video_scores
from attentad.recipes.load import DetectionRecipe, load_recipe


def check(
    recipe: str | Path | DetectionRecipe,
    overrides: Sequence[str] = (),
    *,
    progress: Progress | None = None,
) -> list[Finding]:
    """Look over the data of a recipe, with its clock, view, subsets and labels; errors first.

    Raises:
        AttentadError: the recipe itself is wrong or trains no detector.
    """
    loaded = recipe if isinstance(recipe, DetectionRecipe) else load_recipe(recipe, overrides)
    if not isinstance(loaded, DetectionRecipe):
        raise AttentadError(f"recipe {recipe} trains on clips; only detection data can be checked.")
    data, view = loaded.data, loaded.view
    if data.annotations is None:
        annotations, unread = listed_videos(loaded)
    else:
        annotations, unread = _read(data.root / data.annotations)
    if annotations is None:
        return unread
    labels, unlisted = read_list(loaded, annotations)
    streams, unopened = _open(data.streams, data.every, data.name_pattern)
    of_data, measured = check_data(
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
    findings = [*unlisted, *unopened, *of_data, *_check_view(loaded, measured)]
    if not learns_from_labels(loaded):
        of_scores = list(_check_scores(loaded, annotations, measured))
        if of_scores and not _names_classes(loaded):
            findings += of_scores
    if not errors(findings):
        do = "Correct data.duration_ref, data.frame_counts or the file."
        findings += attempt("frame_counts", do, lambda: read_sets(data))[1]
    return worst_first(findings)


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
    """Look over features, of one stream or several, and annotations without a recipe.

    Of features without sidecars, `rescaled` and the others say when they were taken; without `fps`
    frames are counted at each video's annotated rate.
    """
    clock: Clock | None = RescaledClock() if rescaled else None
    if stride_frames is not None:
        clock = FrameClock(stride_frames, stride_frames)
        clock = clock if fps is None else Sidecar(fps, stride_frames, stride_frames)
    read, unread = _read(annotations)
    if read is None:
        return unread
    streams, unopened = _open(features)
    of_data, _ = check_data(streams, read, clock=clock, test=test, progress=progress)
    return worst_first(unopened + of_data)


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
        clock: when features without a sidecar were taken.
        train: subsets to train on; None for all that do not test.
        named: subsets that are named elsewhere, such as folds.
        view_length: T, where videos are rescaled to T steps.
        max_duration: the detector's longest proposal in steps of its view.
        labels: the list of whole videos' labels, where these train.
    """
    findings = [*check_labels(annotations, classes)]
    told = annotations.videos  # what is not among them has neither times nor a duration
    if labels is not None:
        annotations = with_listed(annotations, labels)
    findings += check_subsets(annotations, train, test, named)
    sides = tuple(train or training_subsets(annotations, tuple(test)))
    videos = {
        video: item for video, item in annotations.videos.items() if item.subset in (*sides, *test)
    }
    used = replace(annotations, videos=videos)
    counted = annotations
    if labels is None:
        findings += check_training(annotations, sides)
    else:
        findings += check_list(annotations, labels, sides)
        counted = labelled(annotations, labels, sides)
    findings += check_classes(counted, sides, test, classes)
    of_features, measured, lines = _check_features(
        streams, annotations, used, told, clock=clock, progress=progress
    )
    findings += of_features
    # A training video needs no times where its labels are listed.
    timed = {
        video: item
        for video, item in videos.items()
        if labels is None or item.labels or item.subset in test
    }
    findings += check_instances(replace(used, videos=timed), lines, view_length)
    if max_duration is not None:
        findings += check_reach(used, lines, max_duration, view_length)
    return findings, measured


def _check_features(
    streams: Sequence[FeatureStore],
    annotations: Annotations,
    used: Annotations,
    told: Container[str],
    *,
    clock: Clock | None,
    progress: Progress | None,
) -> tuple[list[Finding], dict[str, Measured], dict[str, Timeline]]:
    """What is wrong with the features, how large they are, and where they lie in time.

    Args:
        annotations: of all videos.
        used: of those that train or test.
        told: the videos that have times or a duration.
    """
    if not streams:
        return [], {}, {}
    streams, findings = _match(streams, annotations)
    if not streams:
        return findings, {}, {}
    findings += check_presence(streams, list(used.videos), annotations.videos)
    measured, broken = measure(streams, list(used.videos), progress)
    timed = {video: item for video, item in measured.items() if video in told}
    lines, without = timelines(timed, used, clock)
    if swapped := list(check_transposed(measured, lines, used)):
        return [*findings, *broken, *swapped], {}, {}  # what else could be said would mislead
    findings += [*broken, *check_arrays(measured), *without]
    return [*findings, *check_durations(lines, measured, used, clock)], measured, lines


def _check_view(recipe: DetectionRecipe, measured: dict[str, Measured]) -> Iterator[Finding]:
    """Features that must have T rows and do not."""
    length = recipe.view.length
    other = {video: item.length for video, item in measured.items() if item.length != length}
    if other and recipe.view.name == "rescaled" and recipe.view.mode == "as_is":
        video, rows = next(iter(other.items()))
        what = (
            f"{len(other)} of {len(measured)} videos do not have {length} rows: {video} has {rows}."
        )
        do = "Take another view.mode to rescale them here, or correct view.length."
        yield Finding("error", "rows", what, do)


def _names_classes(recipe: DetectionRecipe) -> bool:
    """Whether the detector names the classes itself, so that it needs no scores of them."""
    # Torch takes seconds to load, and most recipes never ask.
    from attentad.models.build import check_detector

    return check_detector(recipe).names_classes


def _check_scores(
    recipe: DetectionRecipe, annotations: Annotations, measured: dict[str, Measured]
) -> Iterator[Finding]:
    """Class scores that labels will need, in R or in a file."""
    classes = recipe.data.classes or annotations.classes
    if not recipe.labels.by_snippets:
        yield from _check_score_file(recipe, classes, annotations)
    elif recipe.labels.source == "snippets" and measured:
        item = next(iter(measured.values()))
        columns = recipe.data.scores
        if columns is not None:
            last = max(columns.first + len(classes) - 1, columns.background or 0)
            if last >= item.width:
                what = f"data.scores needs {last + 1} columns, but the features have {item.width}."
                do = "Correct data.scores, or label by a file."
                yield Finding("error", "scores", what, do)
        elif item.sidecar is None or item.sidecar.score_columns is None:
            what = "nothing says which columns of the features are class scores."
            do = "Set data.scores.first, or labels.source to classifier or file."
            yield Finding("error", "scores", what, do)
        elif missing := [name for name in classes if name not in item.sidecar.score_classes]:
            what = f"the features' class scores lack {first_few(missing)}."
            yield Finding("error", "scores", what, "Take a recogniser that knows all classes.")


def _check_score_file(
    recipe: DetectionRecipe, classes: tuple[str, ...], annotations: Annotations
) -> Iterator[Finding]:
    do = "Correct labels.file and labels.source, or add the videos to the file."
    scores, unread = attempt("score_file", do, lambda: video_scores(recipe, classes))
    yield from unread
    if scores is None:
        return
    without = [
        video
        for video, item in annotations.videos.items()
        if item.subset in recipe.data.test
        and attempt("score_file", do, partial(scores, video))[0] is None
    ]
    if without:
        what = f"the file of class scores has none for {first_few(without)}."
        yield Finding("error", "score_file", what, do)


def _match(
    streams: Sequence[FeatureStore], annotations: Annotations
) -> tuple[list[FeatureStore], list[Finding]]:
    """The streams under annotated ids, as training matches them; none where two names collide."""
    matched, collided = attempt(
        "matched_ids",
        "Remove one of the two, or rename it.",
        lambda: [match_features(store, annotations.videos) for store in streams],
    )
    renamed = {old: new for _, names in matched or () for old, new in names.items()}
    if not renamed:
        return [store for store, _ in matched or ()], collided
    name, video = next(iter(renamed.items()))
    what = f"{told_matches(len(renamed))}: {name} is {video}{and_more(renamed)}."
    info = Finding("info", "matched_ids", what, "Nothing, if these are the same videos.")
    return [store for store, _ in matched or ()], [info]


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
