"""What a recipe's `training` section may say. Imports neither torch nor Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

OPTIMIZER_OPTIONS = {
    "adam": {"betas"},
    "adamw": {"betas"},
    "sgd": {"momentum", "dampening", "nesterov"},
}
_SCHEDULE_OPTIONS = {
    "constant": {"warmup_epochs"},
    "step": {"warmup_epochs", "milestones", "gamma"},
    "cosine": {"warmup_epochs", "final_factor"},
    "onecycle": {"rise", "first_factor", "last_factor"},
    "plateau": {"warmup_epochs", "gamma", "patience"},
}


Moment = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_options(settings: _Settings, name: str, table: dict[str, set[str]]) -> None:
    """An option of another algorithm would be ignored in silence, so it is an error."""
    fields = type(settings).model_fields
    special = set[str]().union(*table.values())
    # Defaults may be spelt out, so that dumped settings can be read again.
    changed = {key for key in special if getattr(settings, key) != fields[key].default}
    foreign = sorted(changed - table[name])
    if foreign:
        own = ", ".join(sorted(table[name])) or "none"
        raise ValueError(f"{name} has no option {foreign[0]}; it has: {own}")


class OptimizerSettings(_Settings):
    """An optimiser; an option that the named one does not have is an error."""

    name: Literal["adam", "adamw", "sgd"] = Field("adam", description="torch.optim's algorithm")
    lr: float = Field(1e-3, gt=0, description="learning rate, before schedule and multipliers")
    weight_decay: float = Field(
        0.0, ge=0, description="L2 penalty (adam, sgd) or decoupled decay (adamw)"
    )
    decay_1d: bool = Field(
        True, description="false exempts biases, norms and other parameters with at most one axis"
    )
    betas: tuple[Moment, Moment] = Field((0.9, 0.999), description="adam, adamw: moment decays")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd: momentum")
    dampening: float = Field(0.0, ge=0, le=1, description="sgd: dampening of the momentum")
    nesterov: bool = Field(False, description="sgd: Nesterov momentum")
    lr_multipliers: dict[str, NotNegative] = Field(
        {}, description="module or parameter name → factor on lr; the longest match holds"
    )
    weight_decays: dict[str, NotNegative] = Field(
        {}, description="module or parameter name → its own weight decay; the longest match holds"
    )

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """These settings with some changed; another `name` drops options that it does not have."""
        foreign = OPTIMIZER_OPTIONS[self.name] - OPTIMIZER_OPTIONS.get(
            changes.get("name", self.name), set()
        )
        return self.model_validate(self.model_dump(exclude=foreign) | dict(changes))

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_options(self, self.name, OPTIMIZER_OPTIONS)
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")
        return self


class ScheduleSettings(_Settings):
    """The learning rate over time, as a factor on `lr`; see `training.schedule`."""

    name: Literal["constant", "step", "cosine", "onecycle", "plateau"] = Field(
        "constant", description="step: × gamma at milestones; plateau: × gamma when stuck"
    )
    warmup_epochs: float = Field(
        0.0, ge=0, description="linear rise over these first epochs (fractions allowed)"
    )
    milestones: tuple[int, ...] = Field(
        (), description="step: after how many epochs the rate drops, rising"
    )
    gamma: float = Field(0.1, gt=0, le=1, description="step, plateau: factor of one drop")
    patience: int = Field(
        10, ge=0, description="plateau: validations without improvement that are borne"
    )
    final_factor: float = Field(0.0, ge=0, le=1, description="cosine: the factor it ends at")
    rise: float = Field(0.3, gt=0, lt=1, description="onecycle: part of training that rises")
    first_factor: float = Field(0.04, gt=0, le=1, description="onecycle: factor it starts at")
    last_factor: float = Field(4e-6, ge=0, le=1, description="onecycle: factor it ends at")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_options(self, self.name, _SCHEDULE_OPTIONS)
        if self.name == "step" and not self.milestones:
            raise ValueError("a step schedule needs milestones, such as [7]")
        rising = all(a < b for a, b in zip(self.milestones, self.milestones[1:], strict=False))
        if not rising or min(self.milestones, default=1) < 1:
            raise ValueError(f"milestones must rise and be 1 or more, not {self.milestones}")
        return self


class TrainingSettings(_Settings):
    """Everything `training.loop.fit` needs to know beside task and data."""

    epochs: int = Field(ge=1, description="passes over the training data")
    batch_size: int = Field(16, ge=1, description="items per step and device")
    drop_last: bool = Field(False, description="leave out a last, smaller batch of each epoch")
    optimizer: OptimizerSettings = Field(OptimizerSettings(), description="optimiser and its lr")
    schedule: ScheduleSettings = Field(ScheduleSettings(), description="learning rate over time")
    clip_norm: float | None = Field(
        None, gt=0, description="largest norm of all gradients together; None = no clipping"
    )
    ema_decay: float | None = Field(
        None, gt=0, lt=1, description="decay of the running average of the weights; None = off"
    )
    ema_warmup: bool = Field(
        True, description="EMA: at step n use min(decay, (1 + n) / (10 + n)), to forget the start"
    )
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = Field(
        "auto", description="auto: mixed precision on a GPU, 32 bits on a CPU"
    )
    deterministic: bool = Field(
        False, description="only algorithms that repeat bit for bit (slower on a GPU)"
    )
    seed: int = Field(0, ge=0, description="of the order of items and of all randomness")
    accelerator: Literal["auto", "cpu", "gpu"] = Field("auto", description="where to train")
    devices: int = Field(1, ge=1, description="processes, each with one GPU or a share of the CPU")
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true", "ddp_spawn", "ddp_fork"] = (
        Field(
            "auto",
            description="how processes start and share gradients; auto = ddp if several; phases "
            "make any of them look for parameters that a loss leaves out",
        )
    )
    workers: int = Field(0, ge=0, description="processes that prepare items, per device")
    validate_every: int = Field(1, ge=1, description="epochs from one validation to the next")
    select_by: str | None = Field(
        None, description="validation metric that chooses the best weights; None = use the last"
    )
    select_mode: Literal["max", "min"] = Field("max", description="which way select_by is better")
    checkpoint_every_steps: int | None = Field(
        None, ge=1, description="also save the state every so many steps, not only each epoch"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.schedule.warmup_epochs > self.epochs:
            raise ValueError(
                f"warmup_epochs {self.schedule.warmup_epochs:g} is longer than epochs {self.epochs}"
            )
        return self
