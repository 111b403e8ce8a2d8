"""Figures for papers and for the page, drawn with matplotlib (the extra `figures`).

Each function returns a Figure of its own, for `figure_svg` and `save_figure`. The colours stay
apart for colour-blind readers (Okabe and Ito). All raise AttentadError without matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from attentad.core.arrays import Floats, ratio
from attentad.metrics import ERROR_TYPES, VERDICTS, AttributeProfile, Diagnosis
from attentad.report.drawing import INK, drawing, short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICT_COLOURS = dict(
    zip(VERDICTS, ("#009e73", "#56b4e9", "#cc79a7", "#e69f00", "#d55e00", "#a3a8ae"), strict=True)
)
LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#33373d")
LINE_STYLES = ("-", "--", "-.", ":")
ATTRIBUTE_COLOURS = {"coverage": "#0072b2", "length": "#d55e00", "instances": "#009e73"}
ATTRIBUTE_TITLES = {
    "coverage": "coverage (% of the video)",
    "length": "length (s)",
    "instances": "instances in the video",
}

_MOST_CELL_NUMBERS = 12
_MAP_N = "average-mAP$_N$"


def diagnosis_figures(diagnosis: Diagnosis) -> dict[str, Figure]:
    """All figures of a diagnosis by title, in the order in which one reads them."""
    return {
        "False positives": false_positive_figure(diagnosis),
        "False negatives": false_negative_figure(diagnosis),
        "Sensitivity": sensitivity_figure(diagnosis),
    }


def false_positive_figure(diagnosis: Diagnosis) -> Figure:
    """Shares of true positives and error types by slot, and the gain without each type."""
    with drawing(7.4, 3.0) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
        percent = 100 * diagnosis.shares
        place = np.arange(len(percent))
        base = np.zeros(len(percent))
        look = {"width": 0.82, "edgecolor": "white", "linewidth": 0.6}
        for (name, colour), height in zip(VERDICT_COLOURS.items(), percent.T, strict=True):
            left.bar(place, height, bottom=base, color=colour, label=name, **look)
            base += height
        left.set(ylabel="detections (%)", ylim=(0, 100))
        left.set_xlabel("rank in the class, in numbers of its instances G")
        left.set_xticks(place, [f"{slot}G" for slot in range(1, len(percent) + 1)])
        left.tick_params(axis="x", length=0)
        _gain_bars(right, diagnosis)
        figure.legend(loc="outside upper center", ncols=6, handlelength=1.0, columnspacing=1.2)
        return figure


def false_negative_figure(diagnosis: Diagnosis) -> Figure:
    """Share of missed instances by coverage, length and number of instances."""
    return _attribute_figure(
        diagnosis,
        [item.false_negative_rate for item in diagnosis.attributes],
        ylabel="missed instances (%)",
        overall=diagnosis.false_negative_rate,
        title=lambda item: ATTRIBUTE_TITLES[item.name],
    )


def sensitivity_figure(diagnosis: Diagnosis) -> Figure:
    """Average-mAP_N with only one bucket's instances to find, against that with all."""

    def title(item: AttributeProfile) -> str:
        ratios = item.sensitivity
        text = "" if ratios is None else f"\n{ratios[0]:.2f} to {ratios[1]:.2f} of all"
        return ATTRIBUTE_TITLES[item.name] + text

    return _attribute_figure(
        diagnosis,
        [item.mean_ap_n for item in diagnosis.attributes],
        ylabel=f"{_MAP_N} (%)",
        overall=diagnosis.map_n,
        title=title,
    )


def precision_recall_figure(curves: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Precision-recall curves of several methods or classes.

    Args:
        curves: name → (recall, precision), each (P,) in 0..1, recall ascending, as
            `metrics.precision_recall` gives them: a precision holds from the recall before up
            to its own. A curve without points stands in the legend only.

    Raises:
        ValueError: the arrays of a curve differ in length.
    """
    with drawing(4.4, 2.9) as figure:
        axes = figure.subplots()
        for (recall, precision), style in zip(checked_curves(curves), _line_styles(), strict=False):
            x, y = np.append(0.0, recall), np.append(precision[:1], precision)
            axes.step(100 * x[: len(y)], 100 * y, where="pre", **style)
        axes.set(xlim=(0, 100), ylim=(0, 102), xlabel="recall (%)", ylabel="precision (%)")
        _legend(figure, axes, [short_name(name) for name in curves])
        return figure


def average_recall_figure(curves: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """AR-AN: average recall against the average number of proposals, several methods together.

    Args:
        curves: name → (proposals per video, average recall in 0..1), each (P,).

    Raises:
        ValueError: the arrays of a curve differ in length.
    """
    with drawing(4.4, 2.9) as figure:
        axes = figure.subplots()
        last = 1.0
        for (number, recall), style in zip(checked_curves(curves), _line_styles(), strict=False):
            axes.plot(number, 100 * recall, **style)
            last = max(last, float(number.max(initial=0.0)))
        axes.set(xlim=(0, last), ylim=(0, 100))
        axes.set(xlabel="proposals per video on average", ylabel="average recall (%)")
        _legend(figure, axes, [short_name(name) for name in curves])
        return figure


def confusion_figure(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """Confusion matrix, each row in percent of its true class.

    Args:
        matrix: (K, K) counts, rows the truth, columns what was said.
        classes: K names.

    Raises:
        ValueError: the matrix is not K × K.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    size = len(classes)
    if counts.shape != (size, size) or not size:
        raise ValueError(f"a confusion matrix of {size} classes has shape {counts.shape}")
    total = counts.sum(axis=1, keepdims=True)
    percent = 100 * ratio(counts, total, empty=0.0)
    side = min(12.0, max(2.4, 0.34 * size))
    with drawing(side + 2.0, side + 1.2) as figure:
        axes = figure.subplots()
        image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
        axes.grid(visible=False)
        letters = max(3.0, min(8.0, 50 * side / size))
        names = [short_name(name) for name in classes]
        turned = size > 4 or max(map(len, names)) > 8
        axes.set_xticks(range(size), names, fontsize=letters, rotation=90 if turned else 0)
        axes.set_yticks(range(size), names, fontsize=letters)
        axes.tick_params(length=0)
        axes.set(xlabel="recognised as", ylabel="true class")
        if size <= _MOST_CELL_NUMBERS:
            _cell_numbers(axes, percent)
        bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, aspect=6 * side)
        bar.set_label("% of the true class")
        bar.outline.set_visible(False)
        return figure


