"""A linear classifier of whole clips, and the choice of its weight decay by the training clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attentad.core import AttentadError
from attentad.core.arrays import Floats, Ints
from attentad.models.snippet_classifier import fit_weights

WEIGHT_DECAYS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
NO_LOGIT = -1e4  # of a class without a training clip: finite, and its probability is 0
ROUNDING = 1e-6  # deviation of a constant column, as a share of its mean


class LinearClassifier(NamedTuple):
    """Logits = features (N, C) @ `weight` (K, C)ᵀ + `bias` (K,), in double precision."""

    weight: Floats
    bias: Floats

    def logits(self, features: NDArray[np.float32]) -> Floats:
        """(N, C) → (N, K)."""
        scores: Floats = features.astype(np.float64) @ self.weight.T + self.bias
        return scores


class Trial(NamedTuple):
    """What cross-validation says of a weight decay: cross-entropy and top-1 (0..1), held out."""

    weight_decay: float
    cross_entropy: float
    top1: float


def fit_linear(
    features: NDArray[np.float32], labels: Ints, classes: int, weight_decay: float
) -> LinearClassifier:
    """Softmax regression by L-BFGS; a class without a clip is never found.

    Args:
        features: (N, C).
        labels: (N,) in 0..K−1.
        classes: K.
        weight_decay: on the weights of features that are moved to mean 0 and scaled, each column
            by its own number, to deviation 1; a constant column has weight 0.

    Raises:
        AttentadError: features are not finite.
    """
    if not np.isfinite(features).all():
        raise AttentadError("the features of the clips hold NaN or infinity; check the backbone.")
    rows = torch.from_numpy(features.astype(np.float64))
    variance, mean = torch.var_mean(rows, dim=0, correction=0)
    deviation = variance.sqrt()
    varies = deviation > ROUNDING * mean.abs()
    scale = torch.where(varies, 1 / torch.where(varies, deviation, 1.0), 0.0)
    present = np.unique(labels)
    targets = torch.from_numpy(labels[:, None] == present).float() / len(labels)
    weight, bias = fit_weights(((rows - mean) * scale).float(), targets, weight_decay)
    own = weight.double() * scale
    fitted = LinearClassifier(np.zeros((classes, features.shape[1])), np.full(classes, NO_LOGIT))
    fitted.weight[present] = own.numpy()
    fitted.bias[present] = (bias.double() - own @ mean).numpy()
    return fitted


def cross_validate(
    features: NDArray[np.float32],
    labels: Ints,
    classes: int,
    groups: Sequence[str],
    *,
    folds: int = 5,
    weight_decays: Sequence[float] = WEIGHT_DECAYS,
) -> list[Trial]:
    """Judge weight decays on clips held out of the fit, all clips of a group together.

    Args:
        features, labels, classes: as of `fit_linear`.
        groups: (N,) names, such as the video that a clip was cut from.
        folds: at most so many; there are no more than groups.

    Raises:
        AttentadError: there are less than two groups; or as `fit_linear`.
    """
    fold = grouped_folds(groups, folds)
    trials = []
    for weight_decay in weight_decays:
        logits = np.empty((len(labels), classes))
        for held_out in range(fold.max() + 1):
            rest = fold != held_out
            fitted = fit_linear(features[rest], labels[rest], classes, weight_decay)
            logits[~rest] = fitted.logits(features[~rest])
        trials.append(Trial(weight_decay, *_judge(logits, labels)))
    return trials


def chosen(trials: Sequence[Trial]) -> Trial:
    """The trial of least cross-entropy, which a few clips decide less by chance than top-1."""
    return min(trials, key=lambda trial: trial.cross_entropy)


def grouped_folds(groups: Sequence[str], folds: int) -> Ints:
    """Fold of each clip (N,), 0..: groups stay whole; the largest first, each to the least filled.

    Raises:
        AttentadError: there are less than two groups.
    """
    names, group, clips = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise AttentadError(
            "cross-validation needs training clips of two groups or more; set "
            "classifier.weight_decay."
        )
    filled = np.zeros(min(folds, len(names)), dtype=np.int64)
    fold_of = np.empty(len(names), dtype=np.int64)
    for name in np.argsort(-clips, kind="stable"):
        fold_of[name] = filled.argmin()
        filled[fold_of[name]] += clips[name]
    return fold_of[group]


def _judge(logits: Floats, labels: Ints) -> tuple[float, float]:
    own: Tensor = torch.log_softmax(torch.from_numpy(logits), dim=1)
    cross_entropy = -own[torch.arange(len(labels)), torch.from_numpy(labels)].mean()
    return float(cross_entropy), float((logits.argmax(axis=1) == labels).mean())
