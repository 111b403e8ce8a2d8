"""What may be wrong with features: presence, shape, and when they were taken. numpy only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from attentad.app.check.findings import Finding, Severity
from attentad.core import Annotations, AttentadError, Timeline, suggest
from attentad.core.progress import Progress
from attentad.core.wording import and_more, first_few, number_of
from attentad.data.clocks import Clock, RescaledClock, frame_rate, video_timeline
from attentad.data.features import FeatureStore, Sidecar

STEPS_OFF: Final = 2.0  # so many steps may be lost at a video's end
RATIO_OFF: Final = 0.05  # a larger share of the duration is an error, a smaller one a warning
SIDECAR_RATIO: Final = 0.01
SWAPPED_WIDTHS: Final = 3  # so many widths are more than features of two encoders have

_TRANSPOSE: Final = (
    "Save each with a row per step and a column per channel: transpose the arrays; if they are "
    "right as they are, extract all videos with one encoder."
)


class Measured(NamedTuple):
    """The features of one video: rows n of each stream, width C of all streams together.

    `zero` tells whether all numbers are 0; the sidecar is that of the first stream.
    """

    rows: tuple[int, ...]
    width: int
    zero: bool
    sidecar: Sidecar | None

    @property
    def length(self) -> int:
        """Rows that all streams have."""
        return min(self.rows)


def measure(
    streams: Sequence[FeatureStore], videos: Sequence[str], progress: Progress | None = None
) -> tuple[dict[str, Measured], list[Finding]]:
    """Read the features of all videos that have any; broken ones are findings."""
    measured, broken = {}, {}
    for done, video in enumerate(videos):
        if progress is not None:
            progress(done, len(videos))
        if all(video in store.readers for store in streams):
            try:
                arrays = [store.load(video) for store in streams]
                measured[video] = Measured(
                    rows=tuple(len(array) for array in arrays),
                    width=sum(array.shape[1] for array in arrays),
                    zero=not any(array.any() for array in arrays),
                    sidecar=streams[0].sidecar(video),
                )
            except AttentadError as error:
                broken[video] = str(error)
    if progress is not None:
        progress(len(videos), len(videos))
    if not broken:
        return measured, []
    first, *others = broken
    what = broken[first] + (f" Others too: {first_few(others)}." if others else "")
    do = "Extract or copy the features of these videos again."
    return measured, [Finding("error", "broken_features", what, do)]


def check_presence(
    streams: Sequence[FeatureStore], used: Sequence[str], annotated: Container[str]
) -> Iterator[Finding]:
    """Videos in use without features, and features without an annotated video."""
    for store in streams:
        missing = [video for video in used if video not in store.readers]
        if missing:
            what = (
                f"{store.source} lacks {len(missing)} of {number_of(used, 'video')}: "
                f"{first_few(missing)}."
            )
            yield Finding("error", "missing_features", what, _name_hint(missing[0], store))
        extra = sorted(video for video in store.readers if video not in annotated)
        if extra:
            what = (
                f"{store.source} has {number_of(extra, 'video')} that no annotation names: "
                f"{first_few(extra)}."
            )
            do = "Annotate them, or let them be: they are not read."
            yield Finding("info", "extra_features", what, do)


def check_transposed(
    measured: Mapping[str, Measured], lines: Mapping[str, Timeline], annotations: Annotations
) -> Iterator[Finding]:
    """Features with a column per step: the columns span the videos, or hardly two are as wide."""
    rows = {item.rows for item in measured.values()}
    widths = {item.width for item in measured.values()}
    if len(rows) == 1 and len(widths) >= SWAPPED_WIDTHS:
        what = (
            f"all {len(measured)} videos have {next(iter(rows))[0]} rows, but between "
            f"{min(widths)} and {max(widths)} columns: rows and columns are probably swapped."
        )
        yield Finding("error", "transposed", what, _TRANSPOSE)
        return
    swapped = [
        video
        for video, timeline in lines.items()
        if (duration := annotations.videos[video].duration_sec) is not None
        and _fits_transposed(measured[video], timeline, duration)
    ]
    if swapped and 2 * len(swapped) > len(lines):
        item = measured[swapped[0]]
        what = (
            f"{number_of(swapped, 'video')} would fit if rows and columns were swapped: "
            f"{swapped[0]} has {item.length} rows and {item.width} columns."
        )
        yield Finding("error", "transposed", what, _TRANSPOSE)


def _fits_transposed(measured: Measured, timeline: Timeline, duration_sec: float) -> bool:
    """Whether the columns, taken for rows, would span the video, and the rows are far from it."""
    swapped = replace(timeline, length=measured.width)
    away, if_swapped = (_uncovered_sec(line, duration_sec) for line in (timeline, swapped))
    leeway_sec = max(STEPS_OFF * timeline.step_sec, RATIO_OFF * duration_sec)
    return len(measured.rows) == 1 and if_swapped <= leeway_sec < away / 2


def check_arrays(measured: Mapping[str, Measured]) -> Iterator[Finding]:
    """Widths that differ, streams of different lengths, features that say nothing."""
    widths = {video: item.width for video, item in measured.items()}
    if others := _unusual(widths):
        strange = sorted({widths[video] for video in others})
        usual = next(width for width in widths.values() if width not in strange)
        what = (
            f"features are {usual} wide, but not those of {first_few(others)} "
            f"({', '.join(map(str, strange[:5]))})."
        )
        yield Finding("error", "widths", what, "Extract all videos with one encoder.")
    uneven = [
        video
        for video, item in measured.items()
        if max(item.rows) - min(item.rows) > max(STEPS_OFF, 0.01 * max(item.rows))
    ]
    if uneven:
        rows = " and ".join(map(str, measured[uneven[0]].rows))
        what = f"streams differ in length in {first_few(uneven)} ({rows} rows in the first)."
        do = "Extract the shorter stream again; rows beyond it are not used."
        yield Finding("warning", "stream_lengths", what, do)
    sidecars = {video: item.sidecar for video, item in measured.items() if item.sidecar}
    noted = [(video, note) for video, sidecar in sidecars.items() for note in sidecar.notes]
    if noted:
        what = f"sidecars note: {noted[0][1]}{and_more(noted)}"
        named = first_few(dict.fromkeys(video for video, _ in noted))
        do = f"Mend or leave out {named}, and extract what is mended again."
        yield Finding("warning", "noted_videos", what, do)
    for kind, told, names in (
        ("zero_features", "are all 0", [v for v, item in measured.items() if item.zero]),
        ("single_row", "have one row", [v for v, item in measured.items() if item.length == 1]),
    ):
        if names:
            what = f"the features of {first_few(names)} {told}."
            do = "Look at these videos and extract them again."
            yield Finding("warning", kind, what, do)


def timelines(
    measured: Mapping[str, Measured], annotations: Annotations, clock: Clock | None
) -> tuple[dict[str, Timeline], list[Finding]]:
    """Where each video's features lie; those of which nothing says it are a finding."""
    lines, without = {}, {}
    for video, item in measured.items():
        told = annotations.videos[video]
        try:
            lines[video] = video_timeline(
                video, item.length, item.sidecar, clock, told.duration_sec, frame_rate(told)
            )
        except AttentadError as error:
            without[video] = str(error)
    if not without:
        return lines, []
    what = f"{number_of(without, 'video')} without a clock: {next(iter(without.values()))}"
    do = "Set data.clock, or put sidecars beside the features."
    steps = [
        duration / measured[video].length
        for video in without
        if (duration := annotations.videos[video].duration_sec) is not None
    ]
    if steps:
        do += f" Rows are {float(np.median(steps)):.4g} s apart if they span the durations."
    return lines, [Finding("error", "no_clock", what, do)]


