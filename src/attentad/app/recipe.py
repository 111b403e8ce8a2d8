"""Recipes: one YAML file says everything about a run; checked before any work starts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from attentad.core import AttentadError
from attentad.training.settings import TrainingSettings


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Component(BaseModel):
    """A part chosen by name from a table; its other keys are the part's own arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The arguments beside the name."""
        return dict(self.model_extra or {})


class FeatureClock(Section):
    """When features were taken, for features that come without a sidecar."""

    fps: float | None = Field(
        None, gt=0, description="of the frames counted here; None = each video's, as annotated"
    )
    stride_frames: float = Field(gt=0, description="frames from one feature to the next")
    window_frames: float = Field(gt=0, description="frames that one feature sees")
    offset_frames: float = Field(0.0, description="first frame of feature 0's window")


class ScoreColumns(Section):
    """Which columns of R are class scores; they give labels to class-agnostic proposals."""

    first: int = Field(0, ge=0, description="first of the columns, one per class, in class order")
    activation: Literal["none", "sigmoid", "softmax"] = Field(
        "none", description="softmax runs over all columns of R from `background` or `first` on"
    )
    background: int | None = Field(None, description="column of the background class, if any")
    temperature: float = Field(1.0, gt=0, description="scores are divided by it beforehand")


DurationRef = Literal["annotated", "feature_frames", "floor16"]


class DetectionData(Section):
    """Where features and annotations are, and which videos train and test."""

    root: Path = Field(Path(), description="folder that the other paths start from")
    features: Path | Annotated[tuple[Path, ...], Field(min_length=1)] = Field(
        description="feature folder or archive, `*` for several; a list is joined column by column"
    )
    every: int = Field(1, ge=1, description="keep every so many rows of the features")
    name_pattern: str = Field(
        "{video}", description="how files or keys are named for a video, such as v_{video}"
    )
    annotations: Path = Field(description="ActivityNet JSON, THUMOS14 text folder or CSV")
    classes: tuple[str, ...] | None = Field(None, description="class names in their order")
    train: tuple[str, ...] | None = Field(None, description="subsets; None = all that do not test")
    test: tuple[str, ...] = Field(
        description="subsets to score the trained model on; empty = no scoring, and set `train`"
    )
    validate_on: tuple[str, ...] | None = Field(
        None, description="subsets scored during training to choose the best epoch"
    )
    folds: tuple[str, ...] = Field((), description="subsets that take turns as `test`")
    keep_ambiguous: bool = Field(
        False, description="train on THUMOS14's Ambiguous segments too, as G-TAD does"
    )
    by_length: bool = Field(
        False, description="without videos that are all action, short actions twice, as DBG does"
    )
    clock: FeatureClock | Literal["rescaled"] | None = Field(
        None, description="None = sidecars say; rescaled = the rows divide the duration evenly"
    )
    duration_ref: DurationRef = Field(
        "annotated", description="what features cover in training: `reference_duration_sec`"
    )
    detect_duration_ref: DurationRef | None = Field(
        None, description="the same when scoring; None = as in training"
    )
    frame_counts: Path | None = Field(
        None, description="frames per video for duration_ref; None = in the annotations"
    )
    scores: ScoreColumns | None = Field(None, description="None = the features' sidecars say")
    encoder: Path | None = Field(None, description="recogniser that made the features, to embed")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.test and self.train is None:
            raise ValueError("with an empty test, train must name the subsets to train on")
        return self

    @property
    def streams(self) -> tuple[Path, ...]:
        """The feature folders or archives below `root`, in the order of their columns."""
        paths = self.features if isinstance(self.features, tuple) else (self.features,)
        return tuple(self.root / path for path in paths)


class View(Section):
    """How a video of any length becomes T steps."""

    name: Literal["rescaled", "windows"] = "rescaled"
    length: int = Field(100, ge=2, description="T, in feature steps")
    mode: Literal["bsn", "linear", "as_is"] = Field(
        "bsn", description="rescaled: how it interpolates; as_is = the features have T rows"
    )
    stride_steps: int | None = Field(None, ge=1, description="windows: None = half a window")
    cover_tail: bool = Field(True, description="windows: the last one ends with the video")
    min_coverage: float = Field(
        0.9, ge=0, lt=1, description="windows: train where an instance lies in more than this"
    )
    drop_cut: bool = Field(
        False, description="windows: train without instances cut beyond that, as OpenTAD does"
    )
    gtad_half_shift: bool = Field(
        False, description="windows: look for instances half a step earlier, as G-TAD's release"
    )


