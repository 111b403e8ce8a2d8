"""The command line: parse, call `app`, print. Everything heavy is imported inside a command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import attentad
from attentad.core.errors import AttentadError

if TYPE_CHECKING:
    from attentad.metrics import DetectionResult


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

    result = run_demo(out, seed=seed, say=_say)
    _print_map(result.evaluation)
    _say(f"page: {result.page}")


@app.command()
def toy(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    videos: Annotated[int, typer.Option(help="Number of untrimmed videos.")] = 60,
    clips: Annotated[int, typer.Option(help="Number of trimmed clips per class.")] = 80,
    seed: Seed = 0,
) -> None:
    """Generate untrimmed toy videos with annotations, and trimmed clips for a recogniser."""
    from attentad.app.progress import progress_bar
    from attentad.data.toy import make_toy

    with progress_bar("toy videos") as progress:
        make_toy(out, videos=videos, clips_per_class=clips, seed=seed, progress=progress)
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
    from attentad.app.recipe import DetectionRecipe, load_recipe
    from attentad.app.train import fold_recipe
    from attentad.app.train import train as run

    loaded = load_recipe(recipe, overrides or [])
    parts = {out: loaded}
    if fold is not None:
        if not isinstance(loaded, DetectionRecipe):
            raise AttentadError("--fold is for detection recipes; this one trains a recogniser.")
        folds = loaded.data.folds if fold == "all" else (fold,)
        parts = {out / name: fold_recipe(loaded, name) for name in folds}
    scores = []
    for folder, part in parts.items():
        trained = run(part, folder, resume=resume, overwrite=overwrite, on_epoch=_print_epoch)
        if trained is None:  # one of several processes, and not the one that reports
            continue
        _print_trained(trained.model, trained.score, trained.result)
        if trained.score is not None:
            scores.append(trained.score)
    if len(scores) > 1:
        mean = 100 * sum(scores) / len(scores)
        _say(f"mean over {len(scores)} folds: average mAP {mean:.2f}")


@app.command()
def recipes() -> None:
    """List the recipes that come with the package."""
    from attentad.app.recipe import load_recipe, recipe_names

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
        Path | None, typer.Option(help="Ground truth to show in the page.")
    ] = None,
) -> None:
    """Find the actions in videos or feature files."""
    from attentad.app.detect import detect as run
    from attentad.app.detect import write_run
    from attentad.app.progress import progress_bar
    from attentad.core import read_annotations

    known = None if annotations is None else read_annotations(annotations)
    with progress_bar("detecting") as progress:
        found = run(model, inputs, progress)
    _warn(found.notes)
    write_run(found, out, report, annotations=known)
    count = sum(len(items) for items in found.detections.videos.values())
    _say(f"{out}: {count} detections in {len(found.results)} videos")
    if report is not None:
        _say(f"page: {report}")


@app.command("eval")
def evaluate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="DETECTIONS... ANNOTATIONS",
            help="Detections of any known kind, then JSON, CSV or THUMOS14 folder of the truth; "
            "for recognition score files alone.",
        ),
    ],
    task: Annotated[str, typer.Option(help="detection, proposals or recognition.")] = "detection",
    protocol: Annotated[
        str,
        typer.Option(help="activitynet, thumos14, thumos14-official or wtalc."),
    ] = "activitynet",
    tiou: Annotated[
        str | None,
        typer.Option(help="start:stop:step, or values with commas; default: the protocol's."),
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Annotated subset(s) to score on.")] = None,
    gt_set: Annotated[
        str | None, typer.Option(help="Ground-truth set: all, full, opentad211, gtad210.")
    ] = None,
    restrict_to_gt_videos: Annotated[
        bool, typer.Option(help="Leave out detections in videos without ground truth.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Unknown labels and videos are errors.")
    ] = False,
    deduplicate: Annotated[
        bool, typer.Option(help="Merge instances that agree to 1 ms, as OpenTAD does.")
    ] = False,
    drop_empty: Annotated[
        bool, typer.Option(help="Leave out instances that do not end after they start.")
    ] = False,
    blocked: Annotated[
        Path | None, typer.Option(help="Text file of video ids to leave out of both sides.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="Class list, for files whose labels are numbers.")
    ] = None,
    per_class: Annotated[bool, typer.Option("--per-class", help="Show every class.")] = False,
    bootstrap: Annotated[
        int | None,
        typer.Option(
            help="Resamples for intervals; default: 1000 to compare files, else 0.", min=0
        ),
    ] = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option("--json", help="Also write the result here.")] = None,
    table: Annotated[
        list[Path] | None, typer.Option(help="Also write the table: .csv, .md or .tex. Repeatable.")
    ] = None,
    class_table: Annotated[
        Path | None, typer.Option(help="Also write the table of classes: .csv, .md or .tex.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for the curves, as SVG and PNG.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Also write an HTML page.")] = None,
) -> None:
    """Score detections (mAP), proposals (AR@AN, AUC) or recognition; several files compare."""
    from attentad.app.eval_command import Outputs, evaluate_and_write
    from attentad.app.progress import progress_bar

    outputs = Outputs(out, tuple(table or ()), class_table, figures, page)
    with progress_bar("resampling videos") as progress:
        evaluate_and_write(
            files,
            task,
            outputs,
            protocol=protocol,
            tiou=tiou,
            subset=subset,
            ground_truth_set=gt_set,
            restrict_to_gt_videos=restrict_to_gt_videos,
            strict=strict,
            deduplicate=deduplicate,
            drop_empty=drop_empty,
            blocked_path=blocked,
            classes_path=classes,
            per_class=per_class,
            bootstrap=bootstrap,
            seed=seed,
            progress=progress,
        )


@app.command()
def diagnose(
    detections: Annotated[Path, typer.Argument(help="Detections of any known kind.")],
    annotations: Annotated[Path, typer.Argument(help="JSON, CSV or THUMOS14 folder.")],
    tiou: Annotated[
        str | None, typer.Option(help="Thresholds to average over; default: the buckets' own.")
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Annotated subset(s) to look at.")] = None,
    buckets: Annotated[
        str, typer.Option(help="How instances are sorted: thumos14 or activitynet.")
    ] = "thumos14",
    gt_set: Annotated[
        str, typer.Option(help="Ground-truth set: all, full, opentad211, gtad210.")
    ] = "all",
    restrict_to_gt_videos: Annotated[
        bool, typer.Option(help="Leave out detections in videos without ground truth.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Unknown labels and videos are errors.")
    ] = False,
    classes: Annotated[
        Path | None, typer.Option(help="Class list, for files whose labels are numbers.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--json", help="Also write the profile here.")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for the figures, as SVG and PNG.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Also write an HTML page.")] = None,
) -> None:
    """Say what is wrong with detections: which errors cost how much, and what was missed."""
    from attentad.app.diagnose import diagnose_files, print_diagnosis

    diagnosis = diagnose_files(
        detections,
        annotations,
        tiou=tiou,
        subset=subset,
        buckets=buckets,
        ground_truth_set=gt_set,
        restrict_to_gt_videos=restrict_to_gt_videos,
        strict=strict,
        classes_path=classes,
        out_json=out,
        figures=figures,
        page=page,
    )
    print_diagnosis(diagnosis)


@app.command()
def table(
    name: Annotated[
        str | None, typer.Argument(help="Table, such as csa/4; none lists them all.")
    ] = None,
    data: Annotated[
        str, typer.Option(help="salads50, ucf15, toy, thumos14 or activitynet13.")
    ] = "salads50",
    root: Annotated[Path | None, typer.Option(help="Folder of the data.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for runs and results.")] = Path("tables"),
    seeds: Annotated[int, typer.Option(help="Number of seeds, from 0 on.", min=1)] = 1,
    folds: Annotated[
        str | None, typer.Option(help="Folds with commas; default: all that the data have.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of every run.", min=1)] = None,
    rows: Annotated[
        list[str] | None, typer.Option("--row", help="Run only this row. Repeatable.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="key=value change of every recipe.")
    ] = None,
) -> None:
    """Train the rows of a paper's table on your data; goes on where it stopped."""
    from attentad.app.paper_table import load_table, table_names
    from attentad.app.table_command import run_table

    if name is None:
        for known in table_names():
            print(f"{known:10} {load_table(known).title}")
        return
    run_table(
        name,
        data=data,
        root=root,
        out=out,
        seeds=seeds,
        folds=None if folds in (None, "all") else str(folds).split(","),
        epochs=epochs,
        rows=rows,
        settings=setting or (),
        say=_say,
    )


