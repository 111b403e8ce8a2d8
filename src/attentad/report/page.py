"""Writing the page: one HTML file with everything in it, which works offline."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from attentad import __version__
from attentad.core.files import write_bytes
from attentad.report.content import Report
from attentad.report.evaluation import precision_table
from attentad.report.media import Media, place_media
from attentad.report.payload import page_data, script_json

SCRIPTS = (
    *("draw.js", "detectors.js", "tooltip.js", "player.js", "lists.js", "curves.js", "rows.js"),
    *("profiles.js", "timeline.js", "losses.js", "page.js"),
)
"""In the order in which they are joined into one script."""


def write_page(
    path: str | Path,
    report: Report,
    *,
    embed_limit_bytes: int = 8 * 2**20,
    embed_total_bytes: int = 48 * 2**20,
) -> None:
    """Write `report` as one HTML file, whole or not at all.

    Args:
        path: the file to write; links to videos are relative to its folder.
        report: what to show.
        embed_limit_bytes: a video file up to this size goes into the page, a larger one is
            linked; 0 links them all.
        embed_total_bytes: size of all embedded files together; those beyond it are linked.

    Raises:
        AttentadError: the page cannot be written, or a video to embed cannot be read.
    """
    path = Path(path)
    media = place_media(
        report.videos,
        path.parent,
        embed_limit_bytes=embed_limit_bytes,
        embed_total_bytes=embed_total_bytes,
    )
    write_bytes(path, _html(report, media).encode("utf-8", "replace"))


def _html(report: Report, media: list[Media]) -> str:
    style, script = _asset("page.css"), _script()
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("page.html.j2")).render(
        title=report.title,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        data=Markup(script_json(page_data(report, media))),
        embedded=[(i, item.content()) for i, item in enumerate(media) if item.kind == "embedded"],
        has_media=any(item.kind != "none" for item in media),
        has_files=any(video.source is not None for video in report.videos),
        evaluation=precision_table(report.evaluations),
        several=len(report.detectors) > 1,
        videos=len(report.videos),
        instances=sum(len(v.ground_truth.labels) for v in report.videos if v.ground_truth),
        annotated=any(video.ground_truth is not None for video in report.videos),
        losses=any(len(v) for terms in report.losses.values() for v in terms.values()),
        tables=report.tables,
        figures=[(title, _picture(svg)) for title, svg in report.figures.items()],
        facts=report.facts,
        version=__version__,
    )


def _picture(svg: str) -> str:
    """An SVG as the address of an image: there it can run no script and load nothing."""
    # The page's policy forbids the style attributes that SVG in the page itself would need.
    content = base64.b64encode(svg.encode("utf-8", "replace")).decode()
    return f"data:image/svg+xml;base64,{content}"


@cache
def _asset(name: str) -> str:
    # The policy's digest is of the text as a browser normalises it.
    text = resources.files("attentad.report").joinpath(name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


@cache
def _script() -> str:
    """All scripts as one, in a scope of their own."""
    parts = "\n".join(_asset(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();'


def _policy(style: str, script: str) -> str:
    """Only this very style and script may run, and nothing may be loaded but video files."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "img-src data:; media-src 'self' file: blob:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    """A Content-Security-Policy source for an inline element with this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