class DetectorChoice(Section):
    """A detector by name, with the arguments of its four parts."""

    name: str
    network: dict[str, Any] = {}
    targets: dict[str, Any] = {}
    loss: dict[str, Any] = {}
    decode: dict[str, Any] = {}


class ClassifierSettings(Section):
    """The classifier of snippets that training fits, see `fit_snippet_classifier`."""

    weight_decay: float = Field(3e-3, ge=0, description="the larger, the softer the scores")
    class_balance: float = Field(
        0.0, ge=0, le=1, description="0 counts every snippet alike, 1 every class"
    )
    smoothing: int = Field(1, ge=1, description="mean over so many snippets, an odd number")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.smoothing % 2 == 0:
            raise ValueError(f"smoothing must be an odd number of snippets, not {self.smoothing}")
        return self


class Labels(Section):
    """How class-agnostic proposals get their classes."""

    source: Literal["snippets", "classifier", "file", "untrimmednet", "cuhk"] = Field(
        "snippets",
        description="class scores in R; by a classifier of R, fitted to the training videos; or of "
        "whole videos in a file of that layout",
    )
    classifier: ClassifierSettings = Field(ClassifierSettings(), description="for `classifier`")
    file: Path | None = Field(
        None, description="class scores of whole videos; `file`: npz of video id → scores"
    )
    topk: int = Field(1, ge=1, description="classes per proposal")
    fuse: Literal["prod", "sqrt", "none"] = "prod"
    contrast: float = Field(
        0.0,
        ge=0,
        description="snippets, classifier: subtract the score around, so many lengths wide",
    )

    @property
    def by_snippets(self) -> bool:
        """Whether each snippet has class scores of its own, rather than the video as a whole."""
        return self.source in ("snippets", "classifier")


class Suppression(Section):
    """Suppression of duplicates after labelling, see `suppression.merge_windows` (spec csa §6)."""

    how: Literal["global", "per_window"] = Field(
        "global", description="per_window: each window first, then their union, as G-TAD does"
    )
    max_length_sec: float | None = Field(
        None, gt=0, description="leave out longer segments first, as G-TAD does"
    )
    max_length_frames: float | None = Field(
        None, gt=0, description="the same in frames of the features' clock (G-TAD: 300)"
    )
    method: Literal["gauss", "adaptive", "linear", "hard", "none"] = "gauss"
    per_class: bool = Field(True, description="suppress within a class, or among all classes")
    tiou_threshold: float = Field(0.5, ge=0, le=1, description="hard, linear")
    ties: Literal["first", "last"] = Field("first", description="hard: which of equals wins")
    plus_one: bool = Field(False, description="a second more on lengths, as HAM-Net does")
    voting_tiou: float | None = Field(
        None, gt=0, le=1, description="what is kept becomes the mean of those that overlap so much"
    )
    sigma: float = Field(0.4, gt=0, description="gauss, adaptive")
    t1: float = Field(0.5, ge=0, le=1, description="adaptive: tIoU threshold of short segments")
    t2: float = Field(0.9, ge=0, le=1, description="adaptive: tIoU threshold of long segments")
    score_floor: float = Field(0.0, ge=0, description="leave out what ends below")
    keep: int | None = Field(None, ge=1, description="at most so many per class (or in all)")
    keep_total: int | None = Field(200, ge=1, description="at most so many per video")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.max_length_sec is not None and self.max_length_frames is not None:
            raise ValueError("set max_length_sec or max_length_frames, not both")
        return self


class Evaluation(Section):
    """How the trained detector is scored."""

    protocol: str = "activitynet"
    tiou: str = "0.3:0.7:0.1"


class DetectionRecipe(Section):
    """A temporal action detector trained on features."""

    task: Literal["detection"]
    about: str = ""
    data: DetectionData
    view: View = View()
    detector: DetectorChoice
    attention: dict[str, Component] = {}
    labels: Labels = Labels()
    suppression: Suppression = Suppression()
    evaluation: Evaluation = Evaluation()
    training: TrainingSettings


class ClipData(Section):
    """Trimmed clips for a recogniser."""

    root: Path = Path()
    clips: Path = Field(Path("clips.csv"), description="CSV of path,label,subset, or class folders")
    classes: tuple[str, ...] | None = None
    train: str = "training"
    test: str = "test"
    augment: dict[str, Any] = Field({}, description="arguments of the clip data set")


