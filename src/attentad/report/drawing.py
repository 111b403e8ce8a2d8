"""Making figures with matplotlib and writing them, the same bytes for the same data.

Nothing here touches pyplot's state or a user's matplotlib settings.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attentad.core import AttentadError
from attentad.core.files import write_bytes
from attentad.report.payload import plain_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_SUFFIXES = (".svg", ".png", ".pdf")

INK, FAINT = "#2b3038", "#d9dde2"

_NAME_LETTERS = 28

# Nothing that differs from run to run, or names a network address, goes into a file.
_METADATA: Mapping[str, dict[str, Any]] = {
    ".svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}

# Any: the keys that matplotlib knows differ from version to version.
_STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5"
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "savefig.dpi": 200,
    "svg.hashsalt": "attentad",
    "pdf.fonttype": 42,  # publishers refuse Type 3 fonts
}


def figure_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element, text drawn as outlines; without XML declaration."""
    text = _rendered(figure, ".svg").decode("utf-8")
    return text[text.index("<svg") :]


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write the figure as `.svg`, `.png` or `.pdf`, whole or not at all.

    Raises:
        AttentadError: another suffix, or the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FIGURE_SUFFIXES:
        raise AttentadError(
            f"{path}: a figure can be written as {', '.join(FIGURE_SUFFIXES)}; choose one of them."
        )
    write_bytes(path, _rendered(figure, suffix))


@contextmanager
def _style() -> Iterator[None]:
    """matplotlib with our settings alone, whatever the user's own are; restored afterwards.

    Raises:
        AttentadError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise AttentadError(
            "figures need matplotlib, which is not installed; install it with "
            "pip install 'attentad[figures]'."
        ) from None
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Class names in scripts that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """Within `_style`, a figure of a width and height in inches; at the end it is laid out."""
    with _style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        # Every layout starts from the one before: once, or a second file would differ slightly.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def _rendered(figure: Figure, suffix: str) -> bytes:
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format=suffix[1:], metadata=_METADATA[suffix])
    return buffer.getvalue()


def short_name(text: str) -> str:
    """A name on one line, neither empty nor too long."""
    line = " ".join(plain_text(text).split()) or "–"
    return line if len(line) <= _NAME_LETTERS else line[: _NAME_LETTERS - 1] + "…"
