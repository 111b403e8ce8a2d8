"""Figures of a paper's table: bars beside the paper's, loss curves, timelines of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from attentad.core import Segments
from attentad.core.arrays import Floats
from attentad.core.detections import label_name
from attentad.report.drawing import drawing, short_name
from attentad.report.figures import checked_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Tracks = dict[str, Sequence[tuple[Segments, Sequence[int]]]]
"""Source → parts of segments (N, 2) in seconds and N class indices."""
Curves = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""Name → seconds (P,) and values (P,)."""

_OURS, _PAPER = "#0072b2", "#bbbbbb"
_PANEL_INCHES = 0.45


def bars_figure(
    names: Sequence[str],
    ours: ArrayLike,
    paper: ArrayLike,
    deviations: ArrayLike | None,
    labels: tuple[str, str],
    axis: str,
) -> Figure:
    """A pair of bars per row of a table: the paper's value and ours.

    Args:
        names: N rows.
        ours: (N,) percent; NaN for none.
        paper: (N,) percent; NaN for none.
        deviations: (N,) of ours, or None.
        labels: what to call ours and the paper's, with the data they are on.
        axis: what is measured, with its unit.
    """
    with drawing(5.6, 0.7 + 0.42 * len(names)) as figure:
        axes = figure.subplots()
        place = np.arange(len(names), dtype=np.float64)
        axes.barh(place - 0.2, np.asarray(ours, float), 0.36, color=_OURS, label=labels[0])
        axes.barh(place + 0.2, np.asarray(paper, float), 0.36, color=_PAPER, label=labels[1])
        if deviations is not None:
            spread = np.asarray(deviations, float)
            look: dict[str, Any] = {"ecolor": "black", "elinewidth": 0.8, "capsize": 2}
            axes.errorbar(np.asarray(ours, float), place - 0.2, fmt="none", xerr=spread, **look)
        axes.set_yticks(place, [short_name(name) for name in names])
        axes.invert_yaxis()
        axes.set_xlabel(axis)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        return figure


def loss_figure(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Training loss by epoch of several models (CSA's Figure 2).

    Args:
        curves: name → mean loss of each epoch.
    """
    with drawing(4.4, 2.9) as figure:
        axes = figure.subplots()
        for name, values in curves.items():
            axes.plot(np.arange(1, len(values) + 1), values, label=short_name(name))
        axes.set(xlabel="epoch", ylabel="training loss", xlim=(1, None))
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        return figure


def timeline_figure(
    tracks: Tracks, duration_sec: float, classes: Sequence[str], curves: Curves | None = None
) -> Figure:
    """Segments of several sources over one video, one line each (CSA's Figure 3).

    Args:
        tracks: source, such as the ground truth or a row of the table → parts of
            (segments (N, 2) in seconds, N class indices); −1 is a proposal without a class.
        duration_sec: length of the video.
        classes: names; each that occurs has a colour of its own.
        curves: name → (seconds (P,), values (P,)), each in a panel below, such as attention or
            the detection score (HAM-Net's Figures 3 and 5). A value that is not finite leaves a
            gap. The axis of a curve within 0..1 is 0..1.

    Raises:
        ValueError: the arrays of a curve differ in length.
    """
    checked = checked_curves(curves or {})
    used = sorted({k for parts in tracks.values() for _, labels in parts for k in labels})
    heights = [0.34 * max(1, len(tracks)), *(_PANEL_INCHES for _ in checked)]
    with drawing(7.0, 0.8 + sum(heights) + 0.18 * (1 + len(used) // 4)) as figure:
        panels = figure.subplots(
            len(heights), 1, sharex=True, squeeze=False, height_ratios=heights
        )[:, 0]
        from matplotlib import colormaps
        from matplotlib.patches import Patch

        palette = colormaps["tab20"]
        colour = {k: palette(i % 20) for i, k in enumerate(used)}
        axes = panels[0]
        for line, parts in enumerate(tracks.values()):
            for segments, labels in parts:
                for (start, end), label in zip(segments, labels, strict=True):
                    axes.barh(line, end - start, 0.7, left=start, color=colour[label])
        axes.set_yticks(range(len(tracks)), [short_name(name) for name in tracks])
        axes.invert_yaxis()
        for panel, name, (time, value) in zip(panels[1:], curves or {}, checked, strict=True):
            _curve_panel(panel, short_name(name), time, value)
        panels[-1].set(xlim=(0, duration_sec), xlabel="seconds")
        names = [short_name(label_name(k, tuple(classes))) for k in used]
        handles = [Patch(color=colour[k], label=name) for k, name in zip(used, names, strict=True)]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
        return figure


def _curve_panel(axes: Axes, name: str, time: Floats, value: Floats) -> None:
    """One curve over the panel's floor, its name where the lines above have theirs."""
    finite = value[np.isfinite(value)]
    low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    if low >= 0 and 0 < high <= 1:
        high = 1.0
    elif low == high:
        high = low + 1
    shown = np.where(np.isfinite(value), value, np.nan)
    axes.fill_between(time, low, shown, color=_OURS, alpha=0.25, linewidth=0)
    axes.plot(time, shown, color=_OURS, linewidth=1.0)
    room = 0.04 * (high - low)
    axes.set_ylim(low - room, high + room)
    axes.set_yticks([low, high], [f"{low:.3g}", f"{high:.3g}"])
    axes.set_ylabel(name, rotation=0, ha="right", va="center")
