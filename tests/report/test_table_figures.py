"""Figures of a table: timelines with curves."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from attentad.core import as_segments
from attentad.report import figure_svg
from attentad.report.table_figures import timeline_figure

TRACKS = {
    "ground truth": [(as_segments([[1, 3], [5, 6]]), [0, 1])],
    "ours": [(as_segments([[1, 2]]), [0]), (as_segments([[4, 6]]), [-1])],
}
TIME = np.linspace(0, 8, 5)


def test_a_bar_per_segment_and_a_panel_per_curve() -> None:
    values = np.array([0.0, 0.5, math.nan, 0.25, math.inf])
    curves = {"soft attention": (TIME, values), "score": (TIME, 3 * TIME - 4)}
    figure = timeline_figure(TRACKS, 8.0, ("jump", "run"), curves)
    bars, soft, score = figure.axes
    places = [(bar.get_x(), bar.get_width(), round(bar.get_y() + 0.35)) for bar in bars.patches]
    assert places == [(1, 2, 0), (5, 1, 0), (1, 1, 1), (4, 2, 1)]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["ground truth", "ours"]
    assert [soft.get_ylabel(), score.get_ylabel()] == ["soft attention", "score"]
    drawn = soft.lines[0].get_ydata()
    np.testing.assert_array_equal(drawn, [0.0, 0.5, math.nan, 0.25, math.nan])
    # Within 0..1 the axis is 0..1; elsewhere it is as wide as the values, 0 included.
    assert [label.get_text() for label in soft.get_yticklabels()] == ["0", "1"]
    assert [label.get_text() for label in score.get_yticklabels()] == ["-4", "20"]
    assert all(axes.get_xlim() == (0, 8) for axes in figure.axes)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["action", "jump", "run"]
    ElementTree.fromstring(figure_svg(figure))


def test_without_curves_there_is_one_panel() -> None:
    figure = timeline_figure(TRACKS, 8.0, ("jump", "run"))
    assert len(figure.axes) == 1
    assert figure.axes[0].get_xlabel() == "seconds"


@pytest.mark.parametrize("value", [math.nan, 0.0, -1.0])
def test_a_curve_that_says_nothing_is_drawn(value: float) -> None:
    figure = timeline_figure({}, 8.0, (), {"c": (TIME, np.full(5, value))})
    low, high = figure.axes[1].get_ylim()
    assert low < high
    assert figure_svg(figure).startswith("<svg")


def test_a_curve_of_two_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="curve c"):
        timeline_figure({}, 8.0, (), {"c": (TIME, TIME[1:])})