def _gain_bars(axes: Axes, diagnosis: Diagnosis) -> None:
    """One horizontal bar per error type, the first type on top."""
    gain = [100 * diagnosis.gain[name] for name in ERROR_TYPES]
    place = np.arange(len(gain))
    axes.barh(place, gain, height=0.72, color=[VERDICT_COLOURS[name] for name in ERROR_TYPES])
    widest = max(1.0, *gain)
    for row, value in enumerate(gain):
        axes.text(value + 0.02 * widest, row, f"{value:.1f}", va="center", fontsize=8)
    axes.set_yticks(place, ERROR_TYPES)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(gain) - 0.5, -0.5), xlim=(0, 1.2 * widest))
    axes.grid(visible=False)
    axes.set_xlabel(f"gain in {_MAP_N} without it", parse_math=True)


def _attribute_figure(
    diagnosis: Diagnosis,
    values: Sequence[Floats],
    *,
    ylabel: str,
    overall: float,
    title: Callable[[AttributeProfile], str],
) -> Figure:
    """One panel of bars for each attribute, and a line for all instances."""
    items = diagnosis.attributes
    with drawing(1.0 + 2.2 * len(items), 2.7) as figure:
        widths = [len(item.truth_count) for item in items]
        panels = figure.subplots(1, len(items), sharey=True, width_ratios=widths, squeeze=False)[0]
        highest = 100 * max([overall, *(np.nanmax(part, initial=0.0) for part in values)])
        for axes, item, part in zip(panels, items, values, strict=True):
            _bucket_bars(axes, item, 100 * part, highest)
            axes.axhline(100 * overall, color=INK, linewidth=1, linestyle="--", zorder=1.5)
            axes.set_title(title(item))
            axes.tick_params(axis="y", length=0)
        panels[0].set_ylabel(ylabel, parse_math=True)
        panels[0].set_ylim(0, 1.12 * max(highest, 1.0))
        panels[-1].annotate(
            f"all\n{100 * overall:.1f}",
            (1.02, 100 * overall),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
        return figure


def _bucket_bars(axes: Axes, item: AttributeProfile, percent: Floats, highest: float) -> None:
    place = np.arange(len(percent))
    colour = ATTRIBUTE_COLOURS[item.name]
    axes.bar(place, np.nan_to_num(percent), width=0.7, color=colour, alpha=0.85)
    for row, value in enumerate(percent.tolist()):
        text, height = ("–", 0.0) if math.isnan(value) else (f"{value:.1f}", value)
        # White behind it keeps the number readable on the line for all instances.
        back = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        at = height + 0.025 * highest
        axes.text(row, at, text, ha="center", va="bottom", fontsize=7.5, bbox=back)
    labels = [f"{name}\n{text}" for name, text in zip(item.buckets, item.ranges, strict=True)]
    axes.set_xticks(place, labels, fontsize=7.5)
    axes.tick_params(axis="x", length=0)


def _cell_numbers(axes: Axes, percent: Floats) -> None:
    for (row, column), value in np.ndenumerate(percent):
        if value >= 0.5:
            number = axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7.5)
            number.set_color("white" if value > 55 else INK)


def checked_curves(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
) -> list[tuple[Floats, Floats]]:
    """Both arrays of each curve as float64.

    Raises:
        ValueError: they differ in length or are not one-dimensional.
    """
    checked = []
    for name, (x, y) in curves.items():
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if x.ndim != 1 or x.shape != y.shape:
            raise ValueError(f"curve {name}: x has shape {x.shape} and y {y.shape}")
        checked.append((x, y))
    return checked


def _line_styles() -> Iterator[dict[str, Any]]:
    """Colour and dashes of one line after the other; never ends."""
    for dashes, colour in cycle(product(LINE_STYLES, LINE_COLOURS)):
        yield {"color": colour, "linestyle": dashes, "linewidth": 1.6}


def _legend(figure: Figure, axes: Axes, names: Sequence[str]) -> None:
    """Below the axes, where it hides no curve; the figure grows by what that takes."""
    if names:
        # matplotlib before 3.10 hides labels that begin with an underscore, but not with a blank.
        labels = [f" {name}" if name.startswith("_") else name for name in names]
        width, height = figure.get_size_inches()
        # A letter of the legend is about 0.07 inches wide, line and gaps of an entry 0.55.
        columns = max(1, min(len(names), int(width / (0.55 + 0.07 * max(map(len, labels))))))
        figure.set_size_inches(width, height + 0.17 * math.ceil(len(names) / columns))
        figure.legend(axes.lines, labels, loc="outside lower center", ncols=columns)
