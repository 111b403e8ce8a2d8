"""Figures of a paper's table: bars beside the paper's, loss curves, timelines of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from attentad.core import Segments
from attentad.report.drawing import drawing, short_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OURS, _PAPER = "#0072b2", "#bbbbbb"


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
            axes.errorbar(
                np.asarray(ours, float),
                place - 0.2,
                xerr=np.asarray(deviations, float),
                fmt="none",
                ecolor="black",
                elinewidth=0.8,
                capsize=2,
            )
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
    tracks: Mapping[str, Sequence[tuple[Segments, Sequence[int]]]],
    duration_sec: float,
    classes: Sequence[str],
) -> Figure:
    """Segments of several sources over one video, one line each (CSA's Figure 3).

    Args:
        tracks: source, such as the ground truth or a row of the table → parts of
            (segments (N, 2) in seconds, N class indices).
        duration_sec: length of the video.
        classes: names; each that occurs has a colour of its own.
    """
    used = sorted({k for parts in tracks.values() for _, labels in parts for k in labels})
    with drawing(7.0, 0.8 + 0.34 * len(tracks) + 0.18 * (1 + len(used) // 4)) as figure:
        axes = figure.subplots()
        from matplotlib import colormaps
        from matplotlib.patches import Patch

        palette = colormaps["tab20"]
        colour = {k: palette(i % 20) for i, k in enumerate(used)}
        for line, parts in enumerate(tracks.values()):
            for segments, labels in parts:
                for (start, end), label in zip(segments, labels, strict=True):
                    axes.barh(line, end - start, 0.7, left=start, color=colour[label])
        axes.set_yticks(range(len(tracks)), [short_name(name) for name in tracks])
        axes.invert_yaxis()
        axes.set(xlim=(0, duration_sec), xlabel="seconds")
        handles = [Patch(color=colour[k], label=short_name(classes[k])) for k in used]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
        return figure
