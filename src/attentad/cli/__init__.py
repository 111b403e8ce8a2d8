"""The command line: parse, call `app`, print. Everything heavy is imported inside a command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import attentad
from attentad.cli.scores import COMMANDS
from attentad.core.errors import AttentadError


class _Commands(TyperGroup):
    """The commands, with a user's mistake or Ctrl-C told in a sentence instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AttentadError as error:
            # Training on several devices runs this command once for each; one of them speaks.
            if os.environ.get("LOCAL_RANK", "0") == "0":
                print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        except KeyboardInterrupt:
            print(
                "interrupted; finished steps are kept, and the same command goes on from there "
                "(`train` needs --resume).",
                file=sys.stderr,
            )
            raise SystemExit(130) from None


app = typer.Typer(
    cls=_Commands,
    help="Find when actions happen in long videos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Seed = Annotated[int, typer.Option(help="Seed of all randomness.", min=0)]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"attentad {attentad.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """Make toy videos, train on them, detect in unseen ones, and write a page to look at."""
    from attentad.app.demo import run_demo
    from attentad.report.result_tables import comparison_table, print_tables

    result = run_demo(out, seed=seed, say=_say)
    print_tables([comparison_table(result.evaluations)])
    _say(f"page: {result.page}")


@app.command()
def toy(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    videos: Annotated[int, typer.Option(help="Number of untrimmed videos.")] = 60,
    clips: Annotated[int, typer.Option(help="Number of trimmed clips per class.")] = 80,
    seed: Seed = 0,
    classes_per_video: Annotated[
        str | None,
        typer.Option(help="LOW:HIGH classes in a video, such as 1:3; default: all that fit."),
    ] = None,
) -> None:
    """Generate untrimmed toy videos with annotations, and trimmed clips for a recogniser."""
    from attentad.app.progress import progress_bar
    from attentad.data.toy.classes import read_classes_per_video
    from attentad.data.toy.files import make_toy

    present = None if classes_per_video is None else read_classes_per_video(classes_per_video)
    with progress_bar("toy videos") as progress:
        make_toy(
            out,
            videos=videos,
            clips_per_class=clips,
            seed=seed,
            classes_per_video=present,
            progress=progress,
        )
    _say(f"{out}: {videos} videos, annotations.json, clips.csv")


@app.command()
def extract(
    model: Annotated[Path, typer.Argument(help="A recogniser, or a detector with one inside.")],
    inputs: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the features.")],
) -> None:
    """Turn videos into feature files with sidecars; goes on where it stopped."""
    from attentad.app.extract import extract as run
    from attentad.app.progress import progress_bar

    with progress_bar("features") as progress:
        notes = run(model, inputs, out, progress)
    _warn(notes)
    _say(f"features: {out}")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Name (see `attentad recipes`) or file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value changes, such as training.epochs=5.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for model, logs and scores.")] = Path("out"),
    fold: Annotated[
        str | None, typer.Option(help="Fold to hold out, or `all` to train one model per fold.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run stopped.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier run in the folder.")
    ] = False,
) -> None:
    """Train a recipe and score it on its test videos."""
    from attentad.app.train import run_training

    run_training(
        recipe, overrides or [], out, fold=fold, resume=resume, overwrite=overwrite, say=_say
    )


@app.command()
def recipes() -> None:
    """List the recipes that come with the package."""
    from attentad.recipes.load import load_recipe, recipe_names

    for name in recipe_names():
        print(f"{name:24} {load_recipe(name).about}")


@app.command()
def detect(
    model: Annotated[Path, typer.Argument(help="A trained detector.")],
    inputs: Annotated[
        list[Path], typer.Argument(help="Video files, feature files, or folders of either.")
    ],
    out: Annotated[Path, typer.Option(help="Detections: .json, .csv, .boris.csv or .vtt.")] = Path(
        "detections.json"
    ),
    report: Annotated[Path | None, typer.Option(help="Also write this HTML page.")] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Ground truth for the page, and durations of features.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for a timeline of each video, as SVG.")
    ] = None,
) -> None:
    """Find the actions in videos or feature files."""
    from attentad.app.detect import detect as run
    from attentad.app.detect import write_run
    from attentad.app.progress import progress_bar
    from attentad.core import read_annotations

    known = None if annotations is None else read_annotations(annotations)
    with progress_bar("detecting") as progress:
        found = run(model, inputs, progress, annotations=known)
    _warn(found.notes)
    write_run(found, out, report, annotations=known)
    count = sum(len(items) for items in found.detections.videos.values())
    _say(f"{out}: {count} detections in {len(found.results)} videos")
    if report is not None:
        _say(f"page: {report}")
    if figures is not None:
        from attentad.app.table.figures import write_timelines

        durations = {name: timeline.duration_sec for name, timeline in found.timelines.items()}
        files = write_timelines(
            found.results, durations, found.detections.classes, figures, annotations=known
        )
        _say(f"figures: {len(files)} in {figures}")


@app.command()
def report(
    detections: Annotated[
        list[Path], typer.Argument(help="Detections, JSON or CSV; several files are compared.")
    ],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    name: Annotated[
        list[str] | None,
        typer.Option(help="Detector of each file, in their order; default: the files' names."),
    ] = None,
    annotations: Annotated[Path | None, typer.Option(help="Ground truth.")] = None,
    videos: Annotated[Path | None, typer.Option(help="Folder with the video files.")] = None,
    log: Annotated[
        list[Path] | None,
        typer.Option(help="log.jsonl of the training run; one for each of several files."),
    ] = None,
) -> None:
    """Write an HTML page that shows detections on a timeline."""
    from attentad.app.report import report_files

    report_files(
        detections, out=out, names=name or (), annotations=annotations, videos=videos, log=log
    )
    _say(f"page: {out}")


for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def _say(text: str) -> None:
    print(text, flush=True)


def _warn(notes: list[str]) -> None:
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)


def main() -> None:
    """Run the command line; a user's mistake gives one sentence and exit code 2."""
    # On a machine that is not idle, threads that spin while they wait slow a run several times
    # over. Read when torch is loaded, which no command has done yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()


if __name__ == "__main__":
    main()
