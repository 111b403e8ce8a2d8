"""What every recogniser gives out, and its loss."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional


class RecogniserOutput(NamedTuple):
    """What a recogniser says of a batch of clips.

    Args:
        feature: (B, C_feat), the last feature map averaged over time and space.
        logits: (B, K) class scores before the softmax.
    """

    feature: Tensor
    logits: Tensor


class BackboneOutput(NamedTuple):
    """What a backbone says of a batch of snippets.

    Args:
        feature: (B, C_feat).
        logits: (B, K) class scores before the softmax, or None of a backbone that has no classes.
    """

    feature: Tensor
    logits: Tensor | None


def loss(
    outputs: RecogniserOutput, labels: Tensor, *, label_smoothing: float = 0.0
) -> dict[str, Tensor]:
    """Cross entropy of the logits, averaged over the batch, as `total`.

    Args:
        outputs: of B clips.
        labels: (B,) int64 class indices.
        label_smoothing: share of the target spread over all classes, 0..1.
    """
    total = functional.cross_entropy(outputs.logits, labels, label_smoothing=label_smoothing)
    return {"total": total}
