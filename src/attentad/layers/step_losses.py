"""Targets and losses of networks that name every step of a view.

Logits are (B, K + 1, T) under `softmax`, the background last, and (B, K, T) under `sigmoid`, where
several classes can be on at a time and the background is what none of them is.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from attentad.core import Timeline
from attentad.core.arrays import Floats
from attentad.core.found import Truth

Activation = Literal["softmax", "sigmoid"]
DUST = 1e-6  # less of a cell than that is rounding


def step_targets(truth: Truth, timeline: Timeline) -> dict[str, NDArray[np.float32]]:
    """`labels` (K + 1, T): the share of each step's cell that each class covers.

    The background, last, has the share that no action covers. What only actions without a class
    (label −1) cover is in no row: a step that they cover wholly is 0 throughout, and nothing is
    learnt from it.
    """
    grid = timeline.grid(truth.segments)
    labels = [
        covered_shares(grid[truth.labels == label], timeline.length)
        for label in range(truth.classes)
    ]
    labels.append(1 - covered_shares(grid, timeline.length))
    return {"labels": np.stack(labels).astype(np.float32)}


def covered_shares(segments: Floats, length: int) -> Floats:
    """How much of each of `length` cells the union of segments (N, 2) covers, in 0..1.

    Args:
        segments: in grid coordinates; what lies outside 0..length covers nothing.
        length: T.
    """
    shares = np.zeros(length)
    reached = 0.0  # where the union of the segments so far ends
    for start, end in sorted(np.clip(segments, 0, length).tolist()):
        first = max(start, reached)
        if end > first:
            cells = np.arange(int(first), int(np.ceil(end)))
            shares[cells] += np.minimum(cells + 1, end) - np.maximum(cells, first)
            reached = end
    shares[shares < DUST] = 0
    shares[shares > 1 - DUST] = 1
    return shares


def step_probabilities(logits: Tensor, activation: Activation) -> Tensor:
    """Of all rows: (B, K + 1, T) or (B, K, T) → the same shape, in 0..1."""
    return torch.softmax(logits, dim=1) if activation == "softmax" else torch.sigmoid(logits)


def step_loss(
    logits: Tensor,
    labels: Tensor,
    valid: Tensor | None = None,
    *,
    activation: Activation = "softmax",
    class_balance: float = 0.0,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
) -> Tensor:
    """Cross-entropy of the steps' classes, mean over all steps of the batch of which one is known.

    Args:
        logits: of the network.
        labels: (B, K + 1, T) of `step_targets`; `sigmoid` has no use for the background's row.
        valid: (B, T).
        activation: `softmax`, a cross-entropy with the shares as they divide the step; `sigmoid`,
            the sum over the classes of a binary one.
        class_balance: β; classes (and background) with a share n of the batch's steps count
            n^(−β) each, scaled so that all steps together weigh as before.
        label_smoothing: ε; targets are (1 − ε) of the truth and ε of an even distribution.
        focal_gamma: γ; a class counts (1 − p)^γ, p the probability of what is true of it (Lin et
            al., Focal Loss, ICCV 2017).
    """
    known = labels.sum(1) > 0
    if valid is not None:
        known = known & valid
    if activation == "softmax":
        target = labels / labels.sum(1, keepdim=True).clamp(min=DUST)
        target = (1 - label_smoothing) * target + label_smoothing / target.shape[1]
        said = torch.log_softmax(logits, dim=1)
        losses, right = -target * said, said.exp()
    else:
        target = (1 - label_smoothing) * labels[:, :-1] + label_smoothing / 2
        losses = binary_cross_entropy_with_logits(logits, target, reduction="none")
        on = torch.sigmoid(logits)
        right = target * on + (1 - target) * (1 - on)
    if focal_gamma:
        losses = losses * (1 - right).clamp(min=DUST) ** focal_gamma
    if class_balance:
        weights = _class_weights(labels, known, class_balance)
        losses = losses * weights[: losses.shape[1], None]
    return losses.sum(1).masked_fill(~known, 0).sum() / known.sum().clamp(min=1)


def _class_weights(labels: Tensor, known: Tensor, class_balance: float) -> Tensor:
    """(K + 1,) n^(−β), the mean over the steps being 1; a class without a step weighs as one."""
    steps = (labels * known[:, None]).sum((0, 2)).clamp(min=1)
    weights = steps**-class_balance
    return weights * steps.sum() / (weights * steps).sum()


def smoothing_loss(
    logits: Tensor,
    valid: Tensor | None = None,
    *,
    activation: Activation = "softmax",
    tau: float = 4.0,
) -> Tensor:
    """Truncated mean squared change of the log probabilities (MS-TCN eqs. 8 to 10).

    Δ = log p_t − log p_(t − 1), min(|Δ|, τ)², mean over pairs of steps and rows. As in the paper
    the gradient flows into p_t alone.

    Args:
        logits: of the network.
        valid: (B, T); pairs that leave the video do not count. 0 without any pair.
        activation: of the network.
        tau: τ.
    """
    said = torch.log_softmax(logits, 1) if activation == "softmax" else logsigmoid(logits)
    changes = (said[:, :, 1:] - said[:, :, :-1].detach()).abs().clamp(max=tau).square().mean(1)
    pairs = torch.ones_like(changes, dtype=torch.bool)
    if valid is not None:
        pairs = valid[:, 1:] & valid[:, :-1]
    return changes.masked_fill(~pairs, 0).sum() / pairs.sum().clamp(min=1)
