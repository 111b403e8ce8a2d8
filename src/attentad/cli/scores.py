"""Commands around data sets and numbers: check, convert, eval, diagnose, table; see `cli`."""

# No `from __future__ import annotations`: typer evaluates them, and text takes it longer.
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from attentad.cli.videos import say, warn

# What `eval` and `diagnose` both take.
OnlyTruthVideos = Annotated[
    bool, typer.Option(help="Leave out detections in videos without ground truth.")
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Labels or videos that are unknown or never detected are errors."
    ),
]
ClassList = Annotated[
    Path | None, typer.Option(help="Class list, for files whose labels are numbers.")
]
Page = Annotated[Path | None, typer.Option(help="Also write an HTML page.")]


def check(
    recipe: Annotated[
        str | None, typer.Argument(help="Recipe whose data to look over: name or file.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value changes of the recipe.")
    ] = None,
    features: Annotated[
        list[Path] | None, typer.Option(help="Without a recipe: features; repeat for streams.")
    ] = None,
    annotations: Annotated[Path | None, typer.Option(help="Without a recipe: annotations.")] = None,
    test: Annotated[str | None, typer.Option(help="Subset(s) to test on.")] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second, for features without sidecars.")
    ] = None,
    stride_frames: Annotated[
        float | None, typer.Option(help="Frames from one row to the next, ditto.")
    ] = None,
    rescaled: Annotated[
        bool, typer.Option("--rescaled", help="Rows span the video's duration, ditto.")
    ] = False,
) -> None:
    """Look a data set over before training; exit code 2 when something is wrong."""
    from attentad.app.check.data_set import check as check_recipe
    from attentad.app.check.data_set import check_files
    from attentad.app.check.findings import errors, print_findings
    from attentad.core import AttentadError
    from attentad.core.progress import progress_bar

    if (recipe is None) == (annotations is None or not features):
        raise AttentadError(
            "check needs a recipe, or both --features and --annotations; give one of the two."
        )
    with progress_bar("checking") as progress:
        if recipe is not None:
            findings = check_recipe(recipe, overrides or (), progress=progress)
        else:
            assert annotations is not None
            findings = check_files(
                features or (),
                annotations,
                test=() if test is None else test.split(","),
                fps=fps,
                stride_frames=stride_frames,
                rescaled=rescaled,
                progress=progress,
            )
    print_findings(findings)
    if errors(findings):
        raise typer.Exit(2)


