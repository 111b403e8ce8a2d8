"""The sections of a recipe for a detector, each checked by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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
    background: int | None = Field(None, ge=0, description="column of the background class, if any")
    temperature: float = Field(1.0, gt=0, description="scores are divided by it beforehand")


DurationRef = Literal["annotated", "feature_frames", "floor16"]


class View(Section):
    """How a video of any length becomes T steps."""

    name: Literal["rescaled", "windows", "snippets", "whole"] = Field(
        "rescaled",
        description="rescaled: the whole video as T steps; windows: overlapping parts of T steps; "
        "snippets: a sample of them in training, all in detection; for detectors that learn from "
        "video-level labels; whole: of any length, for detectors that take it",
    )
    length: int = Field(
        100,
        ge=2,
        description="T, in feature steps; of `snippets` in training; of `whole` at most so many "
        "there",
    )
    sampling: Literal["perturb", "uniform", "pad", "avg", "all"] = Field(
        "perturb", description="snippets: how T of them are taken, see `sample_snippets`"
    )
    mode: Literal["bsn", "linear", "as_is"] = Field(
        "bsn", description="rescaled: how it interpolates; as_is = the features have T rows"
    )
    stretch: float = Field(
        1.0, ge=1, le=4, description="whole: train on up to so many times slower or faster videos"
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
        None,
        description="class scores of whole videos; `file`: npz of video id → scores; a trained "
        "model looks for it beside itself",
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
    method: Literal["gauss", "adaptive", "linear", "hard", "none"] = Field(
        "gauss",
        description="gauss: Soft-NMS, overlap lowers scores by a Gaussian; adaptive: the same "
        "above a tIoU that grows with the length, as BMN does; linear: Soft-NMS, scores times "
        "1 - tIoU; hard: NMS, what overlaps is left out; none: all is kept",
    )
    per_class: bool = Field(True, description="suppress within a class, or among all classes")
    tiou_threshold: float = Field(0.5, ge=0, le=1, description="hard, linear")
    ties: Literal["first", "last"] = Field("first", description="hard: which of equals wins")
    plus_one: bool = Field(False, description="a second more on lengths, as HAM-Net does")
    negative: Literal["error", "drop", "keep"] = Field(
        "error", description="what becomes of scores below 0, such as HAM-Net's"
    )
    voting_tiou: float | None = Field(
        None, gt=0, le=1, description="what is kept becomes the mean of those that overlap so much"
    )
    voting_weight: Literal["score", "score_tiou"] = Field(
        "score", description="voting_tiou: weight in that mean; score_tiou: as ActionFormer does"
    )
    sigma: float = Field(0.4, gt=0, description="gauss, adaptive")
    t1: float = Field(0.5, ge=0, le=1, description="adaptive: tIoU threshold of short segments")
    t2: float = Field(0.9, ge=0, le=1, description="adaptive: tIoU threshold of long segments")
    score_floor: float = Field(0.0, ge=0, description="leave out what ends below")
    legacy_drop_last: bool = Field(
        False, description="gauss, adaptive, linear: lose the last candidate, as AFSD's release"
    )
    keep: int | None = Field(None, ge=1, description="at most so many per class (or in all)")
    keep_total: int | None = Field(200, ge=1, description="at most so many per video")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.max_length_sec is not None and self.max_length_frames is not None:
            raise ValueError("set max_length_sec or max_length_frames, not both")
        return self


def _threshold_text(tiou: Any) -> Any:
    """Thresholds as text where YAML made numbers of them: 0.5, or [0.5, 0.75]."""
    values = tiou if isinstance(tiou, list | tuple) else [tiou]
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
    return ",".join(map(str, values)) if values and all(numbers) else tiou


class Evaluation(Section):
    """How the trained detector is scored."""

    protocol: str = "activitynet"
    tiou: Annotated[str, BeforeValidator(_threshold_text)] = "0.3:0.7:0.1"
    ground_truth_set: str | None = Field(
        None,
        description="which test videos count: one of `metrics.GROUND_TRUTH_SETS`; None = as the "
        "protocol has it",
    )
