"""`attentad demo`: from nothing to a page, over real video files, without network or GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from attentad.core import AttentadError, read_annotations, write_detections
from attentad.core.files import read_json, write_json
from attentad.core.progress import progress_bar
from attentad.data.toy.files import make_toy
from attentad.metrics import DetectionResult
from attentad.metrics.evaluate import evaluate_files
from attentad.models.extract import extract_features
from attentad.models.file import load_backbone
from attentad.models.run import load, runs_report
from attentad.models.train import MODEL_NAME, train
from attentad.recipes.load import Recipe, load_recipe
from attentad.report import write_page
from attentad.training.logs import loss_curves

VIDEOS = 60  # a third of them for testing
# Videos differ in the classes that they hold, so that these alone say something.
CLASSES_PER_VIDEO = (1, 3)
CLIPS_PER_CLASS = 150
SUBSET = "test"
TIOU = "0.3:0.7:0.1"
# Name on the page → recipe: what learns from segments, and what from the classes of whole videos.
DETECTORS = {"BMN-CSA (full)": "demo/detector", "HAM-Net (weak)": "demo/weak"}


def run_demo(
    out: Path, *, seed: int = 0, say: Callable[[str], None] = print
) -> tuple[Path, dict[str, DetectionResult]]:
    """Draw toy videos, train recogniser and detectors, detect in the test videos, write a page.

    Finished steps of an earlier, interrupted run in `out` are kept. What comes back is the page,
    and by detector mAP on the toy videos that training never saw.

    Raises:
        AttentadError: `out` holds a demo of another seed, or cannot be written.
    """
    started = time.monotonic()

    def step(text: str) -> None:
        say(f"[{time.monotonic() - started:4.0f} s] {text}")

    _check_folder(out, seed)
    data = out / "toy"
    annotations_path = data / "annotations.json"
    step(f"drawing {VIDEOS} toy videos and trimmed clips in {data}")
    with progress_bar("toy videos") as progress:
        make_toy(
            data,
            videos=VIDEOS,
            clips_per_class=CLIPS_PER_CLASS,
            classes_per_video=CLASSES_PER_VIDEO,
            seed=seed,
            progress=progress,
        )
    recogniser = _trained_recogniser(data, out / "recogniser", seed, step)
    annotations = read_annotations(annotations_path)
    names = [name for name, item in annotations.videos.items() if item.subset != SUBSET]
    step(f"reading features from {len(names)} training videos")
    with progress_bar("features") as progress:
        extract_features(load_backbone(recogniser), _files(data, names), out / "features", progress)

    test = annotations.subset(SUBSET)
    runs, evaluations, losses = {}, {}, {}
    for name, recipe_name in DETECTORS.items():
        folder = out / recipe_name.rpartition("/")[2]
        if not (folder / MODEL_NAME).exists():
            step(f"training on the features: {name}")
            train(_detection_recipe(recipe_name, out, recogniser, seed), folder, resume=True)
        step(f"detecting in {len(test.videos)} test videos that no training saw: {name}")
        with progress_bar("detecting") as progress:
            model = load(folder / MODEL_NAME)
            runs[name] = model.detect(_files(data, test.videos), progress)
        detections = folder / "detections.json"
        write_detections(detections, runs[name].detections)
        evaluations[name] = evaluate_files(
            detections,
            annotations_path,
            tiou=TIOU,
            subset=SUBSET,
            out_json=folder / "evaluation.json",
        )
        losses[name] = loss_curves(folder / "log.jsonl")
    page = out / "report.html"
    report = runs_report(
        runs,
        "attentad demo: toy videos",
        annotations=test,
        evaluations={name: result.to_dict() for name, result in evaluations.items()},
        losses=losses,
    )
    write_page(page, report)
    step("done")
    return page, evaluations


def _trained_recogniser(data: Path, folder: Path, seed: int, step: Callable[[str], None]) -> Path:
    """The file of the recogniser, which is trained if it is not there yet."""
    if not (folder / MODEL_NAME).exists():
        step("training the recogniser (3D ResNet with STA) on the trimmed clips")
        recipe = load_recipe("demo/recogniser", [f"data.root={data}", f"training.seed={seed}"])
        trained = train(recipe, folder, resume=True)
        if trained is not None and trained.score is not None:
            step(f"recogniser: {100 * trained.score:.1f} % of the test clips right")
    return folder / MODEL_NAME


def _detection_recipe(name: str, out: Path, recogniser: Path, seed: int) -> Recipe:
    overrides = [
        f"data.features={(out / 'features').resolve()}",
        f"data.annotations={(out / 'toy' / 'annotations.json').resolve()}",
        f"data.encoder={recogniser.resolve()}",
        f"training.seed={seed}",
    ]
    return load_recipe(name, overrides)


def _files(data: Path, names: Iterable[str]) -> list[Path]:
    return [data / "videos" / f"{name}.mp4" for name in names]


def _check_folder(out: Path, seed: int) -> None:
    """Keep steps of another seed from being taken for this one's."""
    marker = out / "demo.json"
    settings = {"seed": seed, "classes_per_video": list(CLASSES_PER_VIDEO)}
    if marker.exists() and read_json(marker) != settings:
        raise AttentadError(
            f"{out} holds a demo of another seed or version; choose another folder with --out or "
            "delete it."
        )
    write_json(marker, settings)
