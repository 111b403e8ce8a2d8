"""Tables of papers: which models stand in their rows, and what the paper says of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from attentad.core import AttentadError
from attentad.recipes.load import RECIPES, DetectionRecipe, load_recipe, recipe_names
from attentad.recipes.schema import Section
from attentad.recipes.yaml_text import parse_yaml

_FOLDER = RECIPES / "tables"
DATA_SETS = ("salads50", "ucf15", "toy", "thumos14", "activitynet13", "activitynet12")


class PaperRow(Section):
    """A model of the table, or a row that is quoted only (no detector)."""

    name: str
    paper: tuple[float | None, ...] | None = Field(
        None, description="the paper's values, one per column; None = not in the paper"
    )
    detector: str | None = Field(None, description="file in the data set's recipe folder")
    attention: dict[str, dict[str, Any]] = Field({}, description="site → module, as in a recipe")
    settings: dict[str, Any] = Field({}, description="key → value, changes of the recipe")


class PaperTable(Section):
    """A table of a paper as it can be run."""

    title: str
    published_on: str = Field(description="data set of the paper's own values")
    measure: Literal["mAP", "AR"] = "mAP"
    columns: tuple[str, ...] = Field(description="tIoU thresholds or AR's numbers, and a summary")
    settings: dict[str, Any] = Field({}, description="key → value, changes for every row")
    rows: tuple[PaperRow, ...]

    @property
    def models(self) -> tuple[PaperRow, ...]:
        """The rows that can be run."""
        return tuple(row for row in self.rows if row.detector is not None)


def table_names() -> list[str]:
    """Names of the tables that come with the package, such as `csa/4`."""
    return sorted(path.stem.replace("_", "/", 1) for path in _FOLDER.glob("*.yaml"))


def load_table(name: str) -> PaperTable:
    """Read the table of that name.

    Raises:
        AttentadError: there is none.
    """
    if name not in table_names():
        raise AttentadError(
            f"there is no table {name!r}; the tables are: {', '.join(table_names())}."
        )
    path = _FOLDER / f"{name.replace('/', '_')}.yaml"
    return PaperTable.model_validate(parse_yaml(path.read_text(encoding="utf-8"), f"table {path}"))


def row_recipe(
    table: PaperTable, row: PaperRow, data: str, root: Path | None, changes: Mapping[str, Any]
) -> DetectionRecipe:
    """The recipe of a row on one of `DATA_SETS`: with the table's settings, the row's, the user's.

    Raises:
        AttentadError: the data set has no recipe for the row's detector, or a setting is wrong.
    """
    if data not in DATA_SETS:
        raise AttentadError(f"there is no data set {data!r}; choose from {', '.join(DATA_SETS)}.")
    name = f"{data}/{row.detector}"
    if name not in recipe_names():
        raise AttentadError(
            f"row {row.name!r} needs the recipe {name}, which there is not; name other rows with "
            "--row, or choose other data."
        )
    settings = {**table.settings, **row.settings}
    if row.attention:
        settings["attention"] = row.attention
    if root is not None:
        settings["data.root"] = str(root)
    # JSON is YAML, which is what overrides are written in.
    overrides = [f"{key}={json.dumps(value)}" for key, value in {**settings, **changes}.items()]
    recipe = load_recipe(name, overrides)
    assert isinstance(recipe, DetectionRecipe)
    return recipe