def check_durations(
    lines: Mapping[str, Timeline],
    measured: Mapping[str, Measured],
    annotations: Annotations,
    clock: Clock | None,
) -> Iterator[Finding]:
    """Lengths of features × step against durations; sidecars against annotations and each other."""
    off, compared, unknown, disagree = {}, 0, [], []
    for video, timeline in lines.items():
        duration = annotations.videos[video].duration_sec
        sidecar = measured[video].sidecar
        if duration is None:
            unknown.append(video)
            continue
        if sidecar is not None and sidecar.duration_sec is not None:
            away = abs(sidecar.duration_sec - duration)
            if away > max(STEPS_OFF * timeline.step_sec, SIDECAR_RATIO * duration):
                disagree.append((video, sidecar.duration_sec, duration))
                continue
        if sidecar is not None or not isinstance(clock, RescaledClock):
            compared += 1
            away = _uncovered_sec(timeline, duration)
            if away > STEPS_OFF * timeline.step_sec:
                off[video] = (duration, away)
    if disagree:
        video, said, duration = disagree[0]
        what = (
            f"the sidecar of {video} says {said:g} s, its annotation {duration:g} s"
            f"{and_more(disagree)}."
        )
        do = "Find out which is the video's; extract it again or correct the annotation."
        yield Finding("error", "sidecar_duration", what, do)
    if off:
        yield _off_clock(off, lines, compared)
    if unknown:
        what = f"{number_of(unknown, 'video')} without duration: {first_few(unknown)}."
        do = "Add durations, so that a wrong clock would be seen."
        yield Finding("info", "no_duration", what, do)
    yield from _sidecars_among_each_other(measured, clock)


