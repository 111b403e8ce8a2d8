"""Plain values of files against types with bounds (pydantic), with errors in one sentence."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from attentad.core.errors import AttentadError
from attentad.core.wording import quoted

Model = TypeVar("Model")

# Strict: neither text nor true is a number.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
PositiveNumber = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
Index = Annotated[int, Field(strict=True, ge=0)]
Count = Annotated[int, Field(strict=True, ge=1)]


def validated(adapter: TypeAdapter[Model], values: Any, where: str) -> Model:
    """What the values of a file say; `where`, the file, begins the error.

    Raises:
        AttentadError: names the first key that is missing or does not fit.
    """
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        raise AttentadError(f"{where}: {first_fault(error)}.") from None


def first_fault(error: ValidationError, unspoken: Collection[str] = ()) -> str:
    """The first key that does not fit, and why, without a full stop.

    Args:
        error: of the check.
        unspoken: parts of a key's place that the user did not write, such as the tag of a union.
    """
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if part not in unspoken)
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}; remove it or correct its spelling"
    if first["type"] == "missing":
        return f"the key {key} is missing; add it"
    if first["type"] == "value_error":  # a sentence of our own
        return f"{key}: {first['ctx']['error']}"
    told = f"{key}: " if key else ""
    value = first.get("input")
    told += f"{first['msg']} (got {quoted(value)})"
    if first["type"] == "string_type" and isinstance(value, bool | int | float):
        told += "; put it in quotes if it is text"
    return told
