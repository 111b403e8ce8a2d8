"""`attentad train own`: one command from videos and annotations to a model and a page."""

# No `from __future__ import annotations`: typer evaluates them, and text takes it longer.
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attentad.cli.videos import end_with, say, warn

if TYPE_CHECKING:
    from attentad.recipes.load import DetectionRecipe


def train_own(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEOS... ANNOTATIONS [KEY=VALUE]...",
            help="Video files, or folders of them; then what is annotated of them, in any format "
            "that is read here, or a list of whole videos' labels; then changes: backbone=NAME or "
            "MODEL.safetensors, backbone.fps=10 and other options of it, or any key of a recipe, "
            "such as training.epochs=30.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for features, model, scores and page.")] = Path(
        "own"
    ),
    test: Annotated[
        str | None,
        typer.Option(
            help="Subset(s) of the annotations to test on; default: one named test, else a split "
            "by video, or cross-validation where there are fewer than 20."
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Keep videos together, of one animal, say: a column of the annotations' table, "
            "`subset`, or a regular expression on the videos' names, such as '^(mouse[0-9]+)'."
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Train anew where annotations or settings changed; keep features."
        ),
    ] = False,
) -> None:
    """Train on your own videos, without a recipe; the same command goes on where it stopped."""
    from attentad.app.extract import run_extraction
    from attentad.app.own.command import train_own as train_own_videos
    from attentad.app.own.order import read_order
    from attentad.report.result_tables import print_tables

    own = train_own_videos(
        read_order(words, out, test=test, group=group),
        extract=run_extraction,
        check=_look_over,
        say=say,
        warn=lambda note: warn([note]),
        overwrite=overwrite,
    )
    print_tables(own.tables)
    say(f"model: {own.model}\npage: {own.page}")
    say(f"next: attentad detect {own.model} NEW_VIDEO --report page.html")
    end_with(own.failures)


def _look_over(recipe: "DetectionRecipe") -> None:
    """Print what a look at the data finds; errors end the command."""
    from attentad.app.check.data_set import check
    from attentad.app.check.findings import errors, print_findings
    from attentad.core import AttentadError
    from attentad.core.wording import number_of

    findings = check(recipe)
    print_findings(findings)
    if wrong := errors(findings):
        raise AttentadError(
            f"{number_of(wrong, 'error')} in the data, see above; correct them and run this again."
        )


COMMANDS: dict[str, Callable[..., None]] = {"train own": train_own}