def _uncovered_sec(timeline: Timeline, duration_sec: float) -> float:
    """How far the duration is from where the features end.

    Whole windows from frame 0 on may end with the video while their cells, narrower, do not; of
    windows that begin before frame 0 it is the cells that cover the video.
    """
    low = high = timeline.end_sec
    if timeline.offset_frames >= 0:
        last_frame = (timeline.length - 1) * timeline.stride_frames + timeline.window_frames
        window_end = (timeline.offset_frames + last_frame) / timeline.fps
        low, high = min(low, window_end), max(high, window_end)
    return max(low - duration_sec, duration_sec - high, 0.0)


def _off_clock(
    off: Mapping[str, tuple[float, float]], lines: Mapping[str, Timeline], compared: int
) -> Finding:
    """One finding on all videos whose features do not fit their duration."""
    features_sec = [lines[video].length * lines[video].step_sec for video in off]
    ratios = np.array([duration for duration, _ in off.values()]) / features_sec
    middle = float(np.median(ratios))
    video, (duration, _) = next(iter(off.items()))
    timeline = lines[video]
    example = (
        f"{video} has {timeline.length} rows of {timeline.step_sec:.4g} s and lasts {duration:g} s"
    )
    worst = max(away / duration for duration, away in off.values())
    severity: Severity = "error" if worst > RATIO_OFF else "warning"
    if 2 * len(off) > compared and np.abs(ratios / middle - 1).max() < RATIO_OFF:
        what = (
            f"the clock does not fit {len(off)} of {compared} videos, which are {middle:.3g} times "
            f"as long as their features: {example}."
        )
        do = (
            f"Correct fps or stride of the clock: {middle * timeline.step_sec:.4g} s from one row "
            "to the next would fit."
        )
        return Finding(severity, "clock", what, do)
    what = f"the features of {first_few(off)} do not fit their durations: {example}."
    do = "Extract these videos again (cut short?) or correct their durations."
    return Finding(severity, "feature_length", what, do)


def _sidecars_among_each_other(
    measured: Mapping[str, Measured], clock: Clock | None
) -> Iterator[Finding]:
    sidecars = {v: item.sidecar for v, item in measured.items() if item.sidecar is not None}
    told = "the sidecars of {} tell of another {} than the rest."
    if others := _unusual({v: str(sorted(s.encoder.items())) for v, s in sidecars.items()}):
        what = told.format(first_few(others), "encoder")
        yield Finding("error", "encoders", what, "Extract all videos with one encoder.")
    if others := _unusual({v: f"{s.stride_frames / s.fps:.6g}" for v, s in sidecars.items()}):
        do = "Extract all videos at one rate, or make sure that this is meant."
        what = told.format(first_few(others), "step")
        yield Finding("warning", "sidecar_steps", what, do)
    if isinstance(clock, Sidecar):
        others = [v for v, s in sidecars.items() if s.to_clock() != clock.to_clock()]
        if others:
            what = f"data.clock differs from the sidecars of {first_few(others)}, which are used."
            do = "Remove data.clock, or the sidecars if they are wrong."
            yield Finding("warning", "clock_and_sidecar", what, do)


def _unusual(values: Mapping[str, Hashable]) -> list[str]:
    """Videos whose value is not the most common one."""
    usual = Counter(values.values()).most_common(1)
    return [video for video, value in values.items() if value != usual[0][0]]


def _name_hint(video: str, store: FeatureStore) -> str:
    for name in store.readers:
        if video in name:
            pattern = name.replace(video, "{video}", 1)
            return f"Set name_pattern to {pattern!r} if {name} is {video}."
    meant = suggest(video, store.readers)
    if meant is not None:
        return f"Rename {meant} if it is {video}; else extract them or remove the annotations."
    return "Extract them, or remove these videos from the annotations."
