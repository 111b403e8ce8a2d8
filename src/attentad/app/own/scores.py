"""How good the models are, class by class, and how much of that can be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from attentad.app.own.material import Material
from attentad.app.own.split import Split
from attentad.core import Annotations
from attentad.core.arrays import Floats
from attentad.core.wording import number_of
from attentad.metrics import (
    BootstrapResult,
    DetectionResult,
    VideoMapResult,
    bootstrap_class_ap,
    bootstrap_map,
    detection_map,
    tiou_key,
    video_map,
)
from attentad.models.run import DetectRun
from attentad.recipes.schema import Evaluation
from attentad.report.tables import Table

LEARNABLE: Final = 10  # examples of a class below which training has too few
SCORABLE: Final = 5  # and below which a score says nothing
SHOWN_TIOU: Final = (0.1, 0.5)
LEVEL: Final = 0.95


@dataclass(frozen=True)
class Examples:
    """How often a class occurs.

    Args:
        name: of the class.
        training: examples in training.
        test: examples in test.
        turns: whether the parts take turns to test, so that both are all that there are.
        reach: how many parts hold any, where they take turns.
    """

    name: str
    training: int
    test: int
    turns: bool = False
    reach: int = 0

    @property
    def doubt(self) -> str | None:
        """A sentence on why its score says little, or None where there are enough."""
        some = number_of(range(self.training), "example")
        if self.turns:
            if self.training and self.reach < 2:
                return (
                    f"all of {some} of {self.name} are in one part: no model that was tested on "
                    "them had seen any."
                )
            if self.training < LEARNABLE + SCORABLE:
                return f"{some} of {self.name} in all: too few to say."
            return None
        if not self.training:
            if not self.test:
                return None
            return f"no example of {self.name} in training, {self.test} in test: it is never found."
        if not self.test:
            return f"{some} of {self.name} in training, none in test: nothing can be said of it."
        if self.training < LEARNABLE or self.test < SCORABLE:
            return f"{some} of {self.name} in training, {self.test} in test: too few to say."
        return None


def examples(material: Material, split: Split) -> list[Examples]:
    """Of every class."""
    counts = material.counts(split.subsets)
    turns = bool(split.folds)
    sides: dict[str, np.ndarray] = {}
    for video, subset in split.subsets.items():
        sides[subset] = sides.get(subset, 0) + counts[video]
    nothing = np.zeros(len(material.classes), dtype=np.int64)
    training = sum((sides[name] for name in split.train), start=nothing)
    test = sum((sides[name] for name in split.folds or split.test), start=nothing)
    reach = sum((sides[name] > 0 for name in sides), start=nothing)
    return [
        Examples(name, int(training[row]), int(test[row]), turns, int(reach[row]))
        for row, name in enumerate(material.classes)
    ]


@dataclass(frozen=True)
class Scores:
    """Of the detectors on the videos that they did not train on.

    Args:
        results: detector → its mAP; the first is the user's.
        bootstrap: intervals, in the same order; None of a single video.
        per_class: intervals of the first detector's classes, (K, 2), or None.
    """

    results: Mapping[str, DetectionResult]
    bootstrap: BootstrapResult | None
    per_class: Floats | None


def score_runs(
    runs: Mapping[str, DetectRun], annotations: Annotations, evaluation: Evaluation
) -> Scores:
    """Score detections against the annotated segments.

    Args:
        runs: the user's detector first.
        annotations: of the videos that were tested.
        evaluation: protocol and thresholds.
    """
    rules = evaluation.model_dump()
    results = {n: detection_map(annotations, run.detections, **rules) for n, run in runs.items()}
    first, *_ = results.values()
    if len(annotations.videos) < 2:
        return Scores(results, None, None)
    bootstrap = bootstrap_map([*results.values()], level=LEVEL)
    return Scores(results, bootstrap, bootstrap_class_ap(first, level=LEVEL))


def score_whole(run: DetectRun, material: Material) -> VideoMapResult | None:
    """How well the classes of whole videos are known; None where the detector does not say them."""
    assert material.labels is not None
    probabilities = [found.class_probabilities for found in run.results.values()]
    counts = material.counts(run.results)
    truth = np.array([counts[video] > 0 for video in run.results])
    if not truth.any() or any(row is None for row in probabilities):
        return None
    return video_map(np.array(probabilities), truth, classes=material.classes)


def class_scores(scores: Scores, known: Sequence[Examples]) -> Table:
    """A row per class: examples, AP at a few thresholds, its average with interval, the baseline's.

    In percent; a class without an example in test has dashes.
    """
    (name, first), *others = scores.results.items()
    shown = [j for j, tiou in enumerate(first.tiou) if np.isclose(tiou, SHOWN_TIOU).any()]
    turns = known[0].turns
    columns = ["class", *(["examples"] if turns else ["train", "test"])]
    columns += [f"at {tiou_key(first.tiou[j])}" for j in shown]
    columns += ["average", "interval", *(other for other, _ in others)]
    rows = []
    for item in known:
        row = [item.name, *map(str, [item.training] if turns else [item.training, item.test])]
        if item.name not in first.classes:
            rows.append((*row, *["–"] * (len(columns) - len(row))))
            continue
        at = first.classes.index(item.name)
        row += [_percent(first.average_precision[at, j]) for j in shown]
        row.append(_percent(first.average_precision[at].mean()))
        row.append(_interval(scores.per_class, at))
        row += [_percent(r.average_precision[r.classes.index(item.name)].mean()) for _, r in others]
        rows.append(tuple(row))
    low, high = tiou_key(first.tiou[0]), tiou_key(first.tiou[-1])
    note = (
        f"average precision of {name} in percent, on videos that it did not train on; averages "
        f"over tIoU {low} to {high}, as the ends of actions are marked loosely; intervals of "
        f"{100 * LEVEL:g} % by bootstrap over the videos"
    )
    return Table(tuple(columns), tuple(rows), note=note)


def whole_scores(result: VideoMapResult, known: Sequence[Examples]) -> Table:
    """A row per class: in how many videos it is, and how well these are told from the others."""
    precision = dict(zip(result.classes, result.average_precision, strict=True))
    rows = tuple(
        (item.name, str(item.test), "–" if np.isnan(ap := precision[item.name]) else _percent(ap))
        for item in known
    )
    note = (
        f"whether a class is in a video, in percent; mean {_percent(result.mean_ap)}. When it is "
        "there cannot be scored without times"
    )
    return Table(("class", "videos", "AP"), rows, note=note)


def _interval(intervals: Floats | None, row: int) -> str:
    if intervals is None or np.isnan(intervals[row]).any():
        return "–"
    low, high = intervals[row]
    return f"{_percent(low)}–{_percent(high)}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
