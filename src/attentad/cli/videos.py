"""Commands around videos: demo, toy, extract, train, recipes, detect, report; see `cli`."""

# No `from __future__ import annotations`: typer evaluates them, and text takes it longer.
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

Seed = Annotated[int, typer.Option(help="Seed of all randomness.", min=0)]
Cluster = Annotated[
    str | None,
    typer.Option(help="A task for each video on a Ray cluster: HOST:PORT, or local."),
]

say = partial(print, flush=True)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """Make toy videos, train on them, detect in unseen ones, and write a page to look at."""
    from attentad.app.demo import run_demo
    from attentad.report.result_tables import comparison_table, print_tables

    page, evaluations = run_demo(out, seed=seed, say=say)
    print_tables([comparison_table(evaluations)])
    say(f"page: {page}")


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
    from attentad.core.progress import progress_bar
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
    say(f"{out}: {videos} videos, annotations.json, clips.csv")


def extract(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="[MODEL] VIDEOS...",
            help="Video files, or folders of them; before them a model file with a backbone.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the features.")],
    backbone: Annotated[
        str | None,
        typer.Option(help="image (default), hf, or a model file; see `attentad parts backbone`."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, an option of the backbone, such as fps=10."),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float16"], typer.Option(help="Numbers in the files.")
    ] = "float32",
    shard: Annotated[
        str | None, typer.Option(help="2/8: the second of eight shares of the videos.")
    ] = None,
    cluster: Cluster = None,
) -> None:
    """Turn videos into feature files with sidecars; goes on where it stopped."""
    from attentad.app.extract import run_extraction

    extracted = run_extraction(
        inputs, out, backbone, settings or (), dtype=dtype, shard=shard, cluster=cluster
    )
    warn(extracted.notes)
    say(f"features: {out}")
    end_with(extracted.failures)


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
        recipe, overrides or [], out, fold=fold, resume=resume, overwrite=overwrite, say=say
    )


def recipes() -> None:
    """List the recipes that come with the package."""
    from attentad.recipes.load import load_recipe, recipe_names

    for name in recipe_names():
        print(f"{name:24} {load_recipe(name).about}")


def detect(
    model: Annotated[Path, typer.Argument(help="A trained detector.")],
    inputs: Annotated[
        list[Path], typer.Argument(help="Video files, feature files, or folders of either.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Detections: .json, .csv, .vtt, .boris, .eaf and others; see formats.md."
        ),
    ] = Path("detections.json"),
    report: Annotated[Path | None, typer.Option(help="Also write this HTML page.")] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Ground truth for the page, and durations of features.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for a timeline of each video, as SVG.")
    ] = None,
    cluster: Cluster = None,
) -> None:
    """Find the actions in videos or feature files."""
    from attentad.app.detect import detect_and_write
    from attentad.core.formats.detections import detection_files
    from attentad.core.wording import and_more, number_of

    run = detect_and_write(
        model,
        inputs,
        out,
        page=report,
        figures=figures,
        annotations=annotations,
        cluster=cluster,
    )
    warn(run.notes)
    count = sum(len(found.detections) for found in run.results.values())
    files = detection_files(out, run.results)
    say(f"{files[0]}{and_more(files)}: {count} detections in {number_of(run.results, 'video')}")
    if report is not None:
        say(f"page: {report}")
    if figures is not None:
        say(f"figures: {len(run.results)} in {figures}")
    end_with(run.failures)


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
        detections,
        out=out,
        names=name or (),
        annotations=annotations,
        videos=videos,
        logs=log or (),
    )
    say(f"page: {out}")


COMMANDS: dict[str, Callable[..., None]] = {
    command.__name__: command for command in (demo, toy, extract, train, recipes, detect, report)
}


def warn(notes: Iterable[str]) -> None:
    """Tell what to know beside a result."""
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)


def end_with(failures: Mapping[str, str]) -> None:
    """End a command that did all but these; exit code 1 where there are any."""
    for sentence in failures.values():
        print(f"error: {sentence}", file=sys.stderr)
    if failures:
        raise SystemExit(1)
