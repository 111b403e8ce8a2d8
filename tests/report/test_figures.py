"""Figures: what is drawn, that the bytes repeat, and what a reader's own settings cannot spoil."""

from __future__ import annotations

import builtins
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    VideoAnnotation,
    VideoDetections,
    as_segments,
)
from attentad.metrics import ERROR_TYPES, VERDICTS, Diagnosis, diagnose
from attentad.report import (
    average_recall_figure,
    confusion_figure,
    diagnosis_figures,
    false_negative_figure,
    false_positive_figure,
    figure_svg,
    precision_recall_figure,
    save_figure,
    sensitivity_figure,
)


def diagnosis(duration_sec: float | None = 100.0) -> Diagnosis:
    segments = as_segments([[0, 2], [10, 15], [20, 30], [40, 44]])
    truth = VideoAnnotation(segments, ("a", "a", "b", "b"), duration_sec=duration_sec)
    found = VideoDetections(
        as_segments([[0, 2], [0, 1.5], [20, 30], [22, 40], [70, 80], [40, 44]]),
        np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]),
        np.array([0, 0, 0, 1, 1, 1]),
    )
    classes = ("a", "b")
    return diagnose(Annotations({"v": truth}, classes), Detections({"v": found}, classes))


CURVE = (np.array([0.25, 0.5]), np.array([1.0, 0.75]))
MATRIX = np.array([[3, 1], [0, 0]])
EVERY: dict[str, Callable[[], Figure]] = {
    "false positives": lambda: false_positive_figure(diagnosis()),
    "false negatives": lambda: false_negative_figure(diagnosis()),
    "sensitivity": lambda: sensitivity_figure(diagnosis()),
    "precision-recall": lambda: precision_recall_figure({"ours": CURVE, "none": ([], [])}),
    "average recall": lambda: average_recall_figure({"ours": (np.arange(1, 3), [0.2, 0.3])}),
    "confusion": lambda: confusion_figure(MATRIX, ("a", "b")),
}


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_the_same_data_give_the_same_svg(
    make: Callable[[], Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    svg = figure_svg(make())
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")
    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)
    second = make()
    assert matplotlib.rcParams["font.size"] == 30  # ours are gone again
    assert figure_svg(second) == svg
    assert figure_svg(second) == svg
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    addresses = set(re.findall(r"https?://[^\s\"'<]+", svg))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<script" not in svg
    assert "<metadata" not in svg


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_the_same_data_give_the_same_file(tmp_path: Path, suffix: str) -> None:
    figure = confusion_figure(MATRIX, ("a", "b"))
    paths = [tmp_path / f"{number}{suffix}" for number in range(2)]
    for path in paths:
        save_figure(figure, path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert b"matplotlib.org" not in first


def heights(figure: Figure, panel: int) -> list[float]:
    return [round(float(bar.get_height()), 6) for bar in figure.axes[panel].patches]


def texts(figure: Figure, panel: int) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts]


def test_false_positive_bars_are_the_shares() -> None:
    result = diagnosis()
    figure = false_positive_figure(result)
    drawn = np.array(heights(figure, 0)).reshape(len(VERDICTS), 10)
    np.testing.assert_allclose(drawn, 100 * result.shares.T, atol=1e-6)
    tops = [bar.get_y() + bar.get_height() for bar in figure.axes[0].patches[-10:]]
    assert tops == pytest.approx(100.0 * (result.slot_count > 0))
    bars = figure.axes[1].patches
    assert [bar.get_width() for bar in bars] == [100 * result.gain[name] for name in ERROR_TYPES]
    assert max(result.gain.values()) > 0
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == list(VERDICTS)


def test_attribute_bars_and_the_buckets_nobody_is_in() -> None:
    result = diagnosis()
    for figure, values, overall in (
        (false_negative_figure(result), "false_negative_rate", result.false_negative_rate),
        (sensitivity_figure(result), "mean_ap_n", result.map_n),
    ):
        for panel, item in enumerate(result.attributes):
            expected = getattr(item, values)
            assert heights(figure, panel) == pytest.approx(100 * np.nan_to_num(expected), abs=1e-5)
            written = texts(figure, panel)[: len(expected)]
            assert written == ["–" if math.isnan(v) else f"{100 * v:.1f}" for v in expected]
            assert figure.axes[panel].lines[0].get_ydata()[0] == pytest.approx(100 * overall)
        labels = [label.get_text() for label in figure.axes[1].get_xticklabels()]
        assert labels == ["XS\n0–3", "S\n3–6", "M\n6–12", "L\n12–18", "XL\n>18"]
    assert "0.00 to" in sensitivity_figure(result).axes[0].get_title()


def test_without_durations_there_are_two_panels() -> None:
    assert len(false_negative_figure(diagnosis(None)).axes) == 2


def test_nothing_found_is_drawn() -> None:
    truth = VideoAnnotation(as_segments([[0, 2]]), ("a",), duration_sec=10.0)
    nothing = diagnose(Annotations({"v": truth}, ("a",)), Detections({}, ("a",)))
    for figure in diagnosis_figures(nothing).values():
        assert figure_svg(figure).startswith("<svg")


def test_a_precision_holds_back_to_the_recall_before() -> None:
    figure = precision_recall_figure({"ours": CURVE, "none": ([], [])})
    line, empty = figure.axes[0].lines
    assert line.get_drawstyle() == "steps-pre"
    assert line.get_xdata().tolist() == [0, 25, 50]
    assert line.get_ydata().tolist() == [100, 100, 75]
    assert len(empty.get_xdata()) == 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", "none"]


def test_many_methods_stay_apart_and_inside() -> None:
    names = [f"a method with a name of length {number}" for number in range(30)]
    figure = average_recall_figure({name: (np.arange(1, 101), np.ones(100)) for name in names})
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 28  # seven colours, four kinds of dashes
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    assert figure.axes[0].get_window_extent().height > 100


def test_confusion_in_percent_of_the_true_class() -> None:
    figure = confusion_figure(MATRIX, ("a", "b"))
    assert figure.axes[0].images[0].get_array().tolist() == [[75, 25], [0, 0]]
    assert texts(figure, 0) == ["75", "25"]
    many = confusion_figure(np.eye(101), [f"class {number}" for number in range(101)])
    assert texts(many, 0) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: confusion_figure(np.eye(3), ("a", "b")),
        lambda: confusion_figure(np.eye(0), ()),
        lambda: precision_recall_figure({"x": ([0.5], [0.5, 0.6])}),
        lambda: average_recall_figure({"x": ([[1.0]], [[0.5]])}),
    ],
)
def test_shapes_that_do_not_fit(make: Callable[[], Figure]) -> None:
    with pytest.raises(ValueError, match="shape"):
        make()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "name",
    ["$x", "$\\frac$", "50 % & <b>", "a\udc80b", "跳", "two\nlines", "-->", "", "_x", "x" * 99],
)
def test_any_class_name_can_be_drawn(name: str) -> None:
    svg = figure_svg(confusion_figure(MATRIX, (name, "b")))
    ElementTree.fromstring(svg)
    legend = precision_recall_figure({name: CURVE}).legends[0]
    assert len(legend.get_texts()) == 1


@pytest.mark.parametrize("name", ["figure.gif", "figure"])
def test_other_formats_are_a_user_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(AttentadError, match=r"\.svg, \.png, \.pdf"):
        save_figure(confusion_figure(MATRIX, ("a", "b")), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AttentadError, match=r"pip install 'attentad\[figures\]'"):
        confusion_figure(MATRIX, ("a", "b"))


def test_importing_the_room_loads_neither_matplotlib_nor_torch() -> None:
    code = "import sys, attentad.report; print({'torch', 'matplotlib'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("set()\n", "")


def test_drawing_leaves_pyplot_alone() -> None:
    code = (
        "import sys; from attentad.report import confusion_figure, figure_svg;"
        "figure_svg(confusion_figure([[1]], ['a'])); print('matplotlib.pyplot' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("False\n", "")
