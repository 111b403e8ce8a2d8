"""The style sheet's class colours: readable on the panel, and apart for colour-blind eyes."""

from __future__ import annotations

import re
from importlib import resources
from itertools import combinations

import numpy as np
import pytest

# Simulation of a full lack of one cone in linear RGB, Machado, Oliveira & Fernandes 2009.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]
    ),
    "deuteranopia": np.array(
        [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]
    ),
}
# OKLab, Ottosson 2020.
TO_LMS = np.array(
    [[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]]
)
TO_LAB = np.array(
    [[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]]
)


def schemes() -> dict[str, dict[str, str]]:
    text = resources.files("attentad.report").joinpath("page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]
    found = [dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in blocks]
    return dict(zip(("light", "dark"), found, strict=True))


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_stand_out_and_stay_apart(scheme: str) -> None:
    colours = schemes()[scheme]
    classes = [colours[f"class-{i}"] for i in range(8)]
    for colour in [*classes, *(colours[f"line-{i}"] for i in range(4)), colours["playhead"]]:
        assert contrast(colour, colours["panel"]) >= 3, colour
    for text in ("ink", "muted", "accent"):
        assert contrast(colours[text], colours["panel"]) >= 4.5
        assert contrast(colours[text], colours["page"]) >= 4.5
    for name, matrix in VISION.items():
        seen = [TO_LAB @ np.cbrt(TO_LMS @ np.clip(matrix @ linear(c), 0, 1)) for c in classes]
        nearest = min(
            (float(np.linalg.norm(a - b)), i, j)
            for (i, a), (j, b) in combinations(enumerate(seen), 2)
        )
        assert nearest[0] >= 0.07, (name, nearest)