@app.command()
def report(
    detections: Annotated[Path, typer.Argument(help="Detections, JSON or CSV.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    annotations: Annotated[Path | None, typer.Option(help="Ground truth.")] = None,
    videos: Annotated[Path | None, typer.Option(help="Folder with the video files.")] = None,
    log: Annotated[Path | None, typer.Option(help="log.jsonl of the training run.")] = None,
) -> None:
    """Write an HTML page that shows detections on a timeline."""
    from attentad.app.report import report_files

    report_files(detections, out=out, annotations=annotations, videos=videos, log=log)
    _say(f"page: {out}")


def _say(text: str) -> None:
    print(text, flush=True)


def _warn(notes: list[str]) -> None:
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)


def _print_epoch(row: dict[str, Any]) -> None:
    """One line an epoch where no progress bar can be shown, as in a log file."""
    if not sys.stderr.isatty():
        parts = [f"{key} {value:.4g}" for key, value in row.items() if isinstance(value, float)]
        _say(f"epoch {row['epoch']}: " + ", ".join(parts))


def _print_trained(model: Path, score: float | None, result: DetectionResult | None) -> None:
    if result is not None:
        _print_map(result)
    elif score is not None:
        _say(f"top-1 accuracy on the test clips: {100 * score:.1f} %")
    _say(f"model: {model}")


def _print_map(result: DetectionResult) -> None:
    from attentad.app.eval_tables import print_result

    print_result(result)


def main() -> None:
    """Run the command line; a user's mistake gives one sentence and exit code 2."""
    # On a machine that is not idle, threads that spin while they wait slow a run several times
    # over. Read when torch is loaded, which no command has done yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()


if __name__ == "__main__":
    main()
