"""Where networks over the steps of a view begin and end: the features they take, probabilities."""

from __future__ import annotations

import torch
from torch import Tensor

from attentad.core import AttentadError
from attentad.layers.masking import masked


def network_input(
    name: str, features: Tensor, valid: Tensor | None, feature_dim: int, length: int
) -> Tensor:
    """R (B, C_in, T) for the network of that name, with zeros where there is no video.

    Raises:
        AttentadError: C_in or T is not what the network was built for.
    """
    if features.shape[1:] != (feature_dim, length):
        raise AttentadError(
            f"this {name} was built for {feature_dim} channels and T = {length} steps and got "
            f"{features.shape[1]} and {features.shape[2]}."
        )
    return masked(features, valid)


def probability(logits: Tensor, weight: Tensor) -> Tensor:
    """σ in a weight's precision, also under mixed precision: half a float saturates early."""
    return torch.sigmoid(logits.to(weight.dtype))
