"""The page's data: a report as one compact JSON object, rounded and thinned for a browser."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import ArrayLike

from attentad.core import VideoAnnotation, no_detections
from attentad.core.arrays import Floats, Ints
from attentad.core.detections import label_name
from attentad.core.found import Curve, Found, Profile
from attentad.report.content import Report, VideoPage
from attentad.report.matching import (
    MATCH_TIOU,
    Match,
    first_threshold,
    found_by,
    same_class_overlap,
)
from attentad.report.media import Media

DETECTIONS_PER_VIDEO = 1000
"""More than anybody looks at; the page says how many lower scores it leaves out."""
DETECTIONS_PER_HOUR = 1000
"""Of a video of more than an hour, up to `MOST_DETECTIONS`."""
MOST_DETECTIONS = 5000
CURVE_POINTS = 400_000
"""Points of all curves of a page together: about 3 MB of JSON."""
PROFILE_POINTS = 128
"""Of a profile's values, which fall."""


def page_data(report: Report, media: Sequence[Media]) -> dict[str, Any]:
    """The object that the page's script reads: columns of plain numbers, seconds throughout.

    Args:
        report: what to show.
        media: how each of its videos can be played, in their order.
    """
    classes = _all_classes(report)
    index = {name: i for i, name in enumerate(classes)}
    names = report.detectors or [""]
    curves = sum(len(found.curves) for video in report.videos for found in video.found.values())
    points = min(1200, max(60, CURVE_POINTS // max(1, curves)))
    matches: list[list[Match]] = [[] for _ in names]
    videos = []
    for video, item in zip(report.videos, media, strict=True):
        detections = []
        for name, own in zip(names, matches, strict=True):
            columns, match = _detections(video, name, report.classes, index)
            detections.append(columns)
            own.append(match)
        videos.append(
            {
                "id": plain_text(video.video),
                "duration": round(_duration_sec(video), 3),
                "media": {key: plain_text(text) for key, text in item.to_dict().items()},
                "truth": _truth(video.ground_truth, index),
                "detections": detections,
                "curves": [
                    _curve(curve, names.index(name), index, points)
                    for name, found in video.found.items()
                    for curve in found.curves
                ],
                "profiles": [
                    _profile(profile, names.index(name))
                    for name, found in video.found.items()
                    for profile in found.profiles
                ],
            }
        )
    return {
        "classes": [plain_text(name) for name in classes],
        "matchTiou": MATCH_TIOU,
        "detectors": [_detector(*pair) for pair in zip(names, matches, strict=True)],
        "videos": videos,
        "losses": [
            {"detector": names.index(name), "terms": terms}
            for name, values in report.losses.items()
            if (terms := {plain_text(k): significant(v) for k, v in values.items() if len(v)})
        ],
    }


def script_json(value: Any) -> str:
    """`value` as JSON that can stand in an HTML script element.

    Nothing in it can end the element or open a comment, since <, > and & are escaped, nor end a
    line of JavaScript (U+2028, U+2029). Numbers that are not finite become null.
    """
    text = orjson.dumps(value).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def plain_text(text: str) -> str:
    """`text` that can be encoded: half a surrogate pair, as file names may hold, becomes `?`."""
    return str(text).encode("utf-8", "replace").decode()


def significant(values: ArrayLike, digits: int = 4) -> list[float]:
    """Numbers to a few significant digits: a score of 0.00012 keeps its meaning."""
    numbers = np.asarray(values, dtype=np.float64).tolist()
    return [float(f"{number:.{digits}g}") for number in numbers]


def round_down(value: float, digits: int = 3) -> float:
    """`value` to a few significant digits, never above it: what reached it still does."""
    if value == 0 or not math.isfinite(value):
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    units = value / unit
    return float(f"{math.floor(units + abs(units) * 1e-12) * unit:.{digits}g}")


def thinned(value: Floats, points: int) -> Ints:
    """Indices of the samples to draw: few, yet all of a curve's peaks and gaps.

    A curve of more than `points` samples is cut into at most points / 2 stretches of equal
    length. The lowest, the highest and the first missing sample of each stay.

    Args:
        value: (N,); a value that is not finite is missing.
        points: at least 2.

    Returns:
        Ascending indices, (N,) or fewer: at most 3 · points / 2.
    """
    if len(value) <= points:
        return np.arange(len(value))
    size = math.ceil(len(value) / (points // 2))
    stretches = math.ceil(len(value) / size)
    # The last stretch is filled up with copies of the last sample.
    rows = np.minimum(np.arange(stretches * size), len(value) - 1).reshape(stretches, size)
    part = value[rows]
    missing = ~np.isfinite(part)
    first = np.arange(stretches) * size
    lowest = first + np.where(missing, np.inf, part).argmin(axis=1)
    highest = first + np.where(missing, -np.inf, part).argmax(axis=1)
    gap = (first + missing.argmax(axis=1))[missing.any(axis=1)]
    return np.unique(np.minimum(np.concatenate([lowest, highest, gap]), len(value) - 1))


def _all_classes(report: Report) -> list[str]:
    """The report's classes, then labels that occur beside them (`action`, unknown truths)."""
    names = [str(name) for name in report.classes]
    for video in report.videos:
        names += video.ground_truth.labels if video.ground_truth else ()
        if any((found.detections.labels < 0).any() for found in video.found.values()):
            names.append(label_name(-1, ()))
    return list(dict.fromkeys(names))


def _duration_sec(video: VideoPage) -> float:
    if math.isfinite(video.duration_sec) and video.duration_sec > 0:
        return float(video.duration_sec)
    ends: list[ArrayLike] = [video.ground_truth.segments[:, 1]] if video.ground_truth else []
    for found in video.found.values():
        ends += [found.detections.segments[:, 1], *(curve.time_sec for curve in found.curves)]
    together = np.concatenate([np.zeros(0), *ends])
    together = together[np.isfinite(together) & (together > 0)]
    return float(together.max()) if len(together) else 1.0


def _detector(name: str, matches: Sequence[Match]) -> dict[str, Any]:
    """A detector's name, where its score slider begins, and from where to where it goes."""
    scores = [score for kept, _ in matches for score in kept.tolist()]
    return {
        "name": plain_text(name),
        "threshold": round_down(first_threshold(matches)),
        "range": [round_down(min([0.0, *scores])), *significant([max([0.0, *scores])])],
    }


def _detections(
    video: VideoPage, detector: str, classes: Sequence[str], index: dict[str, int]
) -> tuple[dict[str, Any], Match]:
    """One detector's columns of a video, and what `first_threshold` wants to know."""
    given = video.found.get(detector, Found(no_detections())).detections
    # What is not finite cannot be drawn.
    finite = given[np.isfinite(given.segments).all(axis=1) & np.isfinite(given.scores)]
    hours = _duration_sec(video) / 3600
    most = min(MOST_DETECTIONS, max(DETECTIONS_PER_VIDEO, int(hours * DETECTIONS_PER_HOUR)))
    kept = finite[np.argsort(-finite.scores, kind="stable")[:most]]
    names = tuple(classes)
    columns: dict[str, Any] = {
        "start": _milliseconds(kept.segments[:, 0]),
        "end": _milliseconds(kept.segments[:, 1]),
        "score": significant(kept.scores),
        "label": [index[label_name(label, names)] for label in kept.labels.tolist()],
        "omitted": len(given) - len(kept),
    }
    truth = video.ground_truth
    if truth is None:
        return columns, (kept.scores, None)
    overlap = same_class_overlap(kept, truth.segments, _true_labels(truth.labels, index))
    if len(truth.labels):
        columns["overlap"] = np.round(overlap.max(axis=1), 2).tolist()
    owner = found_by(overlap, kept.scores)
    columns["foundBy"] = owner.tolist()
    return columns, (kept.scores, owner)


def _truth(ground_truth: VideoAnnotation | None, index: dict[str, int]) -> dict[str, Any] | None:
    if ground_truth is None:
        return None
    return {
        "start": _milliseconds(ground_truth.segments[:, 0]),
        "end": _milliseconds(ground_truth.segments[:, 1]),
        "label": _true_labels(ground_truth.labels, index).tolist(),
    }


def _true_labels(labels: Iterable[str], index: dict[str, int]) -> Ints:
    return np.array([index[label] for label in labels], dtype=np.int64)


def _curve(curve: Curve, detector: int, index: dict[str, int], points: int) -> dict[str, Any]:
    value = np.asarray(curve.value, dtype=np.float64)
    rows = thinned(value, points)
    return {
        "name": plain_text(curve.name),
        "kind": curve.kind,
        "detector": detector,
        "label": index.get(curve.name, -1) if curve.kind == "class scores" else -1,
        "time": _milliseconds(np.asarray(curve.time_sec, dtype=np.float64)[rows]),
        "value": significant(value[rows]),
    }


def _profile(profile: Profile, detector: int) -> dict[str, Any]:
    """The values from the highest to the lowest, evenly spaced ones of many."""
    value = np.asarray(profile.value, dtype=np.float64)
    falling = np.sort(value[np.isfinite(value)])[::-1]
    rows = np.linspace(0, max(0, len(falling) - 1), min(len(falling), PROFILE_POINTS))
    return {
        "name": plain_text(profile.name),
        "detector": detector,
        "count": len(value),
        "mean": significant([falling.mean()])[0] if len(falling) else None,
        "value": significant(falling[rows.round().astype(np.int64)]),
    }


def _milliseconds(seconds: Floats) -> list[float]:
    return np.round(seconds, 3).tolist()
