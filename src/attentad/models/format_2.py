"""Model files of formats 1 and 2, whose recipes leave to a default what has another one since."""

from __future__ import annotations

from typing import Final

from attentad.recipes.load import DetectionRecipe

# Of a view, by detector, where `detector.decode.max_proposals` was not said; today all are kept.
FIRST_MAX_PROPOSALS: Final = dict.fromkeys(("bmn", "gtad", "dbg"), 1000)


def as_first_decoded(recipe: DetectionRecipe) -> DetectionRecipe:
    """The recipe of a file of format 1 or 2 with as many proposals kept as it meant."""
    choice = recipe.detector
    if choice.name not in FIRST_MAX_PROPOSALS:
        return recipe
    decode = {"max_proposals": FIRST_MAX_PROPOSALS[choice.name], **choice.decode}
    detector = choice.model_copy(update={"decode": decode})
    return recipe.model_copy(update={"detector": detector})
