"""What a model file says of itself beside its tensors, checked before anything is built by it."""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, model_validator

from attentad.core.validation import Count, PositiveNumber


class Described(BaseModel):
    """Values of a contract. Keys that are not known do no harm: later versions add some."""

    model_config = ConfigDict(frozen=True)


class PartContract(Described):
    """A part: what it was built by, see `models.file.Part`."""

    name: str
    options: dict[str, Any]
    sizes: dict[str, Count] = {}
    classes: tuple[str, ...] = ()


class TrainedStepsContract(Described):
    """See `models.long_videos.TrainedSteps`."""

    median_sec: PositiveNumber
    longest_sec: PositiveNumber


class Contract(Described):
    """A contract in the shape of formats 2 and 3.

    Args:
        parts: kind → the part.
        clock: see `data.clocks.read_clock`.
        trained_steps: of models whose views are whole, rescaled videos.
    """

    parts: dict[str, PartContract]
    clock: dict[str, Any] | None = None
    trained_steps: TrainedStepsContract | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        detector = self.parts.get("detector")
        if detector is not None and not ("feature_dim" in detector.sizes and detector.classes):
            raise ValueError("a detector needs sizes.feature_dim and classes")
        if detector is None and "backbone" not in self.parts:
            raise ValueError("neither a detector nor a backbone is among the parts")
        return self


CONTRACT: Final = TypeAdapter(Contract)
