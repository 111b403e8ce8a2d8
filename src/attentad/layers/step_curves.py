"""What a network says of every step, as curves to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from attentad.core import Timeline
from attentad.core.found import Curve, CurveKind


def step_curves(
    values: Mapping[str, Tensor],
    timelines: Sequence[Timeline],
    valid: Tensor | None,
    kind: CurveKind,
) -> list[list[Curve]]:
    """A curve of each view and name, at the middles of the view's valid steps.

    Args:
        values: name → (B, T).
        timelines: of the B views.
        valid: (B, T), the valid steps of a view first.
        kind: of all curves.
    """
    arrays = {name: value.detach().float().cpu().numpy() for name, value in values.items()}
    curves = []
    for item, timeline in enumerate(timelines):
        steps = timeline.length if valid is None else int(valid[item].sum())
        times = timeline.centres_sec()[:steps]
        named = arrays.items()
        curves.append([Curve(name, times, rows[item, :steps], kind) for name, rows in named])
    return curves