class SamplingSettings(Section):
    """How video becomes snippets; travels in the model."""

    fps: float = Field(gt=0)
    window_frames: int = Field(ge=1)
    stride_frames: int = Field(ge=1)
    size_px: int = Field(ge=8)


class RecognitionRecipe(Section):
    """A 3D CNN trained on trimmed clips; its features and scores become R."""

    task: Literal["recognition"]
    about: str = ""
    data: ClipData
    sampling: SamplingSettings
    mean: tuple[float, float, float] = Field(
        (0.4345, 0.4051, 0.3775), description="of RGB in 0..1, subtracted"
    )
    std: tuple[float, float, float] = Field((0.2768, 0.2713, 0.2737), description="divides")
    recogniser: Component
    attention: dict[str, Component] = {}
    loss: dict[str, Any] = {}
    training: TrainingSettings


Recipe = Annotated[DetectionRecipe | RecognitionRecipe, Field(discriminator="task")]
_ADAPTER: TypeAdapter[DetectionRecipe | RecognitionRecipe] = TypeAdapter(Recipe)


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package, such as `salads50/bmn_csa`."""
    root = Path(str(resources.files("attentad.recipes")))
    return sorted(
        file.relative_to(root).with_suffix("").as_posix()
        for file in root.rglob("*.yaml")
        if file.parent.name != "tables"  # of papers, see `paper_table`
    )


def load_recipe(
    name: str | Path, overrides: Sequence[str] = ()
) -> DetectionRecipe | RecognitionRecipe:
    """Load a recipe by package name or file, apply `key=value` overrides, and check it.

    Raises:
        AttentadError: no such recipe, not YAML, or a key or value that does not fit, named.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = Path(str(resources.files("attentad.recipes"))) / f"{name}.yaml"
        if str(name) not in recipe_names():
            raise AttentadError(
                f"there is no recipe {name}; give a .yaml file or one of: "
                f"{', '.join(recipe_names())}."
            )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AttentadError(f"recipe {path} could not be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise AttentadError(f"recipe {path} is not valid YAML ({reason}).") from error
    if not isinstance(content, dict):
        raise AttentadError(f"recipe {path} must be a mapping of keys to values.")
    for override in overrides:
        _apply_override(content, override)
    return parse_recipe(content, f"recipe {name}")


def parse_recipe(content: Mapping[str, Any], where: str) -> DetectionRecipe | RecognitionRecipe:
    """Check plain values against the recipe's schema; `where` opens the error sentence.

    Raises:
        AttentadError: names the first key that does not fit.
    """
    try:
        return _ADAPTER.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        # The discriminator's tag is an artefact of the union, not part of the user's key.
        path = [str(part) for part in first["loc"] if part not in ("detection", "recognition")]
        key = ".".join(path) or "task"
        if first["type"] == "extra_forbidden":
            reason = f"unknown key {key}; remove it or correct its spelling"
        elif first["type"] == "missing":
            reason = f"the key {key} is missing; add it"
        else:
            reason = f"{key}: {first['msg']} (got {first.get('input')!r})"
        raise AttentadError(f"{where}: {reason}.") from None


def check_arguments(
    function: Callable[..., Any], options: Iterable[str], given: Iterable[str], where: str
) -> None:
    """Check option names against a signature before any work starts.

    Args:
        function: what will be called.
        options: the keyword names that the recipe gives.
        given: parameters that the caller itself fills; a recipe may not set them.
        where: key of the recipe, for the error.

    Raises:
        AttentadError: names the first option that `function` does not take, and those it takes.
    """
    allowed = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and name not in set(given)
    ]
    for option in options:
        if option not in allowed:
            raise AttentadError(
                f"{where} has no option {option!r}; it takes: {', '.join(allowed) or 'none'}."
            )


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    if not sign or not key:
        raise AttentadError(f"override {override!r} must read key=value, such as training.seed=1.")
    *parents, last = key.split(".")
    node = content
    for parent in parents:
        if node.get(parent) is None:
            node[parent] = {}
        node = node[parent]
        if not isinstance(node, dict):
            raise AttentadError(f"override {override!r}: {parent} is a value, not a section.")
    try:
        node[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise AttentadError(f"override {override!r}: the value is not valid YAML.") from None