def convert(
    layout: Annotated[
        str,
        typer.Argument(
            metavar="FROM", help="Layout of FILE: auto, wtalc, or a name of docs/formats.md."
        ),
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File or folder to read.")],
    out: Annotated[
        Path,
        typer.Argument(
            help="File to write; its end says what: .json, .csv, .tsv, .boris, .boris.csv, .eaf, "
            ".label-studio.json, .frames.csv. Of wtalc: folder to write to."
        ),
    ],
    fps: Annotated[
        float | None, typer.Option(help="Frames per second, for files that count frames.")
    ] = None,
    labels: Annotated[
        str,
        typer.Option(
            help="Of wtalc, where video-level labels are from: labels_all or from_segments."
        ),
    ] = "labels_all",
) -> None:
    """Turn what others annotated or released into our files, or ours into those of others.

    wtalc: NAME-I3D-JOINTFeatures.npy and NAME-Annotations/ of .npy files, as for THUMOS14 and
    ActivityNet 1.2. No pickle in it is run. Goes on where it stopped.
    """
    from attentad.app.convert import RELEASES, convert_file, convert_wtalc
    from attentad.core import AttentadError
    from attentad.core.progress import progress_bar

    if layout not in RELEASES:
        converted = convert_file(layout, file, out, fps=fps)
    elif fps is not None:
        raise AttentadError("wtalc has a frame rate of its own; leave --fps out.")
    else:
        with progress_bar("features") as progress:
            converted = convert_wtalc(file, out, labels=labels, progress=progress)  # type: ignore[arg-type]
    warn(converted.notes)
    for line in converted.lines:
        say(line)
    if layout in RELEASES:
        say(f"{out}: features, annotations.json, video_labels.json")


def evaluate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="DETECTIONS... ANNOTATIONS",
            help="Detections of any known kind, then annotations of any known layout; "
            "for recognition score files alone; for framewise files or folders of frame labels, "
            "predicted and then true.",
        ),
    ],
    task: Annotated[
        str, typer.Option(help="detection, proposals, recognition or framewise.")
    ] = "detection",
    protocol: Annotated[
        str | None,
        typer.Option(
            help="activitynet, thumos14, thumos14-official or wtalc; of framewise: ms-tcn or "
            "ed-tcn. Default: the first."
        ),
    ] = None,
    tiou: Annotated[
        str | None,
        typer.Option(help="start:stop:step, or values with commas; default: the protocol's."),
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Annotated subset(s) to score on.")] = None,
    gt_set: Annotated[
        str | None, typer.Option(help="Ground-truth set: all, full, opentad211, gtad210.")
    ] = None,
    restrict_to_gt_videos: OnlyTruthVideos = False,
    strict: Strict = False,
    deduplicate: Annotated[
        bool, typer.Option(help="Merge instances that agree to 1 ms, as OpenTAD does.")
    ] = False,
    drop_empty: Annotated[
        bool, typer.Option(help="Leave out instances that do not end after they start.")
    ] = False,
    blocked: Annotated[
        Path | None, typer.Option(help="Text file of video ids to leave out of both sides.")
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            help="Of framewise: labels in which nothing happens, with commas. Default: background."
        ),
    ] = None,
    classes: ClassList = None,
    per_class: Annotated[bool, typer.Option("--per-class", help="Show every class.")] = False,
    bootstrap: Annotated[
        int | None,
        typer.Option(
            help="Resamples for intervals; default: 1000 to compare files, else 0.", min=0
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the resampling.", min=0)] = 0,
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
    page: Page = None,
) -> None:
    """Score detections (mAP), proposals (AR@AN, AUC), recognition or frame labels (accuracy,
    edit, F1); several files compare."""
    from attentad.app.evaluate import Outputs, evaluate_and_write
    from attentad.core.progress import progress_bar

    outputs = Outputs(out, tuple(table or ()), class_table, figures, page)
    with progress_bar("resampling videos") as progress:
        evaluate_and_write(
            files,
            task,
            outputs,
            **({} if protocol is None else {"protocol": protocol}),
            tiou=tiou,
            subset=subset,
            ground_truth_set=gt_set,
            restrict_to_gt_videos=restrict_to_gt_videos,
            strict=strict,
            deduplicate=deduplicate,
            drop_empty=drop_empty,
            blocked_path=blocked,
            background=background,
            classes_path=classes,
            per_class=per_class,
            bootstrap=bootstrap,
            seed=seed,
            progress=progress,
        )


def diagnose(
    detections: Annotated[Path, typer.Argument(help="Detections of any known kind.")],
    annotations: Annotated[Path, typer.Argument(help="Annotations of any known layout.")],
    tiou: Annotated[
        str | None, typer.Option(help="Thresholds to average over; default: the buckets' own.")
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Annotated subset(s) to look at.")] = None,
    buckets: Annotated[
        str, typer.Option(help="How instances are sorted: thumos14 or activitynet.")
    ] = "thumos14",
    counted_instances: Annotated[
        str,
        typer.Option(
            help="What the attribute `instances` counts: those of the same class in the video, "
            "or all of the video, as the authors' tool (class or video)."
        ),
    ] = "class",
    gt_set: Annotated[
        str, typer.Option(help="Ground-truth set: all, full, opentad211, gtad210.")
    ] = "all",
    restrict_to_gt_videos: OnlyTruthVideos = False,
    strict: Strict = False,
    classes: ClassList = None,
    out: Annotated[Path | None, typer.Option("--json", help="Also write the profile here.")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for the figures, as SVG and PNG.")
    ] = None,
    page: Page = None,
) -> None:
    """Say what is wrong with detections: which errors cost how much, and what was missed."""
    from attentad.app.diagnose import diagnose_files, print_diagnosis

    diagnosis = diagnose_files(
        detections,
        annotations,
        tiou=tiou,
        subset=subset,
        buckets=buckets,
        counted_instances=counted_instances,
        ground_truth_set=gt_set,
        restrict_to_gt_videos=restrict_to_gt_videos,
        strict=strict,
        classes_path=classes,
        out_json=out,
        figures=figures,
        page=page,
    )
    print_diagnosis(diagnosis)


def table(
    name: Annotated[
        str | None, typer.Argument(help="Table, such as csa/4; none lists them all.")
    ] = None,
    data: Annotated[
        str, typer.Option(help="salads50, ucf15, toy, thumos14, activitynet13 or activitynet12.")
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
    from attentad.app.table.command import run_table
    from attentad.recipes.paper_tables import load_table, table_names

    if name is None:
        for listed in table_names():
            print(f"{listed:14} {load_table(listed).title}")
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
        say=say,
    )


def parts(
    kind: Annotated[
        str | None, typer.Argument(help="detector, attention, backbone, view or suppression.")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="One of them: its options.")] = None,
) -> None:
    """List what a recipe can name: detectors, attention modules and so on, with their options."""
    from attentad.app.parts import list_parts

    for line in list_parts(kind, name):
        print(line)


COMMANDS: dict[str, Callable[..., None]] = {
    "check": check,
    "convert": convert,
    "eval": evaluate,
    "diagnose": diagnose,
    "table": table,
    "parts": parts,
}
