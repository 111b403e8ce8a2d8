"""Recipes: one YAML file says everything about a run; checked before any work starts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, TypeAdapter, ValidationError, model_validator

from attentad.core import AttentadError
from attentad.core.validation import first_fault
from attentad.core.wording import quoted
from attentad.recipes.changed_defaults import spelled_out
from attentad.recipes.schema import (
    Component,
    DetectorChoice,
    DurationRef,
    Evaluation,
    FeatureClock,
    Labels,
    ScoreColumns,
    Section,
    Suppression,
    View,
)
from attentad.recipes.yaml_text import parse_yaml
from attentad.training.settings import TrainingSettings


class Few(Section):
    """A draw of a few training videos, as if no more were annotated."""

    videos: int = Field(ge=1, description="how many of the training videos")
    draw: int = Field(
        0, ge=0, description="which draw; of one draw, fewer videos are the first of more"
    )


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
    annotations: Path | None = Field(
        None, description="ActivityNet JSON, THUMOS14 text folder or CSV; None = video_labels only"
    )
    video_labels: Path | None = Field(
        None,
        description="label list, see `core.read_video_labels`: the classes of whole videos, for "
        "detectors that learn from them; None = those of the annotated instances",
    )
    classes: tuple[str, ...] | None = Field(None, description="class names in their order")
    train: tuple[str, ...] | None = Field(None, description="subsets; None = all that do not test")
    test: tuple[str, ...] = Field(
        description="subsets to score the trained model on; empty = no scoring, and set `train`"
    )
    few: Few | None = Field(
        None, description="train on a draw of the videos of `train`; None = on all of them"
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
        if not self.test and self.train is None and self.annotations is not None:
            raise ValueError("with an empty test, train must name the subsets to train on")
        if self.annotations is None and (self.video_labels is None or self.test):
            raise ValueError(
                "annotations are missing; without them set video_labels and test to []"
            )
        return self

    @property
    def streams(self) -> tuple[Path, ...]:
        """The feature folders or archives below `root`, in the order of their columns."""
        paths = self.features if isinstance(self.features, tuple) else (self.features,)
        return tuple(self.root / path for path in paths)


class DetectionRecipe(Section):
    """A temporal action detector trained on features."""

    task: Literal["detection"]
    about: str = ""
    data: DetectionData
    view: View = View()
    detector: DetectorChoice
    attention: dict[str, Component] = Field({})
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


class LabelledClips(Section):
    """Trimmed clips with a label each, as they are."""

    root: Path = Path()
    clips: Path = Field(
        Path("clips.csv"),
        description="CSV of path,label,subset and group (the video that a clip was cut from), or "
        "class folders",
    )
    classes: tuple[str, ...] | None = None
    train: str | None = Field("training", description="subset to train on; None = all clips")
    test: str | None = Field("test", description="subset to score on; None = no scoring")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.train is None and self.test is not None:
            raise ValueError("train must name a subset, or test be null: all clips train")
        return self


class ProbeClassifier(Section):
    """How the linear classifier of a `LinearProbeRecipe` is fitted."""

    weight_decay: float | None = Field(
        None,
        gt=0,
        description="on the weights of standardised features; None = the one of least "
        "cross-entropy in cross-validation over the training clips",
    )
    folds: int = Field(
        5, ge=2, description="of that cross-validation; clips of a group stay in one"
    )


class SamplingSettings(Section):
    """How video becomes snippets; travels in the model."""

    fps: float = Field(gt=0)
    window_frames: int = Field(ge=1)
    stride_frames: int = Field(ge=1)
    size_px: int = Field(ge=8)
    crops: Literal[1, 3] = Field(
        1, description="of whole videos, their features averaged; clips are cropped at the centre"
    )


class RecognitionRecipe(Section):
    """A 3D CNN trained on trimmed clips; its features and scores become R."""

    task: Literal["recognition"]
    about: str = ""
    data: ClipData
    sampling: SamplingSettings
    mean: tuple[float, float, float] = Field(
        (0.4345, 0.4051, 0.3775), description="of RGB in 0..1, subtracted"
    )
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(
        (0.2768, 0.2713, 0.2737), description="divides"
    )
    recogniser: Component
    attention: dict[str, Component] = Field({})
    loss: dict[str, Any] = Field({})
    training: TrainingSettings


class LinearProbeRecipe(Section):
    """A linear classifier of trimmed clips by the features of a frozen backbone."""

    task: Literal["linear_probe"]
    about: str = ""
    data: LabelledClips
    backbone: Component = Field(description="one that comes trained, with its options")
    classifier: ProbeClassifier = ProbeClassifier()


Recipe = DetectionRecipe | RecognitionRecipe | LinearProbeRecipe
_ADAPTER: TypeAdapter[Recipe] = TypeAdapter(Annotated[Recipe, Field(discriminator="task")])
# The folder of those that come with the package.
RECIPES = Path(str(resources.files("attentad.recipes")))


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package, such as `salads50/bmn_csa`."""
    return sorted(
        file.relative_to(RECIPES).with_suffix("").as_posix()
        for file in RECIPES.rglob("*.yaml")
        if file.parent.name != "tables"  # of papers, see `paper_table`
    )


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Load a recipe by package name or file, apply `key=value` overrides, and check it.

    Raises:
        AttentadError: no such recipe, not YAML, or a key or value that does not fit, named.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = RECIPES / f"{name}.yaml"
        if str(name) not in recipe_names():
            raise AttentadError(
                f"there is no recipe {name}; give a .yaml file or one of: "
                f"{', '.join(recipe_names())}."
            )
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise AttentadError(f"recipe {path} could not be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise AttentadError(f"recipe {path} is not text in UTF-8 ({error}).") from error
    content = parse_yaml(text, f"recipe {path}")
    if not isinstance(content, dict):
        raise AttentadError(f"recipe {path} must be a mapping of keys to values.")
    for override in overrides:
        _apply_override(content, override)
    return parse_recipe(content, f"recipe {name}")


def parse_recipe(content: Mapping[str, Any], where: str) -> Recipe:
    """Check plain values against the recipe's schema; `where` opens the error sentence.

    Raises:
        AttentadError: names the first key that does not fit.
    """
    try:
        return _ADAPTER.validate_python(content)
    except ValidationError as error:
        # The discriminator's tag is an artefact of the union, not part of the user's key.
        reason = first_fault(error, ("detection", "recognition", "linear_probe"))
        raise AttentadError(f"{where}: {reason}.") from None


def fold_recipe(recipe: DetectionRecipe, fold: str) -> DetectionRecipe:
    """The recipe with another fold held out for testing.

    Raises:
        AttentadError: the recipe has no such fold.
    """
    if fold not in recipe.data.folds:
        folds = ", ".join(recipe.data.folds) or "none"
        raise AttentadError(f"the recipe has no fold {fold!r}; its folds are: {folds}.")
    data = recipe.data.model_copy(update={"test": (fold,), "train": None})
    return recipe.model_copy(update={"data": data})


def parse_setting(text: str, what: str = "override") -> tuple[str, Any]:
    """`key=value`, the value as YAML has it; `what` opens the error sentence.

    Raises:
        AttentadError: it does not read so.
    """
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise AttentadError(f"{what} {quoted(text)} must read key=value, such as training.seed=1.")
    return key, parse_yaml(value, f"{what} {quoted(text)}")


def said_by(recipe: Recipe, exclude: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the recipe says beyond the defaults, so that a key added later changes nothing.

    Options whose default has changed are said in any case: the same recipe of an earlier version
    is another. `exclude` names keys to leave out, as pydantic's `model_dump` takes them.
    """
    content = recipe.model_dump(mode="json", exclude_defaults=True, exclude=dict(exclude or {}))
    return spelled_out(content)


def recipe_hash(recipe: Recipe, training: set[str] | bool) -> str:
    """Of what is trained, whatever the folder that the data lie in and the recipe's title.

    Only what `said_by` the recipe counts. Nor do the keys of `training` that are named, or all of
    them where it is True.
    """
    content = said_by(recipe, {"about": True, "data": {"root"}, "training": training})
    return hashlib.sha256(repr(sorted(_flat(content))).encode()).hexdigest()


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _flat(item, f"{prefix}{key}.")]
    return [(prefix, repr(value))]


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, value = parse_setting(override)
    *parents, last = key.split(".")
    node = content
    for parent in parents:
        if node.get(parent) is None:
            node[parent] = {}
        node = node[parent]
        if not isinstance(node, dict):
            raise AttentadError(
                f"override {quoted(override)}: {quoted(parent)} is a value, not a section."
            )
    node[last] = value
