"""What may be wrong with annotations: times, labels, subsets. numpy only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from attentad.app.check.findings import Finding, Severity
from attentad.core import Annotations, Segments, Timeline, VideoAnnotation, suggest
from attentad.core.names import squashed
from attentad.core.wording import and_more, first_few, number_of
from attentad.models.sets import OTHER_SUBSETS, nothing_to_train_on, training_subsets

TYPO_RATIO: Final = 10  # a label so many times rarer than one that it resembles may be a slip
SAME_SEC: Final = 1e-3
NO_STEP_SEC: Final = 0.1  # leeway where the length of a step is unknown
FEW_OUTSIDE: Final = 0.01  # a larger share of instances outside of their video is an error
UNREACHABLE: Final = 0.05  # a larger share of instances beyond the longest proposal is a warning


# kind → severity, what is said of the instances ({:.3g}: of the first one's video), what to do
_FAULTS: Final[Mapping[str, tuple[Severity, str, str]]] = {
    "outside": (
        "error",
        "lie wholly outside of their video (the first one's lasts {:.3g} s)",
        "Correct the times (frames taken for seconds?) or remove them.",
    ),
    "beyond_end": (
        "warning",
        "reach beyond their video (the first one's lasts {:.3g} s)",
        "Correct the times or the duration; otherwise they are cut.",
    ),
    "empty_instances": (
        "warning",
        "end where they start",
        "Correct or remove them; nothing can be learnt from them.",
    ),
    "short_instances": (
        "warning",
        "are shorter than a step (the first one's is {:.3g} s)",
        "Extract features at a smaller stride or lengthen the view, or expect to miss them.",
    ),
    "duplicates": ("warning", "are there twice", "Remove one of each two."),
}


def check_instances(
    annotations: Annotations, lines: Mapping[str, Timeline], view_length: int | None = None
) -> Iterator[Finding]:
    """Segments beyond the end, shorter than a step, or annotated twice; videos without any.

    Steps are those of the features, or of the view where videos are rescaled to `view_length`.
    """
    rows: dict[str, list[tuple[str, int, float]]] = {kind: [] for kind in _FAULTS}
    for video, item in annotations.videos.items():
        faults = _faults(item, lines.get(video), view_length)
        for kind, (mask, value) in faults.items():
            rows[kind] += [(video, int(i), value) for i in np.flatnonzero(mask)]
    total = sum(len(item.labels) for item in annotations.videos.values())
    for kind, (severity, told, do) in _FAULTS.items():
        if rows[kind]:
            video, i, value = rows[kind][0]
            item = annotations.videos[video]
            start, end = item.segments[i]
            example = f"{item.labels[i]} {start:g} to {end:g} s in {video}{and_more(rows[kind])}"
            what = f"{len(rows[kind])} of {total} instances {told.format(value)}: {example}."
            if kind == "outside" and len(rows[kind]) <= FEW_OUTSIDE * total:
                severity = "warning"  # public data sets have some, too
            yield Finding(severity, kind, what, do)
    empty = [video for video, item in annotations.videos.items() if not item.labels]
    if empty:
        what = f"{number_of(empty, 'video')} without any instance: {first_few(empty)}."
        do = "Annotate or remove them, unless nothing happens there."
        yield Finding("warning", "empty_videos", what, do)


def _faults(
    item: VideoAnnotation, timeline: Timeline | None, view_length: int | None
) -> dict[str, tuple[NDArray[np.bool_], float]]:
    """kind of `_FAULTS` → which instances of one video have it, and the number to tell."""
    start, end = item.segments.T
    step = NO_STEP_SEC if timeline is None else timeline.step_sec
    covered = None if timeline is None else timeline.end_sec
    last = item.duration_sec or covered or np.inf
    seen = 0.0 if timeline is None else _view_step_sec(timeline, view_length)
    empty = end <= start
    outside = ((start >= last) | (end <= 0)) & ~empty
    return {
        "outside": (outside, last),
        "beyond_end": (((end > last + step) | (start < -step)) & ~outside, last),
        "empty_instances": (empty, 0.0),
        "short_instances": ((end - start < seen) & ~empty, seen),
        "duplicates": (_repeated(item.segments, item.labels), 0.0),
    }


def check_labels(annotations: Annotations, classes: Sequence[str] | None) -> Iterator[Finding]:
    """Labels outside the class list, or without one, labels that look like a slip of another."""
    counts = Counter(label for item in annotations.videos.values() for label in item.labels)
    for label, count in sorted(counts.items()):
        if classes is not None:
            if label not in classes:
                meant = suggest(label, classes)
                hint = f"Write {meant!r}" if meant else "Correct it"
                what = f"the label {label!r} ({count} times) is not in the class list."
                do = f"{hint}, or add it to data.classes."
                yield Finding("error", "unknown_label", what, do)
            continue
        others = [name for name, n in counts.items() if n >= count * TYPO_RATIO]
        alike = [name for name in counts if name != label and squashed(name) == squashed(label)]
        meant = next((n for n in alike if counts[n] >= count), None) or suggest(label, others)
        if meant is not None:
            what = f"the label {label!r} ({count} times) is much like {meant!r} ({counts[meant]})."
            do = f"Write {meant!r} if that is meant; name data.classes to be sure."
            yield Finding("warning", "label_typo", what, do)


def check_subsets(
    annotations: Annotations,
    train: Sequence[str] | None,
    test: Sequence[str],
    others: Sequence[str] = (),
) -> Iterator[Finding]:
    """Subsets that do not exist or overlap, videos in none, and no video that trains.

    `others` are subsets that are named elsewhere.
    """
    sizes = Counter(item.subset for item in annotations.videos.values())
    for name in dict.fromkeys((*(train or ()), *test, *others)):
        if name not in sizes:
            meant = suggest(name, sizes)
            subsets = ", ".join(sorted(sizes)) or "none"
            what = f"no video is in subset {name!r}; there are: {subsets}."
            do = f"Write {meant!r}." if meant else "Name subsets that the annotations have."
            yield Finding("error", "unknown_subset", what, do)
    if train is None and not training_subsets(annotations, test):
        what = nothing_to_train_on(annotations, test)
        yield Finding("error", "no_training", what, OTHER_SUBSETS)
    if both := sorted(set(train or ()) & set(test)):
        what = f"subset {both[0]!r} both trains and tests."
        yield Finding("error", "overlap", what, "Name it on one side only.")
    if sizes[""] and len(sizes) > 1:
        none = [video for video, item in annotations.videos.items() if not item.subset]
        what = f"{number_of(none, 'video')} in no subset: {first_few(none)}."
        yield Finding("warning", "no_subset", what, "Give each video a subset.")
    if train is not None and test:
        idle = [name for name in sizes.elements() if name and name not in (*train, *test)]
        if idle:
            names = ", ".join(sorted(set(idle)))
            what = f"{number_of(idle, 'video')} in subsets not used: {names}."
            do = "Name them in data.train or data.test, if they are meant to take part."
            yield Finding("info", "idle_subsets", what, do)


def check_training(annotations: Annotations, train: Sequence[str]) -> Iterator[Finding]:
    """Training videos in none of which anything happens."""
    videos = [item for item in annotations.videos.values() if item.subset in train]
    if videos and not any(item.labels for item in videos):
        what = f"none of {number_of(videos, 'training video')} has an instance."
        yield Finding("error", "no_training", what, "Annotate some, or train on other subsets.")


def check_classes(
    annotations: Annotations,
    train: Sequence[str],
    test: Sequence[str],
    classes: Sequence[str] | None,
) -> Iterator[Finding]:
    """How often each class occurs, and classes that training or test lacks."""
    counts = {
        side: Counter(
            label
            for item in annotations.videos.values()
            if item.subset in names
            for label in item.labels
        )
        for side, names in (("training", train), ("test", test))
    }
    # A label outside the class list is told by `check_labels`.
    names = sorted(classes or {*counts["training"], *counts["test"]})
    for side, other in (("training", "test"), ("test", "training")):
        absent = [name for name in names if not counts[side][name]]
        if absent and counts[side]:
            what = f"{side} has no instance of {first_few(absent)}."
            do = (
                f"Annotate some in {side}, move videos, or leave the class out."
                if any(counts[other][name] for name in absent)
                else "Remove the class from data.classes or annotate it."
            )
            yield Finding("warning", f"absent_{side}", what, do)
    told = []
    for side, of_side in counts.items():
        if of_side:
            (most, n_most), *_, (least, n_least) = 2 * of_side.most_common()
            told.append(
                f"{of_side.total()} instances in {side}, from {n_least} of {least} to {n_most} of "
                f"{most}"
            )
    if told:
        what = f"{number_of(names, 'class', 'classes')}; {'; '.join(told)}."
        yield Finding("info", "class_counts", what, "Nothing, if that is as expected.")


def check_reach(
    annotations: Annotations,
    lines: Mapping[str, Timeline],
    max_duration: int,
    view_length: int | None,
) -> Iterator[Finding]:
    """Instances longer than the detector's longest proposal of `max_duration` steps of its view."""
    longer, total = [], 0
    for video, timeline in lines.items():
        segments = annotations.videos[video].segments
        reach_sec = max_duration * _view_step_sec(timeline, view_length) * (1 + 1e-6)
        lengths = np.clip(segments, 0, timeline.duration_sec) @ np.array([-1.0, 1.0])
        longer += [video] * int((lengths > reach_sec).sum())
        total += len(segments)
    if longer:
        share = len(longer) / total
        what = (
            f"{len(longer)} of {total} instances ({100 * share:.1f} %) are longer than the longest "
            f"proposal of {max_duration} steps, as in {first_few(dict.fromkeys(longer))}."
        )
        do = "Raise detector.network.max_duration, or take longer steps (data.every, the view)."
        yield Finding("warning" if share > UNREACHABLE else "info", "unreachable", what, do)


def _view_step_sec(timeline: Timeline, view_length: int | None) -> float:
    """From one step to the next of what the detector sees: the features, or T rescaled steps."""
    step_sec = timeline.step_sec
    return step_sec if view_length is None else step_sec * timeline.length / view_length


def _repeated(segments: Segments, labels: Sequence[str]) -> NDArray[np.bool_]:
    """Rows that an earlier one of the same label equals to half of `SAME_SEC`, or nearly to it."""
    _, names = np.unique(np.array(labels, dtype=object), return_inverse=True)
    repeated = np.zeros(len(segments), dtype=bool)
    # Times that are so close lie in one cell of a grid or of the same grid half a cell on.
    for shift in np.ndindex(2, 2):
        cells = np.floor(segments / SAME_SEC + np.array(shift) / 2)
        _, first = np.unique(np.column_stack([cells, names]), axis=0, return_index=True)
        again = np.ones(len(segments), dtype=bool)
        again[first] = False
        repeated |= again
    return repeated
