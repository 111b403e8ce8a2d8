"""Class-balanced losses on probabilities, shared by BMN, G-TAD and DBG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

WithoutPositive = Literal["mean", "half"]


def balanced_bce(
    probability: Tensor,
    target: Tensor,
    positive_above: float,
    where: Tensor | None = None,
    *,
    ratio_clamp: bool = False,
    added_count: float = 0.0,
    without_positive: WithoutPositive = "mean",
) -> Tensor:
    """Binary cross-entropy in which the positives weigh as much as the negatives (BMN, eq. 9).

    Counted over all entries of the batch it equals ½·mean over positives of −log p plus ½·mean
    over negatives of −log(1 − p). Without a positive, or without a negative, it is the plain mean;
    most public codes then say NaN or infinity.

    Args:
        probability: any shape, 0..1.
        target: same shape; positive where larger than `positive_above`.
        positive_above: θ.
        where: same shape, true for the entries that count; all by default.
        ratio_clamp: as mmaction2 does, keep entries/positives within 1.05..21, which also guards
            the empty cases but breaks the half-and-half balance of rare positives.
        added_count: imagined positives and as many imagined entries besides, in the counts only:
            G-TAD's THUMOS14 release adds 10, which guards the empty cases and makes rare positives
            weigh less.
        without_positive: what N negatives alone weigh: `mean`, 1 each, the plain mean; `half`, as
            in DBG's code, which counts one positive where there is none, N/(2(N − 1)) each, about
            what they weigh beside positives. Without effect on `ratio_clamp`.

    Returns:
        A scalar; 0 where nothing counts.
    """
    epsilon = 1e-5 if ratio_clamp else 1e-6
    counted = torch.ones_like(target, dtype=torch.bool) if where is None else where
    positive = (target > positive_above) & counted
    negative = ~positive & counted
    # Where nothing counts the argument of the logarithm is replaced, so that no NaN comes back.
    probability = torch.where(counted, probability.float(), 0.5)
    total = counted.sum().float() + 2 * added_count
    positives = positive.sum().float() + added_count
    if ratio_clamp:
        ratio = (total / positives.clamp(min=1)).clamp(1.05, 21)
        mixed = torch.ones_like(positives, dtype=torch.bool)
    else:
        ratio = total / positives.clamp(min=1)
        known = positives.clamp(min=1 if without_positive == "half" else 0)
        mixed = (known > 0) & (known < total)
    weight_positive = torch.where(mixed, ratio / 2, 1.0)
    weight_negative = torch.where(mixed, ratio / (2 * (ratio - 1)), 1.0)
    log_positive = torch.log(probability + epsilon) * positive
    log_negative = torch.log(1 - probability + epsilon) * negative
    summed = weight_positive * log_positive.sum() + weight_negative * log_negative.sum()
    return -summed / total.clamp(min=1)


def balanced_regression(
    prediction: Tensor,
    iou: Tensor,
    where: Tensor,
    *,
    high: float = 0.7,
    low: float = 0.3,
    low_includes_zero: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Half the mean squared error over equally many cells of high, middle and low overlap.

    All H cells above `high` count; of the M cells in (low, high] and the L cells up to `low` a
    random share of min(1, H/M) and min(1, H/L), drawn anew in each call.

    Args:
        prediction: any shape.
        iou: target, same shape.
        where: same shape, true for the entries that count.
        low_includes_zero: whether cells without any overlap belong to the low band.
        generator: source of the draw; torch's global one by default.

    Returns:
        A scalar; 0 where no cell was drawn.
    """
    low_cells = where if low_includes_zero else where & (iou > 0)
    bands = [(iou > high) & where, (iou > low) & (iou <= high) & where, (iou <= low) & low_cells]
    chosen = drawn_cells(bands, (1, 1), tuple(range(iou.ndim)), generator)
    # The masked difference keeps a NaN outside `where` from leaking into the gradient.
    error = torch.where(chosen, prediction.float() - iou, 0.0)
    return 0.5 * error.square().sum() / chosen.sum().clamp(min=1)


def drawn_cells(
    bands: Sequence[Tensor],
    shares: Sequence[int],
    dims: tuple[int, ...],
    generator: torch.Generator | None,
) -> Tensor:
    """All cells of the first band, and of each other band a random part: `share` times as many.

    Args:
        bands: masks of one shape that exclude each other.
        shares: of the bands after the first.
        dims: over which cells are counted.
        generator: source of the draw; torch's global one by default.
    """
    chosen = bands[0]
    device = chosen.device if generator is None else generator.device
    draw = torch.rand(chosen.shape, generator=generator, device=device).to(chosen.device)
    count = chosen.sum(dims, keepdim=True)
    for band, share in zip(bands[1:], shares, strict=True):
        chosen = chosen | (band & (draw * band.sum(dims, keepdim=True) < share * count))
    return chosen
